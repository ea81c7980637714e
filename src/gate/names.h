/*
 * The process that resolves names: getaddrinfo() on a pool of threads, since libc's resolver waits.
 * It has the rights that this needs (files to read, sockets) and no program's; what a resolver
 * module might be made to do, it does here and not where the sessions are.
 *
 * What is known is kept for a short time, and one question is asked once, however many wait for it.
 */
#ifndef POSTERN_GATE_NAMES_H
#define POSTERN_GATE_NAMES_H

#include "base/inet.h"
#include "base/limits.h"
#include "gate/gate.h"

/* --- names.c: the wire of gate.h --- */

struct names_request {
    uint32_t id;
    char name[LIMIT_HOST_NAME_CHARS + 1]; /* lower case, without a trailing dot */
};
/* Takes one off the front. ERR_TRUNCATED: wait for more; ERR_TOO_LONG beyond
 * GATE_NAMES_MESSAGE_BYTES; ERR_MALFORMED for what is no host name. */
err_t names_get_request(span_t *stream, struct names_request *out);

struct names_answer {
    enum gate_names_status status;
    size_t count;
    struct inet_address addresses[GATE_ADDRESSES_MAX];
};
err_t names_put_answer(struct buf *out, uint32_t id, const struct names_answer *answer);

/* --- names_cache.c --- */

enum {
    NAMES_CACHE_COUNT = 4096,
    NAMES_FOUND_S = 30,
    NAMES_NOT_FOUND_S = 5, /* NAMES_TRY_AGAIN is not kept at all */
};
struct names_cache;
err_t names_cache_new(struct names_cache **out);
void names_cache_free(struct names_cache *cache);
const struct names_answer *names_cache_get(const struct names_cache *cache, const char *name,
                                           int64_t now_ms);
/* Another name may have to give way. */
void names_cache_put(struct names_cache *cache, const char *name, const struct names_answer *answer,
                     int64_t now_ms);

/* --- names_lookup.c --- */

enum {
    NAMES_THREADS = 16,
    NAMES_LOOKUPS_MAX = 512,  /* names that are asked for at the same time */
    NAMES_WAITING_MAX = 4096, /* questions that wait for them; beyond either: TRY_AGAIN */
};
/* Asks the system. May take long. */
void names_resolve(const char *name, struct names_answer *out);

/* --- metrics.c: /metrics, /healthz, /readyz --- */

struct http_request;
err_t gate_metrics_print(const struct gate_shared *shared, struct buf *out);
void gate_metrics_serve(void *shared, struct http_request *request);

#endif
