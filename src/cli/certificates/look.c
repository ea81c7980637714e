#include "cli/certificates/look.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "cli/document.h"

static const struct {
    const char *name;
    const char *text;
} states[] = {
    [LOOK_UNKNOWN] = {"unknown", "nobody looked"},
    [LOOK_MISSING] = {"missing", "there is no certificate"},
    [LOOK_MISMATCH] = {"mismatch", "for another key than the one beside it"},
    [LOOK_FOREIGN_CA] = {"foreign_ca", "signed by a CA that this site does not use"},
    [LOOK_NOT_YET] = {"not_yet_valid", "not valid yet"},
    [LOOK_EXPIRED] = {"expired", "expired"},
    [LOOK_VALID] = {"valid", "valid"},
};

const char *look_name(enum look_state state) { return states[state].name; }
const char *look_text(enum look_state state) { return states[state].text; }

void look_done(struct look *look) {
    cert_freep(&look->cert);
    *look = (struct look){0};
}

/* ERR_NOT_FOUND leaves trouble alone. */
static err_t read_line(struct cli *cli, const char *path, struct buf *out) {
    err_t err = file_read(path, out);
    if (failed(err) && err.code != ERR_NOT_FOUND) {
        return key_file_trouble(cli, err, path);
    }
    return err;
}

static err_t compare_key(struct cli *cli, const struct user_key *key, struct look *look) {
    char *path CLEANUP(freep) = NULL;
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    struct key *public CLEANUP(key_freep) = NULL;
    if (asprintf(&path, "%s.pub", key->path) < 0) {
        path = NULL;
        return FAIL(ERR_MEMORY);
    }
    err_t err = read_line(cli, path, &text);
    if (err.code == ERR_NOT_FOUND) {
        return OK;
    }
    TRY(err);
    err = key_parse_line(buf_span(&text), &public, NULL);
    if (failed(err)) {
        return key_file_trouble(cli, err, path);
    }
    look->key = key_equal(public, look->cert->key) ? LOOK_KEY_MATCHES : LOOK_KEY_DIFFERS;
    return OK;
}

static enum look_state judge(const struct look *look, const struct key_list *ca_keys) {
    uint64_t now = (uint64_t)clock_now_s();
    if (look->key == LOOK_KEY_DIFFERS) {
        return LOOK_MISMATCH;
    }
    if (ca_keys != NULL && !key_list_has(ca_keys, look->cert->ca_key)) {
        return LOOK_FOREIGN_CA;
    }
    if (now < look->cert->valid_after) {
        return LOOK_NOT_YET;
    }
    return now >= look->cert->valid_before ? LOOK_EXPIRED : LOOK_VALID;
}

err_t certificate_look(struct cli *cli, const struct site *site, const struct user_key *key,
                       struct look *out) {
    struct look look CLEANUP(look_done) = {0};
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    struct key_list ca_keys CLEANUP(key_list_done) = {0};
    err_t err = read_line(cli, key->cert_path, &text);
    if (err.code == ERR_NOT_FOUND) {
        *out = (struct look){.state = LOOK_MISSING};
        return OK;
    }
    TRY(err);
    err = cert_parse_line(buf_span(&text), &look.cert, NULL);
    if (failed(err)) {
        return trouble_of(&cli->trouble, err, "%s", key->cert_path);
    }
    TRY(compare_key(cli, key, &look));
    TRY(site == NULL ? OK : document_ca_keys(site->document, "userCaKeys", &ca_keys));
    look.state = judge(&look, site == NULL ? NULL : &ca_keys);
    *out = look;
    look = (struct look){0};
    return OK;
}
