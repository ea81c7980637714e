/*
 * postern known-hosts: what ssh and other clients need to know a host when they meet it first. The
 * certificate authority's lines have a file of their own, and so have the plain keys, since many
 * clients stumble over the markers of the former.
 */
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "cli/api.h"
#include "cli/cli.h"
#include "cli/site.h"
#include "model/entity.h"
#include "ssh/key.h"

enum { SSH_PORT = 22 };

static err_t put_name(struct buf *out, const char *name, long long port) {
    return port == SSH_PORT ? buf_add_str(out, name) : buf_add_format(out, "[%s]:%lld", name, port);
}

/* sshd(8) SSH_KNOWN_HOSTS FILE FORMAT. The names come from an authority, and a blank or a comma in
 * one would make it another line. */
static err_t put_host(struct buf *out, const json_t *host) {
    const char *name = member_text(host, "name");
    const char *address = member_text(host, "address");
    size_t index;
    json_t *line;
    json_array_foreach(json_object_get(host, "publicKeys"), index, line) {
        struct key *key CLEANUP(key_freep) = NULL;
        const char *text = json_string_value(line);
        if (failed(host_name_check(span_str(name), "name", NULL)) ||
            (address[0] != '\0' && failed(host_name_check(span_str(address), "address", NULL))) ||
            text == NULL || failed(key_parse_line(span_str(text), &key, NULL))) {
            continue;
        }
        TRY(put_name(out, name, member_number(host, "port")));
        if (address[0] != '\0' && strcmp(address, name) != 0) {
            TRY(buf_add_byte(out, ','));
            TRY(put_name(out, address, member_number(host, "port")));
        }
        TRY(buf_add_byte(out, ' '));
        TRY(key_print_line(key, NULL, out));
        TRY(buf_add_byte(out, '\n'));
    }
    return OK;
}

static err_t write_plain(struct cli *cli, const struct site *site, const json_t *hosts,
                         char **path) {
    struct buf lines CLEANUP(buf_done) = BUF(LIMIT_HTTP_ANSWER_BYTES);
    TRY(site_config_path(site->name, "known_hosts.plain", path));
    size_t index;
    json_t *host;
    json_array_foreach(hosts, index, host) { TRY(put_host(&lines, host)); }
    err_t err = file_put(*path, buf_span(&lines), 0644, 0);
    return failed(err) ? trouble_of(&cli->trouble, err, "cannot write %s", *path) : OK;
}

static err_t known_hosts_run(struct cli *cli, const struct arguments *arguments) {
    struct site *site CLEANUP(site_freep) = NULL;
    struct api *api CLEANUP(api_closep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    char *plain CLEANUP(freep) = NULL;
    char *marked CLEANUP(freep) = NULL;
    const json_t *hosts = NULL;
    (void)arguments;
    TRY(site_open(&cli->trouble, cli->site, &site));
    TRY(api_refresh_document(cli, site));
    TRY(api_open(cli, site, API_SIGNED_IN, &api));
    TRY(api_call(api, HTTP_GET, "/api/v1/known-hosts", &answer));
    TRY(answer_array(cli, answer, "knownHosts", &hosts));
    TRY(write_plain(cli, site, hosts, &plain));
    TRY(site_config_path(site->name, "known_hosts", &marked));
    if (cli->json) {
        return print_json(answer);
    }
    (void)printf("The authority for host certificates, for ssh:\n  UserKnownHostsFile %s\n"
                 "The keys of %zu hosts, for clients that know no host certificates:\n  %s\n",
                 marked, json_array_size(hosts), plain);
    return OK;
}

const struct command command_known_hosts = {
    .name = "known-hosts",
    .arguments = "",
    .summary = "Write the files by which ssh and other clients know the hosts",
    .run = known_hosts_run,
};
