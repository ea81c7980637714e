#include "cli/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <qrcodegen/qrcodegen.h>

#include "base/file.h"
#include "base/text.h"

enum { ANSWER_CHARS_MAX = 1024, QR_VERSION_MAX = 20, QR_QUIET_MODULES = 2 };

struct terminal {
    int fd;
    FILE *out;
};

/* The signals that must not leave the terminal without echo. Blocked but while waiting for input,
 * so that none is lost between the prompt and the wait. */
static const int watched[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
static volatile sig_atomic_t caught[NSIG];

static void on_signal(int number) { caught[number] = 1; }

err_t terminal_open(struct terminal **out) {
    int fd CLEANUP(fd_closep) = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return FAIL(ERR_NOT_FOUND);
    }
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    FILE *stream = copy < 0 ? NULL : fdopen(copy, "w");
    struct terminal *terminal = stream == NULL ? NULL : calloc(1, sizeof *terminal);
    if (terminal == NULL) {
        if (stream != NULL) {
            (void)fclose(stream);
        } else {
            fd_closep(&copy);
        }
        return FAIL(ERR_MEMORY);
    }
    *terminal = (struct terminal){.fd = fd, .out = stream};
    fd = -1;
    *out = terminal;
    return OK;
}

void terminal_closep(struct terminal **terminal) {
    if (*terminal != NULL) {
        (void)fclose((*terminal)->out);
        (void)close((*terminal)->fd);
        free(*terminal);
        *terminal = NULL;
    }
}

void terminal_print(struct terminal *terminal, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vfprintf(terminal->out, format, args);
    va_end(args);
    (void)fflush(terminal->out);
}

/* One line, byte by byte: what follows it belongs to the next question. ERR_BUSY when a signal came
 * first. */
static err_t read_line(int fd, const sigset_t *waiting, char line[ANSWER_CHARS_MAX + 1],
                       size_t *len) {
    size_t count = 0;
    bool too_long = false;
    for (;;) {
        char byte;
        struct pollfd input = {.fd = fd, .events = POLLIN};
        if (ppoll(&input, 1, NULL, waiting) < 0) {
            return errno == EINTR ? FAIL(ERR_BUSY) : FAIL(ERR_CLOSED);
        }
        ssize_t got = read(fd, &byte, 1);
        if (got <= 0) {
            return FAIL(ERR_CLOSED);
        }
        if (byte == '\n' || byte == '\r') {
            break;
        }
        if (count == ANSWER_CHARS_MAX) {
            too_long = true;
        } else if (byte != '\0') {
            line[count++] = byte;
        }
    }
    if (too_long) {
        return FAIL(ERR_TOO_LONG);
    }
    line[count] = '\0';
    *len = count;
    return OK;
}

static err_t ask_once(struct terminal *terminal, const char *prompt, bool echo,
                      char line[ANSWER_CHARS_MAX + 1], size_t *len) {
    struct sigaction before[COUNT_OF(watched)];
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t blocked;
    sigset_t waiting;
    (void)sigemptyset(&action.sa_mask);
    (void)sigemptyset(&blocked);
    for (size_t i = 0; i < COUNT_OF(watched); i++) {
        (void)sigaddset(&blocked, watched[i]);
    }
    (void)sigprocmask(SIG_BLOCK, &blocked, &waiting);
    for (size_t i = 0; i < COUNT_OF(watched); i++) {
        caught[watched[i]] = 0;
        (void)sigaction(watched[i], &action, &before[i]);
    }
    struct termios kept;
    bool silent = !echo && tcgetattr(terminal->fd, &kept) == 0;
    if (silent) {
        struct termios quiet = kept;
        quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
        (void)tcsetattr(terminal->fd, TCSAFLUSH, &quiet);
    }
    terminal_print(terminal, "%s", prompt);
    err_t err = read_line(terminal->fd, &waiting, line, len);
    if (silent) {
        (void)tcsetattr(terminal->fd, TCSAFLUSH, &kept);
        terminal_print(terminal, "\n");
    }
    for (size_t i = 0; i < COUNT_OF(watched); i++) {
        (void)sigaction(watched[i], &before[i], NULL);
        if (caught[watched[i]] != 0) {
            (void)raise(watched[i]); /* once unblocked: ends the process, or stops it for a while */
        }
    }
    (void)sigprocmask(SIG_SETMASK, &waiting, NULL);
    return err;
}

static err_t ask(struct terminal *terminal, const char *prompt, bool echo,
                 char line[ANSWER_CHARS_MAX + 1], size_t *len) {
    for (;;) {
        err_t err = ask_once(terminal, prompt, echo, line, len);
        if (err.code != ERR_BUSY) {
            return err;
        }
    }
}

err_t terminal_ask(struct terminal *terminal, const char *prompt, char **answer) {
    char line[ANSWER_CHARS_MAX + 1];
    size_t len = 0;
    TRY(ask(terminal, prompt, true, line, &len));
    char *copy = strdup(line);
    if (copy == NULL) {
        return FAIL(ERR_MEMORY);
    }
    *answer = copy;
    return OK;
}

err_t terminal_ask_secret(struct terminal *terminal, const char *prompt, secret_t *answer) {
    char line[ANSWER_CHARS_MAX + 1];
    size_t len = 0;
    err_t err = ask(terminal, prompt, false, line, &len);
    if (!failed(err)) {
        err = secret_copy(span_of(line, len), ANSWER_CHARS_MAX, answer);
    }
    secret_wipe(line, sizeof line);
    return err;
}

err_t terminal_confirm(struct terminal *terminal, const char *question, bool *yes) {
    char *answer CLEANUP(freep) = NULL;
    TRY(terminal_ask(terminal, question, &answer));
    *yes = strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0;
    return OK;
}

bool terminal_is_rich(FILE *stream) {
    const char *term = getenv("TERM");
    return isatty(fileno(stream)) == 1 && strcmp(nl_langinfo(CODESET), "UTF-8") == 0 &&
           term != NULL && strcmp(term, "dumb") != 0;
}

bool terminal_shows_emoji(FILE *stream) {
    const char *term = getenv("TERM");
    return terminal_is_rich(stream) && strcmp(term, "linux") != 0;
}

size_t terminal_width(FILE *stream) {
    const char *given = getenv("COLUMNS");
    struct winsize size = {0};
    uint64_t columns = 0;
    if (isatty(fileno(stream)) != 1) {
        return 0;
    }
    if (given != NULL && !failed(u64_parse(span_str(given), &columns)) && columns > 0) {
        return (size_t)columns;
    }
    return ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

const char *terminal_colour(FILE *stream, enum colour colour) {
    static const char *const sequences[] = {
        [COLOUR_NONE] = "\033[0m",
        [COLOUR_RED] = "\033[31m",
        [COLOUR_GREEN] = "\033[32m",
        [COLOUR_YELLOW] = "\033[33m",
    };
    const char *no_color = getenv("NO_COLOR"); /* no-color.org: set and not empty */
    const char *term = getenv("TERM");
    if ((no_color != NULL && no_color[0] != '\0') || term == NULL || strcmp(term, "dumb") == 0 ||
        isatty(fileno(stream)) != 1) {
        return "";
    }
    return sequences[colour];
}

/* A module outside the code is quiet zone, hence light. */
static bool is_dark(const uint8_t *code, int size, int x, int y) {
    return x >= 0 && y >= 0 && x < size && y < size && qrcodegen_getModule(code, x, y);
}

err_t qr_render(const char *text, bool colours, struct buf *out) {
    uint8_t code[qrcodegen_BUFFER_LEN_FOR_VERSION(QR_VERSION_MAX)];
    uint8_t scratch[qrcodegen_BUFFER_LEN_FOR_VERSION(QR_VERSION_MAX)];
    bool fits = qrcodegen_encodeText(text, scratch, code, qrcodegen_Ecc_LOW, 1, QR_VERSION_MAX,
                                     qrcodegen_Mask_AUTO, true);
    secret_wipe(scratch, sizeof scratch);
    if (!fits) {
        return FAIL(ERR_TOO_LONG);
    }
    int size = qrcodegen_getSize(code);
    err_t err = OK;
    for (int y = -QR_QUIET_MODULES; y < size + QR_QUIET_MODULES && !failed(err); y += 2) {
        /* Light modules are drawn as ink: white on black however the terminal is coloured, and on
         * the usual dark terminal also without colours. */
        err = buf_add_str(out, colours ? "\033[97;40m" : "");
        for (int x = -QR_QUIET_MODULES; x < size + QR_QUIET_MODULES && !failed(err); x++) {
            bool upper = !is_dark(code, size, x, y);
            bool lower = y + 1 < size + QR_QUIET_MODULES && !is_dark(code, size, x, y + 1);
            err = buf_add_str(out, upper && lower ? "█" : upper ? "▀" : lower ? "▄" : " ");
        }
        if (!failed(err)) {
            err = buf_add_str(out, colours ? "\033[0m\n" : "\n");
        }
    }
    secret_wipe(code, sizeof code);
    return err;
}

void terminal_show_qr(struct terminal *terminal, const char *text) {
    struct buf drawn CLEANUP(buf_done) = BUF(128 * 1024);
    bool colours = terminal_colour(terminal->out, COLOUR_NONE)[0] != '\0';
    if (terminal_is_rich(terminal->out) && !failed(qr_render(text, colours, &drawn))) {
        terminal_print(terminal, "%.*s", (int)drawn.len, (const char *)drawn.data);
    }
}
