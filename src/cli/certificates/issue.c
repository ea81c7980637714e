#include "cli/certificates/issue.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "cli/certificates/received.h"

static err_t make_body(const struct key *key, json_t *wish, json_t **out) {
    struct buf line CLEANUP(buf_done) = BUF(LIMIT_KEY_LINE_CHARS);
    char *text CLEANUP(freep) = NULL;
    /* Without the comment, which often tells a name and a machine. */
    TRY(key_print_line(key, NULL, &line));
    TRY(buf_to_str(&line, &text));
    json_t *body CLEANUP(json_freep) = json_pack("{s:s}", "publicKey", text);
    if (body == NULL || (wish != NULL && json_object_update(body, wish) != 0)) {
        return FAIL(ERR_MEMORY);
    }
    *out = TAKE(body);
    return OK;
}

/* For a key known only to the agent ssh needs its public half beside the certificate, and the
 * folder may not be there yet. */
static err_t prepare_files(struct cli *cli, const struct user_key *key) {
    const char *slash = strrchr(key->path, '/');
    if (!key->in_agent || slash == NULL || slash == key->path) {
        return OK;
    }
    char *dir CLEANUP(freep) = strndup(key->path, (size_t)(slash - key->path));
    char *path CLEANUP(freep) = NULL;
    struct buf line CLEANUP(buf_done) = BUF(LIMIT_KEY_LINE_CHARS);
    if (dir == NULL || asprintf(&path, "%s.pub", key->path) < 0) {
        path = NULL;
        return FAIL(ERR_MEMORY);
    }
    err_t err = file_make_dirs(dir, 0700);
    if (failed(err)) {
        return trouble_of(&cli->trouble, err, "cannot make %s", dir);
    }
    TRY(key_print_line(key->public, key->comment, &line));
    TRY(buf_add_byte(&line, '\n'));
    err = file_put(path, buf_span(&line), 0644, 0);
    return failed(err) ? trouble_of(&cli->trouble, err, "cannot write %s", path) : OK;
}

err_t certificate_issue(struct cli *cli, struct site *site, struct api *api,
                        const struct user_key *key, json_t *wish, json_t **ssh_key,
                        struct cert **out) {
    json_t *owned CLEANUP(json_freep) = wish;
    json_t *body = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    struct cert *cert CLEANUP(cert_freep) = NULL;
    const json_t *told = NULL;
    const char *line = NULL;
    TRY(make_body(key->public, owned, &body));
    TRY(api_send(api, HTTP_POST, "/api/v1/ssh-keys/sign", body, &answer));
    TRY(answer_object(cli, answer, "sshKey", &told));
    TRY(answer_text(cli, told, "publicKey", &line));
    TRY(received_check(cli, site, line, key->public, api_username(api), &cert));
    TRY(prepare_files(cli, key));
    TRY(received_write(cli, cert, key->comment, key->cert_path));
    if (ssh_key != NULL) {
        *ssh_key = json_incref(json_object_get(answer, "sshKey"));
    }
    *out = TAKE(cert);
    return OK;
}

struct stale {
    const struct cert *fresh;
    struct buf blobs[32];
    size_t count;
};

static void stale_done(struct stale *stale) {
    for (size_t i = 0; i < stale->count; i++) {
        buf_done(&stale->blobs[i]);
    }
}

/* Left in the agent they are offered first, and a server counts each as a failed attempt. */
static err_t on_identity(void *context, span_t blob, span_t comment) {
    (void)comment;
    struct stale *stale = context;
    struct cert *cert CLEANUP(cert_freep) = NULL;
    if (!cert_is_blob(blob) || stale->count == COUNT_OF(stale->blobs) ||
        failed(cert_parse(blob, &cert)) || !key_equal(cert->key, stale->fresh->key) ||
        !key_equal(cert->ca_key, stale->fresh->ca_key)) {
        return OK;
    }
    buf_init(&stale->blobs[stale->count], LIMIT_CERT_BLOB_BYTES);
    TRY(buf_add(&stale->blobs[stale->count], blob));
    stale->count++;
    return OK;
}

static err_t remove_stale(struct agent_client *agent, const struct cert *fresh) {
    struct stale stale CLEANUP(stale_done) = {.fresh = fresh};
    struct buf request CLEANUP(buf_done) = BUF(LIMIT_AGENT_MESSAGE_BYTES);
    span_t answer = {0};
    TRY(agent_put_request_identities(&request));
    TRY(agent_client_call(agent, &request, &answer));
    TRY(agent_get_identities(answer, on_identity, &stale));
    for (size_t i = 0; i < stale.count; i++) {
        buf_clear(&request);
        TRY(agent_put_remove_identity(&request, buf_span(&stale.blobs[i])));
        TRY(agent_client_call(agent, &request, &answer));
    }
    return OK;
}

err_t certificate_to_agent(struct cli *cli, struct agent_client *agent,
                           const struct private_key *private, const struct cert *cert,
                           const char *comment) {
    struct buf request CLEANUP(buf_done) = BUF(LIMIT_AGENT_MESSAGE_BYTES);
    span_t answer = {0};
    uint64_t now = (uint64_t)clock_now_s();
    uint64_t left = cert->valid_before > now ? cert->valid_before - now : 1;
    uint32_t lifetime_s = left > UINT32_MAX ? UINT32_MAX : (uint32_t)left;
    ignore_err(remove_stale(agent, cert)); /* a leftover costs an attempt, no more */
    err_t err = agent_put_add_identity(&request, private, cert, comment, lifetime_s);
    if (!failed(err)) {
        err = agent_client_call(agent, &request, &answer);
    }
    if (!failed(err)) {
        err = agent_get_success(answer);
    }
    if (failed(err)) {
        return trouble_set(&cli->trouble, EXIT_INTERNAL,
                           "the certificate is written, but the agent did not take it: %s",
                           err_text(err));
    }
    return OK;
}
