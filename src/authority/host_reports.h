/*
 * How hosts are, as they say with each poll of the feed, and as their polls show. In memory, as the
 * next poll tells it again: ten thousand hosts cost a megabyte and no write. Store thread only.
 */
#ifndef POSTERN_AUTHORITY_HOST_REPORTS_H
#define POSTERN_AUTHORITY_HOST_REPORTS_H

#include "model/entity.h"

enum { HOST_VERSION_CHARS = 31 };

struct host_report {
    entity_id host_id;
    char version[HOST_VERSION_CHARS + 1]; /* of postern-host; "" when it does not say */
    bool has_sessions;
    uint32_t sessions;      /* that its sshd let in and that are open */
    int64_t seen_at;        /* when it last asked */
    int64_t current_at;     /* when it last had every change that concerns it; 0: not known */
    uint64_t told_revision; /* the last answer's, and when that was: once the host asks … */
    int64_t told_at;        /* … for what comes after it, it has it */
};

struct host_reports;
err_t host_reports_new(struct host_reports **out);
/* Takes NULL. */
void host_reports_free(struct host_reports *reports);

/* The host's, made when there is none; good until the next call. ERR_MEMORY. */
err_t host_reports_take(struct host_reports *reports, entity_id host_id, struct host_report **out);
/* NULL: it has not asked since we started. */
const struct host_report *host_reports_find(const struct host_reports *reports, entity_id host_id);
/* The host is gone. */
void host_reports_forget(struct host_reports *reports, entity_id host_id);

#endif
