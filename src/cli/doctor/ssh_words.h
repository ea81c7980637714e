/*
 * What `ssh -vvv` wrote while it tried to log in, read for the one thing that ended it. Texts are
 * OpenSSH's own (5.9 to 10) and the gate's. Pure.
 */
#ifndef POSTERN_CLI_SSH_WORDS_H
#define POSTERN_CLI_SSH_WORDS_H

#include "base/err.h"
#include "base/span.h"

enum ssh_outcome {
    SSH_UNKNOWN, /* nothing that is known here */
    SSH_CONFIG,  /* its own configuration was refused */
    SSH_MODES,   /* somebody else may write a file of it */
    SSH_KEY_CHANGED,
    SSH_HOST_UNKNOWN,
    SSH_HOST_CERTIFICATE, /* a host's certificate is no good */
    SSH_TOO_MANY,         /* authentication failures */
    SSH_GATE_SAID,        /* "posterngate: …", in `said` */
    SSH_NO_NAME,
    SSH_CONNECTION_REFUSED,
    SSH_NO_ANSWER,
    SSH_NOT_SSH, /* another program answers there */
    SSH_NOTHING_IN_COMMON,
    SSH_SIGNING, /* the agent or the key file did not sign */
    SSH_DENIED,  /* and nobody said why */
    SSH_CHANNEL_PROHIBITED,
    SSH_CHANNEL_FAILED, /* the jump host does not get through to the next one */
    SSH_CLOSED,
};

enum { SSH_SAID_CHARS = 512, SSH_HOST_CHARS = 256, SSH_FILE_CHARS = 512, SSH_PRINT_CHARS = 64 };

struct ssh_verdict {
    enum ssh_outcome outcome;
    char said[SSH_SAID_CHARS];   /* the line, or the gate's part of it */
    char host[SSH_HOST_CHARS];   /* whom it is about, where the line says; "" otherwise */
    char file[SSH_FILE_CHARS];   /* KEY_CHANGED: where the old key stands, and */
    unsigned line;               /* on which line; 0: not told */
    char shown[SSH_PRINT_CHARS]; /* KEY_CHANGED: the SHA256 fingerprint of the key that was shown */
    unsigned logins;             /* hops that let in */
    unsigned offered;            /* keys and certificates offered, by all hops together */
};

/* The most telling line decides; of several such the first. */
void ssh_words_read(span_t text, struct ssh_verdict *out);

#endif
