#include "gate/control.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "ssh/wire.h"

enum { HEAD_BYTES = 2, READ_BYTES = 64 * 1024 };

err_t control_get(span_t *stream, size_t body_max, struct control_frame *out) {
    span_t rest = *stream, body;
    uint32_t len;
    uint8_t type, fd_count;
    TRY(wire_get_u32(&rest, &len));
    if (len < HEAD_BYTES) {
        return FAIL(ERR_MALFORMED);
    }
    if (len - HEAD_BYTES > body_max) {
        return FAIL(ERR_TOO_LONG);
    }
    TRY(wire_get_u8(&rest, &type));
    TRY(wire_get_u8(&rest, &fd_count));
    if (type < CONTROL_LISTENERS || type > CONTROL_SETUP_REFUSED) {
        return FAIL(ERR_MALFORMED);
    }
    if (fd_count > CONTROL_FDS_MAX) {
        return FAIL(ERR_RANGE);
    }
    TRY(wire_get_bytes(&rest, len - HEAD_BYTES, &body));
    *out =
        (struct control_frame){.type = (enum control_type)type, .body = body, .fd_count = fd_count};
    *stream = rest;
    return OK;
}

err_t control_put(struct buf *out, enum control_type type, size_t fd_count, span_t body) {
    size_t before = out->len, mark = 0;
    INVARIANT(fd_count <= CONTROL_FDS_MAX);
    err_t err = wire_string_begin(out, &mark);
    if (!failed(err)) {
        err = wire_put_u8(out, (uint8_t)type);
    }
    if (!failed(err)) {
        err = wire_put_u8(out, (uint8_t)fd_count);
    }
    if (!failed(err)) {
        err = buf_add(out, body);
    }
    if (failed(err)) {
        out->len = before;
        return err;
    }
    wire_string_end(out, mark);
    return OK;
}

/* The configuration may be longer than wire_get_string() takes. */
static err_t get_long_string(span_t *from, span_t *out) {
    span_t rest = *from;
    uint32_t len;
    TRY(wire_get_u32(&rest, &len));
    TRY(wire_get_bytes(&rest, len, out));
    *from = rest;
    return OK;
}

err_t control_put_setup(struct buf *out, const struct control_setup *setup) {
    TRY(wire_put_u32(out, (uint32_t)setup->config.len));
    TRY(buf_add(out, setup->config));
    TRY(wire_put_u32(out, (uint32_t)setup->count));
    for (size_t i = 0; i < setup->count; i++) {
        TRY(wire_put_string(out, setup->host_keys[i].key));
        TRY(wire_put_string(out, setup->host_keys[i].cert));
    }
    return OK;
}

err_t control_get_setup(span_t body, struct control_setup *out) {
    struct control_setup setup = {.count = 0};
    uint32_t count;
    TRY(get_long_string(&body, &setup.config));
    TRY(wire_get_u32(&body, &count));
    if (count == 0 || count > GATE_HOST_KEYS_MAX) {
        return FAIL(ERR_RANGE);
    }
    for (; setup.count < count; setup.count++) {
        TRY(wire_get_string(&body, &setup.host_keys[setup.count].key));
        TRY(wire_get_string(&body, &setup.host_keys[setup.count].cert));
    }
    TRY(wire_expect_end(body));
    *out = setup;
    return OK;
}

void control_init(struct control *control, int fd, size_t body_max) {
    *control = (struct control){.fd = fd, .body_max = body_max};
    buf_init(&control->input, body_max + sizeof(uint32_t) + HEAD_BYTES + READ_BYTES);
}

void control_done(struct control *control) {
    for (size_t i = 0; i < control->fd_count; i++) {
        fd_closep(&control->fds[i]);
    }
    control->fd_count = 0;
    buf_done(&control->input);
    fd_closep(&control->fd);
}

void control_frame_close(struct control_frame *frame) {
    for (size_t i = 0; i < frame->fd_count; i++) {
        fd_closep(&frame->fds[i]);
    }
    frame->fd_count = 0;
}

/* Takes what came beside the bytes; false when that is more than any two frames may bring. */
static bool take_descriptors(struct control *control, struct msghdr *message) {
    bool good = (message->msg_flags & MSG_CTRUNC) == 0;
    for (struct cmsghdr *item = CMSG_FIRSTHDR(message); item != NULL;
         item = CMSG_NXTHDR(message, item)) {
        if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t count = (item->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(item) + i * sizeof fd, sizeof fd);
            if (control->fd_count < COUNT_OF(control->fds)) {
                control->fds[control->fd_count++] = fd;
            } else {
                (void)close(fd);
                good = false;
            }
        }
    }
    return good;
}

union ancillary {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(CONTROL_FDS_MAX * sizeof(int))];
};

/* Reads what is there, once. */
static err_t read_some(struct control *control) {
    union ancillary ancillary;
    uint8_t *place;
    size_t before = control->input.len;
    TRY(buf_extend(&control->input, READ_BYTES, &place));
    struct iovec part = {.iov_base = place, .iov_len = READ_BYTES};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = ancillary.bytes,
                             .msg_controllen = sizeof ancillary.bytes};
    ssize_t got = recvmsg(control->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    control->input.len = before + (got > 0 ? (size_t)got : 0);
    if (got < 0) {
        return FAIL(errno == EAGAIN || errno == EINTR ? ERR_TRUNCATED : ERR_CLOSED);
    }
    if (!take_descriptors(control, &message)) {
        return FAIL(ERR_PROTOCOL);
    }
    return got == 0 ? FAIL(ERR_CLOSED) : OK;
}

static void drop_used(struct control *control) {
    struct buf *input = &control->input;
    memmove(input->data, input->data + control->used, input->len - control->used);
    input->len -= control->used;
    control->used = 0;
}

/* Gives the descriptors that belong to the frame. */
static err_t give(struct control *control, struct control_frame *frame) {
    if (frame->fd_count > control->fd_count) {
        return FAIL(ERR_PROTOCOL);
    }
    size_t left = control->fd_count - frame->fd_count;
    memcpy(frame->fds, control->fds, frame->fd_count * sizeof frame->fds[0]);
    memmove(control->fds, control->fds + frame->fd_count, left * sizeof control->fds[0]);
    control->fd_count = left;
    return OK;
}

err_t control_receive(struct control *control, struct control_frame *out) {
    struct control_frame frame;
    if (control->used > 0) {
        drop_used(control);
    }
    for (;;) {
        span_t stream = buf_span(&control->input);
        err_t err = control_get(&stream, control->body_max, &frame);
        if (!failed(err)) {
            control->used = control->input.len - stream.len;
            TRY(give(control, &frame));
            *out = frame;
            return OK;
        }
        if (err.code != ERR_TRUNCATED) {
            return err;
        }
        TRY(read_some(control));
    }
}

static void attach(struct msghdr *message, union ancillary *ancillary, const int *fds,
                   size_t count) {
    *ancillary = (union ancillary){.bytes = {0}};
    message->msg_control = ancillary->bytes;
    message->msg_controllen = CMSG_SPACE(count * sizeof fds[0]);
    struct cmsghdr *item = CMSG_FIRSTHDR(message);
    INVARIANT(item != NULL);
    item->cmsg_level = SOL_SOCKET;
    item->cmsg_type = SCM_RIGHTS;
    item->cmsg_len = CMSG_LEN(count * sizeof fds[0]);
    memcpy(CMSG_DATA(item), fds, count * sizeof fds[0]);
}

static err_t wait_for_room(int fd, int64_t deadline_ms) {
    int64_t left_ms = deadline_ms - clock_monotonic_ms();
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    return left_ms > 0 && poll(&ready, 1, (int)left_ms) != 0 ? OK : FAIL(ERR_TIMEOUT);
}

err_t control_send(struct control *control, enum control_type type, const int *fds, size_t fd_count,
                   span_t body) {
    struct buf out CLEANUP(buf_done) = BUF(CONTROL_BODY_BYTES_MAX + 64);
    union ancillary ancillary;
    int64_t deadline_ms = clock_monotonic_ms() + CONTROL_SEND_MS;
    TRY(control_put(&out, type, fd_count, body));
    for (size_t done = 0; done < out.len;) {
        struct iovec part = {.iov_base = out.data + done, .iov_len = out.len - done};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
        if (done == 0 && fd_count > 0) {
            attach(&message, &ancillary, fds, fd_count);
        }
        ssize_t sent = sendmsg(control->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            TRY(wait_for_room(control->fd, deadline_ms));
        } else if (sent < 0 && errno != EINTR) {
            return FAIL(ERR_CLOSED);
        } else if (sent > 0) {
            done += (size_t)sent;
        }
    }
    return OK;
}
