/*
 * postern job shell and postern job run: into one's running job, from a frontend, with a key and a
 * certificate that are there for this once. `postern-host sync` of this machine gets the
 * certificate (net/job_socket.h).
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/random.h"
#include "cli/jobs/job_ssh.h"
#include "cli/jobs/jobs.h"
#include "cli/process/command_line.h"
#include "cli/sanitise.h"
#include "model/entity.h"
#include "net/job_socket.h"

enum { ASK_MS = 15 * 1000, BUSY_PAUSE_MS = 200, BUSY_TRIES = 50 };

/* --- asking --- */

static err_t socket_trouble(struct cli *cli, err_t err, const char *path) {
    if (err.code == ERR_NOT_FOUND) {
        trouble_next(&cli->trouble, "postern jobs");
        return trouble_set(&cli->trouble, EXIT_MISSING,
                           "this machine is no frontend of a cluster: there is no %s", path);
    }
    return trouble_of(&cli->trouble, err, "cannot ask postern-host at %s", path);
}

static bool is_busy(const json_t *answer) {
    const json_t *error = json_object_get(answer, "error");
    return strcmp(member_text(error, "code"), "busy") == 0;
}

static err_t ask_once(struct cli *cli, const char *path, const json_t *question, json_t **out) {
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_JOB_ANSWER_BYTES);
    char *line CLEANUP(freep) = json_dumps(question, JSON_COMPACT);
    if (line == NULL) {
        return FAIL(ERR_MEMORY);
    }
    err_t err = job_socket_ask(path, span_str(line), ASK_MS, &text);
    if (failed(err)) {
        return socket_trouble(cli, err, path);
    }
    *out = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
    return json_is_object(*out) ? OK
                                : trouble_set(&cli->trouble, EXIT_AUTHORITY,
                                              "postern-host gave an answer that is not understood");
}

/* The frontend may be at work for many: not all come in at the same time. */
static void pause_a_little(void) {
    (void)usleep((useconds_t)(1000 * (BUSY_PAUSE_MS / 2 + random_u64() % BUSY_PAUSE_MS)));
}

static err_t ask(struct cli *cli, const struct arguments *arguments, const json_t *question,
                 json_t **out) {
    const char *path = arguments_value(arguments, "socket");
    json_t *answer CLEANUP(json_freep) = NULL;
    TRY(ask_once(cli, path != NULL ? path : JOB_SOCKET, question, &answer));
    for (int tries = 0; is_busy(answer) && tries < BUSY_TRIES; tries++) {
        pause_a_little();
        json_freep(&answer);
        TRY(ask_once(cli, path != NULL ? path : JOB_SOCKET, question, &answer));
    }
    TRY(json_sanitise(answer));
    const json_t *error = json_object_get(answer, "error");
    if (error != NULL) {
        const char *code = member_text(error, "code");
        bool missing = strcmp(code, "no_job") == 0 || strcmp(code, "no_node") == 0;
        bool away = strcmp(code, "away") == 0 || strcmp(code, "busy") == 0;
        return trouble_set(&cli->trouble,
                           missing ? EXIT_MISSING
                           : away  ? EXIT_NETWORK
                                   : EXIT_REFUSED,
                           "%s", member_text(error, "message"));
    }
    *out = TAKE(answer);
    return OK;
}

/* The only one that runs; else they are listed. */
static err_t choose(struct cli *cli, const struct arguments *arguments, char **job) {
    json_t *question CLEANUP(json_freep) = json_pack("{s:s}", "call", "jobs");
    json_t *answer CLEANUP(json_freep) = NULL;
    const json_t *jobs = NULL;
    TRY(ask(cli, arguments, question, &answer));
    TRY(answer_array(cli, answer, "jobs", &jobs));
    if (json_array_size(jobs) == 1) {
        *job = strdup(member_text(json_array_get(jobs, 0), "job"));
        return *job != NULL ? OK : FAIL(ERR_MEMORY);
    }
    if (json_array_size(jobs) == 0) {
        return trouble_set(&cli->trouble, EXIT_MISSING, "no job of yours runs on this cluster");
    }
    TRY(jobs_show(cli, answer));
    trouble_next(&cli->trouble, "postern job shell JOB");
    return trouble_set(&cli->trouble, EXIT_USAGE, "you have more than one running job; say which");
}

/* --- ssh --- */

static const struct option options[] = {
    {0, "root", NULL, "as root, on the nodes of a deploy job", .many = true},
    SSH_OPTION_ROWS,
    {0, "socket", "PATH", "where postern-host serves users (" JOB_SOCKET ")"},
    {.name = NULL},
};

/* What ssh will be called with is a name and nothing that could be an option. */
static err_t read_place(struct cli *cli, const json_t *answer, struct job_ssh *out) {
    const char *path = NULL;
    TRY(answer_text(cli, answer, "node", &out->node));
    TRY(answer_text(cli, answer, "user", &out->user));
    out->address = member_text(answer, "address"); /* "" where none is known */
    TRY(answer_text(cli, answer, "knownHosts", &path));
    out->port = member_number(answer, "port");
    out->known_hosts = path;
    bool good = !failed(host_name_check(span_str(out->node), "node", NULL)) &&
                (out->address[0] == '\0' ||
                 !failed(host_name_check(span_str(out->address), "address", NULL))) &&
                !failed(user_name_check(span_str(out->user), NULL)) && path[0] == '/' &&
                strpbrk(path, " \t\"%") == NULL && out->port > 0 && out->port <= 65535;
    return good ? OK
                : trouble_set(&cli->trouble, EXIT_AUTHORITY,
                              "postern-host told a place that cannot be one");
}

static err_t connect_to(struct cli *cli, const struct arguments *arguments, const json_t *answer,
                        const struct private_key *key, int *by_signal) {
    const char *certificate = NULL;
    struct job_ssh ssh = {.arguments = arguments};
    struct run_folder folder CLEANUP(run_folder_remove) = {""};
    TRY(read_place(cli, answer, &ssh));
    TRY(answer_text(cli, answer, "certificate", &certificate));
    if (arguments_has(arguments, "root")) {
        if (strcmp(member_text(answer, "type"), "deploy") != 0) {
            return trouble_set(&cli->trouble, EXIT_REFUSED,
                               "one is root on the nodes of deploy jobs alone, and %s is a %s job",
                               member_text(answer, "job"), member_text(answer, "type"));
        }
        ssh.user = "root";
    }
    TRY(run_folder_make(cli, &folder));
    TRY(job_key_put(cli, key, certificate, &folder));
    return job_ssh_run(cli, &ssh, &folder, by_signal);
}

static err_t enter(struct cli *cli, const struct arguments *arguments, const char *job,
                   const char *node) {
    struct private_key *key CLEANUP(private_key_freep) = NULL;
    struct buf line CLEANUP(buf_done) = BUF(LIMIT_KEY_LINE_CHARS);
    char *public_key CLEANUP(freep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    int by_signal = 0;
    TRY(private_key_generate(KEY_ED25519, 256, &key));
    TRY(key_print_line(private_key_public(key), NULL, &line));
    TRY(buf_to_str(&line, &public_key));
    json_t *question CLEANUP(json_freep) =
        json_pack("{s:s, s:s, s:s, s:s*}", "call", "certificate", "job", job, "publicKey",
                  public_key, "node", node);
    if (question == NULL) {
        return trouble_set(&cli->trouble, EXIT_USAGE, "the job or the node is not UTF-8");
    }
    TRY(ask(cli, arguments, question, &answer));
    TRY(connect_to(cli, arguments, answer, key, &by_signal));
    if (by_signal != 0) { /* the key is gone by now */
        (void)signal(by_signal, SIG_DFL);
        (void)raise(by_signal);
    }
    return OK;
}

static err_t shell_run(struct cli *cli, const struct arguments *arguments) {
    char *only CLEANUP(freep) = NULL;
    if (arguments->word_count == 0) {
        TRY(choose(cli, arguments, &only));
    }
    return enter(cli, arguments, only != NULL ? only : arguments->words[0],
                 arguments->word_count > 1 ? arguments->words[1] : NULL);
}

static err_t run_run(struct cli *cli, const struct arguments *arguments) {
    if (arguments->command_count == 0) {
        trouble_next(&cli->trouble, "postern job run JOB -- hostname");
        return trouble_set(&cli->trouble, EXIT_USAGE, "the command is missing: it stands after --");
    }
    return shell_run(cli, arguments);
}

static const struct command
    shell = {.name = "shell",
             .arguments = "[JOB [NODE]]",
             .summary = "A shell on a node of a job: the first, unless another is named",
             .details = "Without JOB, the only one that runs.",
             .options = options,
             .words_max = 2,
             .run = shell_run},
    run = {.name = "run",
           .arguments = "[JOB [NODE]] -- COMMAND…",
           .summary = "Run a command on a node of a job, with its exit status",
           .options = options,
           .words_max = 2,
           .takes_command = true,
           .run = run_run};

static const struct command *const children[] = {&shell, &run, NULL};

const struct command command_job = {
    .name = "job",
    .arguments = "COMMAND",
    .summary = "On a frontend: log in to the nodes of a running job",
    .children = children,
};
