/*
 * The pages that the authority serves by itself, for a browser at its sign-in: plain HTML with one
 * script (passkeys), put together of the pieces in web/, in which {{name}} stands for a value.
 * Values are always escaped; nothing else can come into a page.
 */
#ifndef POSTERN_AUTHORITY_PAGE_H
#define POSTERN_AUTHORITY_PAGE_H

#include "authority/call.h"

/* In the order of meson.build's list. */
enum page_piece {
    PAGE_HEAD,         /* site, title */
    PAGE_FOOT,         /* */
    PAGE_NOTICE,       /* text */
    PAGE_TEXT,         /* text */
    PAGE_FORM,         /* action */
    PAGE_HIDDEN,       /* name, value */
    PAGE_CREDENTIALS,  /* username */
    PAGE_USER_CODE,    /* user_code */
    PAGE_ASKER,        /* program, source, time, code, power */
    PAGE_BUTTON,       /* action, text */
    PAGE_OTHER_BUTTON, /* action, text */
    PAGE_FORM_END,     /* */
    PAGE_LINK,         /* address, text */
    PAGE_PASSKEY,      /* options, action, text */
    PAGE_PASSKEY_NAME, /* name */
    PAGE_STYLE,        /* the style sheet, as it is */
    PAGE_SCRIPT,       /* the script of passkeys, as it is */
    PAGE_PIECES_COUNT,
};

/* Appends a piece to call->text. Pairs of name and value, ended by NULL. */
err_t page_add(struct call *call, enum page_piece piece, ...) __attribute__((sentinel));
/* Forgets what call->text holds and begins a page; ends it and makes it the answer. */
err_t page_begin(struct call *call, const char *title);
err_t page_end(struct call *call, unsigned status);

/* Loop thread: the headers of a page. Its forms may be sent here, and lead on to form_target
 * ("http://127.0.0.1:4711"; "" for nowhere else). */
void page_headers(struct call *call, const char *form_target);

/* Loop thread: that browsers come by HTTPS alone from now on (RFC 6797), where the site has it. */
void page_header_https(struct call *call);

/* A route's refuse(): a page that says what is wrong. */
void page_refuse(struct call *call);

extern const struct route page_routes[];

#endif
