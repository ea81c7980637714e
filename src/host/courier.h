/*
 * Asks the authority what gates want to know, and tells it what they have to tell, in a thread of
 * its own: one call at a time, events and sessions that are due before questions.
 *
 * While the authority is away nobody waits for it: after a call that failed, whatever is asked is
 * answered at once, until the next attempt is due. Events are kept, and told in batches of at most
 * LIMIT_AUDIT_EVENTS_COUNT, one a second; the oldest are dropped, and counted, when there are too
 * many. Of sessions the last state of each is told, a batch a second while there are news (ten
 * while one does not hold them), and at least every half minute while sessions live.
 */
#ifndef POSTERN_HOST_COURIER_H
#define POSTERN_HOST_COURIER_H

#include "feed/uplink.h"
#include "host/sync_host.h"

/* What comes of a question, by either thread: of courier_ask() itself when it need not wait.
 * `asker` and `id` are the caller's words. status and body as in feed/uplink.h. */
typedef void courier_answered(void *context, uint64_t asker, uint32_t id, unsigned status,
                              span_t body);

struct courier;
err_t courier_start(const struct identity *identity, courier_answered *answered, void *context,
                    struct courier **out, struct fault *fault);
/* Waits for the call under way. Takes NULL. */
void courier_free(struct courier *courier);

/* A question: one of the calls that have an answer. */
void courier_ask(struct courier *courier, uint64_t asker, uint32_t id, enum uplink_call call,
                 span_t body);
/* ERR_MALFORMED, ERR_TOO_LONG: no event, which nobody is told. */
err_t courier_note(struct courier *courier, span_t event);

/* What gate_table.h does, for the asker as the peer; sessions that are too many are not told. */
err_t courier_note_session(struct courier *courier, uint64_t asker, span_t session);
err_t courier_note_ended(struct courier *courier, uint64_t asker, span_t ended);
void courier_forget_asker(struct courier *courier, uint64_t asker);

#endif
