/* A site with jobs of every kind, for the replica and the view alike. */
#ifndef POSTERN_TESTS_UNIT_JOB_SITE_H
#define POSTERN_TESTS_UNIT_JOB_SITE_H

#include "replica_fixture.h"

#define AT(text) "\"startTime\":\"" text "\""
#define STATE_JOB(account, cluster, user, type, nodes, more)                                       \
    "{\"account\":\"" account "\",\"cluster\":\"" cluster "\",\"user\":\"" user                    \
    "\",\"type\":\"" type "\",\"nodes\":[" nodes "]," more "}"
#define BEFORE AT("2027-01-15T00:00:00Z") /* NOW is 08:00 of that day */
#define LATER  AT("2027-01-15T07:00:00Z")

__attribute__((unused)) static const struct {
    const char *kind, *key, *state;
} site[] = {
    {"account", "alice", "{\"enabled\":true,\"clusters\":[\"nancy\",\"open\"]}"},
    {"account", "bob",
     "{\"enabled\":true,\"clusters\":[\"nancy\",\"open\"],\"ipSubnets\":[\"10.0.0.0/8\","
     "\"192.0.2.0/24\"],\"critical\":[\"ipSubnets\"]}"},
    {"account", "carol", "{\"enabled\":true,\"clusters\":[\"open\"]}"},
    {"account", "dave", "{\"enabled\":false,\"clusters\":[]}"},
    {"cluster", "nancy",
     "{\"address\":\"\",\"port\":22,\"nodeAccess\":\"job\",\"credentials\":\"certificates\"}"},
    {"cluster", "open", "{\"address\":\"\",\"port\":22,\"credentials\":\"keys\"}"},
    {"host", "ln", "{\"cluster\":\"nancy\",\"role\":\"login\",\"address\":\"\",\"port\":22}"},
    {"host", "n1", "{\"cluster\":\"nancy\",\"role\":\"compute\",\"address\":\"\",\"port\":22}"},
    {"host", "n2", "{\"cluster\":\"nancy\",\"role\":\"compute\",\"address\":\"\",\"port\":22}"},
    {"host", "c1", "{\"cluster\":\"open\",\"role\":\"compute\",\"address\":\"\",\"port\":22}"},
    {"host", "j1", "{\"cluster\":\"nancy\",\"role\":\"job\",\"address\":\"\",\"port\":22}"},
    {"host", "lost", "{\"cluster\":\"gone\",\"role\":\"compute\",\"address\":\"\",\"port\":22}"},
    {"host", "jump", "{\"cluster\":\"\",\"role\":\"jump\",\"address\":\"\",\"port\":22}"},
    {"job", "1@nancy", STATE_JOB("alice", "nancy", "alice", "shared", "\"n1\",\"n2\"", BEFORE)},
    {"job", "2@nancy", STATE_JOB("alice", "nancy", "alice", "shared", "\"n1\"", LATER)},
    {"job", "3@nancy", STATE_JOB("bob", "nancy", "bob", "deploy", "\"n2\"", BEFORE)},
    /* Nothing comes of these. */
    {"job", "4@nancy", STATE_JOB("alice", "nancy", "bob", "whole", "\"n1\",\"j1\"", BEFORE)},
    {"job", "5@nancy", STATE_JOB("alice", "nancy", "bob", "deploy", "\"n1\"", BEFORE)},
    {"job", "6@nancy", STATE_JOB("carol", "nancy", "carol", "deploy", "\"n1\",\"ln\"", BEFORE)},
    {"job", "7@nancy", STATE_JOB("dave", "nancy", "dave", "shared", "\"n1\"", BEFORE)},
    {"job", "8@nancy", STATE_JOB("erin", "nancy", "erin", "shared", "\"n1\"", BEFORE)},
    {"job", "9@open", STATE_JOB("bob", "open", "bob", "deploy", "\"n1\",\"c1\"", BEFORE)},
    {"job", "10@nancy",
     STATE_JOB("bob", "nancy", "bob", "shared", "\"n1\"", AT("2027-01-15T08:00:01Z"))},
    {"job", "11@nancy",
     STATE_JOB("bob", "nancy", "bob", "shared", "\"n1\"",
               BEFORE ",\"endTime\":\"2027-01-15T08:00:00Z\"")},
    {"job", "12@nancy",
     STATE_JOB("bob", "nancy", "bob", "shared", "\"n1\"",
               LATER ",\"endTime\":\"2027-01-15T06:00:00Z\"")},
    {"job", "13@nancy", STATE_JOB("bob", "nancy", "bob", "shared", "", BEFORE)},
    {"key", "1", "{\"account\":\"alice\",\"publicKey\":\"" CA_LINE "\"}"},
    {"key", "2", "{\"account\":\"bob\",\"publicKey\":\"" CA_LINE "\",\"use\":\"internal\"}"},
    /* A machine of its own: as whom the job says, there and nowhere else. */
    {"job", "20@nancy",
     STATE_JOB("alice", "nancy", "uprod", "cluster", "\"j1\",\"n1\",\"ln\"",
               BEFORE ",\"endTime\":\"2027-01-15T08:00:01Z\",\"address\":\"192.0.2.77\","
                      "\"port\":2201")},
};

__attribute__((unused)) static void put_site(struct buf *json) {
    assert_ok(change_answer_begin(json, 10, true));
    for (size_t i = 0; i < COUNT_OF(site); i++) {
        assert_ok(change_answer_add(json, 10, site[i].kind, site[i].key, site[i].state));
    }
    assert_ok(change_answer_end(json));
    assert_ok(buf_add_byte(json, '\0'));
}

__attribute__((unused)) static void stand_at(struct replica *replica, const char *host) {
    struct replica_self self = {.max_age_s = MAX_AGE_S};
    (void)snprintf(self.name, sizeof self.name, "%s", host);
    assert_ok(replica_self_put(replica, &self));
}

#endif
