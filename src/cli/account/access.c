/* postern access: from where one may come in at all. */
#include <stdio.h>

#include "cli/authority.h"
#include "cli/subnets.h"

static err_t show(struct cli *cli, const json_t *answer) {
    char *from CLEANUP(freep) = NULL;
    TRY(subnets_text(answer, &from));
    return authority_done(cli, answer, "You may come in from: %s", from);
}

static err_t access_run(struct cli *cli, const struct arguments *arguments) {
    json_t *answer CLEANUP(json_freep) = NULL;
    if (!arguments_has(arguments, "from")) {
        TRY(authority_call(cli, HTTP_GET, "/api/v1/access", &answer));
        return show(cli, answer);
    }
    json_t *body CLEANUP(json_freep) =
        arguments_has(arguments, "force") ? json_pack("{s:b}", "force", 1) : json_object();
    TRY(body == NULL ? FAIL(ERR_MEMORY) : subnets_put_from(cli, arguments, body));
    TRY(authority_send(cli, HTTP_PUT, "/api/v1/access", TAKE(body), &answer));
    return show(cli, answer);
}

static const struct option options[] = {
    {0, "from", "WHERE", "mine (your present address), everywhere, or a subnet; may be given again",
     .many = true},
    {0, "force", NULL, "even when that shuts your present address out", .many = true},
    {.name = NULL},
};

const struct command command_access = {
    .name = "access",
    .arguments = "",
    .summary = "Show or choose from where you may come in",
    .details = "Holds for every key and certificate of yours, at every jump host and host, from "
               "the moment you choose it.",
    .options = options,
    .run = access_run,
};
