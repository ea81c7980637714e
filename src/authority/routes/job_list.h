/* Jobs as answers show them. */
#ifndef POSTERN_AUTHORITY_JOB_LIST_H
#define POSTERN_AUTHORITY_JOB_LIST_H

#include "authority/call.h"

err_t job_list_json(struct store *store, const struct job *job, json_t **out);

#endif
