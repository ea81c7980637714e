/* postern agent: one SSH agent for all shells. */
#include "cli/agent/agent.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "cli/agent/agent_start.h"

struct ready {
    struct agent_place place;
    bool started;
    json_t *removed; /* serials of certificates */
    char *loaded;    /* path of the key; NULL: none */
};

static void ready_done(struct ready *ready) {
    agent_place_done(&ready->place);
    json_decref(ready->removed);
    free(ready->loaded);
}

static err_t choose_shell(struct cli *cli, const struct arguments *arguments,
                          const struct shell **out) {
    const char *given = arguments_value(arguments, "shell");
    const char *login = getenv("SHELL");
    const struct shell *shell = given != NULL   ? shell_find(given)
                                : login != NULL ? shell_find(login)
                                                : NULL;
    if (shell == NULL && given != NULL) {
        return trouble_set(&cli->trouble, EXIT_USAGE,
                           "--shell %s: there are sh, bash, zsh, fish, csh and tcsh", given);
    }
    *out = shell != NULL ? shell : shell_find("sh");
    return OK;
}

static err_t remove_expired(struct agent_client *agent, json_t *serials) {
    struct agent_contents contents CLEANUP(agent_contents_done) = {0};
    int64_t now = clock_now_s();
    TRY(agent_contents_read(agent, &contents));
    for (size_t i = 0; i < contents.count; i++) {
        const struct agent_entry *entry = &contents.entries[i];
        char serial[24];
        if (!agent_entry_is_expired(entry, now) || failed(agent_contents_remove(agent, entry))) {
            continue;
        }
        (void)snprintf(serial, sizeof serial, "%llu", (unsigned long long)entry->cert->serial);
        TRY(json_array_append_new(serials, json_string(serial)) != 0 ? FAIL(ERR_MEMORY) : OK);
    }
    return OK;
}

/* A living agent, without what is expired, with the site's key where that needs no question. */
static err_t make_ready(struct cli *cli, const struct arguments *arguments, struct ready *out) {
    struct agent_client *agent CLEANUP(agent_client_closep) = NULL;
    out->removed = json_array();
    TRY(agent_find(&out->place));
    if (out->place.origin == AGENT_NONE) {
        TRY(agent_start(cli, &out->place.socket, &out->started));
        out->place.origin = AGENT_OF_POSTERN;
    }
    TRY(agent_client_open(out->place.socket, &agent));
    TRY(remove_expired(agent, out->removed));
    const char *file = arguments_value(arguments, "file");
    return agent_load(cli, agent, file, file != NULL || arguments_has(arguments, "load"),
                      &out->loaded);
}

static err_t show_json(const struct ready *ready) {
    json_t *shown CLEANUP(json_freep) =
        json_pack("{s:s, s:s, s:b, s:O, s:s?}", "socket", ready->place.socket, "origin",
                  ready->place.origin == AGENT_OF_POSTERN ? "postern" : "environment", "started",
                  (int)ready->started, "removed", ready->removed, "loaded", ready->loaded);
    return shown == NULL ? FAIL(ERR_MEMORY) : print_json(shown);
}

/* Standard output is for the shell; what is for people goes beside it. */
static err_t show(struct cli *cli, const struct ready *ready, const struct shell *shell) {
    struct buf lines CLEANUP(buf_done) = BUF(LIMIT_STATE_FILE_BYTES);
    err_t err = shell_set_lines(shell, ready->place.socket, &lines);
    if (failed(err)) {
        return trouble_of(&cli->trouble, err, "%s has characters that shells read differently",
                          ready->place.socket);
    }
    size_t removed = json_array_size(ready->removed);
    (void)printf("%.*s", (int)lines.len, (const char *)lines.data);
    if (removed > 0) {
        (void)fprintf(stderr, "Removed %zu expired certificate%s from the agent.\n", removed,
                      removed == 1 ? "" : "s");
    }
    if (ready->loaded != NULL) {
        (void)fprintf(stderr, "Added %s to the agent.\n", ready->loaded);
    }
    if (isatty(STDOUT_FILENO) == 1) {
        (void)fprintf(stderr, "\nThese lines are for your shell. Let it run them, or have every "
                              "new shell do so:\n  eval \"$(postern agent)\"\n"
                              "  postern agent --write\n");
    }
    return OK;
}

static err_t kill_own(struct cli *cli) {
    bool ended = false;
    TRY(agent_stop(cli, &ended));
    if (cli->json) {
        json_t *shown CLEANUP(json_freep) = json_pack("{s:b}", "ended", (int)ended);
        return shown == NULL ? FAIL(ERR_MEMORY) : print_json(shown);
    }
    (void)printf(ended ? "The agent has ended.\n" : "No agent of postern's was running.\n");
    return OK;
}

static err_t list(struct cli *cli) {
    struct agent_place place CLEANUP(agent_place_done) = {0};
    TRY(agent_find(&place));
    if (place.origin == AGENT_NONE) {
        trouble_next(&cli->trouble, "eval \"$(postern agent)\"");
        return trouble_set(&cli->trouble, EXIT_MISSING, "no SSH agent is running");
    }
    return agent_list(cli, &place);
}

static err_t agent_run(struct cli *cli, const struct arguments *arguments) {
    static const char *const modes[] = {"list", "write", "remove", "kill"};
    struct ready ready CLEANUP(ready_done) = {0};
    const struct shell *shell = NULL;
    size_t given = 0;
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        given += arguments_has(arguments, modes[i]) ? 1 : 0;
    }
    TRY(choose_shell(cli, arguments, &shell));
    if (given > 1) {
        return trouble_set(&cli->trouble, EXIT_USAGE,
                           "give one of --list, --write, --remove and --kill");
    }
    if (arguments_has(arguments, "list")) {
        return list(cli);
    }
    if (arguments_has(arguments, "kill")) {
        return kill_own(cli);
    }
    if (given > 0) {
        return agent_write(cli, shell, arguments_has(arguments, "remove"));
    }
    TRY(make_ready(cli, arguments, &ready));
    return cli->json ? show_json(&ready) : show(cli, &ready, shell);
}

static const struct option options[] = {
    {0, "shell", "bash|zsh|sh|fish|csh|tcsh", "that of $SHELL otherwise"},
    {0, "load", NULL, "ask for the passphrase of the site's key, and add it", .many = true},
    {'f', "file", "KEY", "add this key instead"},
    {'l', "list", NULL, "show what the agent holds", .many = true},
    {0, "write", NULL, "let every new shell find the agent, by its start file", .many = true},
    {0, "remove", NULL, "take these lines out again", .many = true},
    {0, "kill", NULL, "end the agent that postern started", .many = true},
    {.name = NULL},
};

const struct command command_agent = {
    .name = "agent",
    .arguments = "",
    .summary = "Find or start the one SSH agent of all your shells",
    .details = "Prints what a shell runs to find it: eval \"$(postern agent)\".\n"
               "Keys are added with their certificate and stay until it ends; expired\n"
               "certificates are removed, since servers count each as a failed attempt.",
    .options = options,
    .run = agent_run,
};
