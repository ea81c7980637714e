/*
 * What sshd was told at a login, left behind for `postern-host sync`, so that it finds the sessions
 * that rest on a credential.
 *
 * sshd's commands are started by the monitor, the process of sshd's that serves one connection for
 * as long as it lives. A record names it, by pid and start time, and the credential that may open
 * the door. It is a symbolic link in STATE/logins that leads nowhere: made in one step or not at
 * all, with what it says inside, and read by readlink(2). Asked again for the same credential
 * (sshd does so for the offer and for the signature), it takes the place of what is there.
 *
 * Who writes records: the command user, who may add to the directory, but not list it. sync takes
 * them over into STATE/sessions, which is root's, at once. What another process of that user could
 * do with a record is end sessions of its choice, of the user that it names, and no more: a
 * connection lives only while *every* credential that it was told "yes" for is good (one that was
 * offered and then not used counts as well), so a further record never spares it. Only one that is
 * removed before sync takes it over is missed. And who is the command user can forge the answers
 * themselves: give it a user of its own (command_user).
 */
#ifndef POSTERN_HOST_LOGIN_RECORD_H
#define POSTERN_HOST_LOGIN_RECORD_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/limits.h"

#define LOGIN_RECORD_DIR "logins"   /* where commands leave them */
#define LOGIN_TAKEN_DIR  "sessions" /* where sync keeps them, as long as the connection lives */

enum {
    LOGIN_JOB_CHARS = LIMIT_JOB_NAME_CHARS + 1 + LIMIT_CLUSTER_NAME_CHARS + 1,
    LOGIN_FINGERPRINT_CHARS = 64,
    LOGIN_RECORD_NAME_CHARS = 128,
    LOGIN_RECORD_TEXT_CHARS = 512,
};

/* Why it is that job's, as far as the user is told. The numbers are in files. */
enum login_job_why {
    LOGIN_JOB_ONLY,   /* or none is asked for */
    LOGIN_JOB_NEWEST, /* of several that the account has here */
    LOGIN_JOB_NAMED,  /* by the certificate, which is good for no other */
};

struct login_record {
    pid_t monitor;
    uint64_t monitor_start; /* as struct process has it; 0: it could not be seen (hidepid) */
    char user[LIMIT_ACCOUNT_NAME_CHARS + 1];
    char account[LIMIT_ACCOUNT_NAME_CHARS + 1];
    char job[LOGIN_JOB_CHARS]; /* "1234@nancy" by whose right; "" where no job is asked for */
    enum login_job_why job_why;
    uint64_t serial;                           /* of the certificate; 0: it was a registered key */
    char fingerprint[LOGIN_FINGERPRINT_CHARS]; /* of the CA, "" when not told; of the key */
    int64_t expires_at;                        /* of the certificate; 0: never, or not told */
    int64_t at;
};

/* ERR_MALFORMED for text that has a blank or is not printable. */
err_t login_record_print(const struct login_record *record, char name[LOGIN_RECORD_NAME_CHARS],
                         char text[LOGIN_RECORD_TEXT_CHARS]);
/* Whoever wrote it: ERR_MALFORMED unless all of it is as login_record_print() writes it. */
err_t login_record_parse(const char *name, const char *text, struct login_record *out);

/*
 * Leaves the record in the state directory, with our parent as its monitor. Where that is not sshd,
 * somebody tries the command out, and nothing is left.
 */
err_t login_record_leave(const char *state_dir, const struct login_record *record);

#endif
