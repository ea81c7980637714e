/*
 * The least that a relay of SSH can cost: relay_floor CIPHER up|down MEGABYTES PACKETS
 *
 * Between two TCP connections on loopback one thread reads PACKETS of 32 KiB at once, does one pass
 * of libcrypto over each in place, and writes. "up" is a client's direction: it comes encrypted and
 * is opened; "down" comes plain and is sealed. Prints that thread's CPU time per GB (10^9 bytes of
 * plain text) as JSON. That thread is on the first processor and the two that feed and drain it on
 * the second, so that one run is like another.
 *
 * chacha20-poly1305 is RFC 8439's here: the same two passes as OpenSSH's, less its second block for
 * the length.
 */
#include <arpa/inet.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
    CHUNK_BYTES = 32 * 1024,
    HEADER_BYTES = 4,
    TAG_BYTES_MAX = 32,
    PACKET_BYTES_MAX = HEADER_BYTES + CHUNK_BYTES + TAG_BYTES_MAX,
    PACKETS_MAX = 16,
};

struct floor_cipher {
    const char *name, *evp;
    size_t tag_bytes;
    bool aead; /* else HMAC-SHA-256 over what was encrypted */
};

static const struct floor_cipher floor_ciphers[] = {
    {"aes128-gcm@openssh.com", "AES-128-GCM", 16, true},
    {"aes256-gcm@openssh.com", "AES-256-GCM", 16, true},
    {"chacha20-poly1305@openssh.com", "ChaCha20-Poly1305", 16, true},
    {"aes256-ctr", "AES-256-CTR", 32, false},
};

struct floor {
    const struct floor_cipher *cipher;
    bool seal;
    EVP_CIPHER_CTX *context;
    EVP_MAC_CTX *mac;
    size_t packets; /* in a turn */
    uint64_t turns;
    int source[2], sink[2]; /* [0] is the relay's end */
};

static const uint8_t key_bytes[32] = {1, 2, 3};

static _Noreturn void die(const char *what) {
    (void)fprintf(stderr, "relay_floor: %s\n", what);
    exit(1);
}

static void must(bool went_well, const char *what) {
    if (!went_well) {
        die(what);
    }
}

static void connect_pair(int pair[2]) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(bind(listener, (struct sockaddr *)&address, len) == 0 && listen(listener, 1) == 0 &&
             getsockname(listener, (struct sockaddr *)&address, &len) == 0,
         "cannot listen");
    pair[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(connect(pair[1], (struct sockaddr *)&address, len) == 0, "cannot connect");
    pair[0] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    must(pair[0] >= 0, "cannot accept");
    (void)close(listener);
}

static void read_whole(int fd, uint8_t *data, size_t len) {
    while (len > 0) {
        ssize_t got = read(fd, data, len);
        must(got > 0, "cannot read");
        data += got;
        len -= (size_t)got;
    }
}

static void write_whole(int fd, const uint8_t *data, size_t len) {
    while (len > 0) {
        ssize_t sent = write(fd, data, len);
        must(sent > 0, "cannot write");
        data += sent;
        len -= (size_t)sent;
    }
}

static void prepare(struct floor *floor) {
    uint8_t iv[16] = {0};
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, floor->cipher->evp, NULL);
    floor->context = EVP_CIPHER_CTX_new();
    must(cipher != NULL &&
             EVP_CipherInit_ex2(floor->context, cipher, key_bytes, iv, floor->seal, NULL) == 1,
         "libcrypto refused the cipher");
    EVP_CIPHER_free(cipher);
    if (!floor->cipher->aead) {
        char digest[] = "SHA256";
        const OSSL_PARAM params[] = {
            OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_END};
        EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
        floor->mac = EVP_MAC_CTX_new(hmac);
        EVP_MAC_free(hmac);
        must(EVP_MAC_init(floor->mac, key_bytes, sizeof key_bytes, params) == 1,
             "libcrypto refused HMAC");
    }
}

static void authenticate(struct floor *floor, const uint8_t *packet, uint8_t tag[TAG_BYTES_MAX]) {
    size_t len;
    must(EVP_MAC_init(floor->mac, NULL, 0, NULL) == 1 &&
             EVP_MAC_update(floor->mac, packet, HEADER_BYTES + CHUNK_BYTES) == 1 &&
             EVP_MAC_final(floor->mac, tag, &len, TAG_BYTES_MAX) == 1,
         "HMAC");
}

/* One packet in place: 4 bytes of length in the clear, the data, the tag. */
static void pass(struct floor *floor, uint8_t *packet) {
    static const uint8_t iv[16] = {0};
    uint8_t *data = packet + HEADER_BYTES;
    uint8_t *tag = data + CHUNK_BYTES;
    uint8_t expected[TAG_BYTES_MAX];
    bool aead = floor->cipher->aead;
    int tag_len = (int)floor->cipher->tag_bytes;
    int len;
    if (!aead && !floor->seal) {
        authenticate(floor, packet, expected);
        must(memcmp(expected, tag, sizeof expected) == 0, "the tag is wrong");
    }
    must(EVP_CipherInit_ex2(floor->context, NULL, NULL, iv, -1, NULL) == 1, "iv");
    if (aead && !floor->seal) {
        must(EVP_CIPHER_CTX_ctrl(floor->context, EVP_CTRL_AEAD_SET_TAG, tag_len, tag) == 1, "tag");
    }
    must((!aead || EVP_CipherUpdate(floor->context, NULL, &len, packet, HEADER_BYTES) == 1) &&
             EVP_CipherUpdate(floor->context, data, &len, data, CHUNK_BYTES) == 1 &&
             EVP_CipherFinal_ex(floor->context, data + len, &len) == 1,
         "the packet does not open");
    if (aead && floor->seal) {
        must(EVP_CIPHER_CTX_ctrl(floor->context, EVP_CTRL_AEAD_GET_TAG, tag_len, tag) == 1, "tag");
    } else if (floor->seal) {
        authenticate(floor, packet, tag);
    }
}

/* What the data is among in one direction, and in the other. */
static size_t packet_bytes(const struct floor *floor, bool sealed) {
    return CHUNK_BYTES + (sealed ? HEADER_BYTES + floor->cipher->tag_bytes : 0);
}

static void stay_on(size_t processor) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    /* Where there is but one, all share it. */
    (void)pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

/* What is at the other ends: a client, which seals or opens as much, and its target. */
static void *feed(void *argument) {
    const struct floor *floor = argument;
    struct floor client = {.cipher = floor->cipher, .seal = true};
    size_t len = packet_bytes(floor, !floor->seal);
    uint8_t packet[PACKET_BYTES_MAX] = {0};
    prepare(&client);
    stay_on(1);
    for (uint64_t i = 0; i < floor->turns * floor->packets; i++) {
        if (!floor->seal) {
            pass(&client, packet);
        }
        write_whole(floor->source[1], packet, len);
    }
    return NULL;
}

static void *drain(void *argument) {
    const struct floor *floor = argument;
    struct floor client = {.cipher = floor->cipher, .seal = false};
    size_t len = packet_bytes(floor, floor->seal);
    uint8_t *batch = calloc(floor->packets, PACKET_BYTES_MAX);
    must(batch != NULL, "no memory");
    prepare(&client);
    stay_on(1);
    for (uint64_t i = 0; i < floor->turns; i++) {
        read_whole(floor->sink[1], batch, len * floor->packets);
        for (size_t j = 0; floor->seal && j < floor->packets; j++) {
            pass(&client, batch + j * len);
        }
    }
    free(batch);
    return NULL;
}

static double thread_cpu_s(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Reads the data of the packets, or the whole packets, into their places, or writes them. */
static void move(int fd, bool out, uint8_t *batch, size_t packets, size_t at, size_t len) {
    struct iovec parts[PACKETS_MAX];
    struct iovec *next = parts;
    for (size_t i = 0; i < packets; i++) {
        parts[i] = (struct iovec){batch + i * PACKET_BYTES_MAX + at, len};
    }
    while (packets > 0) {
        ssize_t count = out ? writev(fd, next, (int)packets) : readv(fd, next, (int)packets);
        must(count > 0, "cannot read or write");
        size_t done = (size_t)count;
        for (; packets > 0 && done >= next->iov_len; packets--) {
            done -= next++->iov_len;
        }
        if (packets > 0) {
            next->iov_base = (uint8_t *)next->iov_base + done;
            next->iov_len -= done;
        }
    }
}

static double relay(struct floor *floor) {
    uint8_t *batch = calloc(floor->packets, PACKET_BYTES_MAX);
    pthread_t feeder;
    pthread_t drainer;
    must(batch != NULL && pthread_create(&feeder, NULL, feed, floor) == 0 &&
             pthread_create(&drainer, NULL, drain, floor) == 0,
         "cannot start a thread");
    stay_on(0);
    double before = thread_cpu_s();
    for (uint64_t i = 0; i < floor->turns; i++) {
        move(floor->source[0], false, batch, floor->packets, floor->seal ? HEADER_BYTES : 0,
             packet_bytes(floor, !floor->seal));
        for (size_t j = 0; j < floor->packets; j++) {
            pass(floor, batch + j * PACKET_BYTES_MAX);
        }
        move(floor->sink[0], true, batch, floor->packets, floor->seal ? 0 : HEADER_BYTES,
             packet_bytes(floor, floor->seal));
    }
    double spent = thread_cpu_s() - before;
    (void)pthread_join(feeder, NULL);
    (void)pthread_join(drainer, NULL);
    free(batch);
    return spent / ((double)(floor->turns * floor->packets) * CHUNK_BYTES / 1e9);
}

int main(int argc, char **argv) {
    uint64_t megabytes = argc == 5 ? strtoull(argv[3], NULL, 10) : 0;
    struct floor floor = {.packets = argc == 5 ? strtoull(argv[4], NULL, 10) : 0};
    for (size_t i = 0; argc == 5 && i < sizeof floor_ciphers / sizeof *floor_ciphers; i++) {
        if (strcmp(argv[1], floor_ciphers[i].name) == 0) {
            floor.cipher = &floor_ciphers[i];
        }
    }
    if (floor.cipher == NULL || megabytes == 0 || floor.packets == 0 ||
        floor.packets > PACKETS_MAX) {
        die("usage: relay_floor CIPHER up|down MEGABYTES PACKETS");
    }
    floor.turns = megabytes * 1000000 / (CHUNK_BYTES * floor.packets) + 1;
    floor.seal = strcmp(argv[2], "down") == 0;
    connect_pair(floor.source);
    connect_pair(floor.sink);
    prepare(&floor);
    (void)printf("{\"cipher\":\"%s\",\"direction\":\"%s\",\"packets\":%zu,\"cpu_s_per_gb\":%.4f}\n",
                 argv[1], argv[2], floor.packets, relay(&floor));
    return 0;
}
