#include "cli/credentials/grant.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "cli/agent/agent_find.h"
#include "cli/api.h"
#include "cli/certificates/issue.h"
#include "model/policy_grant.h"
#include "ssh/sshsig.h"

enum { PROOF_BYTES_MAX = 64 * 1024 };

/* ---- the proof ---- */

static err_t sign_by_agent(const struct key *key, span_t data, struct buf *out) {
    struct agent_client *agent CLEANUP(agent_client_closep) = NULL;
    struct buf request CLEANUP(buf_done) = BUF(LIMIT_AGENT_MESSAGE_BYTES);
    span_t message, signature;
    TRY(agent_find_open(&agent));
    TRY(agent_put_sign_request(&request, key_blob(key), data, AGENT_RSA_SHA2_512));
    TRY(agent_client_call(agent, &request, &message));
    TRY(agent_get_sign_response(message, &signature));
    return buf_add(out, signature);
}

static err_t sign_by_file(const struct user_key *key, span_t data, struct buf *out) {
    struct buf file CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    struct private_key *private CLEANUP(private_key_freep) = NULL;
    TRY(file_read(key->path, &file));
    TRY(private_key_load(buf_span(&file), NULL, &private, NULL));
    TRY(key_equal(private_key_public(private), key->public) ? OK : FAIL(ERR_CONFLICT));
    return private_key_sign(private, data, RSA_SHA512, out);
}

/* A file without a passphrase, else an agent that has the key; *time_ms is when it was made. */
static err_t make_proof(const struct site *site, const struct user_key *key, const char *username,
                        int64_t *time_ms, struct buf *out) {
    struct buf message CLEANUP(buf_done) = BUF(PROOF_BYTES_MAX);
    struct buf data CLEANUP(buf_done) = BUF(PROOF_BYTES_MAX);
    struct buf signature CLEANUP(buf_done) = BUF(PROOF_BYTES_MAX);
    *time_ms = clock_now_ms();
    TRY(grant_proof_put(site->name, username, *time_ms, &message));
    TRY(sshsig_put_data(GRANT_PROOF_NAMESPACE, buf_span(&message), &data));
    err_t err = sign_by_file(key, buf_span(&data), &signature);
    if (failed(err)) {
        buf_clear(&signature);
        err = sign_by_agent(key->public, buf_span(&data), &signature);
    }
    TRY(err);
    return sshsig_print(key->public, GRANT_PROOF_NAMESPACE, buf_span(&signature), out);
}

static err_t make_body(const struct site *site, const struct user_key *key, json_t **out) {
    struct buf proof CLEANUP(buf_done) = BUF(PROOF_BYTES_MAX);
    const char *username = site->username == NULL ? "" : site->username;
    char time[24];
    int64_t time_ms;
    /* Whatever the reason: this process cannot sign with the key, and has no grant to use. */
    if (key_is_security_key(key->public) ||
        failed(make_proof(site, key, username, &time_ms, &proof))) {
        return FAIL(ERR_NOT_FOUND);
    }
    (void)snprintf(time, sizeof time, "%" PRId64, time_ms);
    json_t *body CLEANUP(json_freep) = json_pack("{s:s, s:o}", "time", time, "signature",
                                                 json_stringn((const char *)proof.data, proof.len));
    if (body == NULL || (username[0] != '\0' &&
                         json_object_set_new(body, "username", json_string(username)) != 0)) {
        return FAIL(ERR_MEMORY);
    }
    *out = TAKE(body);
    return OK;
}

/* ---- the certificate ---- */

static bool is_code(const struct api *api, const char *code) {
    return strcmp(api_problem_code(api), code) == 0;
}

/* What the authority refused, as sign-in by other ways needs it. */
static err_t settle(struct cli *cli, const struct api *api, err_t err) {
    /* An authority that knows nothing of grants has no such route either. */
    if (is_code(api, "no_grant") || is_code(api, "not_found")) {
        cli->trouble = (struct trouble){0};
        return FAIL(ERR_NOT_FOUND);
    }
    if (is_code(api, "grant_ended") || is_code(api, "proof_refused") || is_code(api, "conflict")) {
        cli->trouble.exit = EXIT_LOGIN;
    }
    return err;
}

/* From now on proofs say whose certificate it is to be: anybody may approve a public key, and a
 * certificate of theirs, or the question whose is meant, is not what this machine wants. */
static err_t keep_username(struct cli *cli, struct site *site, const char *username) {
    if (site->username != NULL) {
        return OK;
    }
    site->username = strdup(username);
    return site->username == NULL ? FAIL(ERR_MEMORY) : site_save(&cli->trouble, site);
}

err_t grant_renew(struct cli *cli, struct site *site, const struct user_key *key,
                  struct cert **out) {
    struct api *api CLEANUP(api_closep) = NULL;
    json_t *body = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    const json_t *ssh_key = NULL;
    const char *username = NULL;
    TRY(make_body(site, key, &body));
    err_t err = api_open(cli, site, API_ANYONE, &api);
    if (failed(err)) {
        json_decref(body);
        return err;
    }
    err = api_send(api, HTTP_POST, "/api/v1/grants/certificates", body, &answer);
    TRY(failed(err) ? settle(cli, api, err) : OK);
    TRY(answer_object(cli, answer, "sshKey", &ssh_key));
    TRY(answer_text(cli, answer, "username", &username));
    TRY(certificate_take(cli, site, key, username, ssh_key, out));
    return keep_username(cli, site, username);
}
