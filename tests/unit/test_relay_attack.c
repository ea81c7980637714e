/* The relay with clients that mean it ill, or do things in an order that nobody expects. */
#include "relay_rig.h"

static const char forwarding[] = "permit-port-forwarding";

/* Data that takes half of the window and the CLOSE come in one piece, so that the channel is gone
 * when its data reaches the target; and once more, so that its number is used again. */
static void test_data_and_close_at_once(void **state) {
    (void)state;
    enum { BYTES = 3 * 32 * 1024 };
    static uint8_t data[32 * 1024], got[BYTES];
    struct rig rig;
    struct peer peer CLEANUP(peer_done);
    uint16_t port;
    int target;
    rig_init(&rig);
    rig_start(&rig);
    struct cert *cert CLEANUP(cert_freep) = rig_cert("alice", 1, 600, forwarding);
    int listener = rig_listen(&port, 8);
    rig_tell_host(&rig, "t", "127.0.0.1", port);
    peer_login(&rig, &peer, cert);
    for (int i = 0; i < 2; i++) {
        channel_id channel = peer_channel(&peer, listener, port, 100000, &target);
        for (size_t at = 0; at < BYTES; at += sizeof data) {
            assert_ok(client_channel_data(peer.client, channel, span_of(data, sizeof data),
                                          clock_monotonic_ms(), &peer.out));
        }
        assert_ok(client_channel_close(peer.client, channel, clock_monotonic_ms(), &peer.out));
        peer_write(&peer);
        rig_read(target, got, sizeof got);
        (void)peer_await(&peer, CLIENT_CHANNEL_CLOSED);
        (void)close(target);
    }
    RIG_AWAIT(&rig, channels, 0);
    (void)close(listener);
    rig_done(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data_and_close_at_once),
    };
    return cmocka_run_group_tests(tests, rig_make_keys, rig_free_keys);
}
