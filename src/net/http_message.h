/*
 * HTTP/1.1 messages (RFC 9112) as the server and the client read them: heads and chunked bodies.
 * No I/O, no allocation.
 *
 * The parser is strict where leniency has let two readers see two different messages: lines end in
 * CRLF, nothing stands between a field name and its colon, no folded lines, no control characters;
 * Content-Length is plain digits; Content-Length, Host, Authorization, Content-Type and
 * Transfer-Encoding come at most once, and Content-Length never beside Transfer-Encoding.
 */
#ifndef POSTERN_NET_HTTP_MESSAGE_H
#define POSTERN_NET_HTTP_MESSAGE_H

#include "base/err.h"
#include "base/limits.h"
#include "base/span.h"

struct http_field {
    const char *name;
    const char *value;
};

enum http_framing {
    HTTP_BODY_NONE,
    HTTP_BODY_LENGTH,
    HTTP_BODY_CHUNKED,
    HTTP_BODY_UNTIL_CLOSE, /* answers only */
};

struct http_head {
    const char *method; /* a request's */
    char *target;       /* a request's, as sent */
    unsigned status;    /* an answer's */
    unsigned minor;     /* of HTTP/1.x: 0 or 1 */
    bool keep_alive;
    bool expects_continue;
    bool has_length;
    enum http_framing framing;
    uint64_t length; /* with HTTP_BODY_LENGTH */
    size_t field_count;
    struct http_field fields[LIMIT_HTTP_FIELDS_COUNT];
};

/*
 * How long the head at the start of `text` is, its empty line included; 0 while that has not come.
 * *scanned starts as 0 and remembers between calls how far it has looked.
 */
size_t http_head_length(const char *text, size_t len, size_t *scanned);

/*
 * Parses a whole head in place: *out points into `text`, which is cut up with NULs. ERR_MALFORMED;
 * ERR_TOO_LONG for more than LIMIT_HTTP_FIELDS_COUNT fields; ERR_DUPLICATE, ERR_CONFLICT (see
 * above); ERR_UNSUPPORTED for a transfer coding or an expectation not known here; ERR_PROTOCOL for
 * a major version other than 1.
 */
err_t http_head_parse_request(char *text, size_t len, struct http_head *out);
/* The same for an answer; one with success to CONNECT has no body whatever its fields say. */
err_t http_head_parse_answer(char *text, size_t len, bool to_connect, struct http_head *out);

/*
 * Splits a request's target (RFC 9112 section 3.2) in place: the decoded path, and the decoded
 * parameters of the query in *params (LIMIT_HTTP_QUERY_COUNT of them). ERR_MALFORMED for percent
 * signs that encode nothing, control characters, text that is not UTF-8, and "%2f" in the path
 * (decoded, it would be taken for a separator); ERR_DUPLICATE for a parameter given twice;
 * ERR_TOO_LONG for too many.
 */
err_t http_target_parse(char *target, const char **path, struct http_field *params,
                        size_t *param_count);

/* The value of the first field of that name; NULL when absent. */
const char *http_head_field(const struct http_head *head, const char *name);

/* A field name (token) and a field value that cannot break out of its line. */
bool http_field_name_ok(const char *name);
bool http_field_value_ok(const char *value);

/* A chunked body (RFC 9112 section 7.1); zero is the start. */
struct http_chunks {
    enum { HTTP_CHUNK_SIZE, HTTP_CHUNK_DATA, HTTP_CHUNK_DATA_END, HTTP_CHUNK_TRAILER } state;
    uint64_t left;   /* of this chunk's data */
    size_t overhead; /* bytes of the size line, or of all trailers, so far */
    char line[16];   /* the beginning of the line being read: what matters of it */
    size_t line_len; /* of the whole line */
    bool after_cr;
    bool finished;
};

/*
 * Takes what it can off the front of *input, appending data to *body (whose maximum bounds it:
 * ERR_TOO_LONG). Stops at the end of the body with chunks->finished. ERR_MALFORMED.
 */
err_t http_chunks_take(struct http_chunks *chunks, span_t *input, struct buf *body);

#endif
