/*
 * postern known-hosts: what ssh and other clients need to know a host when they meet it first. The
 * certificate authority's lines have a file of their own, and so have the plain keys, since many
 * clients stumble over the markers of the former.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "cli/api.h"
#include "cli/cli.h"
#include "cli/jobs/job_name.h"
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

/* --- for one host, as ssh asks (KnownHostsCommand) --- */

/* "host" or "[host]:port"; what it says is printed back, so it must be no more than that. */
static err_t host_asked(struct cli *cli, const char *asked, char **out) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "._:@+-";
    const char *begin = asked[0] == '[' ? asked + 1 : asked;
    size_t len = strspn(begin, letters);
    const char *end = begin + len;
    bool whole = asked[0] == '[' ? end[0] == ']' && end[1] == ':' && end[2] != '\0' &&
                                       strspn(end + 2, "0123456789") == strlen(end + 2)
                                 : end[0] == '\0';
    if (len == 0 || !whole) {
        return trouble_set(&cli->trouble, EXIT_USAGE, "%s is no host", asked);
    }
    *out = strndup(begin, len);
    return *out == NULL ? FAIL(ERR_MEMORY) : OK;
}

static err_t print_keys(const char *asked, const json_t *lines) {
    size_t index;
    json_t *line;
    json_array_foreach(lines, index, line) {
        struct key *key CLEANUP(key_freep) = NULL;
        struct buf text CLEANUP(buf_done) = BUF(LIMIT_KEY_LINE_CHARS);
        const char *told = json_string_value(line);
        if (told == NULL || failed(key_parse_line(span_str(told), &key, NULL))) {
            continue;
        }
        TRY(key_print_line(key, NULL, &text));
        (void)printf("%s %.*s\n", asked, (int)text.len, (const char *)text.data);
    }
    return OK;
}

static err_t print_host(struct cli *cli, struct api *api, const char *asked, const char *name) {
    json_t *answer CLEANUP(json_freep) = NULL;
    const json_t *hosts = NULL;
    size_t index;
    json_t *host;
    TRY(api_call(api, HTTP_GET, "/api/v1/known-hosts?include_compute=true", &answer));
    TRY(answer_array(cli, answer, "knownHosts", &hosts));
    json_array_foreach(hosts, index, host) {
        if (strcasecmp(member_text(host, "name"), name) == 0 ||
            strcasecmp(member_text(host, "address"), name) == 0) {
            TRY(print_keys(asked, json_object_get(host, "publicKeys")));
        }
    }
    return OK;
}

/* A host's certificate does not have the names of the jobs on it: its key counts for them. */
static err_t print_for(struct cli *cli, struct api *api, const char *asked) {
    json_t *jobs CLEANUP(json_freep) = NULL;
    const json_t *job = NULL;
    const char *node = NULL;
    char *name CLEANUP(freep) = NULL;
    TRY(host_asked(cli, asked, &name));
    if (strncasecmp(name, "job-", 4) == 0) {
        TRY(api_pages(api, "/api/v1/jobs", "jobs", "after", "id", &jobs));
        if (failed(job_name_find(json_object_get(jobs, "jobs"), name, &job, &node))) {
            return OK;
        }
    }
    return job != NULL && node == NULL ? print_keys(asked, json_object_get(job, "hostKeys"))
                                       : print_host(cli, api, asked, node != NULL ? node : name);
}

/* --- files --- */

static err_t known_hosts_run(struct cli *cli, const struct arguments *arguments) {
    struct site *site CLEANUP(site_freep) = NULL;
    struct api *api CLEANUP(api_closep) = NULL;
    json_t *answer CLEANUP(json_freep) = NULL;
    char *plain CLEANUP(freep) = NULL;
    char *marked CLEANUP(freep) = NULL;
    const json_t *hosts = NULL;
    const char *asked = arguments_value(arguments, "for");
    TRY(site_open(&cli->trouble, cli->site, &site));
    if (asked != NULL) {
        TRY(api_open(cli, site, API_SIGNED_IN, &api));
        return print_for(cli, api, asked);
    }
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

static const struct option options[] = {
    {0, "for", "HOST", "print the keys of that host or job-ID alone, as ssh asks for them"},
    {.name = NULL},
};

const struct command command_known_hosts = {
    .name = "known-hosts",
    .arguments = "",
    .summary = "Write the files by which ssh and other clients know the hosts",
    .options = options,
    .run = known_hosts_run,
};
