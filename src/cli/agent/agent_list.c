/* postern agent --list: what the agent holds. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "cli/agent/agent.h"
#include "cli/sanitise.h"

static const char *type_of(const struct agent_entry *entry) {
    return entry->key == NULL ? "unknown" : key_type_name(entry->key);
}

static err_t entry_json(const struct agent_entry *entry, json_t *list) {
    char fingerprint[FINGERPRINT_CHARS];
    const struct cert *cert = entry->cert;
    key_fingerprint_blob(buf_span(&entry->blob), fingerprint);
    json_t *shown CLEANUP(json_freep) =
        json_pack("{s:s, s:s, s:s, s:b}", "type", type_of(entry), "fingerprint", fingerprint,
                  "comment", entry->comment, "certificate", cert != NULL);
    if (shown != NULL && cert != NULL) {
        char serial[24];
        char until[TIME_CHARS] = "";
        (void)snprintf(serial, sizeof serial, "%llu", (unsigned long long)cert->serial);
        if (cert->valid_before <= INT64_MAX) {
            time_print_utc((int64_t)cert->valid_before, until);
        }
        json_t *rest CLEANUP(json_freep) = json_pack(
            "{s:s, s:s, s:s, s:b}", "serialNumber", serial, "keyId", cert->key_id, "expireTime",
            until, "expired", (int)agent_entry_is_expired(entry, clock_now_s()));
        TRY(rest == NULL || json_object_update(shown, rest) != 0 ? FAIL(ERR_MEMORY) : OK);
    }
    TRY(shown == NULL ? FAIL(ERR_MEMORY) : json_sanitise(shown));
    return json_array_append(list, shown) != 0 ? FAIL(ERR_MEMORY) : OK;
}

static err_t list_json(const struct agent_place *place, const struct agent_contents *contents) {
    json_t *list = json_array();
    json_t *shown CLEANUP(json_freep) =
        json_pack("{s:s, s:o}", "socket", place->socket, "identities", list);
    TRY(shown == NULL ? FAIL(ERR_MEMORY) : OK);
    for (size_t i = 0; i < contents->count; i++) {
        TRY(entry_json(&contents->entries[i], list));
    }
    return print_json(shown);
}

static err_t add_row(struct table *table, const struct agent_entry *entry) {
    struct buf name CLEANUP(buf_done) = BUF(LIMIT_AGENT_MESSAGE_BYTES);
    char *text CLEANUP(freep) = NULL;
    char serial[24] = "";
    char until[80] = "";
    const struct cert *cert = entry->cert;
    TRY(text_sanitise(span_str(entry->comment), false, &name));
    TRY(buf_to_str(&name, &text));
    if (cert != NULL) {
        (void)snprintf(serial, sizeof serial, "%llu", (unsigned long long)cert->serial);
        if (cert->valid_before <= INT64_MAX) {
            time_and_distance((int64_t)cert->valid_before, until);
        }
    }
    TRY(table_add(table, text));
    TRY(table_add(table, type_of(entry)));
    TRY(table_add(table, serial));
    return agent_entry_is_expired(entry, clock_now_s()) ? table_add_marked(table, "❌", until)
                                                        : table_add(table, until);
}

err_t agent_list(struct cli *cli, const struct agent_place *place) {
    static const char *const columns[] = {"Key", "Type", "Certificate", "Expires", NULL};
    struct agent_client *agent CLEANUP(agent_client_closep) = NULL;
    struct agent_contents contents CLEANUP(agent_contents_done) = {0};
    struct table *table CLEANUP(table_freep) = NULL;
    TRY(agent_client_open(place->socket, &agent));
    TRY(agent_contents_read(agent, &contents));
    if (cli->json) {
        return list_json(place, &contents);
    }
    if (contents.count == 0) {
        (void)fprintf(stderr, "The agent holds no keys.\n");
        return OK;
    }
    TRY(table_new(columns, &table));
    for (size_t i = 0; i < contents.count; i++) {
        TRY(add_row(table, &contents.entries[i]));
    }
    return print_table(table);
}
