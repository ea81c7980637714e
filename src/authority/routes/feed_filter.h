/*
 * Who is told what of a change: a host learns only what it needs, so that a stolen token tells
 * little, and whoever is not concerned is not woken. Pure.
 *
 *   jump: everything but internal keys
 *   login: CAs, revocations, jump hosts, itself; its cluster, the accounts that reach it, without
 *     their enrolment windows, their keys, and its jobs
 *   compute: the same, but of the jobs those on it alone, with itself as their only node
 *   job: the same again, but the account that it came for alone, who has root there, and its keys
 *
 * The order to end a session goes to the host whose gates have it, and to no other.
 *
 * An account that does not reach the cluster is told as gone, for it may have reached it before.
 *
 * What is gone has no state that says whom it concerned, and some of what is there neither. So the
 * state of an event in the store may have a member "for", which never leaves the authority:
 *
 *   "clusters": ["daint"]: a key: where its account is known
 *   "gone": true: to all other clusters the key is gone: its account no longer reaches them
 *   "nodes": ["n3"]: a job: hosts that it had, and has no more
 *   "jump": false: a host that is gone and was no jump host: nobody else knew it
 *
 * A state that is nothing but "for" is that of a thing that is gone.
 */
#ifndef POSTERN_AUTHORITY_FEED_FILTER_H
#define POSTERN_AUTHORITY_FEED_FILTER_H

#include <jansson.h>

#include "feed/change.h"

struct feed_event {
    uint64_t revision;
    enum change_kind kind; /* CHANGE_UNKNOWN: of a newer authority, told to everybody */
    char kind_name[16];
    char key[LIMIT_HOST_NAME_CHARS + 1];
    json_t *state;    /* without "for"; NULL: gone */
    json_t *audience; /* "for"; NULL: not said */
    json_t *nodes;    /* of a job that runs, as an object's names */
    json_t *left;     /* its audience's nodes, the same way */
    struct feed_event *next;
};

/* `state` as in the store: NULL or a JSON object, which is borrowed. ERR_MEMORY. */
err_t feed_event_new(uint64_t revision, const char *kind, const char *key, const json_t *state,
                     struct feed_event **out);
/* The same from an event's text; ERR_MALFORMED. */
err_t feed_event_parse(const struct event *event, struct feed_event **out);
/* With those that follow it; takes NULL. */
void feed_event_free(struct feed_event *event);

/* A host that follows the feed. */
struct feed_reader {
    enum host_role role;
    char cluster[LIMIT_CLUSTER_NAME_CHARS + 1]; /* "" for a jump host */
    char name[LIMIT_HOST_NAME_CHARS + 1];
    char account[LIMIT_ACCOUNT_NAME_CHARS + 1]; /* of HOST_JOB: whose job it came with */
};

enum feed_verdict {
    FEED_SKIP, /* not its business */
    FEED_PASS,
    FEED_GONE, /* as gone, whatever the event says */
};

struct feed_judgement {
    enum feed_verdict verdict;
    bool alone; /* as no other host of its role and cluster is told it */
};

struct feed_judgement feed_judge(const struct feed_event *event, const struct feed_reader *reader);

/* Adds to an answer what feed_judge() lets pass; nothing for FEED_SKIP. */
err_t feed_event_encode(const struct feed_event *event, const struct feed_reader *reader,
                        enum feed_verdict verdict, struct buf *out);

#endif
