/*
 * postern config --vscode: what Remote-SSH of Visual Studio Code needs beyond ssh's configuration,
 * which it reads by itself. The settings are printed, to be merged into settings.json by hand: that
 * file has comments, and belongs to the person.
 */
#include <stdio.h>

#include "cli/config/config.h"

/* A login through a jump host and a renewal before it take longer than the usual 15 s. */
enum { CONNECT_TIMEOUT_S = 60 };

static err_t add_platform(json_t *platforms, const char *name) {
    return json_object_set_new(platforms, name, json_string("linux")) == 0 ? OK : FAIL(ERR_MEMORY);
}

err_t config_vscode(struct config_call *call) {
    const struct reach *reach = call->reach;
    json_t *platforms = json_object();
    /* Home directories of clusters are shared and on file systems where its locks fail. */
    json_t *settings CLEANUP(json_freep) =
        json_pack("{s:i, s:b, s:b, s:o}", "remote.SSH.connectTimeout", (int)CONNECT_TIMEOUT_S,
                  "remote.SSH.lockfilesInTmp", 1, "remote.SSH.showLoginTerminal", 1,
                  "remote.SSH.remotePlatform", platforms);
    if (settings == NULL) {
        return FAIL(ERR_MEMORY);
    }
    for (size_t i = 0; i < reach->cluster_count; i++) {
        TRY(add_platform(platforms, reach->clusters[i].name));
    }
    for (size_t i = 0; i < reach->host_count; i++) {
        const struct reach_host *host = &reach->hosts[i];
        TRY(host->role == HOST_LOGIN ? add_platform(platforms, host->name) : OK);
    }
    TRY(print_json(settings));
    if (!call->cli->json) {
        (void)fprintf(
            stderr, "Merge this into the settings.json of Visual Studio Code (Preferences: Open "
                    "User Settings (JSON)).\n"
                    "Hosts come from ~/.ssh/config: run postern config too. Connect to a cluster, "
                    "or to job-ID: the node of a running job.\n");
    }
    return OK;
}
