/* postern: finds the command, runs it, and says what went wrong. */
#include <errno.h>
#include <locale.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/secret.h"
#include "cli/cli.h"
#include "cli/commands.h"

static err_t usage(struct cli *cli, const char *path, const char *why) {
    if (cli->trouble.next[0] == '\0') {
        trouble_next(&cli->trouble, "%s --help", path);
    }
    return trouble_set(&cli->trouble, EXIT_USAGE, "%s", why);
}

static err_t unknown_command(struct cli *cli, const struct command *group, const char *path,
                             const char *word) {
    const char *names[64];
    size_t count = 0;
    for (const struct command *const *child = group->children; *child != NULL; child++) {
        INVARIANT(count < COUNT_OF(names));
        if (!(*child)->hidden) {
            names[count++] = (*child)->name;
        }
    }
    char why[256];
    const char *near = nearest_name(word, names, count);
    (void)snprintf(why, sizeof why,
                   near != NULL ? "there is no command %.64s; did you mean %s?"
                                : "there is no command %.64s",
                   word, near);
    if (near != NULL) {
        trouble_next(&cli->trouble, "%s %s", path, near);
    }
    return usage(cli, path, why);
}

/* "a command is missing: add, list or remove" */
static err_t missing_command(struct cli *cli, const struct command *group, const char *path) {
    char why[256] = "a command is missing";
    const char *before = ": ";
    for (const struct command *const *child = group->children; *child != NULL; child++) {
        size_t len = strlen(why);
        if (!(*child)->hidden) {
            (void)snprintf(why + len, sizeof why - len, "%s%s", before, (*child)->name);
            before = child[1] != NULL && child[2] == NULL ? " or " : ", ";
        }
    }
    return usage(cli, path, why);
}

static err_t run(struct cli *cli, const struct command *command, const char *path,
                 const struct arguments *arguments) {
    if (arguments->word_count < command->words_min || arguments->word_count > command->words_max) {
        char why[256];
        (void)snprintf(why, sizeof why, "%s takes %s", path,
                       command->arguments[0] != '\0' ? command->arguments : "no arguments");
        return usage(cli, path, why);
    }
    cli->json = arguments_has(arguments, "json");
    cli->site = arguments_value(arguments, "site");
    return command->run(cli, arguments);
}

static const struct command *child_named(const struct command *group, const char *word) {
    const struct command *const *child = group->children;
    while (*child != NULL && strcmp((*child)->name, word) != 0) {
        child++;
    }
    return *child;
}

/* Walks down to the command that the words name, then runs it; "help" is --help in a group. */
static err_t dispatch(struct cli *cli, int argc, char *const *argv) {
    const struct command *command = &command_root;
    struct arguments arguments = {.shared = command_shared_options};
    char path[128] = "postern";
    bool help = false;
    for (;;) {
        struct fault fault = {0};
        int used = 0;
        arguments.own = command->options;
        arguments.takes_command = command->takes_command;
        err_t err =
            arguments_parse(&arguments, argc, argv, command->children != NULL, &used, &fault);
        if (failed(err)) {
            return usage(cli, path, fault.reason);
        }
        argc -= used;
        argv += used;
        if (arguments_has(&arguments, "version")) {
            (void)printf("postern %s\n", POSTERN_VERSION);
            return OK;
        }
        const char *word = argc > 0 ? argv[0] : NULL;
        if (command->children == NULL || word == NULL) {
            break;
        }
        if (!help && strcmp(word, "help") == 0) {
            help = true;
            argc--;
            argv++;
            continue;
        }
        const struct command *child = child_named(command, word);
        if (child == NULL) {
            return unknown_command(cli, command, path, word);
        }
        command = child;
        size_t len = strlen(path);
        (void)snprintf(path + len, sizeof path - len, " %s", command->name);
        argc--;
        argv++;
    }
    if (help || arguments_has(&arguments, "help")) {
        command_print_help(command, path);
        return OK;
    }
    if (command->run == NULL) {
        return missing_command(cli, command, path);
    }
    return run(cli, command, path, &arguments);
}

/* jansson frees what may be a password or a token: wiped, whatever it was. */
static void wiping_free(void *memory) {
    if (memory != NULL) {
        secret_wipe(memory, malloc_usable_size(memory));
        free(memory);
    }
}

/*
 * Called postern-refresh, it is `postern refresh`, and called postern-refresh-SITE it is that for
 * the site, so that a program that takes a file but no arguments can name it.
 */
static err_t dispatch_by_name(struct cli *cli, int argc, char **argv) {
    static const char name[] = "postern-refresh";
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    const char *called = argc == 0 ? "" : slash == NULL ? argv[0] : slash + 1;
    const char *rest = called + strlen(name);
    if (strncmp(called, name, strlen(name)) != 0 || (rest[0] != '\0' && rest[0] != '-')) {
        return dispatch(cli, argc - 1, argv + 1);
    }
    char command[] = "refresh";
    char option[] = "--site";
    char *site CLEANUP(freep) = strdup(rest[0] == '-' ? rest + 1 : "");
    char **words CLEANUP(freep) = calloc((size_t)argc + 3, sizeof *words);
    if (site == NULL || words == NULL) {
        return FAIL(ERR_MEMORY);
    }
    int count = 0;
    words[count++] = command;
    if (rest[0] == '-') {
        words[count++] = option;
        words[count++] = site;
    }
    for (int i = 1; i < argc; i++) {
        words[count++] = argv[i];
    }
    return dispatch(cli, count, words);
}

int main(int argc, char **argv) {
    /* A core file would hold tokens and passphrases. */
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    (void)signal(SIGPIPE, SIG_IGN); /* a closed connection is an error to tell, not an end */
    (void)setlocale(LC_CTYPE, "");
    json_set_alloc_funcs(malloc, wiping_free);

    struct cli cli = {0};
    err_t err = dispatch_by_name(&cli, argc, argv);
    if (fflush(stdout) != 0 && errno != EPIPE && !failed(err)) {
        err = trouble_set(&cli.trouble, EXIT_INTERNAL, "cannot write the output: %s",
                          strerror(errno));
    }
    if (!failed(err)) {
        return (int)cli.exit;
    }
    if (cli.trouble.what[0] == '\0') {
        (void)trouble_set(&cli.trouble, exit_of_err(err), "%s", err_text(err));
    }
    trouble_print(&cli.trouble, stderr);
    return (int)cli.trouble.exit;
}
