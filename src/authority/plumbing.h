/* What the files of a call (call*.c, form.c, problem.c, batch.c, serve.c) have in common; routes
 * need none of it. */
#ifndef POSTERN_AUTHORITY_PLUMBING_H
#define POSTERN_AUTHORITY_PLUMBING_H

#include "authority/call.h"

/* Loop thread. */
err_t call_begin(struct authority *authority, struct http_request *request, struct call **out);
void call_free_all(struct authority *authority); /* those kept for reuse */
/* The path parameters are set; from here on the call ends by itself. */
void call_dispatch(struct call *call, const struct route *route);

/* Sets a problem and gives false when the body is not a JSON object of the right kind. */
bool call_parse_body(struct call *call);
/* form.c: the same of a form, whose fields become texts of call->body. */
bool form_parse(struct call *call, span_t text);
/* Sets a problem for a member that no call_read_…() asked for. */
void call_refuse_unread(struct call *call);

/* Loop thread: a token of either kind, or a browser's session, as it stands in the request. */
void call_take_bearer(struct call *call);
/*
 * Store thread: finds who it is and judges the route's access, which comes before what is wrong
 * with the body: who is not logged in learns that first, and learns nothing else.
 */
void call_authenticate(struct call *call);

/* Store thread: next_run() in the transaction of the batch; what a worker is given of a call. */
void call_run(struct work *work);
/* What was published is told, or undone. */
void call_forget_events(struct call *call);
/* Store thread: the batch of this call was rolled back. A plain read runs again, in a transaction
 * of its own that the caller rolls back; call_run_alone() is false for others, which call_lost()
 * turns into a problem. */
bool call_run_alone(struct call *call);
void call_lost(struct call *call, err_t err);

#endif
