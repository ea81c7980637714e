/* The start of every test of the feed's readers: keys, a snapshot of the authority, and changes. */
#ifndef POSTERN_TESTS_UNIT_FEED_FIXTURE_H
#define POSTERN_TESTS_UNIT_FEED_FIXTURE_H

#include <string.h>

#include "base/limits.h"
#include "feed/view.h"
#include "fixture.h"

enum { NOW = 1800000000, MAX_AGE_S = 3600 };

__attribute__((unused)) static const struct view_rules strict = {.max_age_s = MAX_AGE_S};
__attribute__((unused)) static const struct view_rules lax = {.best_effort = true,
                                                              .max_age_s = MAX_AGE_S};

__attribute__((unused)) static int feed_setup(void **state) {
    return fixture_setup(state) != 0 ||
                   fixture_run("for name in ca ca2 stranger alice bob; do"
                               " ssh-keygen -q -N '' -C '' -t ed25519 -f $name || exit 1; done") !=
                       0
               ? -1
               : 0;
}

/* The line of a public key, without a comment. */
__attribute__((unused)) static const char *line_of(const char *name) {
    static char lines[8][128];
    static size_t next;
    char *line = lines[next++ % COUNT_OF(lines)];
    char path[64];
    (void)snprintf(path, sizeof path, "%s.pub", name);
    struct buf text CLEANUP(buf_done) = BUF(1024);
    fixture_read(path, &text);
    (void)snprintf(line, 128, "%.*s", (int)text.len, (const char *)text.data);
    line[strcspn(line, "\n")] = '\0';
    size_t len = strlen(line);
    line[line[len - 1] == ' ' ? len - 1 : len] = '\0';
    return line;
}

__attribute__((unused)) static struct key *key_of(const char *name) {
    struct key *key = NULL;
    assert_ok(key_parse_line(span_str(line_of(name)), &key, NULL));
    return key;
}

__attribute__((unused)) static const char *fingerprint_of(const char *name) {
    static char fingerprints[4][FINGERPRINT_CHARS];
    static size_t next;
    struct key *key CLEANUP(key_freep) = key_of(name);
    char *out = fingerprints[next++ % COUNT_OF(fingerprints)];
    key_fingerprint(key, out);
    return out;
}

/* --- answers --- */

__attribute__((unused)) static void add_ca(struct buf *out, const char *name) {
    assert_ok(buf_add_format(out,
                             "{\"revision\":\"10\",\"kind\":\"ca\",\"key\":\"%s\",\"state\":"
                             "{\"type\":\"%s\",\"publicKey\":\"%s\"}},",
                             fingerprint_of(name), strcmp(name, "ca") == 0 ? "user" : "host",
                             line_of(name)));
}

__attribute__((unused)) static void add(struct buf *out, const char *kind, const char *key,
                                        const char *state) {
    assert_ok(change_answer_add(out, 10, kind, key, state));
}

/* What every test starts from. */
__attribute__((unused)) static void put_snapshot(struct buf *out) {
    static const struct {
        const char *kind, *key, *state;
    } things[] = {
        {"account", "alice", "{\"enabled\":true,\"clusters\":[\"daint\",\"santis\"]}"},
        {"account", "bob", "{\"enabled\":false,\"clusters\":[\"daint\"]}"},
        {"account", "carol", "{\"enabled\":true,\"clusters\":[\"daint2\",\"adaint\"]}"},
        {"account", "dave", "{\"enabled\":true,\"clusters\":[]}"},
        {"revocation", "66",
         "{\"account\":\"alice\",\"expireTime\":\"2027-01-20T00:00:00Z\",\"reason\":\"lost\"}"},
        {"revocation", "18446744073709551615",
         "{\"account\":\"alice\",\"expireTime\":\"2027-01-10T00:00:00Z\",\"reason\":\"lost\"}"},
        {"cluster", "daint", "{\"address\":\"login.daint.example\",\"port\":0}"},
        {"cluster", "santis", "{\"address\":\"192.0.2.7\",\"port\":22}"},
        {"cluster", "bare", "{\"address\":\"\",\"port\":22}"},
        {"cluster", "daint2", "{\"address\":\"192.0.2.7\",\"port\":22}"},
        {"host", "daint-ln1",
         "{\"cluster\":\"daint\",\"role\":\"login\",\"address\":\"10.0.0.1\",\"port\":2222}"},
        {"host", "nid001.daint.example",
         "{\"cluster\":\"daint\",\"role\":\"compute\",\"address\":\"\",\"port\":22}"},
        {"host", "six",
         "{\"cluster\":\"santis\",\"role\":\"login\",\"address\":\"2001:DB8:0::1\",\"port\":22}"},
        {"host", "here",
         "{\"cluster\":\"santis\",\"role\":\"login\",\"address\":\"127.0.0.1\",\"port\":2200}"},
        {"host", "ela",
         "{\"cluster\":\"\",\"role\":\"jump\",\"address\":\"192.0.2.9\",\"port\":22}"},
    };
    assert_ok(change_answer_begin(out, 10, true));
    add_ca(out, "ca");
    add_ca(out, "ca2"); /* known, but for hosts */
    out->len--;         /* the comma; the next brings its own */
    for (size_t i = 0; i < COUNT_OF(things); i++) {
        add(out, things[i].kind, things[i].key, things[i].state);
    }
    char state[512];
    (void)snprintf(state, sizeof state,
                   "{\"account\":\"alice\",\"publicKey\":\"%s\",\"ipSubnets\":[\"10.0.0.0/8\","
                   "\"2001:db8::/32\"]}",
                   line_of("alice"));
    add(out, "key", "1", state);
    (void)snprintf(state, sizeof state,
                   "{\"account\":\"alice\",\"publicKey\":\"%s\",\"expireTime\":"
                   "\"2027-01-20T00:00:00Z\"}",
                   line_of("bob"));
    add(out, "key", "2", state);
    assert_ok(change_answer_end(out));
}

__attribute__((unused)) static struct change_answer *decode(const char *json) {
    struct change_answer *answer = NULL;
    struct fault fault = {0};
    err_t err = change_answer_decode(span_str(json), &answer, &fault);
    if (failed(err)) {
        print_error("%s: %s\n%s\n", fault.field, fault.reason, json);
    }
    assert_ok(err);
    return answer;
}

__attribute__((unused)) static bool apply(struct view *view, const char *json) {
    struct change_answer *answer CLEANUP(change_answer_freep) = decode(json);
    bool revoked = false;
    assert_ok(view_apply(view, answer, NOW, &revoked));
    return revoked;
}

/* One change of a later revision. */
__attribute__((unused)) static const char *one(const char *kind, const char *key,
                                               const char *state) {
    static char json[2048];
    struct buf out CLEANUP(buf_done) = BUF(sizeof json);
    assert_ok(change_answer_begin(&out, 11, false));
    assert_ok(change_answer_add(&out, 11, kind, key, state));
    assert_ok(change_answer_end(&out));
    (void)snprintf(json, sizeof json, "%.*s", (int)out.len, (const char *)out.data);
    return json;
}

__attribute__((unused)) static struct view *fresh(void) {
    struct buf out CLEANUP(buf_done) = BUF(65536);
    struct view *view = NULL;
    put_snapshot(&out);
    assert_ok(buf_add_byte(&out, '\0'));
    assert_ok(view_new(&view));
    assert_false(apply(view, (const char *)out.data)); /* nobody is in yet */
    return view;
}

/* With a certificate, at NOW. */
__attribute__((unused)) static struct view_destination
destination_of(const struct view *view, const char *user, span_t host, uint16_t port) {
    const struct view_asked asked = {
        .user = user, .by = CREDENTIALS_CERTIFICATES, .host = host, .port = port, .now = NOW};
    return view_destination(view, &asked);
}

#endif
