#include "cli/connect/destination.h"

#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "cli/api.h"
#include "model/entity.h"
#include "ssh/key.h"

enum { SSH_PORT = 22 };

void destination_done(struct destination *out) {
    freep(&out->host);
    freep(&out->node);
    freep(&out->cluster);
    json_freep(&out->job);
}

static err_t copy(const char *text, char **out) {
    *out = strdup(text);
    return *out != NULL ? OK : FAIL(ERR_MEMORY);
}

/* --- jobs --- */

/* The name as the scheduler has it, and the cluster where it is said. */
static bool is_called(const json_t *job, const char *name) {
    const char *id = member_text(job, "job");
    size_t len = strlen(id);
    return strncmp(name, id, len) == 0 &&
           (name[len] == '\0' ||
            (name[len] == '@' && strcmp(name + len + 1, member_text(job, "cluster")) == 0));
}

static bool has_node(const json_t *job, const char *node) {
    size_t index;
    json_t *item;
    json_array_foreach(json_object_get(job, "nodes"), index, item) {
        const char *name = json_string_value(item);
        if (name != NULL && strcasecmp(name, node) == 0) {
            return true;
        }
    }
    return false;
}

static err_t fetch_jobs(struct cli *cli, const struct ssh_file *file, json_t **answer,
                        const json_t **jobs) {
    struct api *api CLEANUP(api_closep) = NULL;
    TRY(api_open(cli, file->site, API_SIGNED_IN, &api));
    TRY(api_pages(api, "/api/v1/jobs", "jobs", "after", "id", answer));
    return answer_array(cli, *answer, "jobs", jobs);
}

static err_t find_job(struct cli *cli, const struct ssh_file *file, const char *name,
                      json_t **out) {
    json_t *answer CLEANUP(json_freep) = NULL;
    const json_t *jobs = NULL;
    TRY(fetch_jobs(cli, file, &answer, &jobs));
    json_t *found = NULL, *job;
    size_t index;
    json_array_foreach(jobs, index, job) {
        if (!is_called(job, name)) {
            continue;
        }
        if (found != NULL) {
            return trouble_set(
                &cli->trouble, EXIT_USAGE,
                "you have a job %s on more than one cluster; say which: %s@%s, %s@%s", name, name,
                member_text(found, "cluster"), name, member_text(job, "cluster"));
        }
        found = job;
    }
    if (found == NULL) {
        trouble_next(&cli->trouble, "postern jobs");
        return trouble_set(&cli->trouble, EXIT_MISSING,
                           "no job %s of yours runs; it may have ended", name);
    }
    *out = json_incref(found);
    return OK;
}

err_t destination_job_name(const struct destination *destination, char **out) {
    char *name = NULL;
    if (asprintf(&name, "%s@%s", member_text(destination->job, "job"),
                 member_text(destination->job, "cluster")) < 0) {
        return FAIL(ERR_MEMORY);
    }
    *out = name;
    return OK;
}

/* What becomes part of a command line is what it should be, whoever told it. */
static err_t check_job(struct cli *cli, const json_t *job, const char *node) {
    const char *address = member_text(job, "address");
    long long port = member_number(job, "port");
    bool good =
        !failed(job_name_check(span_str(member_text(job, "job")), NULL)) &&
        !failed(user_name_check(span_str(member_text(job, "user")), NULL)) &&
        !failed(host_name_check(span_str(node), "node", NULL)) && port >= 0 && port <= 65535 &&
        (address[0] == '\0' || !failed(host_name_check(span_str(address), "address", NULL)));
    return good ? OK
                : trouble_set(&cli->trouble, EXIT_AUTHORITY,
                              "the authority told a place of the job that cannot be one");
}

/* A cluster that is the job's own has an address of its own, which a gate knows by the job's name.
 */
static err_t choose_host(const struct ssh_file *file, const json_t *job, const char *node,
                         struct destination *out) {
    bool own = member_text(job, "address")[0] != '\0';
    out->direct = own && file->reach->jump_count == 0;
    if (!own || out->direct) {
        return copy(node, &out->host);
    }
    return asprintf(&out->host, "job-%s", member_text(job, "job")) < 0 ? FAIL(ERR_MEMORY) : OK;
}

static err_t of_job(struct cli *cli, const struct ssh_file *file, const json_t *job,
                    const char *node, struct destination *out) {
    struct destination found CLEANUP(destination_done) = {0};
    if (node == NULL) {
        const json_t *first = json_array_get(json_object_get(job, "nodes"), 0);
        node = json_is_string(first) ? json_string_value(first) : member_text(job, "address");
    } else if (!has_node(job, node)) {
        trouble_next(&cli->trouble, "postern jobs");
        return trouble_set(&cli->trouble, EXIT_MISSING, "your job %s does not have the node %s",
                           member_text(job, "job"), node);
    }
    TRY(check_job(cli, job, node));
    TRY(choose_host(file, job, node, &found));
    TRY(copy(node, &found.node));
    TRY(copy(member_text(job, "cluster"), &found.cluster));
    found.job = json_deep_copy(job);
    if (found.job == NULL) {
        return FAIL(ERR_MEMORY);
    }
    *out = found;
    found = (struct destination){0};
    return OK;
}

err_t destination_of_job(struct cli *cli, struct ssh_file *file, const char *job, const char *node,
                         struct destination *out) {
    json_t *found CLEANUP(json_freep) = NULL;
    TRY(find_job(cli, file, job, &found));
    return of_job(cli, file, found, node, out);
}

/* --- hosts --- */

static err_t unknown_host(struct cli *cli, const struct ssh_file *file, const char *host) {
    const struct reach *reach = file->reach;
    const char *names[512];
    size_t count = 0;
    for (size_t i = 0; i < reach->cluster_count && count < COUNT_OF(names); i++) {
        names[count++] = reach->clusters[i].name;
    }
    for (size_t i = 0; i < reach->host_count && count < COUNT_OF(names); i++) {
        names[count++] = reach->hosts[i].name;
    }
    const char *near = nearest_name(host, names, count);
    trouble_next(&cli->trouble, "postern whoami");
    return trouble_set(&cli->trouble, EXIT_MISSING,
                       near != NULL ? "you reach no host %s at %s; did you mean %s?"
                                    : "you reach no host %s at %s",
                       host, file->site->name, near);
}

static err_t of_name(const char *host, const char *cluster, struct destination *out) {
    struct destination found CLEANUP(destination_done) = {0};
    TRY(copy(host, &found.host));
    TRY(copy(host, &found.node));
    TRY(copy(cluster, &found.cluster));
    *out = found;
    found = (struct destination){0};
    return OK;
}

err_t destination_of_host(struct cli *cli, struct ssh_file *file, const char *host,
                          struct destination *out) {
    const struct reach_cluster *cluster = reach_find_cluster(file->reach, host);
    const struct reach_host *found = reach_find_host(file->reach, host);
    if (cluster != NULL) {
        return of_name(cluster->name, cluster->name, out);
    }
    if (found != NULL) {
        return of_name(found->name, found->cluster, out);
    }
    if (strncmp(host, "job-", 4) == 0) {
        return destination_of_job(cli, file, host + 4, NULL, out);
    }
    return unknown_host(cli, file, host);
}

static err_t no_job_there(struct cli *cli, const char *node) {
    trouble_next(&cli->trouble, "postern jobs");
    return trouble_set(&cli->trouble, EXIT_REFUSED,
                       "no job of yours runs on %s: it is not your node, or the job has ended",
                       node);
}

/* Without the registry the gate decides, which knows it as well. */
static err_t find_job_on(struct cli *cli, const struct ssh_file *file, const char *cluster,
                         const char *node, json_t **out) {
    struct cli asking = {.site = cli->site};
    json_t *answer CLEANUP(json_freep) = NULL;
    const json_t *jobs = NULL;
    if (failed(fetch_jobs(&asking, file, &answer, &jobs))) {
        print_warning("cannot ask for your jobs: %s", asking.trouble.what);
        return OK;
    }
    size_t index;
    json_t *job;
    json_array_foreach(jobs, index, job) {
        if (strcmp(member_text(job, "cluster"), cluster) == 0 && has_node(job, node)) {
            *out = json_incref(job);
            return OK;
        }
    }
    return no_job_there(cli, node);
}

err_t destination_of_node(struct cli *cli, struct ssh_file *file, const char *cluster,
                          const char *node, struct destination *out) {
    const struct reach_cluster *known = reach_find_cluster(file->reach, cluster);
    const struct reach_host *host = reach_find_host(file->reach, node);
    if (known == NULL) {
        return unknown_host(cli, file, cluster);
    }
    if (host != NULL && strcmp(host->cluster, known->name) != 0) {
        return trouble_set(&cli->trouble, EXIT_USAGE, "%s is no host of the cluster %s", node,
                           known->name);
    }
    bool by_job =
        known->node_access == NODE_ACCESS_JOB && (host == NULL || host->role != HOST_LOGIN);
    if (by_job) {
        json_t *job CLEANUP(json_freep) = NULL;
        TRY(find_job_on(cli, file, known->name, node, &job));
        if (job != NULL) {
            return of_job(cli, file, job, node, out);
        }
    }
    return host != NULL ? of_name(host->name, host->cluster, out) : unknown_host(cli, file, node);
}

/* --- for ssh --- */

/* The host keys that came with a job, in a file beside the site's own. */
static err_t put_job_keys(struct cli *cli, const struct ssh_file *file,
                          const struct destination *destination, struct command_line *line) {
    struct buf lines CLEANUP(buf_done) = BUF(LIMIT_STATE_FILE_BYTES);
    char *path CLEANUP(freep) = NULL;
    size_t index;
    json_t *text;
    json_array_foreach(json_object_get(destination->job, "hostKeys"), index, text) {
        struct key *key CLEANUP(key_freep) = NULL;
        const char *shown = json_string_value(text);
        if (shown != NULL && !failed(key_parse_line(span_str(shown), &key, NULL))) {
            TRY(buf_add_format(&lines, "%s ", destination->node));
            TRY(key_print_line(key, NULL, &lines));
            TRY(buf_add_byte(&lines, '\n'));
        }
    }
    TRY(site_state_path(file->site->name, "job_hosts", &path));
    err_t err = file_put(path, buf_span(&lines), 0600, 0);
    if (failed(err)) {
        return trouble_of(&cli->trouble, err, "cannot write %s", path);
    }
    return command_line_option(line, "UserKnownHostsFile=\"%s\" \"%s\"", file->known_hosts, path);
}

/* Where no block of the configuration is about it. */
static err_t add_identity(const struct ssh_file *file, struct command_line *line) {
    TRY(command_line_option(line, "IdentityFile=\"%s\"", file->key.path));
    TRY(command_line_option(line, "CertificateFile=\"%s\"", file->key.cert_path));
    return command_line_option(line, "IdentitiesOnly=yes");
}

err_t destination_add_options(struct cli *cli, const struct ssh_file *file,
                              const struct destination *destination, struct command_line *line) {
    const json_t *job = destination->job;
    const char *address = member_text(job, "address");
    if (job == NULL) {
        return OK;
    }
    TRY(command_line_option(line, "User=%s", member_text(job, "user")));
    if (address[0] == '\0') {
        return OK;
    }
    TRY(put_job_keys(cli, file, destination, line));
    TRY(command_line_option(line, "HostKeyAlias=%s", destination->node));
    if (!destination->direct) {
        return OK;
    }
    long long port = member_number(job, "port");
    TRY(command_line_option(line, "HostName=%s", address));
    TRY(command_line_option(line, "Port=%lld", port > 0 ? port : SSH_PORT));
    return add_identity(file, line);
}

static err_t write_block(const struct ssh_file *file, const struct destination *destination,
                         const struct command_line *options, struct buf *out) {
    TRY(buf_add_format(out, "Host %s\n", destination->host));
    for (size_t i = 1; i < options->count; i += 2) { /* "-o", "User=alice", … */
        TRY(buf_add_format(out, "    %s\n", options->words[i]));
    }
    return buf_add_format(out, "Match all\n    Include \"%s\"\n", file->config);
}

err_t destination_config(struct cli *cli, const struct ssh_file *file,
                         const struct destination *destination, char **out) {
    struct command_line options CLEANUP(command_line_done) = {0};
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_STATE_FILE_BYTES);
    char *path CLEANUP(freep) = NULL;
    TRY(destination_add_options(cli, file, destination, &options));
    if (options.count == 0) {
        return copy(file->config, out);
    }
    TRY(write_block(file, destination, &options, &text));
    if (asprintf(&path, "%s.%s", file->config, destination->host) < 0) {
        path = NULL;
        return FAIL(ERR_MEMORY);
    }
    err_t err = file_put(path, buf_span(&text), 0600, 0);
    if (failed(err)) {
        return trouble_of(&cli->trouble, err, "cannot write %s", path);
    }
    *out = TAKE(path);
    return OK;
}
