/*
 * postern refresh, postern-refresh: a certificate that is good for a while yet, without a question.
 *
 * Invariants:
 *   1. While the certificate has more than the margin nothing is asked, locked or written.
 *   2. Of any number that run at once, one asks the authority; the others find what it got, or take
 *      its failure for theirs (attempt.h).
 *   3. The certificate is replaced by rename, and the lock is the kernel's: whoever is killed
 * leaves the old or the new certificate, and no lock.
 *   4. Nothing is asked at a terminal but the passphrase of a key for --agent.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "cli/agent/agent_contents.h"
#include "cli/agent/agent_find.h"
#include "cli/certificates/attempt.h"
#include "cli/certificates/issue.h"
#include "cli/certificates/look.h"
#include "cli/certificates/received.h"
#include "cli/certificates/renewal.h"
#include "cli/cli.h"
#include "cli/credentials/grant.h"
#include "cli/credentials/sign_in.h"
#include "cli/document.h"
#include "cli/site.h"

/* An ssh with jump hosts runs one for each of them: what one told within this time the others leave
 * unsaid. */
enum { TOLD_MS = 10 * 1000 };

enum outcome {
    OUTCOME_VALID,   /* it had more than the margin */
    OUTCOME_RENEWED, /* by this program */
    OUTCOME_KEPT,    /* it could not be renewed and is still valid */
};

struct refresh {
    struct cli *cli;
    const struct arguments *arguments;
    struct site *site;
    struct user_key key; /* paths; with its public half once it is needed */
    struct look look;
    int64_t started_ms;
    int64_t margin_s;
    int64_t wait_s;
    enum outcome outcome;
    enum sign_in_way way; /* when renewed */
    bool told;            /* the failure, by another one of these a moment ago */
};

static void refresh_done(struct refresh *refresh) {
    look_done(&refresh->look);
    user_key_done(&refresh->key);
    site_freep(&refresh->site);
}

static bool is_valid(const struct refresh *refresh) { return refresh->look.state == LOOK_VALID; }

/* A certificate file that is damaged is due like one that is not there. */
static void look(struct refresh *refresh) {
    struct trouble kept = refresh->cli->trouble;
    look_done(&refresh->look);
    ignore_err(certificate_look(refresh->cli, refresh->site, &refresh->key, &refresh->look));
    refresh->cli->trouble = kept;
}

static bool is_due(const struct refresh *refresh) {
    struct stat status;
    if (!is_valid(refresh) || stat(refresh->key.cert_path, &status) != 0) {
        return true;
    }
    const struct renewal_facts facts = {
        .valid_after = refresh->look.cert->valid_after,
        .valid_before = refresh->look.cert->valid_before,
        .written_at = status.st_mtime,
        .margin_s = refresh->margin_s,
    };
    return renewal_is_due(&facts, clock_now_s());
}

static err_t lock(struct refresh *refresh, int *fd) {
    struct trouble *trouble = &refresh->cli->trouble;
    char *dir CLEANUP(freep) = NULL;
    char *path CLEANUP(freep) = NULL;
    TRY(site_state_path(refresh->site->name, NULL, &dir));
    TRY(site_state_path(refresh->site->name, "refresh.lock", &path));
    err_t err = file_make_dirs(dir, 0700);
    err = failed(err) ? err : file_lock(path, (int)(refresh->wait_s * 1000), fd);
    if (err.code == ERR_BUSY) {
        return trouble_set(trouble, EXIT_CONFLICT,
                           "another postern-refresh has been renewing the certificate for more "
                           "than %lld s",
                           (long long)refresh->wait_s);
    }
    return failed(err) ? trouble_of(trouble, err, "cannot lock %s", path) : OK;
}

static err_t find_key(struct refresh *refresh) {
    struct user_key key CLEANUP(user_key_done) = {0};
    TRY(user_key_find(refresh->cli, refresh->key.path, refresh->key.path, &key));
    TRY(user_key_demand_passphrase(refresh->cli, refresh->site, &key));
    struct user_key paths = refresh->key;
    refresh->key = key;
    key = paths;
    return OK;
}

static err_t sign_by(struct refresh *refresh, enum sign_in_way way, struct cert **out) {
    struct cli *cli = refresh->cli;
    struct api *api CLEANUP(api_closep) = NULL;
    const char *duration = arguments_value(refresh->arguments, "duration");
    if (way == SIGN_IN_GRANT) {
        return grant_renew(cli, refresh->site, &refresh->key, out);
    }
    TRY(sign_in(cli, refresh->site, way, &api));
    json_t *wish = json_pack("{s:s*}", "duration", duration);
    TRY(wish == NULL ? FAIL(ERR_MEMORY) : OK);
    return certificate_issue(cli, refresh->site, api, &refresh->key, NULL, wish, NULL, out);
}

static err_t renew_by(struct refresh *refresh, enum sign_in_way way) {
    struct cert *cert CLEANUP(cert_freep) = NULL;
    TRY(sign_by(refresh, way, &cert));
    refresh->outcome = OUTCOME_RENEWED;
    refresh->way = way;
    return OK;
}

/* What signs in is tried in turn; a refusal for another reason holds for all of it. */
static err_t renew(struct refresh *refresh) {
    struct trouble *trouble = &refresh->cli->trouble;
    struct trouble last = {0};
    TRY(find_key(refresh));
    for (enum sign_in_way way = 0; way < SIGN_IN_WAYS; way++) {
        err_t err = renew_by(refresh, way);
        bool absent = err.code == ERR_NOT_FOUND && trouble->what[0] == '\0';
        if (!absent && (!failed(err) || trouble->exit != EXIT_LOGIN)) {
            return err;
        }
        if (!absent) {
            sign_in_was_refused(refresh->site, way);
            last = *trouble;
            *trouble = (struct trouble){0};
        }
    }
    if (last.what[0] != '\0') {
        *trouble = last;
        return FAIL(ERR_REFUSED);
    }
    trouble_next(trouble, "postern login\npostern credentials --help");
    return trouble_set(trouble, EXIT_LOGIN,
                       "you are not signed in at %s, and nothing is stored to sign in with",
                       refresh->site->name);
}

/* Under the lock. */
static err_t renew_once(struct refresh *refresh) {
    struct trouble *trouble = &refresh->cli->trouble;
    struct attempt attempt;
    attempt_load(refresh->site->name, refresh->key.cert_path, &attempt);
    refresh->told = attempt.at_ms != 0 && clock_now_ms() - attempt.at_ms < TOLD_MS;
    if (attempt_answers(&attempt, refresh->started_ms, is_valid(refresh), clock_now_ms())) {
        *trouble = attempt.trouble;
        return FAIL(ERR_REFUSED);
    }
    err_t err = renew(refresh);
    if (!failed(err)) {
        attempt_forget(refresh->site->name);
        look(refresh);
        return is_valid(refresh)
                   ? OK
                   : trouble_set(trouble, EXIT_CONFLICT, "%s was renewed, and then: %s",
                                 refresh->key.cert_path, look_text(refresh->look.state));
    }
    if (trouble->what[0] == '\0') {
        (void)trouble_set(trouble, exit_of_err(err), "%s", err_text(err));
    }
    attempt = (struct attempt){.at_ms = clock_now_ms(), .trouble = *trouble};
    /* Not kept: the next one asks as well. */
    ignore_err(attempt_save(refresh->site->name, refresh->key.cert_path, &attempt));
    return err;
}

static err_t run_locked(struct refresh *refresh) {
    int fd CLEANUP(fd_closep) = -1;
    TRY(lock(refresh, &fd));
    look(refresh);
    return is_due(refresh) ? renew_once(refresh) : OK;
}

/* While the certificate is good whoever asks may log in by it, whatever happened to its renewal. */
static err_t settle(struct refresh *refresh, err_t err) {
    struct trouble *trouble = &refresh->cli->trouble;
    if (!failed(err) || !is_valid(refresh) || trouble->exit == EXIT_USAGE) {
        return err;
    }
    bool say = trouble->exit != EXIT_NETWORK && trouble->exit != EXIT_CONFLICT;
    if ((say || arguments_has(refresh->arguments, "verbose")) && !refresh->cli->json &&
        !arguments_has(refresh->arguments, "quiet") &&
        !arguments_has(refresh->arguments, "from-ssh")) {
        print_warning("the certificate is still valid, but cannot be renewed: %s", trouble->what);
    }
    refresh->outcome = OUTCOME_KEPT;
    return OK;
}

/* The agent's copy ends with the certificate it was added with. */
static err_t refresh_agent(struct refresh *refresh) {
    struct cli *cli = refresh->cli;
    struct agent_client *agent CLEANUP(agent_client_closep) = NULL;
    struct agent_contents contents CLEANUP(agent_contents_done) = {0};
    struct private_key *private CLEANUP(private_key_freep) = NULL;
    if (failed(agent_find_open(&agent))) {
        trouble_next(&cli->trouble, "postern agent");
        return trouble_set(&cli->trouble, EXIT_MISSING, "no SSH agent is running");
    }
    err_t err = agent_contents_read(agent, &contents);
    if (!failed(err) && agent_contents_has(&contents, buf_span(&refresh->look.cert->blob))) {
        return OK;
    }
    TRY(refresh->key.public != NULL ? OK : find_key(refresh));
    TRY(user_key_load(cli, &refresh->key, &private));
    const char *comment =
        refresh->key.comment[0] != '\0' ? refresh->key.comment : refresh->key.path;
    err = failed(err)
              ? err
              : agent_contents_add(agent, private, refresh->look.cert, comment, clock_now_s());
    return failed(err) ? trouble_of(&cli->trouble, err,
                                    "the certificate is good, but the agent does not take it")
                       : OK;
}

static err_t report(const struct refresh *refresh) {
    static const char *const names[] = {"valid", "renewed", "kept"};
    const char *way =
        refresh->outcome == OUTCOME_RENEWED ? sign_in_text(refresh->way) : (const char *)NULL;
    if (refresh->cli->json) {
        char expires[TIME_CHARS] = "forever";
        if (refresh->look.cert->valid_before <= INT64_MAX) {
            time_print_utc((int64_t)refresh->look.cert->valid_before, expires);
        }
        const char *why =
            refresh->outcome == OUTCOME_KEPT ? refresh->cli->trouble.what : (const char *)NULL;
        json_t *shown CLEANUP(json_freep) = json_pack(
            "{s:s, s:s, s:s, s:s*, s:s*}", "status", names[refresh->outcome], "file",
            refresh->key.cert_path, "expireTime", expires, "signedInBy", way, "reason", why);
        return shown == NULL ? FAIL(ERR_MEMORY) : print_json(shown);
    }
    if (arguments_has(refresh->arguments, "verbose")) {
        char until[80];
        received_until(refresh->look.cert, until);
        (void)printf("%s: %s until %s%s%s\n", refresh->key.cert_path,
                     refresh->outcome == OUTCOME_RENEWED ? "renewed, valid" : "valid", until,
                     way != NULL ? ", by " : "", way != NULL ? way : "");
    }
    return OK;
}

static err_t read_options(struct refresh *refresh) {
    const struct {
        const char *name;
        int64_t otherwise;
        int64_t *seconds;
    } times[] = {
        {"margin", RENEWAL_MARGIN_S, &refresh->margin_s},
        {"wait", LIMIT_REFRESH_WAIT_S, &refresh->wait_s},
        {"duration", 0, &(int64_t){0}},
    };
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        const char *given = arguments_value(refresh->arguments, times[i].name);
        *times[i].seconds = times[i].otherwise;
        if (given != NULL && failed(duration_parse(span_str(given), times[i].seconds))) {
            return trouble_set(&refresh->cli->trouble, EXIT_USAGE,
                               "--%s %s is no duration; write a number and a unit: 1d, 30min",
                               times[i].name, given);
        }
    }
    if (refresh->wait_s > LIMIT_REFRESH_WAIT_S) {
        return trouble_set(&refresh->cli->trouble, EXIT_USAGE, "--wait is at most %d s",
                           (int)LIMIT_REFRESH_WAIT_S);
    }
    return OK;
}

static err_t run(struct refresh *refresh) {
    const char *given = arguments_value(refresh->arguments, "file");
    TRY(user_key_paths(given != NULL ? given : document_key_file(refresh->site->document),
                       &refresh->key));
    look(refresh);
    TRY(is_due(refresh) ? settle(refresh, run_locked(refresh)) : OK);
    TRY(arguments_has(refresh->arguments, "agent") ? refresh_agent(refresh) : OK);
    return report(refresh);
}

/*
 * ssh says no more than "Permission denied" to whom a certificate let in before and who is signed
 * in no longer. Whoever never had one may log in by a registered key, and is not told at each login
 * what they do not need. Nor is a program: what it reads on standard error is its own.
 */
static bool is_silent(const struct refresh *refresh) {
    if (arguments_has(refresh->arguments, "from-ssh")) {
        return refresh->look.state != LOOK_EXPIRED || refresh->told || isatty(STDERR_FILENO) == 0;
    }
    return arguments_has(refresh->arguments, "quiet");
}

static err_t refresh_run(struct cli *cli, const struct arguments *arguments) {
    struct refresh refresh CLEANUP(refresh_done) = {
        .cli = cli, .arguments = arguments, .started_ms = clock_now_ms()};
    TRY(read_options(&refresh));
    TRY(site_open(&cli->trouble, cli->site, &refresh.site));
    err_t err = run(&refresh);
    if (failed(err) && is_silent(&refresh) && cli->trouble.what[0] != '\0') {
        cli->exit = cli->trouble.exit; /* which says enough to a program */
        return OK;
    }
    return err;
}

static const struct option options[] = {
    {'f', "file", "KEY", "the key; the site's default otherwise"},
    {'d', "duration", "TIME", "how long a new certificate shall be valid: 1d, 1min"},
    {0, "margin", "TIME",
     "renew when less than this is left, 1h otherwise; half of its life at most"},
    {0, "wait", "TIME", "how long to wait for another one at work: 1min, which is the most"},
    {0, "agent", NULL, "also keep the certificate in the SSH agent", .many = true},
    {'v', "verbose", NULL, "say what was done", .many = true},
    {'q', "quiet", NULL, "say nothing of failures either", .many = true},
    {0, "from-ssh", NULL,
     "for ssh's configuration: say once, at a terminal, why an ended certificate stays ended",
     .many = true},
    {.name = NULL},
};

const struct command command_refresh = {
    .name = "refresh",
    .arguments = "",
    .summary = "Renew the certificate where it ends soon, without a question",
    .details =
        "Also called postern-refresh, for programs that want a file without arguments; a link\n"
        "postern-refresh-SITE to it is for that site. Signs in by the first of: the session of\n"
        "postern login, POSTERN_API_KEY, the API key of the keyring, an automation grant, password\n"
        "and TOTP secret of the keyring (postern credentials --help).\n"
        "Exit code 0: there is a valid certificate. Otherwise there is none, and 3: nothing to\n"
        "sign in with, or refused; 4: not permitted; 5: quota; 6: network; 7: authority; 8: no\n"
        "key; 9: another one did not finish.",
    .options = options,
    .run = refresh_run,
};
