/* What the commands of postern-host-sync share: configuration, identity, and the files that sshd
 * reads. */
#ifndef POSTERN_HOST_SYNC_HOST_H
#define POSTERN_HOST_SYNC_HOST_H

#include <pthread.h>
#include <sys/types.h>

#include "base/secret.h"
#include "config/settings.h"
#include "feed/replica.h"
#include "host/sessions/session_judge.h"
#include "net/http_client.h"

/* --- config.c: /etc/posterngate/host.yaml; every member has a default --- */

#define CONFIG_FILE "/etc/posterngate/host.yaml"
enum { CONFIG_HOST_KEYS_MAX = 8, CONFIG_RELOAD_WORDS_MAX = 16 };

struct config {
    struct settings settings;
    char *state_dir;
    char *command_user; /* AuthorizedPrincipalsCommandUser; its group may read the replica */
    gid_t command_group;
    char *host_keys[CONFIG_HOST_KEYS_MAX]; /* the public halves: "/etc/ssh/ssh_host_….pub" */
    size_t host_key_count;
    bool best_effort;
    int64_t max_age_s;
    bool registered_keys;
    struct session_rules sessions;
    uint32_t min_uid;                              /* of local users who are accounts */
    char *reload_command[CONFIG_RELOAD_WORDS_MAX]; /* makes sshd read its files anew; run as it is,
                                                      without a shell */
    size_t reload_word_count;                      /* 0: an administrator reloads sshd */
    char *internal_key_file;                       /* in ~/.ssh, of internal-keys */
    char *job_socket;                              /* net/job_socket.h */
};
/* Whether nothing is at `path`. What cannot be looked at, or is a link to nothing, is not absent:
 * to take the defaults for it would hide a strict host behind lax ones. */
bool config_is_absent(const char *path);
/*
 * path NULL: CONFIG_FILE unless it is absent, else the defaults. state_dir NULL: as configured.
 * Every error is told, as settings_load() does. Host keys that nobody listed are those that sshd
 * makes by default and that exist.
 */
err_t config_load(const char *path, const char *state_dir, settings_complain *complain,
                  void *context, struct config *out);
void config_done(struct config *config);

/* --- identity.c: who this host is to the authority, in STATE/host.json, mode 0600 --- */

struct identity {
    char *url;
    char *name;
    char *cluster; /* that it is a host of; NULL: of none */
    char *ca_pem;  /* NULL: the system's trust store */
    secret_t token;
};
err_t identity_load(const char *state_dir, struct identity *out, struct fault *fault);
err_t identity_save(const char *state_dir, const struct identity *identity);
void identity_done(struct identity *identity);
/* A client that presents the host's token. */
err_t identity_client(const struct identity *identity, struct http_client **out,
                      struct fault *fault);

/* --- sshd_files.c: what sshd reads, always replaced whole --- */

#define FILE_KRL     "revoked.krl"
#define FILE_USER_CA "user_ca.pub"
#define FILE_HOST_CA "host_ca.pub"
/* On a jump host: what sshd_config includes, with all the destinations there are. */
#define FILE_PERMIT_OPEN "permit_open.conf"

/* The state directory: root's, entered by the command user's group. */
err_t sshd_files_make_dir(const struct config *config);
/* The KRL of what the replica says is revoked; its version is the revision. Durable before the
 * rename, so that sshd reads a whole one or the one before. */
err_t sshd_files_write_krl(const char *state_dir, struct replica *replica, uint64_t revision,
                           int64_t now);
/* The trusted CA keys of both uses. ERR_CONFLICT, and nothing written, without one for users: a
 * file without a key locks everybody out, and no authority is without one. */
err_t sshd_files_write_cas(const char *state_dir, struct replica *replica);
/* Lines of public keys into FILE_USER_CA or FILE_HOST_CA. */
err_t sshd_files_write_lines(const char *state_dir, const char *file, span_t lines);

/*
 * What PermitOpen lists on a jump host, when it is not what the file says; sshd is then due for a
 * reload. On another host a file that is there is made to open nothing.
 */
err_t sshd_files_write_permit_open(const char *state_dir, struct replica *replica);

/* --- reload.c: sshd is to read its configuration and host certificates anew --- */

#define FILE_RELOAD_DUE "reload_due"

/* Before the change, so that no crash loses it. */
err_t reload_mark(const char *state_dir);
err_t reload_unmark(const char *state_dir);
/* Since when it is due, in milliseconds since 1970; 0: it is not. */
int64_t reload_due_ms(const char *state_dir);
/*
 * Runs a command, words ended by NULL. ERR_TIMEOUT when it took too long and was killed, ERR_IO
 * when it failed: the fault has what it said. What the command leaves running stays.
 */
err_t reload_run(const char *const *words, int timeout_ms, struct fault *fault);

/* --- certificates.c: this machine's host certificates, beside their keys --- */

/* "KEY.pub" → "KEY-cert.pub"; the caller frees *out. ERR_MALFORMED without the suffix. */
err_t certificate_path(const char *key_path, char **out);
/* The host keys' lines as a JSON array of strings, in the order of the configuration; the fault
 * names the file. */
struct json_t;
err_t certificates_keys_json(const struct config *config, struct json_t **out, struct fault *fault);
/*
 * Takes the authority's certificates (a JSON array of lines): each must be a host certificate for
 * one of the configured keys, and is written beside it. One that is not, is refused and none is
 * written.
 */
err_t certificates_install(const struct config *config, const struct json_t *lines,
                           struct fault *fault);
/*
 * The earliest moment at which a certificate should be renewed, two thirds into its lifetime, and
 * the earliest end; a key without a (readable) certificate gives 0 for both. Without keys:
 * INT64_MAX.
 */
void certificates_due(const struct config *config, int64_t *renew_at, int64_t *ends_at);
/* Asks for new ones and installs them. */
err_t certificates_renew(const struct config *config, struct http_client *client,
                         struct fault *fault);

/* --- answers of the authority --- */

/* The problem document's code and message, into a fault; and the error that its status means. */
err_t answer_problem(const struct http_response *response, struct fault *fault);

/* --- sync_apply.c --- */

/*
 * What one answer of the feed does to this host: CA files, KRL, replica, in this order. Of a
 * snapshot's pages the last does it for all; until then nothing of them can be seen, and a failure,
 * or replica_rollback() in place of the next page, leaves everything as it was before the first.
 */
err_t sync_apply(const char *state_dir, struct replica *replica, const struct change_answer *answer,
                 int64_t now);
/* Brings the files in line with the replica, after a start or an interruption. */
err_t sync_repair(const char *state_dir, struct replica *replica, int64_t now);

/* --- thread.c --- */

/* A thread that takes no signals: those that end the process are for the one that holds them back
 * while it applies an answer. */
err_t thread_start(void *(*run)(void *context), void *context, pthread_t *out);

/* --- local_socket.c: Unix sockets --- */

/*
 * Listening and non-blocking, with this mode and group (-1: as the system has it). It replaces a
 * socket that is there: whoever served it had the lock of the state directory. Nobody can connect
 * before mode and group are right.
 */
err_t local_socket_make(const char *path, mode_t mode, gid_t group, int backlog, int *out);
/* Whether somebody serves the socket of that name. */
bool local_socket_is_served(const char *state_dir, const char *name);

/* --- publisher.c: STATE/feed.sock, whose frames feed/publish.h describes --- */

/*
 * A thread of its own serves those who connect. Each gets a snapshot of the replica and then every
 * answer, in between the two nothing is lost: an answer is told and applied between
 * publisher_begin() and publisher_end(), when no snapshot is taken. Subscribers hear of it before
 * the files and the replica are written, so that a revocation ends sessions at once; an answer that
 * then cannot be applied comes again, and does no harm twice. Of a snapshot in pages only the last
 * is told here, and who subscribes gets the replica's own, a page whenever there is room for one.
 */
struct publisher;
/* Replaces a socket that is there: whoever served it had the lock of the state directory. */
err_t publisher_start(const struct config *config, struct publisher **out, struct fault *fault);
/* Cuts everybody off; the socket stays behind. Takes NULL. */
void publisher_free(struct publisher *publisher);
void publisher_freep(struct publisher **publisher);
/* Whether somebody serves the socket of that state directory. */
bool publisher_is_served(const char *state_dir);
/* Neither waits for a subscriber; both take NULL and do nothing then. */
void publisher_begin(struct publisher *publisher, const struct change_answer *answer, int64_t now);
void publisher_end(struct publisher *publisher);

/* --- uplink_server.c: STATE/uplink.sock, whose frames feed/uplink.h describes --- */

/* Two threads of its own: one serves gates, the other speaks to the authority (courier.h). */
struct uplink_server;
err_t uplink_server_start(const struct config *config, const struct identity *identity,
                          struct uplink_server **out, struct fault *fault);
/* Waits for the call under way. Takes NULL. */
void uplink_server_free(struct uplink_server *server);
void uplink_server_freep(struct uplink_server **server);

/* How long to wait after so many failures in a row: exponential to BACKOFF_MAX_MS, and jittered
 * over its upper half, so that a thousand hosts do not come back at once. random is any number. */
enum { BACKOFF_MIN_MS = 250, BACKOFF_MAX_MS = 30000 };
int sync_backoff_ms(unsigned failures, uint64_t random);

/*
 * Of what `sshd -T` prints: the ways in that go around the principals and keys commands, a line
 * each; or that it is not set up by `postern-host sshd-config` with this state at all.
 */
err_t sshd_doors_tell(span_t settings, const char *state_dir, struct buf *out);

/* --- commands: argv[0] is the command; self is the path of postern-host --- */

int command_enrol(int argc, char **argv);
int command_sync(int argc, char **argv);
int command_status(int argc, char **argv);
int command_sessions(int argc, char **argv);
int command_sshd_config(const char *self, int argc, char **argv);
int command_greet(void);
int command_check(int argc, char **argv);
int command_internal_keys(int argc, char **argv);
int command_ssh_config(int argc, char **argv);
extern const char enrol_usage[], sync_usage[], status_usage[], sessions_usage[],
    sshd_config_usage[], check_usage[], internal_keys_usage[], ssh_config_usage[];

/* What most commands take: --config FILE, --state DIR, and a flag of their own ("json", "once"), or
 * NULL for none. Anything else is answered by the usage, and false. */
struct command_options {
    const char *config, *state; /* NULL when not given */
    bool flag;
};
bool command_read_options(int argc, char **argv, const char *flag, const char *usage,
                          struct command_options *out);

/* Prints a complaint about the configuration on standard error. */
void command_complain(void *context, const struct settings_complaint *complaint);
/* config_load(), telling every error on standard error; the fault says where they were told. */
err_t command_config(const char *path, const char *state_dir, struct config *out,
                     struct fault *fault);

/* Says why on standard error and gives the exit status that fits. */
int command_failed(const char *what, err_t err, const struct fault *fault);

/* sshd_config.c: the text itself. */
struct sshd_config {
    const struct config *config;
    const char *command; /* absolute path of postern-host */
    bool jump_host;
    bool deploy_jobs;    /* a deploy job's account may log in as root, where the replica says so */
    bool keep_root_keys; /* root's own authorized_keys stay valid, for emergencies */
    bool has_penalties;  /* sshd knows PerSourcePenaltyExemptList */
    const char *exempt;  /* its value, the addresses of the jump hosts; "" or NULL: none is told */
};
err_t sshd_config_print(const struct sshd_config *from, struct buf *out);

#endif
