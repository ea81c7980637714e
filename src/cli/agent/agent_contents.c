#include "cli/agent/agent_contents.h"

#include <string.h>

#include "base/limits.h"

static void entry_done(struct agent_entry *entry) {
    buf_done(&entry->blob);
    free(entry->comment);
    key_free(entry->key);
    cert_free(entry->cert);
}

void agent_contents_done(struct agent_contents *contents) {
    for (size_t i = 0; i < contents->count; i++) {
        entry_done(&contents->entries[i]);
    }
    free(contents->entries);
    *contents = (struct agent_contents){0};
}

static err_t entry_read(span_t blob, span_t comment, struct agent_entry *out) {
    struct agent_entry entry CLEANUP(entry_done) = {.blob = BUF(LIMIT_AGENT_MESSAGE_BYTES)};
    TRY(buf_add(&entry.blob, blob));
    TRY(span_to_str(comment, &entry.comment));
    /* What is not understood is somebody's all the same: listed, and left alone. */
    if (cert_is_blob(blob)) {
        if (!failed(cert_parse(blob, &entry.cert))) {
            TRY(key_parse(key_blob(entry.cert->key), &entry.key));
        }
    } else {
        ignore_err(key_parse(blob, &entry.key));
    }
    *out = entry;
    entry = (struct agent_entry){0};
    return OK;
}

static err_t on_identity(void *context, span_t blob, span_t comment) {
    struct agent_contents *contents = context;
    if (contents->count == LIMIT_AGENT_KEYS_COUNT) {
        return FAIL(ERR_TOO_LONG);
    }
    struct agent_entry *entries =
        reallocarray(contents->entries, contents->count + 1, sizeof *entries);
    if (entries == NULL) {
        return FAIL(ERR_MEMORY);
    }
    contents->entries = entries;
    TRY(entry_read(blob, comment, &entries[contents->count]));
    contents->count++;
    return OK;
}

err_t agent_contents_read(struct agent_client *agent, struct agent_contents *out) {
    struct agent_contents contents CLEANUP(agent_contents_done) = {0};
    struct buf request CLEANUP(buf_done) = BUF(LIMIT_AGENT_MESSAGE_BYTES);
    span_t answer = {0};
    TRY(agent_put_request_identities(&request));
    TRY(agent_client_call(agent, &request, &answer));
    TRY(agent_get_identities(answer, on_identity, &contents));
    *out = contents;
    contents = (struct agent_contents){0};
    return OK;
}

bool agent_contents_has(const struct agent_contents *contents, span_t blob) {
    for (size_t i = 0; i < contents->count; i++) {
        if (span_equal(buf_span(&contents->entries[i].blob), blob)) {
            return true;
        }
    }
    return false;
}

bool agent_entry_is_expired(const struct agent_entry *entry, int64_t now) {
    return entry->cert != NULL && entry->cert->valid_before <= (uint64_t)now;
}

static err_t call(struct agent_client *agent, const struct buf *request) {
    span_t answer = {0};
    TRY(agent_client_call(agent, request, &answer));
    return agent_get_success(answer);
}

err_t agent_contents_remove(struct agent_client *agent, const struct agent_entry *entry) {
    struct buf request CLEANUP(buf_done) = BUF(LIMIT_AGENT_MESSAGE_BYTES);
    TRY(agent_put_remove_identity(&request, buf_span(&entry->blob)));
    return call(agent, &request);
}

/* Left in the agent they are offered first, and a server counts each as a failed attempt. *plain:
 * the agent holds the key without a certificate, and nobody asked us to keep it there. */
static err_t remove_predecessors(struct agent_client *agent, const struct cert *cert, bool *plain) {
    struct agent_contents contents CLEANUP(agent_contents_done) = {0};
    bool found = false, removed = false;
    TRY(agent_contents_read(agent, &contents));
    for (size_t i = 0; i < contents.count; i++) {
        const struct agent_entry *entry = &contents.entries[i];
        bool same = entry->key != NULL && key_equal(entry->key, cert->key);
        found = found || (same && entry->cert == NULL);
        if (same && entry->cert != NULL && key_equal(entry->cert->ca_key, cert->ca_key)) {
            TRY(agent_contents_remove(agent, entry));
            removed = true;
        }
    }
    *plain = found && !removed;
    return OK;
}

static err_t add(struct agent_client *agent, const struct private_key *key, const struct cert *cert,
                 const char *comment, uint32_t lifetime_s) {
    struct buf request CLEANUP(buf_done) = BUF(LIMIT_AGENT_MESSAGE_BYTES);
    TRY(agent_put_add_identity(&request, key, cert, comment, lifetime_s));
    return call(agent, &request);
}

err_t agent_contents_add(struct agent_client *agent, const struct private_key *key,
                         const struct cert *cert, const char *comment, int64_t now) {
    bool plain = false;
    if (cert == NULL) {
        return add(agent, key, NULL, comment, 0);
    }
    ignore_err(remove_predecessors(agent, cert, &plain)); /* a leftover costs an attempt, no more */
    uint64_t left = cert->valid_before > (uint64_t)now ? cert->valid_before - (uint64_t)now : 1;
    left = left > UINT32_MAX ? UINT32_MAX : left;
    TRY(add(agent, key, cert, comment, (uint32_t)left));
    return plain ? OK : add(agent, key, NULL, comment, (uint32_t)left);
}
