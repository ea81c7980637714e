/* Counters, and /metrics, which prints them in the Prometheus text format 0.0.4. */
#ifndef POSTERN_AUTHORITY_METRICS_H
#define POSTERN_AUTHORITY_METRICS_H

#include "authority/call.h"

struct metrics;

/* The route_index of what has no route. */
enum { METRICS_ROUTES_MAX = 128, METRICS_NO_ROUTE = METRICS_ROUTES_MAX };

err_t metrics_new(struct metrics **out);
void metrics_free(struct metrics *metrics);

/* Loop thread. */
void metrics_count_call(const struct call *call, int64_t duration_us);
void metrics_count_certificate(struct metrics *metrics, enum cert_type type);
/* Any thread. */
void metrics_count_decision(struct metrics *metrics, enum decision_code code);
void metrics_count_batch(struct metrics *metrics, size_t calls, bool committed);

#endif
