#include "cli/certificates/issue.h"

#include <stdio.h>
#include <string.h>

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

err_t certificate_take(struct cli *cli, struct site *site, const struct user_key *key,
                       const char *username, const json_t *ssh_key, struct cert **out) {
    struct cert *cert CLEANUP(cert_freep) = NULL;
    const char *line = NULL;
    TRY(answer_text(cli, ssh_key, "publicKey", &line));
    TRY(received_check(cli, site, line, key->public, username, &cert));
    TRY(prepare_files(cli, key));
    TRY(received_write(cli, cert, key->comment, key->cert_path));
    *out = TAKE(cert);
    return OK;
}

err_t certificate_issue(struct cli *cli, struct site *site, struct api *api,
                        const struct user_key *key, const char *principal, json_t *wish,
                        json_t **ssh_key, struct cert **out) {
    json_t *owned CLEANUP(json_freep) = wish;
    json_t *body = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    const json_t *told = NULL;
    TRY(make_body(key->public, owned, &body));
    TRY(api_send(api, HTTP_POST, "/api/v1/ssh-keys/sign", body, &answer));
    TRY(answer_object(cli, answer, "sshKey", &told));
    TRY(certificate_take(cli, site, key, principal != NULL ? principal : api_username(api), told,
                         out));
    if (ssh_key != NULL) {
        *ssh_key = json_incref(json_object_get(answer, "sshKey"));
    }
    return OK;
}
