/*
 * What an authority says of itself under /.well-known/posterngate. Kept in site.json as it came,
 * once document_check() has found it sound.
 */
#ifndef POSTERN_CLI_DOCUMENT_H
#define POSTERN_CLI_DOCUMENT_H

#include <jansson.h>

#include "base/err.h"
#include "ssh/key.h"

/*
 * The site's name is a safe folder name, CA keys parse, and the default key file is a plain name in
 * ~/.ssh that ssh itself gives no meaning: an authority must not choose other files to write.
 * ERR_PROTOCOL with a fault.
 */
err_t document_check(const json_t *document, struct fault *fault);

/* True when both list the same CA keys, in any order. */
bool document_same_ca_keys(const json_t *a, const json_t *b);

struct key_list {
    struct key **keys;
    size_t count;
};
void key_list_done(struct key_list *list);
/* member: "userCaKeys" or "hostCaKeys". */
err_t document_ca_keys(const json_t *document, const char *member, struct key_list *out);
bool key_list_has(const struct key_list *list, const struct key *key);

bool document_wants_encrypted_keys(const json_t *document);
const char *document_key_file(const json_t *document);

#endif
