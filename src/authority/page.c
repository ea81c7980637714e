#include "authority/page.h"

#include <stdarg.h>
#include <stdio.h>

#include "authority/authority.h"
#include "authority/problem.h"

extern const char *const page_pieces[]; /* made of web/ by meson.build */

static err_t add_escaped(struct buf *out, const char *text) {
    for (; *text != '\0'; text++) {
        const char *reference = *text == '&'    ? "&amp;"
                                : *text == '<'  ? "&lt;"
                                : *text == '>'  ? "&gt;"
                                : *text == '"'  ? "&quot;"
                                : *text == '\'' ? "&#39;"
                                                : NULL;
        TRY(reference != NULL ? buf_add_str(out, reference) : buf_add_byte(out, (uint8_t)*text));
    }
    return OK;
}

/* A piece that asks for a value nobody gave is a bug. */
static const char *value_of(span_t name, va_list values) {
    va_list copy;
    va_copy(copy, values);
    const char *found = NULL;
    for (const char *at; found == NULL && (at = va_arg(copy, const char *)) != NULL;) {
        const char *value = va_arg(copy, const char *);
        found = span_equal_str(name, at) ? value : NULL;
    }
    va_end(copy);
    INVARIANT(found != NULL);
    return found;
}

static err_t add_piece(struct buf *out, const char *piece, va_list values) {
    for (const char *open; (open = strstr(piece, "{{")) != NULL;) {
        const char *close = strstr(open, "}}");
        INVARIANT(close != NULL);
        TRY(buf_add(out, span_of(piece, (size_t)(open - piece))));
        TRY(add_escaped(out, value_of(span_of(open + 2, (size_t)(close - open - 2)), values)));
        piece = close + 2;
    }
    return buf_add_str(out, piece);
}

err_t page_add(struct call *call, enum page_piece piece, ...) {
    va_list values;
    va_start(values, piece);
    err_t err = add_piece(&call->text, page_pieces[piece], values);
    va_end(values);
    return err;
}

err_t page_begin(struct call *call, const char *title) {
    buf_clear(&call->text);
    return page_add(call, PAGE_HEAD, "title", title, "site", call->authority->config->site_title,
                    NULL);
}

err_t page_end(struct call *call, unsigned status) {
    TRY(page_add(call, PAGE_FOOT, NULL));
    call_answer_text(call, status, "text/html; charset=utf-8");
    return OK;
}

void page_header_https(struct call *call) {
    if (strncmp(call->authority->config->public_url, "https://", 8) == 0) {
        call_header(call, "Strict-Transport-Security", "max-age=31536000");
    }
}

void page_headers(struct call *call, const char *form_target) {
    char policy[512];
    (void)snprintf(
        policy, sizeof policy,
        "default-src 'none'; script-src 'self'; style-src 'self'; form-action 'self' %s; "
        "frame-ancestors 'none'; base-uri 'none'",
        form_target);
    call_header(call, "Content-Security-Policy", policy);
    page_header_https(call);
}

static err_t write_refusal(struct call *call) {
    TRY(page_begin(call, problem_title(call->problem.status)));
    TRY(page_add(call, PAGE_NOTICE, "text", call->problem.message, NULL));
    return page_end(call, call->problem.status);
}

void page_refuse(struct call *call) {
    page_headers(call, "");
    if (failed(write_refusal(call))) {
        buf_clear(&call->text); /* the status line still tells */
        call_answer_text(call, call->problem.status, "text/plain");
    }
}

static void send_file(struct call *call, enum page_piece file, const char *type) {
    call_header(call, "Cache-Control", "public, max-age=3600");
    if (call_ok(call, page_add(call, file, NULL), NULL)) {
        call_answer_text(call, 200, type);
    }
    call_send(call);
}

static void send_style(struct call *call) {
    send_file(call, PAGE_STYLE, "text/css; charset=utf-8");
}

static void send_script(struct call *call) {
    send_file(call, PAGE_SCRIPT, "text/javascript; charset=utf-8");
}

const struct route page_routes[] = {
    {HTTP_GET, "/web/sign-in.css", ACCESS_PUBLIC, "page.style", NULL, NULL, send_style},
    {HTTP_GET, "/web/passkey.js", ACCESS_PUBLIC, "page.script", NULL, NULL, send_script},
    {.path = NULL},
};
