/* postern whoami. */
#include <stdio.h>

#include "base/clock.h"
#include "cli/api.h"
#include "cli/cli.h"
#include "cli/site.h"

static err_t show(struct cli *cli, const struct site *site, const json_t *answer) {
    const char *name = NULL;
    TRY(answer_text(cli, answer, "username", &name));
    char *clusters CLEANUP(freep) = NULL;
    TRY(member_join(answer, "clusters", NULL, &clusters));
    const char *display = member_text(answer, "displayName");
    (void)printf("%s%s%s%s at %s (%s%s)\n", name, display[0] != '\0' ? " (" : "", display,
                 display[0] != '\0' ? ")" : "", site->name, member_text(answer, "kind"),
                 member_true(answer, "administrator") ? ", administrator" : "");
    size_t index;
    json_t *project;
    json_array_foreach(json_object_get(answer, "projects"), index, project) {
        (void)printf("Project: %s (%s)\n", member_text(project, "name"),
                     member_text(project, "role"));
    }
    (void)printf("Clusters: %s\n", clusters[0] != '\0' ? clusters : "none");
    int64_t expires = 0;
    if (!failed(time_parse(span_str(member_text(answer, "expireTime")), &expires))) {
        char until[80];
        time_and_distance(expires, until);
        (void)printf("Signed in with %s until %s\n", member_text(answer, "credential"), until);
    }
    return OK;
}

static err_t whoami_run(struct cli *cli, const struct arguments *arguments) {
    (void)arguments;
    struct site *site CLEANUP(site_freep) = NULL;
    struct api *api CLEANUP(api_closep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    TRY(site_open(&cli->trouble, cli->site, &site));
    TRY(api_open(cli, site, API_SIGNED_IN, &api));
    TRY(api_call(api, HTTP_GET, "/api/v1/auth/whoami", &answer));
    return cli->json ? print_json(answer) : show(cli, site, answer);
}

const struct command command_whoami = {
    .name = "whoami",
    .arguments = "",
    .summary = "Say who is signed in, and what they may reach",
    .run = whoami_run,
};
