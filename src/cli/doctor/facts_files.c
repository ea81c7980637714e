/* Files: their modes, and what they are. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "cli/doctor/facts.h"
#include "cli/document.h"
#include "ssh/private_key.h"

static void look_at(struct fact_file *file, bool folder) {
    struct stat status;
    if (stat(file->path, &status) != 0) {
        file->there = errno != ENOENT && errno != ENOTDIR;
        return;
    }
    file->there = true;
    file->ours = status.st_uid == geteuid() || status.st_uid == 0;
    file->mode = status.st_mode & 07777;
    file->readable = (folder ? S_ISDIR(status.st_mode) : S_ISREG(status.st_mode)) &&
                     access(file->path, R_OK) == 0;
}

static void name_in(const struct facts *facts, const char *name, struct fact_file *file) {
    facts_join(file->path, sizeof file->path, span_str(facts->home), span_str(name));
}

static void read_text(const struct fact_file *file, struct buf *out) {
    if (file->readable) {
        ignore_err(file_read(file->path, out)); /* then it is empty, and the checks say nothing */
    }
}

static enum key_content content_of_err(err_t err) {
    switch (err.code) {
    case ERR_KEY_DSA:
        return KEY_OLD_DSA;
    case ERR_KEY_RSA1:
        return KEY_OLD_RSA1;
    case ERR_KEY_SIZE:
        return KEY_TOO_SHORT;
    default:
        return KEY_STRANGE;
    }
}

static enum key_content content_of_private(struct private_key_info *info, span_t text,
                                           struct fact_key *key) {
    key->encrypted = info->encrypted;
    key->public = TAKE(info->public_key);
    if (info->format == PRIVATE_KEY_PPK || info->format == PRIVATE_KEY_PPK_2) {
        return KEY_PPK;
    }
    bool openssh = info->format == PRIVATE_KEY_OPENSSH;
    return openssh && span_find_str(text, "\r\n") != NULL ? KEY_PRIVATE_CR : KEY_PRIVATE;
}

static enum key_content content_of(span_t text, struct fact_key *key) {
    struct private_key_info info CLEANUP(private_key_info_done) = {0};
    struct cert *cert CLEANUP(cert_freep) = NULL;
    err_t err = private_key_inspect(text, &info);
    if (!failed(err)) {
        return content_of_private(&info, text, key);
    }
    if (err.code == ERR_KEY_DSA || err.code == ERR_KEY_RSA1 || err.code == ERR_KEY_SIZE) {
        return content_of_err(err);
    }
    if (!failed(cert_parse_line(text, &cert, NULL))) {
        return KEY_CERTIFICATE;
    }
    if (key_is_ssh2(text)) {
        return KEY_SSH2;
    }
    err = key_parse_line(text, &key->public, NULL);
    return failed(err) ? content_of_err(err) : KEY_PUBLIC;
}

void facts_read_key(struct fact_key *key) {
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    look_at(&key->file, false);
    if (!key->file.there) {
        key->content = KEY_ABSENT;
    } else if (!key->file.readable || failed(file_read(key->file.path, &text)) || text.len == 0) {
        key->content = KEY_STRANGE;
    } else {
        key->content = content_of(buf_span(&text), key);
    }
}

static void read_marked(struct facts *facts) {
    struct key_list keys CLEANUP(key_list_done) = {0};
    span_t text = buf_span(&facts->known_hosts_text);
    ignore_err(document_ca_keys(facts->site->document, "hostCaKeys", &keys)); /* it was checked */
    const struct key *const *list = (const struct key *const *)keys.keys;
    facts->marked_ours = known_hosts_marked(text, list, keys.count, true);
    facts->marked_others = known_hosts_marked(text, list, keys.count, false);
}

void facts_gather_files(struct facts *facts) {
    char name[FACT_NAME_CHARS];
    (void)snprintf(name, sizeof name, "/.ssh/config.d/posterngate-%s", facts->site->name);
    name_in(facts, "/.ssh", &facts->folder);
    name_in(facts, "/.ssh/config", &facts->config);
    name_in(facts, "/.ssh/known_hosts", &facts->user_known_hosts);
    name_in(facts, name, &facts->site_config);
    look_at(&facts->folder, true);
    look_at(&facts->config, false);
    look_at(&facts->user_known_hosts, false);
    look_at(&facts->site_config, false);
    read_text(&facts->config, &facts->config_text);
    read_text(&facts->site_config, &facts->site_config_text);
    read_text(&facts->user_known_hosts, &facts->known_hosts_text);
    config_look(buf_span(&facts->config_text), facts->site->name, &facts->config_look);
    read_marked(facts);
    span_t key = span_str(facts->paths.path);
    facts_join(facts->key.file.path, FACT_CHARS, key, span_str(""));
    facts_join(facts->key_public.file.path, FACT_CHARS, key, span_str(".pub"));
    facts_read_key(&facts->key);
    facts_read_key(&facts->key_public);
}
