#include "cli/subnets.h"

#include <string.h>

#include "base/inet.h"

static err_t check(struct cli *cli, const char *option, const char *text) {
    struct inet_subnet parsed;
    err_t err = inet_subnet_parse(span_str(text), &parsed);
    if (!failed(err)) {
        return OK;
    }
    return trouble_set(&cli->trouble, EXIT_USAGE, "--%s %s: %s", option, text,
                       err.code == ERR_RANGE ? "it has bits set beyond its prefix"
                                             : "write an address or a subnet: 192.0.2.0/24");
}

err_t subnets_put(struct cli *cli, const struct arguments *arguments, const char *option,
                  json_t *body) {
    json_t *subnets CLEANUP(json_freep) = json_array();
    size_t at = 0;
    for (const char *text; (text = arguments_next(arguments, option, &at)) != NULL;) {
        TRY(check(cli, option, text));
        if (json_array_append_new(subnets, json_string(text)) != 0) {
            return FAIL(ERR_MEMORY);
        }
    }
    return json_array_size(subnets) == 0 || json_object_set(body, "ipSubnets", subnets) == 0
               ? OK
               : FAIL(ERR_MEMORY);
}

static bool is_word(const char *text) {
    return strcmp(text, "mine") == 0 || strcmp(text, "everywhere") == 0;
}

err_t subnets_put_from(struct cli *cli, const struct arguments *arguments, json_t *body) {
    const char *word = NULL;
    size_t count = 0;
    size_t at = 0;
    for (const char *text; (text = arguments_next(arguments, "from", &at)) != NULL; count++) {
        word = is_word(text) ? text : word;
    }
    if (word == NULL) {
        return subnets_put(cli, arguments, "from", body);
    }
    if (count > 1) {
        return trouble_set(&cli->trouble, EXIT_USAGE, "--from %s stands alone", word);
    }
    return json_object_set_new(body, "from", json_string(word)) == 0 ? OK : FAIL(ERR_MEMORY);
}

err_t subnets_text(const json_t *object, char **out) {
    if (json_array_size(json_object_get(object, "ipSubnets")) > 0) {
        return member_join(object, "ipSubnets", NULL, out);
    }
    char *text = strdup("everywhere");
    if (text == NULL) {
        return FAIL(ERR_MEMORY);
    }
    *out = text;
    return OK;
}
