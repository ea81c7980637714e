/* Which accounts a frontend keeps keys for, and what is to be done for each. */
#include "feed_fixture.h"
#include "host/home/internal_keys.h"
#include "host/home/internal_table.h"
#include "host/host.h"

static void decides(void **state) {
    (void)state;
    static const struct {
        struct internal_facts facts;
        enum internal_step step;
    } rows[] = {
        {{.home_registered = false}, INTERNAL_MAKE},
        {{.home_is_kept = true}, INTERNAL_MAKE}, /* ended by an administrator */
        {{.kept_registered = true}, INTERNAL_WRITE},
        {{.home_is_kept = true, .kept_registered = true}, INTERNAL_NOTHING},
        /* Another frontend's is as good, whatever is kept here: two would fight for ever. */
        {{.home_registered = true}, INTERNAL_NOTHING},
        {{.home_registered = true, .kept_registered = true}, INTERNAL_NOTHING},
        {{true, true, true}, INTERNAL_NOTHING},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(internal_decide(&rows[i].facts), rows[i].step);
    }
}

/* --- the table --- */

#define KEY_1 "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIdYWT5ISCRqx8yp0EcFYjJkuDhuPWTdeW10I2mZ1cdr"
#define KEY_2 "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF9UKjM/9DaCTpqVwm3vIVCFjd9gO0dTqRSlUUqbqQy4"
#define INTERNAL(id, account, key)                                                                 \
    "{\"revision\":\"1\",\"kind\":\"key\",\"key\":\"" id "\",\"state\":{\"account\":\"" account    \
    "\",\"publicKey\":\"" key "\",\"ipSubnets\":[\"10.0.0.0/8\"],\"use\":\"internal\","            \
    "\"critical\":[\"use\"]}}"
#define ACCOUNT(name, clusters)                                                                    \
    "{\"revision\":\"1\",\"kind\":\"account\",\"key\":\"" name                                     \
    "\",\"state\":{\"enabled\":true,\"clusters\":[" clusters "]}}"
#define HOST(name, role)                                                                           \
    "{\"revision\":\"1\",\"kind\":\"host\",\"key\":\"" name                                        \
    "\",\"state\":{\"cluster\":\"nancy\",\"role\":\"" role "\",\"address\":\"\",\"port\":0}}"

static struct replica *open_replica(const char *path, const char *self) {
    struct replica *replica = NULL;
    struct replica_self me = {.max_age_s = 86400};
    (void)snprintf(me.name, sizeof me.name, "%s", self);
    assert_ok(replica_open_write(path, (gid_t)-1, &replica));
    assert_ok(replica_self_put(replica, &me));
    return replica;
}

static void feed(struct replica *replica, const char *revision, const char *changes) {
    char json[4096];
    replica_kinds touched = 0;
    (void)snprintf(json, sizeof json, "{\"revision\":\"%s\",\"snapshot\":true,\"changes\":[%s]}",
                   revision, changes);
    struct change_answer *answer CLEANUP(change_answer_freep) = decode(json);
    assert_ok(replica_begin(replica));
    assert_ok(replica_apply(replica, answer, NOW, &touched));
    assert_ok(replica_commit(replica));
}

static void table_donep(struct kept_table *table) { kept_table_done(table); }

static void update(struct kept_table *table, struct replica *replica) {
    assert_ok(kept_table_update(table, replica, NOW));
}

static void follows_the_replica(void **state) {
    (void)state;
    struct kept_table table CLEANUP(table_donep) = {0};
    struct replica *replica CLEANUP(replica_closep) = open_replica("a.db", "fnancy");
    assert_int_equal(fixture_run("mkdir kept && touch kept/carol kept/alice kept/.x kept/a.new"),
                     0);
    assert_ok(kept_table_load(&table, "kept"));
    assert_int_equal(table.count, 2);
    feed(replica, "1",
         HOST("fnancy", "login") "," ACCOUNT("bob", "\"nancy\"") "," ACCOUNT(
             "alice", "\"lyon\",\"nancy\"") "," ACCOUNT("dave", "\"lyon\"") "," INTERNAL("1",
                                                                                         "alice",
                                                                                         KEY_1));
    update(&table, replica);
    assert_int_equal(table.count, 3);
    assert_string_equal(table.rows[0].name, "alice");
    assert_true(table.rows[0].entitled && table.rows[0].ours && !table.rows[0].settled);
    assert_true(kept_is_registered(&table.rows[0], KEY_1));
    assert_false(kept_is_registered(&table.rows[0], KEY_2));
    assert_false(kept_is_registered(&table.rows[0], ""));
    assert_false(kept_is_registered(&table.rows[0], "ssh-ed25519"));
    assert_string_equal(table.rows[1].name, "bob");
    assert_true(table.rows[1].entitled && !table.rows[1].ours);
    assert_false(kept_is_registered(&table.rows[1], ""));
    assert_string_equal(table.rows[2].name, "carol"); /* who left while nobody looked */
    assert_true(!table.rows[2].entitled && table.rows[2].ours);

    /* What stays as it was stays settled; what changed does not. */
    table.rows[0].settled = table.rows[1].settled = true;
    table.rows[2].ours = false; /* seen to */
    feed(replica, "2",
         HOST("fnancy", "login") "," ACCOUNT("bob", "\"nancy\"") "," ACCOUNT(
             "alice", "\"nancy\"") "," INTERNAL("2", "alice", KEY_2));
    update(&table, replica);
    assert_int_equal(table.count, 2);
    assert_false(table.rows[0].settled);
    assert_true(kept_is_registered(&table.rows[0], KEY_2));
    assert_true(table.rows[1].settled);
}

/* Were a node or a jump host to see the accounts of its cluster, it would keep keys for them. */
static void is_for_frontends(void **state) {
    (void)state;
    static const char *const roles[] = {HOST("fnancy", "compute"), HOST("other", "login")};
    for (size_t i = 0; i < COUNT_OF(roles); i++) {
        char path[16], changes[1024];
        struct kept_table table CLEANUP(table_donep) = {0};
        (void)snprintf(path, sizeof path, "role%zu.db", i);
        struct replica *replica CLEANUP(replica_closep) = open_replica(path, "fnancy");
        (void)snprintf(changes, sizeof changes, "%s,%s", roles[i], ACCOUNT("bob", "\"nancy\""));
        feed(replica, "1", changes);
        update(&table, replica);
        assert_int_equal(table.count, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decides),
        cmocka_unit_test(follows_the_replica),
        cmocka_unit_test(is_for_frontends),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
