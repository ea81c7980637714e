#include "host/home/internal_keys.h"

#include <errno.h>
#include <jansson.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "host/home/home_marker.h"
#include "host/home/internal_table.h"
#include "host/host.h"
#include "ssh/private_key.h"

enum {
    PASSWD_BYTES = 16 * 1024,
    CALL_MS = 10 * 1000,
    FEED_LAG_MS = 60 * 1000,     /* until then the feed may not have told what we registered */
    TROUBLE_MS = 10 * 60 * 1000, /* before what did not work is tried again */
};

struct keeper {
    const struct config *config;
    const struct identity *identity;
    struct replica *replica;
    int lock;
    char *folder; /* STATE/internal */
    uint64_t revision;
    bool misplaced; /* this is no frontend, which was told */
    size_t news;    /* how many, from news_at on, may have to be seen to at once */
    size_t news_at;
    struct kept_table table;
    size_t next; /* to be looked at */
    struct home_marker marker;
    bool stalled; /* a file server gave no answer: the others are seen to in the next turn */
};

enum internal_step internal_decide(const struct internal_facts *facts) {
    if (facts->home_registered || (facts->home_is_kept && facts->kept_registered)) {
        return INTERNAL_NOTHING;
    }
    return facts->kept_registered ? INTERNAL_WRITE : INTERNAL_MAKE;
}

/* --- the local user --- */

struct local_user {
    struct home home;
    char text[PASSWD_BYTES]; /* what the home borrows */
};

/* False when there is none who may be an account. */
static bool find_user(const struct config *config, const char *name, struct local_user *out) {
    struct passwd entry;
    struct passwd *found = NULL;
    if (getpwnam_r(name, &entry, out->text, sizeof out->text, &found) != 0 || found == NULL ||
        entry.pw_uid < config->min_uid || entry.pw_uid == 0 || entry.pw_uid == HOST_UID_OVERFLOW ||
        entry.pw_dir == NULL || entry.pw_dir[0] != '/') {
        return false;
    }
    out->home = (struct home){entry.pw_uid, entry.pw_gid, entry.pw_dir, config->internal_key_file};
    return true;
}

/* --- ours --- */

struct own_key {
    struct buf text; /* the private key file */
    char line[HOME_PUBLIC_CHARS];
};

static void own_key_done(struct own_key *key) { buf_done(&key->text); }
#define OWN_KEY ((struct own_key){.text = BUF(LIMIT_HOME_FILE_BYTES)})

static err_t print_line(const struct private_key *key, char out[HOME_PUBLIC_CHARS]) {
    struct buf line CLEANUP(buf_done) = BUF(HOME_PUBLIC_CHARS - 1);
    TRY(key_print_line(private_key_public(key), NULL, &line));
    memset(out, 0, HOME_PUBLIC_CHARS);
    memcpy(out, line.data, line.len);
    return OK;
}

/* Root's own file: nobody else has written it. */
static err_t load_own(const struct keeper *keeper, const char *account, struct own_key *out) {
    char *path CLEANUP(freep) = NULL;
    struct private_key *key CLEANUP(private_key_freep) = NULL;
    TRY(path_join(keeper->folder, account, &path));
    TRY(file_read(path, &out->text));
    TRY(private_key_load(buf_span(&out->text), NULL, &key, NULL));
    return print_line(key, out->line);
}

static err_t make_own(const char *account, struct own_key *out) {
    struct private_key *key CLEANUP(private_key_freep) = NULL;
    TRY(private_key_generate(KEY_ED25519, 256, &key));
    TRY(private_key_write(key, account, NULL, 0, &out->text));
    return print_line(key, out->line);
}

static err_t save_own(const struct keeper *keeper, const char *account, const struct own_key *key) {
    char *path CLEANUP(freep) = NULL;
    TRY(path_join(keeper->folder, account, &path));
    return file_replace(path, buf_span(&key->text), 0600, FILE_DURABLE);
}

static err_t forget_own(const struct keeper *keeper, const char *account) {
    char *path CLEANUP(freep) = NULL;
    TRY(path_join(keeper->folder, account, &path));
    return unlink(path) == 0 || errno == ENOENT ? OK : err_from_errno(errno);
}

/* --- the authority --- */

/* The client, and with it the host's token, is there for this call alone: no child that looks into
 * a home inherits it. */
static err_t call(const struct keeper *keeper, enum http_method method, const char *account,
                  span_t body, struct http_response *response, struct fault *fault) {
    struct http_client *client CLEANUP(http_client_freep) = NULL;
    char path[64 + LIMIT_ACCOUNT_NAME_CHARS];
    (void)snprintf(path, sizeof path, "/api/v1/host/internal-keys/%s", account);
    TRY(identity_client(keeper->identity, &client, fault));
    return http_client_call(client, method, path, body, CALL_MS, response, fault);
}

static err_t tell(const struct keeper *keeper, enum http_method method, const char *account,
                  span_t body, struct fault *fault) {
    struct http_response response CLEANUP(http_response_done);
    http_response_init(&response);
    TRY(call(keeper, method, account, body, &response, fault));
    bool gone = method == HTTP_DELETE && response.status == 404;
    return response.status / 100 == 2 || gone ? OK : answer_problem(&response, fault);
}

static err_t register_own(const struct keeper *keeper, const char *account, const char *line,
                          struct fault *fault) {
    char body[HOME_PUBLIC_CHARS + 32];
    (void)snprintf(body, sizeof body, "{\"publicKey\":\"%s\"}", line); /* base64: no quotes */
    return tell(keeper, HTTP_PUT, account, span_str(body), fault);
}

/* --- one account --- */

static err_t write_own(struct kept *kept, const struct home *home, const struct own_key *key,
                       struct fault *fault) {
    TRY(home_put(home, buf_span(&key->text), fault));
    log_event(LOG_LEVEL_INFO, "internal_key_written", "account", kept->name, "home", home->dir,
              NULL);
    return OK;
}

static err_t make(const struct keeper *keeper, struct kept *kept, const struct home *home,
                  struct fault *fault) {
    struct own_key key CLEANUP(own_key_done) = OWN_KEY;
    TRY(make_own(kept->name, &key));
    TRY(register_own(keeper, kept->name, key.line, fault));
    TRY(save_own(keeper, kept->name, &key));
    kept->ours = true;
    kept->registered_at_ms = clock_monotonic_ms();
    return write_own(kept, home, &key, fault);
}

/* Unregistered first: what is left in a home then opens nothing. */
static err_t retire(const struct keeper *keeper, struct kept *kept, const struct home *home,
                    const struct own_key *key, struct fault *fault) {
    TRY(tell(keeper, HTTP_DELETE, kept->name, span_of(NULL, 0), fault));
    if (home != NULL && key->line[0] != '\0') {
        TRY(home_remove(home, key->line, fault));
    }
    TRY(forget_own(keeper, kept->name));
    kept->ours = false;
    log_event(LOG_LEVEL_INFO, "internal_key_retired", "account", kept->name, NULL);
    return OK;
}

static bool is_recent(const struct kept *kept) {
    return kept->registered_at_ms != 0 &&
           clock_monotonic_ms() - kept->registered_at_ms < FEED_LAG_MS;
}

static err_t load_if_kept(const struct keeper *keeper, const struct kept *kept,
                          struct own_key *out) {
    err_t err = kept->ours ? load_own(keeper, kept->name, out) : OK;
    /* In the place of a key that is damaged, another is made. */
    return err.code == ERR_MALFORMED || err.code == ERR_NOT_FOUND ? OK : err;
}

/* home NULL: there is no such local user. *settled: all is as it should be. */
static err_t look_after(const struct keeper *keeper, struct kept *kept, const struct home *home,
                        bool *settled, struct fault *fault) {
    struct own_key key CLEANUP(own_key_done) = OWN_KEY;
    char found[HOME_PUBLIC_CHARS] = "";
    TRY(load_if_kept(keeper, kept, &key));
    if (!kept->entitled) {
        *settled = true;
        return kept->ours ? retire(keeper, kept, home, &key, fault) : OK;
    }
    if (home == NULL) {
        *settled = true;
        return OK;
    }
    TRY(home_look(home, found, fault));
    bool told = key.line[0] != '\0' && kept_is_registered(kept, key.line);
    bool awaited = key.line[0] != '\0' && is_recent(kept);
    if (told) {
        kept->registered_at_ms = 0; /* when it is told no more, it was ended */
    }
    const struct internal_facts facts = {
        .home_registered = kept_is_registered(kept, found),
        .home_is_kept = found[0] != '\0' && strcmp(found, key.line) == 0,
        .kept_registered = told || awaited,
    };
    *settled = facts.home_registered;
    switch (internal_decide(&facts)) {
    case INTERNAL_WRITE:
        return write_own(kept, home, &key, fault);
    case INTERNAL_MAKE:
        return make(keeper, kept, home, fault);
    case INTERNAL_NOTHING:
        break;
    }
    return OK;
}

/* Told once, until it works again. That there is no home is no trouble: many are made at the first
 * login. */
static void note(struct kept *kept, err_t err, const struct fault *fault) {
    bool trouble = failed(err) && err.code != ERR_NOT_FOUND;
    if (trouble && !kept->troubled) {
        log_error("internal_key_failed", err, "account", kept->name, "field", fault->field,
                  "reason", fault->reason, NULL);
    }
    kept->troubled = trouble;
    kept->not_before_ms = trouble ? clock_monotonic_ms() + TROUBLE_MS : 0;
}

/* False when there was nothing to look at. */
static bool see_to(struct keeper *keeper, struct kept *kept) {
    struct local_user user;
    struct home_mark mark = {0};
    struct fault fault = {0};
    bool settled = false;
    if (clock_monotonic_ms() < kept->not_before_ms) {
        return false;
    }
    bool local = find_user(keeper->config, kept->name, &user);
    err_t err = local ? home_marker_ask(&keeper->marker, &user.home, &mark, &fault) : OK;
    if (failed(err)) {
        keeper->stalled = err.code == ERR_TIMEOUT;
        note(kept, err, &fault);
        return true;
    }
    if (kept->settled && memcmp(&mark, &kept->mark, sizeof mark) == 0) {
        return false;
    }
    err = look_after(keeper, kept, local ? &user.home : NULL, &settled, &fault);
    note(kept, err, &fault);
    kept->settled = settled || err.code == ERR_NOT_FOUND;
    kept->mark = mark; /* of before the look: what is touched meanwhile is seen at the next */
    return true;
}

/* --- all accounts --- */

/* Only a frontend that knows where it stands does anything: a replica without a snapshot would have
 * every key retired. */
static err_t is_frontend(struct keeper *keeper, bool *out) {
    enum host_role role = HOST_JUMP;
    bool lacks = true;
    TRY(replica_needs_snapshot(keeper->replica, clock_now_s(), &lacks));
    if (lacks) {
        *out = false;
        return OK;
    }
    err_t err = replica_role(keeper->replica, &role);
    if (failed(err) && err.code != ERR_NOT_FOUND) {
        return err;
    }
    bool misplaced = failed(err) || role != HOST_LOGIN;
    if (misplaced && !keeper->misplaced) {
        log_event(LOG_LEVEL_WARN, "internal_keys_misplaced", "reason",
                  "the authority does not list this host as a login host", NULL);
    }
    keeper->misplaced = misplaced;
    *out = !misplaced;
    return OK;
}

static err_t update(struct keeper *keeper, bool *frontend) {
    uint64_t revision = 0;
    TRY(replica_revision(keeper->replica, &revision));
    if (revision == keeper->revision) {
        *frontend = keeper->revision != 0;
        return OK;
    }
    TRY(is_frontend(keeper, frontend));
    if (*frontend) {
        TRY(kept_table_update(&keeper->table, keeper->replica, clock_now_s()));
        keeper->revision = revision;
        keeper->news = keeper->table.count;
    }
    return OK;
}

/* Goes on where it stopped, also after an update: those who wait for the feed hold up nobody. */
static size_t see_to_news(struct keeper *keeper, size_t max) {
    size_t done = 0;
    for (; keeper->news > 0 && done < max && !keeper->stalled; keeper->news--) {
        if (keeper->news_at >= keeper->table.count) {
            keeper->news_at = 0;
        }
        struct kept *kept = &keeper->table.rows[keeper->news_at++];
        done += !kept->settled && see_to(keeper, kept);
    }
    return done;
}

err_t keeper_run(struct keeper *keeper, size_t max) {
    bool frontend = false;
    keeper->stalled = false;
    TRY(update(keeper, &frontend));
    if (!frontend) {
        keeper->news = 0;
        return OK;
    }
    size_t done = see_to_news(keeper, max);
    for (size_t i = 0; done + i < max && i < keeper->table.count && !keeper->stalled; i++) {
        if (keeper->next >= keeper->table.count) {
            keeper->next = 0;
        }
        (void)see_to(keeper, &keeper->table.rows[keeper->next++]);
    }
    return OK;
}

bool keeper_has_news(const struct keeper *keeper) { return keeper->news > 0; }

/* --- beginning and end --- */

static err_t open_all(struct keeper *keeper, struct fault *fault) {
    const char *state = keeper->config->state_dir;
    char *lock CLEANUP(freep) = NULL;
    char *replica CLEANUP(freep) = NULL;
    TRY(path_join(state, "internal.lock", &lock));
    TRY(path_join(state, "internal", &keeper->folder));
    TRY(path_join(state, HOST_REPLICA_FILE, &replica));
    err_t err = file_lock(lock, 0, &keeper->lock);
    if (failed(err)) {
        return fault_set(fault, err.code, lock, "another postern-host internal-keys is at work");
    }
    if (mkdir(keeper->folder, 0700) != 0 && errno != EEXIST) {
        err = err_from_errno(errno);
        return fault_set(fault, err.code, keeper->folder, "%s", err_text(err));
    }
    err = replica_open_read(replica, &keeper->replica);
    return failed(err) ? fault_set(fault, err.code, replica, "%s", err_text(err))
                       : kept_table_load(&keeper->table, keeper->folder);
}

err_t keeper_open(const struct config *config, const struct identity *identity, struct keeper **out,
                  struct fault *fault) {
    struct keeper *keeper CLEANUP(keeper_freep) = calloc(1, sizeof *keeper);
    if (keeper == NULL) {
        return FAIL(ERR_MEMORY);
    }
    *keeper =
        (struct keeper){.config = config, .identity = identity, .lock = -1, .marker = HOME_MARKER};
    TRY(open_all(keeper, fault));
    *out = TAKE(keeper);
    return OK;
}

void keeper_free(struct keeper *keeper) {
    if (keeper != NULL) {
        home_marker_done(&keeper->marker);
        kept_table_done(&keeper->table);
        replica_close(keeper->replica);
        free(keeper->folder);
        fd_closep(&keeper->lock);
        free(keeper);
    }
}

void keeper_freep(struct keeper **keeper) {
    keeper_free(*keeper);
    *keeper = NULL;
}
