/*
 * The dashboard: its files, and what a browser's session needs besides the API that everyone uses.
 *
 * A page is asked for anew each time (by its ETag); everything else has the version in its
 * address and is kept for good, so that a page never meets scripts of another version.
 */
#include "authority/authority.h"
#include "authority/browser.h"
#include "authority/page.h"
#include "authority/web_file.h"

static const char policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

static const struct web_file *find(const char *name) {
    const struct web_file *file = web_files;
    while (file->name != NULL && strcmp(file->name, name) != 0) {
        file++;
    }
    return file->name != NULL ? file : NULL;
}

/* RFC 9110 section 12.5.3; "gzip;q=0" is what nobody sends who knows gzip. */
static bool takes_gzip(const struct call *call) {
    const char *header = http_request_header(call->request, "accept-encoding");
    span_t rest = span_str(header != NULL ? header : "");
    while (rest.len > 0) {
        span_t coding = span_until(&rest, ',');
        while (coding.len > 0 && coding.data[0] == ' ') {
            coding = span_of(coding.data + 1, coding.len - 1);
        }
        if (span_equal_str(coding, "gzip")) {
            return true;
        }
    }
    return false;
}

/* Those of a 304 take the place of those that a browser has kept (RFC 9111 section 4.3.4), so they
 * are all there. */
static void add_headers(struct call *call) {
    call_header(call, "Vary", "Accept-Encoding");
    call_header(call, "Content-Security-Policy", policy);
    page_header_https(call);
}

static void answer_file(struct call *call, const struct web_file *file) {
    bool gzip = takes_gzip(call);
    if (gzip) {
        call_header(call, "Content-Encoding", "gzip");
    }
    add_headers(call);
    if (call_ok(call, buf_add(&call->text, gzip ? file->gzip : file->plain), NULL)) {
        call_answer_text(call, 200, file->type);
    }
}

static void send_page(struct call *call, const char *name) {
    const char *known = http_request_header(call->request, "if-none-match");
    char etag[32];
    (void)snprintf(etag, sizeof etag, "\"%s%s\"", web_version, takes_gzip(call) ? "-gzip" : "");
    call_header(call, "Cache-Control", "no-cache");
    call_header(call, "ETag", etag);
    if (known != NULL && strcmp(known, etag) == 0) {
        add_headers(call);
        call_answer_text(call, 304, NULL);
    } else {
        answer_file(call, find(name));
    }
    call_send(call);
}

static void send_dashboard(struct call *call) { send_page(call, "index.html"); }

/* For whoever has a link with an invitation, which stands after the # and so never comes here. */
static void send_invitation(struct call *call) { send_page(call, "invitation.html"); }

static void send_file(struct call *call) {
    bool current = strcmp(call_path(call, "version"), web_version) == 0;
    const struct web_file *file = current ? find(call_path(call, "file")) : NULL;
    if (file == NULL) {
        call_problem(call, 404, "not_found", NULL,
                     "there is no such file in this version of the dashboard; load the page again");
    } else {
        call_header(call, "Cache-Control", "public, max-age=31536000, immutable");
        answer_file(call, file);
    }
    call_send(call);
}

/* ---- the session's own token ----------------------------------------------------------------- */

static void csrf_run(struct call *call) {
    char token[BROWSER_CSRF_CHARS];
    struct session session;
    struct account account;
    call_unrecorded(call); /* who has no session must not be able to fill the disk */
    bool known = browser_is_same_origin(call) && browser_csrf_token(call, token) &&
                 browser_find(call, &session, &account);
    if (known) {
        call_answer(call, 200, json_pack("{s:s}", "csrfToken", token));
    } else if (!call_refused(call)) {
        call_problem(call, 401, "not_logged_in", NULL, "nobody is signed in with this browser");
    }
}

const struct route dashboard_routes[] = {
    {HTTP_GET, "/", ACCESS_PUBLIC, "dashboard.page", NULL, NULL, send_dashboard},
    {HTTP_GET, "/invitation", ACCESS_PUBLIC, "invitation.page", NULL, NULL, send_invitation},
    {HTTP_GET, "/web/{version}/{file}", ACCESS_PUBLIC, "dashboard.file", NULL, NULL, send_file},
    {HTTP_GET, "/api/v1/auth/csrf-token", ACCESS_PUBLIC, "session.csrf_token", NULL, csrf_run,
     NULL},
    {.path = NULL},
};
