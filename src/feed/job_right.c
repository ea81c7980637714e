#include "feed/job_right.h"

#include <string.h>

bool job_right_runs(const struct job_right *job, int64_t now) {
    return job->started_at <= now && (job->ends_at == 0 || now < job->ends_at);
}

bool job_right_opens(const struct job_right *job, enum host_role role) {
    switch (job->type) {
    case JOB_CLUSTER:
        return role == HOST_JOB;
    case JOB_SHARED:
    case JOB_WHOLE:
    case JOB_DEPLOY:
        return role == HOST_COMPUTE && strcmp(job->user, job->account) == 0;
    }
    return false;
}

bool job_right_admits(const struct job_right *job, const char *user) {
    return strcmp(user, "root") == 0 ? job->type == JOB_DEPLOY : strcmp(user, job->user) == 0;
}
