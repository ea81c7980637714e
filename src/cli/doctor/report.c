#include "cli/doctor/report.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "base/clock.h"
#include "base/file.h"
#include "cli/doctor/redact.h"
#include "cli/process/process.h"
#include "cli/site.h"

enum { REPORT_BYTES_MAX = 8 * 1024 * 1024, LISTED_FILES_MAX = 200, RUN_MS = 10 * 1000 };

const char *health_name(enum health health) {
    static const char *const names[] = {[HEALTH_UNKNOWN] = "unknown",
                                        [HEALTH_FINE] = "fine",
                                        [HEALTH_NOTE] = "note",
                                        [HEALTH_BROKEN] = "broken"};
    return names[health];
}

static err_t head(const struct facts *facts, struct buf *out) {
    struct utsname system = {0};
    char now[TIME_CHARS];
    (void)uname(&system);
    time_print_utc(facts->now, now);
    return buf_add_format(out,
                          "Report of postern %s doctor, %s\n"
                          "Site %s, %s; account %s; target %s\n"
                          "%s %s %s; %s\n",
                          POSTERN_VERSION, now, facts->site->name, facts->site->url,
                          facts->username[0] != '\0' ? facts->username : "(nobody)",
                          facts->target.alias, system.sysname, system.release, system.machine,
                          facts->ssh_text);
}

static err_t list_findings(const struct finding *findings, struct buf *out) {
    TRY(buf_add_str(out, "\n== what was found\n"));
    for (size_t i = 0; i < check_count; i++) {
        const struct finding *finding = &findings[i];
        TRY(buf_add_format(out, "%-8s %-16s %s\n", health_name(finding->health), checks[i].name,
                           finding->words));
        if (finding->mend.command[0] != '\0') {
            TRY(buf_add_format(out, "%-25s %s\n", "", finding->mend.command));
        }
    }
    return OK;
}

static void closedirp(DIR **dir) {
    if (*dir != NULL) {
        (void)closedir(*dir);
    }
}

static err_t list_folder(const struct facts *facts, struct buf *out) {
    DIR *dir CLEANUP(closedirp) = opendir(facts->folder.path);
    const struct dirent *entry;
    struct stat status;
    TRY(buf_add_format(out, "\n== %s (mode %o)\n", facts->folder.path,
                       (unsigned)facts->folder.mode));
    for (size_t i = 0; dir != NULL && i < LISTED_FILES_MAX && (entry = readdir(dir)) != NULL; i++) {
        if (fstatat(dirfd(dir), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
            TRY(buf_add_format(out, "%o %lld %s\n", (unsigned)status.st_mode,
                               (long long)status.st_size, entry->d_name));
        }
    }
    return OK;
}

/* Without comments: people keep things there. */
static err_t add_config(const char *path, const struct buf *text, struct buf *out) {
    span_t rest = buf_span(text);
    TRY(buf_add_format(out, "\n== %s, without comments\n", path));
    while (rest.len > 0) {
        span_t line = span_until(&rest, '\n');
        span_t word = line;
        while (word.len > 0 && isspace(word.data[0])) {
            word = span_of(word.data + 1, word.len - 1);
        }
        if (word.len > 0 && word.data[0] != '#') {
            TRY(buf_add(out, line));
            TRY(buf_add_byte(out, '\n'));
        }
    }
    return OK;
}

static err_t add_certificate(const struct facts *facts, struct buf *out) {
    TRY(buf_add_format(out, "\n== %s: %s\n", facts->paths.cert_path, look_name(facts->look.state)));
    return facts->look.cert == NULL ? OK : cert_print_long(facts->look.cert, out);
}

static err_t add_agent(const struct facts *facts, struct buf *out) {
    char fingerprint[FINGERPRINT_CHARS];
    TRY(buf_add_format(out, "\n== agent %s\n",
                       facts->agent.socket != NULL ? facts->agent.socket : "(none)"));
    if (facts->agent.dead != NULL) {
        TRY(buf_add_format(
            out, facts->agent.is_foreign ? "another user's at %s\n" : "nobody answers at %s\n",
            facts->agent.dead));
    }
    for (size_t i = 0; i < facts->in_agent.count; i++) {
        const struct agent_entry *entry = &facts->in_agent.entries[i];
        key_fingerprint_blob(buf_span(&entry->blob), fingerprint);
        TRY(buf_add_format(out, "%s %s%s %s\n", fingerprint,
                           entry->key != NULL ? key_type_display(entry->key) : "?",
                           entry->cert != NULL ? "-CERT" : "", entry->comment));
        if (entry->cert != NULL) {
            TRY(cert_print_long(entry->cert, out));
        }
    }
    return OK;
}

static err_t add_json(const char *title, const json_t *json, struct buf *out) {
    char *text CLEANUP(freep) = json == NULL ? NULL : json_dumps(json, JSON_INDENT(1));
    return text == NULL ? OK : buf_add_format(out, "\n== %s\n%s\n", title, text);
}

static err_t add_ssh_settings(const struct fact_ssh *ssh, struct buf *out) {
    const struct process_terms terms = {.timeout_ms = RUN_MS, .both = true, .cut = true};
    const char *const words[] = {"ssh", "-G", "--", ssh->alias, NULL};
    struct command_line line CLEANUP(command_line_done) = {0};
    int status = 0;
    if (ssh->alias[0] == '\0') {
        return OK;
    }
    TRY(buf_add_format(out, "\n== ssh -G %s\n", ssh->alias));
    TRY(command_line_add_words(&line, words));
    err_t err = process_ask(&line, &terms, out, &status);
    return err.code == ERR_TIMEOUT ? OK : err;
}

static err_t collect(const struct facts *facts, const struct finding *findings, struct buf *out) {
    TRY(head(facts, out));
    TRY(list_findings(findings, out));
    TRY(list_folder(facts, out));
    TRY(add_config(facts->config.path, &facts->config_text, out));
    TRY(add_config(facts->site_config.path, &facts->site_config_text, out));
    TRY(add_certificate(facts, out));
    TRY(add_agent(facts, out));
    TRY(add_json("whoami", facts->whoami, out));
    TRY(add_json("jobs", facts->jobs, out));
    TRY(add_ssh_settings(&facts->target, out));
    TRY(add_ssh_settings(&facts->jump, out));
    TRY(buf_add_format(out, "\n== ssh -vvv %s: %d\n", facts->target.alias, facts->try_status));
    return buf_add(out, buf_span(&facts->try_text));
}

err_t report_write(struct cli *cli, const struct facts *facts, const struct finding *findings,
                   const char *path) {
    struct buf text CLEANUP(buf_done) = BUF(REPORT_BYTES_MAX);
    struct buf clean CLEANUP(buf_done) = BUF(2 * REPORT_BYTES_MAX);
    struct token token CLEANUP(token_done) = {0};
    struct trouble ignored = {0};
    const char *secrets[2] = {NULL};
    struct redaction how = {.home = facts->home, .secrets = secrets};
    if (!failed(token_load(&ignored, facts->site, NULL, &token))) {
        secrets[how.secret_count++] = token.text.text;
    }
    const char *api_key = getenv("POSTERN_API_KEY");
    if (api_key != NULL && api_key[0] != '\0') {
        secrets[how.secret_count++] = api_key;
    }
    TRY(collect(facts, findings, &text));
    TRY(redact(buf_span(&text), &how, &clean));
    err_t err = file_put(path, buf_span(&clean), 0600, 0);
    return failed(err) ? trouble_of(&cli->trouble, err, "cannot write %s", path) : OK;
}
