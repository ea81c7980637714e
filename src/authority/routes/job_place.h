/* Where a job's own machines may be, by a scheduler's word. */
#ifndef POSTERN_AUTHORITY_JOB_PLACE_H
#define POSTERN_AUTHORITY_JOB_PLACE_H

#include "authority/call.h"

/*
 * Store thread: whether the caller may give a job this address, to which gates then lead, and which
 * its host's certificate names. Administrators may give any; a scheduler none where gates lead only
 * by an administrator's word (422 "address_refused": loopback, link-local, metadata services), and
 * none that is the name or address of a cluster, or of a host that did not come with a job (409
 * "conflict"): with a stolen token somebody could stand in for it, or get to it. Else a problem,
 * and false.
 */
bool job_place_allowed(struct call *call, const char *address);

#endif
