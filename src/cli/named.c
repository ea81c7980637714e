#include "cli/named.h"

#include <string.h>

static bool is_meant(const json_t *thing, const struct named *named, const char *word) {
    const char *fingerprint = member_text(thing, "fingerprint");
    return strcmp(member_text(thing, "id"), word) == 0 ||
           strcmp(member_text(thing, "name"), word) == 0 || strcmp(fingerprint, word) == 0 ||
           (named->fingerprint != NULL && strcmp(fingerprint, named->fingerprint) == 0);
}

err_t named_find(struct cli *cli, const struct named *named, const char *word, const json_t **out) {
    const json_t *found = NULL;
    size_t index, count = 0;
    json_t *thing;
    json_array_foreach(named->things, index, thing) {
        if (is_meant(thing, named, word)) {
            found = thing;
            count++;
        }
    }
    if (count != 1) {
        trouble_next(&cli->trouble, "%s", named->list);
        return count == 0
                   ? trouble_set(&cli->trouble, EXIT_MISSING, "you have no %s %s", named->kind,
                                 word)
                   : trouble_set(&cli->trouble, EXIT_USAGE,
                                 "%s is more than one %s; say which by its id", word, named->kind);
    }
    *out = found;
    return OK;
}
