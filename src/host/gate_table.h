/*
 * The sessions that the gates of this machine tell of, and what of them the authority has yet to
 * hear. Changes of a session add up to its last state, and one that ended before anybody heard of
 * it is never told. No clock, no threads.
 */
#ifndef POSTERN_HOST_GATE_TABLE_H
#define POSTERN_HOST_GATE_TABLE_H

#include "feed/uplink.h"

struct gate_table;
err_t gate_table_new(struct gate_table **out);
/* Takes NULL. */
void gate_table_free(struct gate_table *table);

/* What a peer tells: a session as it now is, or that it has ended (feed/uplink.h). ERR_MALFORMED,
 * ERR_TOO_LONG: it is no session; ERR_RANGE: there are LIMIT_GATE_SESSIONS_COUNT of them. */
err_t gate_table_put(struct gate_table *table, uint64_t peer, span_t session);
err_t gate_table_end(struct gate_table *table, uint64_t peer, span_t ended);
/* A peer is gone, and its sessions with it. */
void gate_table_drop_peer(struct gate_table *table, uint64_t peer);

/* Those that live. */
size_t gate_table_count(const struct gate_table *table);
bool gate_table_has_news(const struct gate_table *table);

/*
 * Appends "sessions":[…],"ended":[…], as much of the news as LIMIT_GATE_SESSIONS_TOLD_COUNT and
 * LIMIT_UPLINK_FRAME_BYTES allow, then says what came of it: what changed meanwhile stays news.
 */
err_t gate_table_begin_batch(struct gate_table *table, struct buf *out);
void gate_table_end_batch(struct gate_table *table, bool heard);
/* The authority knows nothing (any more): all that there is is news. */
void gate_table_tell_anew(struct gate_table *table);

#endif
