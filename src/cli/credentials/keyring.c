#include "cli/credentials/keyring.h"

#include <stdio.h>
#include <string.h>

#include "cli/credentials/keyring_place.h"
#include "model/entity.h"

static const char *const kinds[] = {
    [KEYRING_PASSWORD] = "password",
    [KEYRING_TOTP] = "totp",
    [KEYRING_API_KEY] = "api-key",
};

static const struct {
    const char *name;
    const struct keyring_keeper *keeper;
} places[] = {
    [KEYRING_ANY] = {"any", NULL},
    [KEYRING_DESKTOP] = {"desktop", &keyring_desktop},
    [KEYRING_KERNEL] = {"kernel", &keyring_kernel},
};

const char *keyring_kind_name(enum keyring_kind kind) { return kinds[kind]; }
const char *keyring_place_name(enum keyring_place place) { return places[place].name; }

err_t keyring_kind_parse(span_t text, enum keyring_kind *out) {
    for (enum keyring_kind kind = 0; kind < KEYRING_KINDS; kind++) {
        if (span_equal_str(text, kinds[kind])) {
            *out = kind;
            return OK;
        }
    }
    return FAIL(ERR_NOT_FOUND);
}

static bool is_account(span_t text) {
    return span_equal_str(text, KEYRING_NO_ACCOUNT) || !failed(account_name_check(text, NULL));
}

err_t keyring_describe(const struct keyring_name *name, char out[KEYRING_DESCRIPTION_CHARS]) {
    /* Neither may hold a colon. */
    if (failed(cluster_name_check(span_str(name->site), NULL)) ||
        !is_account(span_str(name->account))) {
        return FAIL(ERR_MALFORMED);
    }
    (void)snprintf(out, KEYRING_DESCRIPTION_CHARS, "posterngate:%s:%s:%s", name->site,
                   kinds[name->kind], name->account);
    return OK;
}

err_t keyring_entry_parse(span_t description, struct keyring_entry *out) {
    span_t rest = description;
    if (!span_equal_str(span_until(&rest, ':'), "posterngate")) {
        return FAIL(ERR_MALFORMED);
    }
    span_t site = span_until(&rest, ':');
    span_t kind_text = span_until(&rest, ':');
    span_t account = rest;
    enum keyring_kind kind;
    if (failed(cluster_name_check(site, NULL)) || failed(keyring_kind_parse(kind_text, &kind)) ||
        !is_account(account)) {
        return FAIL(ERR_MALFORMED);
    }
    struct keyring_entry entry = {.kind = kind, .place = out->place};
    memcpy(entry.site, site.data, site.len);
    memcpy(entry.account, account.data, account.len);
    *out = entry;
    return OK;
}

static bool is_named(enum keyring_place place) { return places[place].keeper != NULL; }

err_t keyring_store(struct trouble *trouble, const struct keyring_name *name,
                    const secret_t *secret, enum keyring_place wanted, enum keyring_place *used) {
    struct fault faults[KEYRING_PLACES] = {0};
    enum keyring_place stored = KEYRING_ANY;
    for (enum keyring_place place = 0; place < KEYRING_PLACES && !is_named(stored); place++) {
        if (is_named(place) && (wanted == KEYRING_ANY || wanted == place) &&
            !failed(places[place].keeper->store(name, secret, &faults[place]))) {
            stored = place;
        }
    }
    if (!is_named(stored)) {
        return trouble_set(trouble, EXIT_MISSING, "there is no keyring to keep it in: %s%s%s",
                           faults[KEYRING_DESKTOP].reason, wanted == KEYRING_ANY ? "; " : "",
                           faults[KEYRING_KERNEL].reason);
    }
    for (enum keyring_place place = 0; place < KEYRING_PLACES; place++) {
        if (is_named(place) && place != stored) {
            ignore_err(places[place].keeper->remove(name)); /* most often it is not there */
        }
    }
    *used = stored;
    return OK;
}

err_t keyring_lookup(const struct keyring_name *name, secret_t *out) {
    for (enum keyring_place place = 0; place < KEYRING_PLACES; place++) {
        if (is_named(place) && !failed(places[place].keeper->lookup(name, out))) {
            return OK;
        }
    }
    return FAIL(ERR_NOT_FOUND);
}

err_t keyring_remove(struct trouble *trouble, const struct keyring_name *name) {
    bool removed = false;
    for (enum keyring_place place = 0; place < KEYRING_PLACES; place++) {
        if (!is_named(place)) {
            continue;
        }
        err_t err = places[place].keeper->remove(name);
        removed = removed || !failed(err);
        if (failed(err) && err.code != ERR_NOT_FOUND && err.code != ERR_UNSUPPORTED) {
            return trouble_of(trouble, err, "cannot remove it from the %s keyring",
                              places[place].name);
        }
    }
    return removed ? OK : FAIL(ERR_NOT_FOUND);
}

void keyring_list(const char *site, struct keyring_list *out) {
    *out = (struct keyring_list){0};
    for (enum keyring_place place = 0; place < KEYRING_PLACES; place++) {
        if (is_named(place)) {
            places[place].keeper->list(site, out);
        }
    }
}
