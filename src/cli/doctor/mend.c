#include "cli/doctor/mend.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "cli/document.h"
#include "cli/process/process.h"
#include "cli/process/stop.h"

enum { MODE_PUBLIC = 0644, COPIES_MAX = 100 };

/* "postern" is this very program, wherever it was started from. What it prints is not the report.
 */
static err_t run(struct cli *cli, const struct mend *mend) {
    struct command_line line CLEANUP(command_line_done) = {0};
    char self[PATH_MAX];
    int by_signal = 0;
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    self[len > 0 ? len : 0] = '\0';
    for (size_t i = 0; i < mend->word_count; i++) {
        bool own = i == 0 && len > 0 && strcmp(mend->words[i], "postern") == 0;
        TRY(command_line_add(&line, own ? self : mend->words[i]));
    }
    TRY(process_run(cli, &line, true, &by_signal));
    stop_by(by_signal == SIGINT ? SIGINT : 0);
    return by_signal == 0 && cli->exit == EXIT_DONE
               ? OK
               : trouble_set(&cli->trouble, EXIT_REFUSED, "%s did not succeed (%d)", mend->command,
                             by_signal != 0 ? 128 + by_signal : (int)cli->exit);
}

/* --- files --- */

struct edited {
    char *path; /* without symbolic links, so that a rename keeps them */
    mode_t mode;
    struct buf text;
};

static void edited_done(struct edited *edited) {
    free(edited->path);
    buf_done(&edited->text);
}

static err_t read_file(struct cli *cli, const char *path, struct edited *out) {
    struct stat status;
    out->path = realpath(path, NULL);
    buf_init(&out->text, FACT_TEXT_BYTES);
    if (out->path == NULL || stat(out->path, &status) != 0) {
        return trouble_of(&cli->trouble, err_from_errno(errno), "%s", path);
    }
    out->mode = status.st_mode & 07777;
    err_t err = file_read(out->path, &out->text);
    return failed(err) ? trouble_of(&cli->trouble, err, "%s", path) : OK;
}

static err_t write_file(struct cli *cli, const struct edited *edited, const struct buf *text) {
    err_t err = file_put(edited->path, buf_span(text), edited->mode, FILE_DURABLE);
    return failed(err) ? trouble_of(&cli->trouble, err, "cannot write %s", edited->path) : OK;
}

/* FILE.old, or FILE.old.2 and so on where copies of before are: none takes another's place. */
static err_t keep_old(struct cli *cli, const struct edited *edited) {
    for (unsigned number = 1;; number++) {
        char *old CLEANUP(freep) = NULL;
        char ending[16] = "";
        if (number > 1) {
            (void)snprintf(ending, sizeof ending, ".%u", number);
        }
        if (asprintf(&old, "%s.old%s", edited->path, ending) < 0) {
            old = NULL;
            return FAIL(ERR_MEMORY);
        }
        err_t err = file_put(old, buf_span(&edited->text), edited->mode, FILE_EXCLUSIVE);
        if (err.code != ERR_EXISTS || number == COPIES_MAX) {
            return failed(err) ? trouble_of(&cli->trouble, err, "cannot write %s", old) : OK;
        }
    }
}

static err_t strip_cr(struct cli *cli, const struct mend *mend) {
    struct edited file CLEANUP(edited_done) = {0};
    struct buf text CLEANUP(buf_done) = BUF(FACT_TEXT_BYTES);
    TRY(read_file(cli, mend->path, &file));
    TRY(text_strip_cr(buf_span(&file.text), &text));
    return write_file(cli, &file, &text);
}

static err_t drop_line(struct cli *cli, const struct mend *mend) {
    struct edited file CLEANUP(edited_done) = {0};
    struct buf text CLEANUP(buf_done) = BUF(FACT_TEXT_BYTES);
    TRY(read_file(cli, mend->path, &file));
    TRY(text_drop_line(buf_span(&file.text), mend->line, &text));
    TRY(keep_old(cli, &file));
    return write_file(cli, &file, &text);
}

/* All of the site's marked lines; those of others are theirs. */
static err_t drop_marked(struct cli *cli, const struct facts *facts, const struct mend *mend) {
    struct edited file CLEANUP(edited_done) = {0};
    struct key_list keys CLEANUP(key_list_done) = {0};
    TRY(read_file(cli, mend->path, &file));
    TRY(document_ca_keys(facts->site->document, "hostCaKeys", &keys));
    TRY(keep_old(cli, &file));
    const struct key *const *list = (const struct key *const *)keys.keys;
    for (;;) {
        unsigned line = known_hosts_marked(buf_span(&file.text), list, keys.count, true);
        if (line == 0) {
            return write_file(cli, &file, &file.text);
        }
        struct buf text CLEANUP(buf_done) = BUF(FACT_TEXT_BYTES);
        TRY(text_drop_line(buf_span(&file.text), line, &text));
        buf_clear(&file.text);
        TRY(buf_add(&file.text, buf_span(&text)));
    }
}

static err_t write_public(struct cli *cli, const struct facts *facts, const struct mend *mend) {
    struct buf line CLEANUP(buf_done) = BUF(LIMIT_KEY_LINE_CHARS + 1);
    TRY(key_print_line(facts->key.public, NULL, &line));
    TRY(buf_add_byte(&line, '\n'));
    err_t err = file_put(mend->path, buf_span(&line), MODE_PUBLIC, 0);
    return failed(err) ? trouble_of(&cli->trouble, err, "cannot write %s", mend->path) : OK;
}

static err_t move_aside(struct cli *cli, const struct mend *mend) {
    static const char *const endings[] = {"", ".pub", "-cert.pub"};
    for (size_t i = 0; i < COUNT_OF(endings); i++) {
        char from[FACT_CHARS + 16], to[FACT_CHARS + 24];
        (void)snprintf(from, sizeof from, "%s%s", mend->path, endings[i]);
        (void)snprintf(to, sizeof to, "%s.was", from);
        /* link() replaces nothing, unlike rename(). */
        if (link(from, to) != 0 && errno != ENOENT) {
            return trouble_of(&cli->trouble, err_from_errno(errno), "cannot move %s to %s", from,
                              to);
        }
        (void)unlink(from);
    }
    return OK;
}

static err_t replace_identity(struct cli *cli, const struct mend *mend) {
    struct edited file CLEANUP(edited_done) = {0};
    struct buf text CLEANUP(buf_done) = BUF(FACT_TEXT_BYTES);
    TRY(access(mend->instead, F_OK) == 0 ? OK : run(cli, mend));
    TRY(read_file(cli, mend->path, &file));
    err_t err =
        text_replace_in_line(buf_span(&file.text), mend->line, mend->other, mend->instead, &text);
    if (failed(err)) {
        return trouble_of(&cli->trouble, err, "line %u of %s", mend->line, mend->path);
    }
    return write_file(cli, &file, &text);
}

static err_t of_errno(struct cli *cli, int result, const char *path) {
    return result == 0 ? OK : trouble_of(&cli->trouble, err_from_errno(errno), "%s", path);
}

/* What is started here is for this process and its children; the person's shell learns of it by the
 * command that is shown. */
static err_t use_agent(struct cli *cli, const struct mend *mend) {
    struct agent_place place CLEANUP(agent_place_done) = {0};
    TRY(run(cli, mend));
    TRY(agent_find(&place));
    if (place.socket != NULL && setenv("SSH_AUTH_SOCK", place.socket, 1) != 0) {
        return FAIL(ERR_MEMORY);
    }
    return OK;
}

err_t mend_do(struct cli *cli, const struct facts *facts, const struct mend *mend) {
    switch (mend->kind) {
    case MEND_RUN:
        return run(cli, mend);
    case MEND_REPLACE:
        TRY(move_aside(cli, mend));
        return run(cli, mend);
    case MEND_AGENT:
        return use_agent(cli, mend);
    case MEND_MODE:
        return of_errno(cli, chmod(mend->path, mend->mode), mend->path);
    case MEND_FOLDER:
        return of_errno(cli, mkdir(mend->path, mend->mode), mend->path);
    case MEND_UNLINK:
        return of_errno(cli, unlink(mend->path), mend->path);
    case MEND_STRIP_CR:
        return strip_cr(cli, mend);
    case MEND_DROP_LINE:
        return drop_line(cli, mend);
    case MEND_MARKED:
        return drop_marked(cli, facts, mend);
    case MEND_PUBLIC:
        return write_public(cli, facts, mend);
    case MEND_IDENTITY:
        return replace_identity(cli, mend);
    default:
        return trouble_set(&cli->trouble, EXIT_REFUSED, "this takes a person: %s", mend->command);
    }
}
