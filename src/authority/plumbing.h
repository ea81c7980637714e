/* What call.c, call_read.c, problem.c and serve.c have in common; routes need none of it. */
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

/* Store thread: the batch of this call was rolled back. A plain read runs again, in a transaction
 * of its own; call_run_alone() is false for others, which call_lost() turns into a problem. */
bool call_run_alone(struct call *call);
void call_lost(struct call *call, err_t err);

#endif
