/*
 * `postern-host greet`: what a jump host says to who asks it for a shell. Runs as the user, so it
 * reads neither replica nor configuration: sshd tells what was proved (ExposeAuthInfo).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "host/host.h"
#include "host/sync_host.h"
#include "ssh/cert.h"

/* SSH_USER_AUTH holds a line for each method: "publickey ssh-ed25519-cert-v01@openssh.com AAAA…".
 */
static err_t read_certificate(struct cert **out) {
    static const char method[] = "publickey ";
    const char *path = getenv("SSH_USER_AUTH");
    struct buf text CLEANUP(buf_done) = BUF(2 * LIMIT_CERT_BLOB_BYTES);
    char *line CLEANUP(freep) = NULL;
    if (path == NULL) {
        return FAIL(ERR_NOT_FOUND);
    }
    TRY(file_read(path, &text));
    TRY(buf_to_str(&text, &line));
    line[strcspn(line, "\n")] = '\0';
    if (strncmp(line, method, sizeof method - 1) != 0) {
        return FAIL(ERR_MALFORMED);
    }
    return cert_parse_line(span_str(line + sizeof method - 1), out, NULL);
}

static void print_certificate(const struct cert *cert) {
    char when[TIME_CHARS];
    char left[DURATION_CHARS];
    if (cert->valid_before > INT64_MAX) {
        (void)printf("certificate %llu, without an end\n", (unsigned long long)cert->serial);
        return;
    }
    time_print_local((int64_t)cert->valid_before, when);
    duration_print_relative((int64_t)cert->valid_before, clock_now_s(), left);
    (void)printf("certificate %llu, valid until %s (%s)\n", (unsigned long long)cert->serial, when,
                 left);
}

int command_greet(void) {
    struct cert *cert CLEANUP(cert_freep) = NULL;
    const char *user = getenv("USER");
    const char *clusters = getenv("POSTERN_CLUSTERS");
    (void)printf("You are %s. This is a jump host: it leads on, and gives no shell.\n",
                 user != NULL ? user : "known");
    if (!failed(read_certificate(&cert))) {
        print_certificate(cert);
    } else {
        (void)puts("logged in with a registered key");
    }
    if (clusters != NULL) {
        (void)printf("you reach   %s\n", clusters);
    }
    (void)printf("go on with  ssh -J %s@<this host> %s@<cluster>\n", user != NULL ? user : "you",
                 user != NULL ? user : "you");
    return fflush(stdout) == 0 ? HOST_EXIT_OK : HOST_EXIT_INTERNAL;
}
