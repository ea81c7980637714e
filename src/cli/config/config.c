/* postern config: tells ssh, and others, how this site is reached. */
#include "cli/config/config.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/limits.h"
#include "cli/config/host_names.h"
#include "cli/config/node_patterns.h"
#include "cli/config/person_files.h"
#include "cli/config/ssh_value.h"
#include "cli/process/process.h"
#include "cli/process/run_folder.h"
#include "model/entity.h"
#include "net/http_url.h"

enum { HOPS_MAX = 16, ASK_MS = 20 * 1000, SAID_BYTES = 64 * 1024, CONTROL_PATH_CHARS = 108 };

static err_t usage(struct cli *cli, const char *what, const char *value, const char *why) {
    trouble_next(&cli->trouble, "postern config --help");
    return trouble_set(&cli->trouble, EXIT_USAGE, "%s %s: %s", what, value, why);
}

/* --- what was chosen --- */

struct hops {
    char *text;
    const char *items[HOPS_MAX];
    size_t count;
};

static void hops_done(struct hops *hops) { free(hops->text); }

/* Commas as of ssh -J. */
static err_t read_hops(struct cli *cli, const struct arguments *arguments, struct hops *hops) {
    const char *given = arguments_value(arguments, "jump");
    if (given == NULL) {
        return OK;
    }
    hops->text = strdup(given);
    if (hops->text == NULL) {
        return FAIL(ERR_MEMORY);
    }
    char *rest = hops->text;
    for (char *hop; (hop = strsep(&rest, ",")) != NULL;) {
        if (hops->count == HOPS_MAX || failed(ssh_value_check_hop(hop))) {
            return usage(cli, "--jump", given, "write [user@]host[:port], with commas between");
        }
        hops->items[hops->count++] = hop;
    }
    return OK;
}

/* A socket's path is short: ssh puts 40 digits for %C, and adds 17 characters while it makes one.
 */
static err_t choose_control_path(struct cli *cli, struct ssh_config_options *options) {
    char *path CLEANUP(freep) = NULL;
    TRY(path_expand("~/.ssh/cm-", &path));
    if (strlen(path) + 40 + 17 >= CONTROL_PATH_CHARS) {
        return usage(cli, "--multiplex", path,
                     "too long a path for the socket that connections are shared by");
    }
    options->control_path =
        ssh_version_before(options->ssh, 6, 7) ? "~/.ssh/cm-%r@%h-%p" : "~/.ssh/cm-%C";
    return OK;
}

static err_t choose(struct cli *cli, const struct arguments *arguments, const struct hops *hops,
                    struct ssh_config_options *options) {
    options->suffix = arguments_value(arguments, "suffix");
    options->hops = hops->items;
    options->hop_count = hops->count;
    options->through_login = arguments_has(arguments, "through-login");
    options->forward_agent = arguments_has(arguments, "agent-forwarding");
    if (options->suffix != NULL && failed(ssh_value_check_suffix(options->suffix))) {
        return usage(cli, "--suffix", options->suffix,
                     "it is a dot and lower-case letters, digits or hyphens: .g5k");
    }
    return arguments_has(arguments, "multiplex") ? choose_control_path(cli, options) : OK;
}

/* --- the text --- */

static err_t put_head(const struct config_call *call, struct buf *out) {
    const struct ssh_config_options *options = &call->setup.options;
    TRY(buf_add_format(out,
                       PERSON_FILES_FIRST_LINE
                       " for the site %s, and anew each time;\n"
                       "# postern config --remove takes it away. It was made by:\n"
                       "# postern --site %s config",
                       call->site->name, call->site->name));
    for (size_t i = 0; i < options->hop_count; i++) {
        TRY(buf_add_format(out, "%s%s", i == 0 ? " --jump " : ",", options->hops[i]));
    }
    TRY(options->suffix != NULL ? buf_add_format(out, " --suffix %s", options->suffix) : OK);
    if (options->refresh_key != NULL) {
        TRY(buf_add_str(out, " --file "));
        TRY(ssh_value_put(out, options->refresh_key));
    }
    TRY(buf_add_format(out, "%s%s%s\n\n", options->control_path != NULL ? " --multiplex" : "",
                       options->forward_agent ? " --agent-forwarding" : "",
                       options->through_login ? " --through-login" : ""));
    return OK;
}

static err_t make_text(const struct config_call *call, struct buf *out) {
    struct fault fault = {0};
    err_t err = put_head(call, out);
    if (failed(err)) {
        return trouble_of(&call->cli->trouble, err, "ssh's configuration cannot hold %s",
                          call->setup.key_file);
    }
    err = ssh_config_write(call->reach, &call->setup.options, out, &fault);
    if (failed(err) && fault.field[0] != '\0') {
        return trouble_set(&call->cli->trouble,
                           err.code == ERR_NOT_FOUND ? EXIT_MISSING : EXIT_USAGE, "%s: %s",
                           fault.field, fault.reason);
    }
    return err;
}

/* What of the person's own options an ssh may not know counts still. */
static err_t take_ignored(struct config_call *call, const struct person_files *files,
                          char **ignored) {
    struct buf patterns CLEANUP(buf_done) = BUF(LIMIT_CONFIG_FILE_BYTES);
    TRY(person_config_ignored(buf_span(&files->config_text), &patterns));
    TRY(buf_to_str(&patterns, ignored));
    call->setup.options.ignore_unknown = patterns.len > 0 ? *ignored : NULL;
    return OK;
}

/* --- the person's own file --- */

struct edit {
    struct buf site;   /* config.d/posterngate-SITE; empty where it is not used */
    struct buf config; /* ~/.ssh/config */
    char line[LIMIT_SSH_CONFIG_LINE_CHARS];
};

static void edit_done(struct edit *edit) {
    buf_done(&edit->site);
    buf_done(&edit->config);
}

/* `text` is empty to take the site away. */
static err_t make_edit(struct cli *cli, const struct person_files *files, const char *site,
                       bool same_home, bool can_include, span_t text, struct edit *out) {
    const char *sites[PERSON_SITES_MAX + 1];
    struct person_config want = {
        .ssh_folder = files->ssh_folder, .site = site, .sites = sites, .same_home = same_home};
    bool named = text.len == 0 || !can_include;
    for (size_t i = 0; i < files->site_count; i++) {
        if (!named && strcmp(files->sites[i], site) >= 0) {
            sites[want.site_count++] = site;
            named = true;
        }
        if (strcmp(files->sites[i], site) != 0) {
            sites[want.site_count++] = files->sites[i];
        }
    }
    if (!named) {
        sites[want.site_count++] = site;
    }
    want.block = can_include ? (span_t){0} : text;
    TRY(can_include ? buf_add(&out->site, text) : OK);
    err_t err = person_config_edit(buf_span(&files->config_text), &want, &out->config);
    if (err.code == ERR_TRUNCATED) {
        return trouble_set(&cli->trouble, EXIT_USAGE,
                           "%s has a line \"# begin of posterngate-%s\" and none that ends it: "
                           "remove that block by hand",
                           files->config, site);
    }
    (void)snprintf(out->line, sizeof out->line,
                   "Include " PERSON_CONFIG_FOLDER "/" PERSON_CONFIG_PREFIX "%s", site);
    return failed(err) ? trouble_of(&cli->trouble, err, "cannot name a file in %s", files->folder)
                       : OK;
}

/* --- ssh as the judge --- */

/* True when ssh takes the file; what it says otherwise is in *said. */
static bool ssh_takes(const char *config, struct buf *said) {
    const struct process_terms terms = {.timeout_ms = ASK_MS, .both = true, .cut = true};
    const char *const words[] = {"ssh", "-G", "-F", config, "posterngate.invalid", NULL};
    struct command_line line CLEANUP(command_line_done) = {0};
    int status = 0;
    return !failed(command_line_add_words(&line, words)) &&
           !failed(process_ask(&line, &terms, said, &status)) && status == 0;
}

/* The host is none of ours, so that nothing is renewed. Takes both files back where ssh took the
 * configuration before and does not any more. */
static err_t check_or_undo(struct cli *cli, const struct person_files *files,
                           const struct edit *edit) {
    struct buf said CLEANUP(buf_done) = BUF(SAID_BYTES);
    if (ssh_takes(files->config, &said)) {
        return OK;
    }
    struct person_files now = *files;
    now.config_text = edit->config;
    now.site_text = edit->site;
    now.has_config = true;
    now.has_site_file = edit->site.len > 0;
    TRY(person_files_put_config(cli, &now, buf_span(&files->config_text), NULL));
    TRY(files->has_site_file ? person_files_put_site(cli, &now, buf_span(&files->site_text))
                             : person_files_remove_site(cli, &now));
    return trouble_set(&cli->trouble, EXIT_INTERNAL,
                       "ssh does not take what was written, so it was taken back: %.*s",
                       (int)said.len, (const char *)said.data);
}

/* Ours first: a line must not lead to a file that is not there yet. */
static err_t apply(const struct config_call *call, const struct person_files *files,
                   const struct edit *edit) {
    struct buf said CLEANUP(buf_done) = BUF(SAID_BYTES);
    struct cli *cli = call->cli;
    bool has_judge = !ssh_version_before(call->setup.options.ssh, 6, 8);
    bool was_good = has_judge && (!files->has_config || ssh_takes(files->config, &said));
    TRY(person_files_check(cli, files, buf_span(&edit->config), edit->line));
    TRY(person_files_make_known_hosts(cli, files));
    TRY(edit->site.len > 0 ? person_files_put_site(cli, files, buf_span(&edit->site)) : OK);
    TRY(person_files_put_config(cli, files, buf_span(&edit->config), edit->line));
    TRY(edit->site.len == 0 ? person_files_remove_site(cli, files) : OK);
    if (has_judge && !was_good) {
        print_warning("ssh did not take %s before, and does not now: %.*s", files->config,
                      (int)said.len, (const char *)said.data);
    }
    return was_good ? check_or_undo(cli, files, edit) : OK;
}

/* --- --diff --- */

static err_t show_diff(struct cli *cli, const char *path, bool is_there, span_t text) {
    struct run_folder folder CLEANUP(run_folder_remove) = {0};
    struct command_line line CLEANUP(command_line_done) = {0};
    struct buf answer CLEANUP(buf_done) = BUF(LIMIT_SSH_CONFIG_BYTES);
    char *after CLEANUP(freep) = NULL;
    int status = 0;
    TRY(run_folder_make(cli, &folder));
    TRY(run_folder_put(&folder, "config", text));
    TRY(run_folder_path(&folder, "config", &after));
    const char *const words[] = {
        "diff", "-u", "--label", path, "--label", path, is_there ? path : "/dev/null", after, NULL};
    TRY(command_line_add_words(&line, words));
    err_t err = process_ask(&line, &(struct process_terms){.timeout_ms = ASK_MS}, &answer, &status);
    if (failed(err) || status > 1) {
        return trouble_set(&cli->trouble, EXIT_INTERNAL, "cannot run diff");
    }
    (void)fwrite(answer.data, 1, answer.len, stdout);
    return OK;
}

static err_t show_diffs(struct cli *cli, const struct person_files *files,
                        const struct edit *edit) {
    TRY(show_diff(cli, files->site_file, files->has_site_file, buf_span(&edit->site)));
    return show_diff(cli, files->config, files->has_config, buf_span(&edit->config));
}

/* --- telling --- */

/* Which of two sites is meant by a name that both have is decided by their order. */
static err_t warn_of_clashes(const struct config_call *call, const struct person_files *files,
                             const char *other) {
    char *path CLEANUP(freep) = NULL;
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_SSH_CONFIG_BYTES);
    if (asprintf(&path, "%s/" PERSON_CONFIG_PREFIX "%s", files->folder, other) < 0) {
        path = NULL;
        return FAIL(ERR_MEMORY);
    }
    if (strcmp(other, call->site->name) == 0 || failed(file_read(path, &text))) {
        return OK;
    }
    span_t rest = buf_span(&text), line = {0}, word;
    while (host_names_next(&rest, &line, &word)) {
        char *name CLEANUP(freep) = NULL;
        TRY(span_to_str(word, &name));
        if (reach_find_cluster(call->reach, name) != NULL ||
            reach_find_host(call->reach, name) != NULL) {
            bool first = strcmp(other, call->site->name) < 0;
            print_warning("%s is a name of the site %s too, and ssh takes it for %s's", name, other,
                          first ? other : call->site->name);
        }
    }
    return OK;
}

/* Ours comes first, so the authority has the last word: a person is told where it takes one that
 * was somebody else's. */
static err_t warn_of_names(const struct config_call *call, const struct person_files *files,
                           span_t text) {
    struct buf outside CLEANUP(buf_done) = BUF(LIMIT_SSH_CONFIG_LINE_CHARS);
    struct buf shared CLEANUP(buf_done) = BUF(LIMIT_SSH_CONFIG_LINE_CHARS);
    const char *site = call->site->name;
    struct http_url url;
    TRY(http_url_parse(call->site->url, &url, NULL));
    TRY(host_names_list_outside(text, buf_span(&files->site_text), url.host, &outside));
    TRY(host_names_list_shared(text, buf_span(&files->config_text), &shared));
    if (outside.len > 0) {
        print_warning("new at %s, and outside of the domain of %s: %.*s; ssh takes them to the "
                      "site now; if they are somebody else's: postern config --remove",
                      site, url.host, (int)outside.len, (const char *)outside.data);
    }
    if (shared.len > 0) {
        print_warning("%s has these names as well, and ssh takes them for those of %s: %.*s",
                      files->config, site, (int)shared.len, (const char *)shared.data);
    }
    return OK;
}

static err_t names_json(const struct config_call *call, json_t *answer) {
    const struct reach *reach = call->reach;
    struct node_patterns nodes CLEANUP(node_patterns_done) = {0};
    TRY(node_patterns_make(reach, ssh_config_jump(reach, &call->setup.options),
                           call->setup.options.through_login, &nodes));
    json_t *jumps = json_array(), *clusters = json_array(), *hosts = json_array(),
           *patterns = json_array();
    for (size_t i = 0; i < reach->jump_count; i++) {
        (void)json_array_append_new(jumps, json_string(reach->jumps[i].name));
    }
    for (size_t i = 0; i < reach->cluster_count; i++) {
        (void)json_array_append_new(clusters, json_string(reach->clusters[i].name));
    }
    for (size_t i = 0; i < reach->host_count; i++) {
        if (reach->hosts[i].role == HOST_LOGIN) {
            (void)json_array_append_new(hosts, json_string(reach->hosts[i].name));
        }
    }
    for (size_t i = 0; i < nodes.count; i++) {
        (void)json_array_append_new(patterns, json_string(nodes.items[i].text));
    }
    bool kept = json_object_set_new(answer, "jumpHosts", jumps) == 0 &&
                json_object_set_new(answer, "clusters", clusters) == 0 &&
                json_object_set_new(answer, "loginHosts", hosts) == 0 &&
                json_object_set_new(answer, "computePatterns", patterns) == 0;
    return kept ? OK : FAIL(ERR_MEMORY);
}

static void show_names(const struct config_call *call) {
    const struct reach *reach = call->reach;
    const struct ssh_config_options *options = &call->setup.options;
    for (size_t i = 0; i < reach->jump_count; i++) {
        (void)printf("  ssh %-16s the jump host: who you are, and what you reach\n",
                     reach->jumps[i].name);
    }
    for (size_t i = 0; i < reach->cluster_count; i++) {
        (void)printf("  ssh %-16s %s\n", reach->clusters[i].name, reach->clusters[i].address);
    }
    if (options->suffix != NULL) {
        (void)printf("  ssh NAME%-12s any host inside\n", options->suffix);
    }
}

static err_t report(const struct config_call *call, const struct person_files *files,
                    const struct edit *edit) {
    const char *file = edit->site.len > 0 ? files->site_file : files->config;
    if (call->cli->json) {
        json_t *answer CLEANUP(json_freep) =
            json_pack("{s:s, s:s, s:s, s:s*, s:s*}", "site", call->site->name, "file", file,
                      "config", files->config, "suffix", call->setup.options.suffix, "refresh",
                      call->setup.options.refresh);
        TRY(answer == NULL ? FAIL(ERR_MEMORY) : names_json(call, answer));
        return print_json(answer);
    }
    (void)printf("Written: %s\n", file);
    show_names(call);
    return OK;
}

/* --- the command --- */

static err_t config_write(struct config_call *call) {
    struct cli *cli = call->cli;
    const struct arguments *arguments = call->arguments;
    struct person_files files CLEANUP(person_files_done) = {.lock = -1};
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_SSH_CONFIG_BYTES);
    struct edit edit CLEANUP(edit_done) = {.site = BUF(LIMIT_SSH_CONFIG_BYTES),
                                           .config = BUF(LIMIT_SSH_CONFIG_BYTES)};
    char *ignored CLEANUP(freep) = NULL;
    bool shows = arguments_has(arguments, "print") || arguments_has(arguments, "diff");
    TRY(person_files_open(cli, call->site->name, !shows, &files));
    TRY(take_ignored(call, &files, &ignored));
    TRY(make_text(call, &text));
    if (arguments_has(arguments, "print")) {
        return fwrite(text.data, 1, text.len, stdout) == text.len ? OK : FAIL(ERR_IO);
    }
    TRY(make_edit(cli, &files, call->site->name, call->setup.same_home,
                  !ssh_version_before(call->setup.options.ssh, 7, 3), buf_span(&text), &edit));
    if (arguments_has(arguments, "diff")) {
        return show_diffs(cli, &files, &edit);
    }
    TRY(apply(call, &files, &edit));
    for (size_t i = 0; i < files.site_count; i++) {
        TRY(warn_of_clashes(call, &files, files.sites[i]));
    }
    TRY(warn_of_names(call, &files, buf_span(&edit.site)));
    if (!call->setup.same_home) {
        print_warning("ssh goes by the account's home directory and not by $HOME: ssh -F %s",
                      files.config);
    }
    return report(call, &files, &edit);
}

/* Also of a site whose files here are gone already. */
static err_t find_name(struct cli *cli, char **out) {
    struct site *site CLEANUP(site_freep) = NULL;
    if (cli->site != NULL && !failed(cluster_name_check(span_str(cli->site), NULL))) {
        *out = strdup(cli->site);
    } else {
        TRY(site_open(&cli->trouble, cli->site, &site));
        *out = strdup(site->name);
    }
    return *out == NULL ? FAIL(ERR_MEMORY) : OK;
}

static err_t config_remove(struct cli *cli, const struct arguments *arguments) {
    struct person_files files CLEANUP(person_files_done) = {.lock = -1};
    struct edit edit CLEANUP(edit_done) = {.site = BUF(0), .config = BUF(LIMIT_SSH_CONFIG_BYTES)};
    char *name CLEANUP(freep) = NULL;
    TRY(find_name(cli, &name));
    if (arguments_has(arguments, "putty")) {
        return config_putty_remove(cli, name);
    }
    TRY(person_files_open(cli, name, false, &files));
    TRY(make_edit(cli, &files, name, ssh_setup_same_home(), true, (span_t){0}, &edit));
    if (arguments_has(arguments, "diff")) {
        return show_diffs(cli, &files, &edit);
    }
    TRY(person_files_put_config(cli, &files, buf_span(&edit.config), NULL));
    TRY(person_files_remove_site(cli, &files));
    if (files.site_count <= 1) {
        person_files_remove_known_hosts(&files);
    }
    if (cli->json) {
        json_t *answer CLEANUP(json_freep) =
            json_pack("{s:s, s:b}", "site", name, "removed", (int)files.has_site_file);
        return answer == NULL ? FAIL(ERR_MEMORY) : print_json(answer);
    }
    (void)printf(files.has_site_file ? "Removed: %s\n" : "There was no %s.\n", files.site_file);
    return OK;
}

static err_t config_run(struct cli *cli, const struct arguments *arguments) {
    if (arguments_has(arguments, "remove")) {
        return config_remove(cli, arguments);
    }
    struct site *site CLEANUP(site_freep) = NULL;
    struct reach *reach CLEANUP(reach_freep) = NULL;
    struct hops hops CLEANUP(hops_done) = {0};
    struct ssh_setup setup CLEANUP(ssh_setup_done) = {0};
    TRY(read_hops(cli, arguments, &hops));
    TRY(site_open(&cli->trouble, cli->site, &site));
    TRY(reach_open(cli, site, REACH_FRESH_S, &reach));
    TRY(ssh_setup_make(site, reach, arguments_value(arguments, "file"), &setup));
    TRY(choose(cli, arguments, &hops, &setup.options));
    struct config_call call = {cli, arguments, site, reach, setup};
    const char *aiida = arguments_value(arguments, "aiida");
    return arguments_has(arguments, "putty")    ? config_putty(&call)
           : arguments_has(arguments, "vscode") ? config_vscode(&call)
           : aiida != NULL                      ? config_aiida(&call, aiida)
                                                : config_write(&call);
}

static const struct option options[] = {
    {'f', "file", "KEY", "the private key file; the site's default otherwise"},
    {0, "print", NULL, "print it, and write nothing", .many = true},
    {0, "diff", NULL, "show what would change, and write nothing", .many = true},
    {0, "remove", NULL, "take away what was written", .many = true},
    {0, "suffix", ".NAME", "HOST.NAME for any host inside: ssh nancy.g5k"},
    {0, "multiplex", NULL, "share one connection among all to a host", .many = true},
    {0, "agent-forwarding", NULL, "let hosts inside use your agent", .many = true},
    {0, "jump", "HOP[,HOP…]", "the way in: hosts of yours, then the site's jump hosts"},
    {0, "through-login", NULL, "to compute nodes through their login host", .many = true},
    {0, "putty", NULL, "for PuTTY: sessions, and a file for its registry", .many = true},
    {0, "putty-key", "PATH", "the .ppk file that the registry file names"},
    {0, "aiida", "HOST", "for AiiDA: YAML for verdi computer setup and configure"},
    {0, "vscode", NULL, "for Visual Studio Code: its settings.json", .many = true},
    {'o', "output", "FOLDER", "where --putty and --aiida put their files; here otherwise"},
    {.name = NULL},
};

const struct command command_config = {
    .name = "config",
    .arguments = "",
    .summary = "Tell ssh how the site is reached, so that ssh HOST just works",
    .details = "Writes ~/.ssh/config.d/posterngate-SITE and an Include line for it, the first of\n"
               "~/.ssh/config. Everything else there stays as it is.",
    .options = options,
    .run = config_run,
};
