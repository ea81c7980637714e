/*
 * "job-1234", "job-1234@nancy", "job-1234.n7": the names by which a gate knows one's running jobs
 * (feed/view.h), read against what the authority lists. Pure.
 */
#ifndef POSTERN_CLI_JOB_NAME_H
#define POSTERN_CLI_JOB_NAME_H

#include <jansson.h>

#include "base/err.h"

/*
 * Of the rows of GET /api/v1/jobs the one that is meant, the longest name that fits and of those
 * the newest, and its node: NULL where the job's own address is meant. Letters' case does not
 * matter. ERR_NOT_FOUND. Both are borrowed from the rows.
 */
err_t job_name_find(const json_t *jobs, const char *name, const json_t **job, const char **node);

#endif
