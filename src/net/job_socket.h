/*
 * How a user of a frontend asks `postern-host sync` for what is theirs: which jobs they have, and a
 * certificate that is good for one. It takes the kernel's word for who asks (SO_PEERCRED).
 *
 * A Unix stream socket that everybody may connect to. Each connection carries one question and one
 * answer, JSON objects in one line, of at most LIMIT_JOB_QUESTION_BYTES and LIMIT_JOB_ANSWER_BYTES:
 *
 *   {"call":"jobs"}
 *     {"jobs":[{"job":"1234","cluster":"nancy","type":"shared","nodes":["n1"],"startTime":"…Z",
 *               "endTime":"…Z"?,"user":"alice","address":"…"?,"port":…?}]}     newest first
 *   {"call":"certificate","job":"1234","publicKey":"ssh-ed25519 …","node":"n1"?}
 *     {"job":"1234@nancy","type":"deploy","certificate":"…","expireTime":"…Z","user":"alice",
 *      "node":"n1","address":"10.0.0.1","port":22,"knownHosts":"/run/postern-host/known_hosts"}
 *     without "node", the job's first; job 1234 of this frontend's cluster, "1234@nancy" as well
 *   {"error":{"code":"no_job","message":"…"}}
 *     code "busy": there is no room for the question now; ask again in a moment
 */
#ifndef POSTERN_NET_JOB_SOCKET_H
#define POSTERN_NET_JOB_SOCKET_H

#include "base/err.h"
#include "base/limits.h"
#include "base/span.h"

#define JOB_SOCKET "/run/postern-host/jobs.sock"

/*
 * Asks, and appends the answer without its line feed. ERR_NOT_FOUND when there is no socket,
 * ERR_CONNECT when nobody serves it, ERR_TIMEOUT, ERR_TOO_LONG, ERR_CLOSED when it ends early.
 */
err_t job_socket_ask(const char *path, span_t question, int timeout_ms, struct buf *answer);

#endif
