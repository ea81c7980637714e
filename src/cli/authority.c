#include "cli/authority.h"

#include <stdarg.h>
#include <stdio.h>

#include "cli/site.h"

static err_t open_api(struct cli *cli, struct site **site, struct api **api) {
    TRY(site_open(&cli->trouble, cli->site, site));
    return api_open(cli, *site, API_SIGNED_IN, api);
}

err_t authority_call(struct cli *cli, enum http_method method, const char *path, json_t **answer) {
    struct site *site CLEANUP(site_freep) = NULL;
    struct api *api CLEANUP(api_closep) = NULL;
    TRY(open_api(cli, &site, &api));
    return api_call(api, method, path, answer);
}

/* On standard error, so that --json stays as it is. */
static void show_warnings(const json_t *answer) {
    size_t index;
    json_t *warning;
    json_array_foreach(json_object_get(answer, "warnings"), index, warning) {
        if (json_is_string(warning)) {
            print_warning("%s", json_string_value(warning));
        }
    }
}

err_t authority_send(struct cli *cli, enum http_method method, const char *path, json_t *body,
                     json_t **answer) {
    json_t *owned CLEANUP(json_freep) = body;
    struct site *site CLEANUP(site_freep) = NULL;
    struct api *api CLEANUP(api_closep) = NULL;
    TRY(open_api(cli, &site, &api));
    TRY(api_send(api, method, path, TAKE(owned), answer));
    show_warnings(*answer);
    return OK;
}

err_t authority_done(struct cli *cli, const json_t *answer, const char *format, ...) {
    if (cli->json) {
        json_t *empty CLEANUP(json_freep) = json_object();
        return print_json(answer != NULL ? answer : empty);
    }
    va_list args;
    va_start(args, format);
    (void)vprintf(format, args);
    va_end(args);
    (void)putchar('\n');
    return OK;
}
