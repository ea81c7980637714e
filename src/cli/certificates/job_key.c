#include "cli/certificates/job_key.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "cli/document.h"
#include "cli/keys/key_file.h"
#include "model/entity.h"
#include "ssh/cert.h"

enum { SSH_PORT = 22 };

void job_key_done(struct job_key *key) {
    free(key->job);
    free(key->principal);
    free(key->path);
    free(key->user);
    free(key->place);
    *key = (struct job_key){0};
}

/* --- the job --- */

static bool is_meant(const json_t *job, const char *name) {
    const char *bare = member_text(job, "job");
    size_t len = strlen(bare);
    return len > 0 && strncmp(name, bare, len) == 0 &&
           (name[len] == '\0' ||
            (name[len] == '@' && strcmp(name + len + 1, member_text(job, "cluster")) == 0));
}

static err_t find_job(struct cli *cli, struct api *api, const char *name, json_t **jobs,
                      const json_t **out) {
    const json_t *list = NULL, *job = NULL;
    size_t index, count = 0;
    TRY(api_pages(api, "/api/v1/jobs", "jobs", "after", "id", jobs));
    TRY(answer_array(cli, *jobs, "jobs", &list));
    for (index = 0; index < json_array_size(list); index++) {
        if (is_meant(json_array_get(list, index), name)) {
            job = json_array_get(list, index);
            count++;
        }
    }
    if (count == 1) {
        *out = job;
        return OK;
    }
    trouble_next(&cli->trouble, count == 0 ? "postern jobs" : "postern sign --job %s@CLUSTER",
                 name);
    return count == 0 ? trouble_set(&cli->trouble, EXIT_MISSING, "no job %s of yours runs", name)
                      : trouble_set(&cli->trouble, EXIT_USAGE,
                                    "you have a job %s on more than one cluster; say which", name);
}

__attribute__((format(printf, 2, 3))) static err_t print(char **out, const char *format, ...) {
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int len = vasprintf(&text, format, args);
    va_end(args);
    if (len < 0) {
        return FAIL(ERR_MEMORY);
    }
    *out = text;
    return OK;
}

/* What stands in file names and on ssh's command line is held to the rules for names. */
static err_t take_job(struct cli *cli, const json_t *job, struct job_key *out) {
    const char *address = member_text(job, "address");
    const char *node = json_string_value(json_array_get(json_object_get(job, "nodes"), 0));
    const char *place = address[0] != '\0' ? address : node == NULL ? "" : node;
    bool good = !failed(job_name_check(span_str(member_text(job, "job")), NULL)) &&
                !failed(cluster_name_check(span_str(member_text(job, "cluster")), NULL)) &&
                !failed(user_name_check(span_str(member_text(job, "user")), NULL)) &&
                !failed(host_name_check(span_str(place), "address", NULL));
    if (!good) {
        return trouble_set(&cli->trouble, EXIT_AUTHORITY,
                           "the authority told a job that cannot be one");
    }
    TRY(print(&out->job, "%s@%s", member_text(job, "job"), member_text(job, "cluster")));
    TRY(print(&out->principal, "job:%s", out->job));
    TRY(print(&out->user, "%s", member_text(job, "user")));
    TRY(print(&out->place, "%s", place));
    out->port = address[0] != '\0' ? member_number(job, "port") : SSH_PORT;
    return OK;
}

/* --- the key --- */

static err_t make_key(struct cli *cli, const struct site *site, const struct job_key *job) {
    struct private_key *key CLEANUP(private_key_freep) = NULL;
    struct buf file CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    if (document_wants_encrypted_keys(site->document)) {
        trouble_next(&cli->trouble, "postern keygen -f %s", job->path);
        return trouble_set(&cli->trouble, EXIT_MISSING,
                           "%s demands private keys with a passphrase; make one for this job",
                           site->name);
    }
    TRY(private_key_generate(KEY_ED25519, 256, &key));
    TRY(private_key_write(key, job->job, NULL, 0, &file));
    return key_pair_put(cli, job->path, buf_span(&file), private_key_public(key), job->job, false);
}

static bool is_for(const struct cert *cert, const char *principal) {
    return cert->principal_count == 1 && strcmp(cert->principals[0], principal) == 0;
}

static err_t check_given(struct cli *cli, const struct user_key *key, const char *principal) {
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_CERT_LINE_CHARS);
    struct cert *cert CLEANUP(cert_freep) = NULL;
    err_t err = file_read(key->cert_path, &text);
    if (err.code == ERR_NOT_FOUND) {
        return OK;
    }
    if (failed(err) || failed(cert_parse_line(buf_span(&text), &cert, NULL)) ||
        !is_for(cert, principal)) {
        trouble_next(&cli->trouble, "postern sign --job %s", principal + sizeof "job:" - 1);
        return trouble_set(&cli->trouble, EXIT_CONFLICT,
                           "%s is not for this job, and ssh needs a key that is for it alone; "
                           "without -f one is made",
                           key->cert_path);
    }
    return OK;
}

static err_t prepare_key(struct cli *cli, const struct site *site, const char *given,
                         struct job_key *out) {
    struct user_key key CLEANUP(user_key_done) = {0};
    char *own CLEANUP(freep) = NULL;
    TRY(print(&own, "%s-job-%s", document_key_file(site->document), out->job));
    TRY(user_key_paths(given != NULL ? given : own, &key));
    out->path = TAKE(key.path);
    if (given != NULL) {
        return check_given(cli, &key, out->principal);
    }
    return access(out->path, F_OK) == 0 ? OK : make_key(cli, site, out);
}

err_t job_key_prepare(struct cli *cli, const struct site *site, struct api *api, const char *name,
                      const char *given, struct job_key *out) {
    json_t *jobs CLEANUP(json_freep) = NULL;
    const json_t *job = NULL;
    TRY(find_job(cli, api, name, &jobs, &job));
    TRY(take_job(cli, job, out));
    return prepare_key(cli, site, given, out);
}

/* --- its use --- */

void job_key_tell(const struct job_key *key, const struct site *site) {
    const json_t *jump = json_array_get(json_object_get(site->document, "jumpHosts"), 0);
    const char *through = member_text(jump, "address");
    (void)printf("Good for job %s alone, whose session it is:\n"
                 "  ssh -i %s -o IdentitiesOnly=yes -o IdentityAgent=none",
                 key->job, key->path);
    if (key->port != SSH_PORT && key->port != 0) {
        (void)printf(" -p %lld", key->port);
    }
    if (through[0] != '\0') {
        (void)printf(" -J %s@%s:%lld", site->username != NULL ? site->username : key->user, through,
                     member_number(jump, "port"));
    }
    (void)printf(" %s@%s\n", key->user, key->place);
}
