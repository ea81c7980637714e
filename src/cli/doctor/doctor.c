/* postern doctor: finds the first thing that is wrong on the way to a host, and mends it. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/doctor/checks.h"
#include "cli/doctor/mend.h"
#include "cli/doctor/report.h"
#include "cli/sanitise.h"
#include "cli/terminal.h"

enum { ROUNDS_MAX = 16, TRIES_OF_A_CHECK = 4, SHOWN_BYTES = 4 * FINDING_CHARS };

struct examination {
    struct facts facts;
    struct finding findings[CHECKS_MAX];
};

static void examination_freep(struct examination **examination) {
    if (*examination != NULL) {
        facts_done(&(*examination)->facts);
        free(*examination);
        *examination = NULL;
    }
}

static err_t examine(struct cli *cli, const struct site *site, const struct arguments *arguments,
                     struct examination **out) {
    struct examination *made CLEANUP(examination_freep) = calloc(1, sizeof *made);
    if (made == NULL) {
        return FAIL(ERR_MEMORY);
    }
    facts_init(&made->facts, site);
    TRY(facts_gather(cli, arguments->word_count > 0 ? arguments->words[0] : NULL,
                     arguments_value(arguments, "file"), &made->facts));
    checks_run(&made->facts, made->findings);
    *out = TAKE(made);
    return OK;
}

static const struct check *first_broken(const struct examination *examination, size_t *index) {
    for (size_t i = 0; i < check_count; i++) {
        if (examination->findings[i].health == HEALTH_BROKEN) {
            *index = i;
            return &checks[i];
        }
    }
    return NULL;
}

/* --- showing --- */

static err_t print_line(FILE *to, const char *title, const char *words) {
    struct buf clean CLEANUP(buf_done) = BUF(SHOWN_BYTES);
    char *text CLEANUP(freep) = NULL;
    TRY(text_sanitise(span_str(words), false, &clean));
    TRY(buf_to_str(&clean, &text));
    (void)fprintf(to, "%-18s %s\n", title, text);
    return OK;
}

static const struct {
    const char *mark;
    enum colour colour;
} marks[] = {
    [HEALTH_UNKNOWN] = {"?", COLOUR_YELLOW},
    [HEALTH_FINE] = {"ok", COLOUR_GREEN},
    [HEALTH_NOTE] = {"note", COLOUR_YELLOW},
    [HEALTH_BROKEN] = {"WRONG", COLOUR_RED},
};

static err_t show(const struct examination *examination) {
    for (size_t i = 0; i < check_count; i++) {
        const struct finding *finding = &examination->findings[i];
        (void)printf("%s%-6s%s ", terminal_colour(stdout, marks[finding->health].colour),
                     marks[finding->health].mark, terminal_colour(stdout, COLOUR_NONE));
        TRY(print_line(stdout, checks[i].title, finding->words));
    }
    size_t index = 0;
    const struct check *broken = first_broken(examination, &index);
    if (broken == NULL) {
        (void)printf("\nNothing is wrong.\n");
        return OK;
    }
    const struct finding *finding = &examination->findings[index];
    (void)printf("\nThe first thing that is wrong:\n");
    TRY(print_line(stdout, broken->title, finding->words));
    if (finding->mend.command[0] != '\0') {
        (void)printf("Next:\n");
        TRY(print_line(stdout, "", finding->mend.command));
    }
    if (mend_is_doable(&finding->mend)) {
        (void)printf("postern doctor --fix does it.\n");
    }
    return OK;
}

static err_t add_finding(const struct check *check, const struct finding *finding, json_t *list) {
    json_t *shown = json_pack("{s:s, s:s, s:s, s:s, s:b}", "check", check->name, "state",
                              health_name(finding->health), "message", finding->words, "command",
                              finding->mend.command, "fixable", mend_is_doable(&finding->mend));
    return shown != NULL && json_array_append_new(list, shown) == 0 ? OK : FAIL(ERR_MEMORY);
}

static err_t show_json(const struct examination *examination) {
    size_t index = 0;
    const struct check *broken = first_broken(examination, &index);
    json_t *list = json_array();
    json_t *shown CLEANUP(json_freep) =
        json_pack("{s:b, s:s, s:s?, s:o}", "healthy", broken == NULL, "target",
                  examination->facts.target.alias, "first", broken != NULL ? broken->name : NULL,
                  "checks", list);
    if (shown == NULL) {
        return FAIL(ERR_MEMORY);
    }
    for (size_t i = 0; i < check_count; i++) {
        TRY(add_finding(&checks[i], &examination->findings[i], list));
    }
    TRY(json_sanitise(shown));
    return print_json(shown);
}

/* --- mending --- */

struct mending {
    bool yes; /* to everything */
    struct terminal *terminal;
    unsigned tried[CHECKS_MAX];
};

static bool may_try(const struct mending *mending, const struct finding *finding, size_t index) {
    return mend_is_doable(&finding->mend) && mending->tried[index] < TRIES_OF_A_CHECK;
}

/* The first that is broken and can be mended; where nothing is broken and ssh could not be tried
 * for want of a passphrase, what would help that. */
static const struct check *next_to_mend(const struct examination *examination,
                                        const struct mending *mending, size_t *index) {
    const struct finding *findings = examination->findings;
    bool healthy = first_broken(examination, index) == NULL;
    bool tried = findings[check_count - 1].health != HEALTH_UNKNOWN;
    for (size_t i = 0; i < check_count; i++) {
        bool due = healthy ? findings[i].health == HEALTH_NOTE && !tried
                           : findings[i].health == HEALTH_BROKEN;
        if (due && may_try(mending, &findings[i], i)) {
            *index = i;
            return &checks[i];
        }
    }
    return NULL;
}

static err_t ask(struct cli *cli, struct mending *mending, const struct check *check,
                 const struct finding *finding, bool *yes) {
    TRY(print_line(stderr, check->title, finding->words));
    TRY(print_line(stderr, "", finding->mend.command));
    *yes = mending->yes;
    if (mending->yes) {
        return OK;
    }
    if (mending->terminal == NULL && failed(terminal_open(&mending->terminal))) {
        trouble_next(&cli->trouble, "postern doctor --fix --yes");
        return trouble_set(&cli->trouble, EXIT_REFUSED, "there is no terminal to ask at");
    }
    return terminal_confirm(mending->terminal, "Do it? [y/N] ", yes);
}

/* One thing at a time, and then another look: what is mended may have hidden what is not. */
static err_t mend_all(struct cli *cli, const struct site *site, const struct arguments *arguments,
                      struct mending *mending, struct examination **examination) {
    for (unsigned round = 0; round < ROUNDS_MAX; round++) {
        size_t index = 0;
        bool yes = false;
        const struct check *check = next_to_mend(*examination, mending, &index);
        if (check == NULL) {
            return OK;
        }
        const struct finding *finding = &(*examination)->findings[index];
        TRY(ask(cli, mending, check, finding, &yes));
        mending->tried[index] = yes ? mending->tried[index] + 1 : TRIES_OF_A_CHECK;
        if (!yes) {
            continue;
        }
        if (failed(mend_do(cli, &(*examination)->facts, &finding->mend))) {
            print_warning("%s", cli->trouble.what);
            cli->trouble = (struct trouble){0};
            mending->tried[index] = TRIES_OF_A_CHECK;
        }
        struct examination *again CLEANUP(examination_freep) = NULL;
        TRY(examine(cli, site, arguments, &again));
        examination_freep(examination);
        *examination = TAKE(again);
    }
    return OK;
}

static err_t doctor_run(struct cli *cli, const struct arguments *arguments) {
    struct site *site CLEANUP(site_freep) = NULL;
    struct examination *examination CLEANUP(examination_freep) = NULL;
    const char *report = arguments_value(arguments, "report");
    size_t index = 0;
    if (arguments->word_count > 0 && strlen(arguments->words[0]) >= FACT_NAME_CHARS) {
        return trouble_set(&cli->trouble, EXIT_USAGE, "no host has a name that long");
    }
    TRY(arguments_has(arguments, "fix") ? home_demand_own(&cli->trouble) : OK);
    TRY(site_open(&cli->trouble, cli->site, &site));
    TRY(examine(cli, site, arguments, &examination));
    if (arguments_has(arguments, "fix")) {
        struct mending mending = {.yes = arguments_has(arguments, "yes")};
        err_t err = mend_all(cli, site, arguments, &mending, &examination);
        terminal_closep(&mending.terminal);
        TRY(err);
    }
    TRY(cli->json ? show_json(examination) : show(examination));
    if (report != NULL) {
        TRY(report_write(cli, &examination->facts, examination->findings, report));
        (void)fprintf(stderr, "The report is in %s. Read it before you send it.\n", report);
    }
    cli->exit = first_broken(examination, &index) == NULL ? EXIT_DONE : EXIT_REFUSED;
    return OK;
}

static const struct option options[] = {
    {0, "fix", NULL, "mend what is wrong, one thing after the other, after asking", .many = true},
    {'y', "yes", NULL, "with --fix: do not ask", .many = true},
    {0, "report", "FILE", "write everything for the support team, without secrets"},
    {'f', "file", "KEY", "the key that ssh is to use; the site's default key otherwise"},
    {.name = NULL},
};

const struct command command_doctor = {
    .name = "doctor",
    .arguments = "[HOST]",
    .summary = "Find what is wrong between you and a host, and mend it",
    .details = "HOST is a jump host, a cluster, a node or job-ID, as ssh takes it; the first\n"
               "cluster that you reach otherwise. Looks at clock, authority, files, key,\n"
               "certificate, agent and configuration, and tries ssh. Changes nothing without\n"
               "--fix. Exit code 0: nothing is wrong; 4: something is.",
    .options = options,
    .words_max = 1,
    .run = doctor_run,
};
