/* Bearer tokens on disk; declared in site.h. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/site.h"

/* A token that ends within this time is not worth a call. */
enum {
    TOKEN_MARGIN_S = 10,
    TOKEN_CHARS_MAX = 16 * 1024,
    TOKEN_HASH_BYTES = 16,
    TOKEN_LOCK_MS = 60 * 1000
};

void token_done(struct token *token) {
    secret_done(&token->text);
    secret_done(&token->refresh);
    free(token->username);
    *token = (struct token){0};
}

/* The file's name must not tell the API key, and two keys must not share a token. */
static err_t token_path(const struct site *site, const char *api_key, char **out) {
    if (api_key == NULL) {
        return site_state_path(site->name, "token", out);
    }
    uint8_t hash[EVP_MAX_MD_SIZE];
    if (EVP_Digest(api_key, strlen(api_key), hash, NULL, EVP_sha256(), NULL) != 1) {
        return FAIL(ERR_CRYPTO);
    }
    struct buf name CLEANUP(buf_done) = BUF(128);
    TRY(buf_add_str(&name, "token-"));
    TRY(hex_encode(span_of(hash, TOKEN_HASH_BYTES), &name));
    char *text CLEANUP(freep) = NULL;
    TRY(buf_to_str(&name, &text));
    return site_state_path(site->name, text, out);
}

/* ERR_NOT_FOUND leaves trouble alone. */
static err_t check_private(struct trouble *trouble, const char *path, mode_t wanted) {
    struct stat status;
    if (lstat(path, &status) != 0) {
        return FAIL(ERR_NOT_FOUND);
    }
    if (status.st_uid != geteuid()) {
        return trouble_set(trouble, EXIT_REFUSED, "%s belongs to another user", path);
    }
    if (S_ISLNK(status.st_mode)) {
        trouble_next(trouble, "rm %s", path);
        return trouble_set(trouble, EXIT_REFUSED, "%s is a symbolic link", path);
    }
    if ((status.st_mode & 077) != 0) {
        trouble_next(trouble, "chmod %o %s", (unsigned)wanted, path);
        return trouble_set(trouble, EXIT_REFUSED, "others could read or replace %s", path);
    }
    return OK;
}

static err_t take_text(const json_t *json, const char *name, char **out) {
    const char *text = member_text(json, name);
    *out = text[0] != '\0' ? strdup(text) : NULL;
    return text[0] != '\0' && *out == NULL ? FAIL(ERR_MEMORY) : OK;
}

/* A damaged one is as good as absent. */
static err_t parse(const json_t *json, struct token *out) {
    const char *text = member_text(json, "accessToken"),
               *refresh = member_text(json, "refreshToken");
    struct token token CLEANUP(token_done) = {0};
    if (text[0] == '\0' ||
        failed(time_parse(span_str(member_text(json, "expireTime")), &token.expires_at))) {
        return FAIL(ERR_NOT_FOUND);
    }
    TRY(secret_copy(span_str(text), TOKEN_CHARS_MAX, &token.text));
    if (refresh[0] != '\0' &&
        !failed(time_parse(span_str(member_text(json, "endTime")), &token.ends_at))) {
        TRY(secret_copy(span_str(refresh), TOKEN_CHARS_MAX, &token.refresh));
    }
    TRY(take_text(json, "username", &token.username));
    *out = token;
    token = (struct token){0};
    return OK;
}

static err_t read_token(struct trouble *trouble, const struct site *site, const char *api_key,
                        struct token *out) {
    char *dir CLEANUP(freep) = NULL;
    char *path CLEANUP(freep) = NULL;
    TRY(site_state_path(site->name, NULL, &dir));
    TRY(token_path(site, api_key, &path));
    TRY(check_private(trouble, dir, 0700));
    TRY(check_private(trouble, path, 0600));
    struct buf bytes CLEANUP(buf_done) = BUF(LIMIT_STATE_FILE_BYTES);
    err_t err = file_read(path, &bytes);
    if (failed(err)) {
        return trouble_of(trouble, err, "cannot read %s", path);
    }
    json_t *json CLEANUP(json_freep) =
        json_loadb((const char *)bytes.data, bytes.len, JSON_REJECT_DUPLICATES, NULL);
    return parse(json, out);
}

err_t token_load(struct trouble *trouble, const struct site *site, const char *api_key,
                 struct token *out) {
    struct token token CLEANUP(token_done) = {0};
    TRY(read_token(trouble, site, api_key, &token));
    if (token.expires_at - TOKEN_MARGIN_S <= clock_now_s()) {
        return FAIL(ERR_NOT_FOUND);
    }
    *out = token;
    token = (struct token){0};
    return OK;
}

err_t token_load_renewable(struct trouble *trouble, const struct site *site, struct token *out) {
    struct token token CLEANUP(token_done) = {0};
    TRY(read_token(trouble, site, NULL, &token));
    if (token.refresh.len == 0 || token.ends_at - TOKEN_MARGIN_S <= clock_now_s()) {
        return FAIL(ERR_NOT_FOUND);
    }
    *out = token;
    token = (struct token){0};
    return OK;
}

err_t token_lock(struct trouble *trouble, const struct site *site, int *fd) {
    char *path CLEANUP(freep) = NULL;
    TRY(site_state_path(site->name, "token.lock", &path));
    err_t err = file_lock(path, TOKEN_LOCK_MS, fd);
    return failed(err) ? trouble_of(trouble, err, "cannot lock %s", path) : OK;
}

err_t token_save(struct trouble *trouble, const struct site *site, const char *api_key,
                 const struct token *token) {
    char *dir CLEANUP(freep) = NULL;
    char *path CLEANUP(freep) = NULL;
    TRY(site_state_path(site->name, NULL, &dir));
    TRY(token_path(site, api_key, &path));
    char expires[TIME_CHARS], ends[TIME_CHARS];
    time_print_utc(token->expires_at, expires);
    time_print_utc(token->ends_at, ends);
    bool renewable = token->refresh.len > 0;
    json_t *json CLEANUP(json_freep) =
        json_pack("{s:s, s:s, s:s*, s:s*, s:s*}", "accessToken", token->text.text, "expireTime",
                  expires, "username", token->username, "refreshToken",
                  renewable ? token->refresh.text : NULL, "endTime", renewable ? ends : NULL);
    char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
    if (text == NULL) {
        return FAIL(ERR_MEMORY);
    }
    err_t err = file_make_dirs(dir, 0700);
    if (!failed(err)) {
        err = check_private(trouble, dir, 0700);
        if (!failed(err)) {
            err = file_put(path, span_str(text), 0600, 0);
        }
    }
    secret_wipe(text, strlen(text));
    free(text);
    return failed(err) && trouble->what[0] == '\0'
               ? trouble_of(trouble, err, "cannot write %s", path)
               : err;
}

err_t token_remove(struct trouble *trouble, const struct site *site, const char *api_key) {
    char *path CLEANUP(freep) = NULL;
    TRY(token_path(site, api_key, &path));
    if (unlink(path) != 0 && access(path, F_OK) == 0) {
        return trouble_set(trouble, EXIT_INTERNAL, "cannot remove %s", path);
    }
    return OK;
}
