#include "cli/config/ssh_config.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/inet.h"
#include "base/limits.h"
#include "cli/config/node_patterns.h"
#include "cli/config/ssh_value.h"
#include "cli/config/way_in.h"

enum { SSH_PORT = 22 };

const char *ssh_config_jump(const struct reach *reach, const struct ssh_config_options *options) {
    struct way_in way;
    err_t err = way_in_find(reach, options->hops, options->hop_count, &way, NULL);
    return failed(err) ? NULL : way_in_last(&way);
}

/* --- lines --- */

struct writer {
    const struct reach *reach;
    const struct ssh_config_options *options;
    struct buf *out;
    struct fault *fault;
    struct way_in way;
    char front[LIMIT_SSH_CONFIG_LINE_CHARS / 2]; /* the person's own hops, as ProxyJump has them */
    struct node_patterns nodes;
    const char *jump; /* what leads to the clusters; NULL: they are dialled as they are */
};

/* "    Keyword value" */
static err_t put(const struct writer *writer, const char *keyword, const char *value) {
    TRY(buf_add_format(writer->out, "    %s ", keyword));
    err_t err = ssh_value_put(writer->out, value);
    return err.code == ERR_MALFORMED
               ? fault_set(writer->fault, ERR_MALFORMED, keyword,
                           "ssh's configuration cannot hold quotes, backslashes, percent signs or "
                           "control characters: %s",
                           value)
           : failed(err) ? err
                         : buf_add_byte(writer->out, '\n');
}

static err_t put_port(const struct writer *writer, uint16_t port) {
    return port == SSH_PORT ? OK : buf_add_format(writer->out, "    Port %u\n", (unsigned)port);
}

/* ProxyJump came with OpenSSH 7.3. What stands before it is ProxyCommand's shell's business, so no
 * quote may be in %h: the blocks see to that. */
static err_t put_via(const struct writer *writer, const char *hop) {
    const struct ssh_config_options *options = writer->options;
    if (hop == NULL) {
        return OK;
    }
    if (!ssh_version_before(options->ssh, 7, 3)) {
        return put(writer, "ProxyJump", hop);
    }
    TRY(buf_add_str(writer->out, "    ProxyCommand ssh "));
    if (options->own_path != NULL) {
        if (strpbrk(options->own_path, "\"'\\%") != NULL) {
            return fault_set(writer->fault, ERR_MALFORMED, "ProxyCommand",
                             "it cannot hold the path %s", options->own_path);
        }
        TRY(buf_add_format(writer->out, "-F '%s' ", options->own_path));
    }
    return buf_add_format(writer->out, "-W '[%%h]:%%p' %s\n", hop);
}

static err_t put_identity(const struct writer *writer) {
    const struct ssh_config_options *options = writer->options;
    char *cert CLEANUP(freep) = NULL;
    if (asprintf(&cert, "%s-cert.pub", options->key_file) < 0) {
        cert = NULL;
        return FAIL(ERR_MEMORY);
    }
    TRY(options->username != NULL ? put(writer, "User", options->username) : OK);
    TRY(put(writer, "IdentityFile", options->key_file));
    /* Before 7.2 ssh finds it by itself. */
    TRY(ssh_version_before(options->ssh, 7, 2) ? OK : put(writer, "CertificateFile", cert));
    TRY(put(writer, "IdentitiesOnly", "yes"));
    TRY(put(writer, "UserKnownHostsFile", options->known_hosts));
    if (options->user_known_hosts != NULL) {
        writer->out->len--; /* the newline: both stand in one line */
        TRY(buf_add_byte(writer->out, ' '));
        TRY(ssh_value_put(writer->out, options->user_known_hosts));
        TRY(buf_add_byte(writer->out, '\n'));
    }
    return put(writer, "UseKeychain", "yes");
}

static err_t put_rest(const struct writer *writer, bool inside) {
    const struct ssh_config_options *options = writer->options;
    TRY(put_identity(writer));
    if (options->gssapi) {
        TRY(put(writer, "GSSAPIAuthentication", "yes"));
    }
    if (options->forward_agent && inside) {
        TRY(put(writer, "ForwardAgent", "yes"));
    }
    if (options->control_path != NULL) {
        /* Its tokens are meant. */
        TRY(put(writer, "ControlMaster", "auto"));
        TRY(buf_add_format(writer->out, "    ControlPath \"%s\"\n", options->control_path));
        TRY(put(writer, "ControlPersist", "10m"));
    }
    return buf_add_byte(writer->out, '\n');
}

/* --- blocks --- */

static bool is_literal(const char *address) {
    struct inet_address ignored;
    return !failed(inet_address_parse(span_str(address), &ignored));
}

/* An address that is a name stands beside the host's own, so that the same holds for it; unless it
 * is that of one of so many jump hosts and clusters before. */
static bool stands_beside(const struct writer *writer, const char *address, size_t jumps,
                          size_t clusters) {
    const struct reach *reach = writer->reach;
    bool is_free = !is_literal(address);
    for (size_t i = 0; i < jumps; i++) {
        is_free = is_free && strcmp(reach->jumps[i].address, address) != 0;
    }
    for (size_t i = 0; i < clusters; i++) {
        is_free = is_free && strcmp(reach->clusters[i].address, address) != 0;
    }
    return is_free;
}

/* A name and what it stands for; its key is known by the name where `alias` says so. */
static err_t put_place(const struct writer *writer, const char *suffix, const char *name,
                       const char *address, uint16_t port, bool beside, bool alias) {
    bool both = beside && strcmp(name, address) != 0;
    TRY(buf_add_format(writer->out, "Host %s%s%s%s\n", name, suffix, both ? " " : "",
                       both ? address : ""));
    TRY(put(writer, "HostName", address));
    if (alias && strcmp(name, address) != 0) {
        TRY(put(writer, "HostKeyAlias", name));
    }
    return put_port(writer, port);
}

/* Of several jump hosts behind one address whichever answers is good: its certificate has that
 * address. */
static err_t put_jumps(const struct writer *writer) {
    const struct reach *reach = writer->reach;
    const struct way_in *way = &writer->way;
    for (size_t i = 0; i < reach->jump_count; i++) {
        const struct reach_host *jump = &reach->jumps[i];
        const char *via = writer->front[0] != '\0' ? writer->front : NULL;
        for (size_t hop = 1; hop < way->own_count; hop++) {
            via = way->own[hop] == jump ? way->own[hop - 1]->name : via;
        }
        TRY(put_place(writer, "", jump->name, jump->address, jump->port,
                      stands_beside(writer, jump->address, i, 0), false));
        TRY(put_via(writer, via));
        TRY(put_rest(writer, false));
    }
    return OK;
}

/* The same holds for login hosts at a cluster's address. */
static err_t put_clusters(const struct writer *writer) {
    const struct reach *reach = writer->reach;
    for (size_t i = 0; i < reach->cluster_count; i++) {
        const struct reach_cluster *cluster = &reach->clusters[i];
        TRY(put_place(writer, "", cluster->name, cluster->address, cluster->port,
                      stands_beside(writer, cluster->address, reach->jump_count, i), false));
        TRY(put_via(writer, writer->jump));
        TRY(put_rest(writer, true));
    }
    return OK;
}

static bool is_taken(const struct reach *reach, const char *name) {
    for (size_t i = 0; i < reach->cluster_count; i++) {
        if (strcmp(reach->clusters[i].name, name) == 0) {
            return true;
        }
    }
    return reach_find_jump(reach, name) != NULL;
}

static err_t put_login_hosts(const struct writer *writer) {
    const struct reach *reach = writer->reach;
    for (size_t i = 0; i < reach->host_count; i++) {
        const struct reach_host *host = &reach->hosts[i];
        if (host->role == HOST_LOGIN && !is_taken(reach, host->name)) {
            TRY(put_place(
                writer, "", host->name, host->address, host->port,
                stands_beside(writer, host->address, reach->jump_count, reach->cluster_count),
                true));
            TRY(put_via(writer, writer->jump));
            TRY(put_rest(writer, true));
        }
    }
    return OK;
}

/* --- compute hosts --- */

/* Where no hop knows it by its name, its address has to be said. */
static bool needs_address(const struct node_pattern *node) {
    return node->via[0] == '\0' && strcmp(node->host->name, node->host->address) != 0;
}

static err_t end_nodes(const struct writer *writer, const struct node_pattern *node) {
    TRY(buf_add_byte(writer->out, '\n'));
    if (needs_address(node)) {
        TRY(put(writer, "HostName", node->host->address));
        TRY(put(writer, "HostKeyAlias", node->host->name));
    }
    TRY(put_port(writer, node->host->port));
    TRY(put_via(writer, node->via[0] != '\0' ? node->via : NULL));
    return put_rest(writer, true);
}

static bool share_block(const struct node_pattern *a, const struct node_pattern *b) {
    return a->exact == b->exact && a->host->port == b->host->port && strcmp(a->via, b->via) == 0 &&
           !needs_address(a) && !needs_address(b);
}

/* In the shell of ProxyCommand, %h stands between single quotes. */
static const char *guard(const struct writer *writer) {
    return ssh_version_before(writer->options->ssh, 7, 3) ? " \"!*'*\"" : "";
}

static err_t put_nodes(const struct writer *writer) {
    const struct node_patterns *nodes = &writer->nodes;
    size_t line_begins = 0;
    for (size_t i = 0; i < nodes->count; i++) {
        const struct node_pattern *node = &nodes->items[i];
        size_t chars = writer->out->len - line_begins + strlen(node->text) + 1;
        bool goes_on = i > 0 && share_block(node - 1, node) && chars < LIMIT_SSH_CONFIG_LINE_CHARS;
        if (!goes_on) {
            TRY(i > 0 ? end_nodes(writer, node - 1) : OK);
            line_begins = writer->out->len;
            TRY(buf_add_format(writer->out, "Host%s", guard(writer)));
        }
        TRY(buf_add_format(writer->out, " %s", node->text));
    }
    return nodes->count > 0 ? end_nodes(writer, &nodes->items[nodes->count - 1]) : OK;
}

/* ssh runs it without a shell. */
static err_t put_keys_command(const struct writer *writer) {
    const struct ssh_config_options *options = writer->options;
    if (options->postern == NULL || ssh_version_before(options->ssh, 8, 5)) {
        return OK;
    }
    if (!ssh_value_can_run(options->postern) || !ssh_value_has_only(options->site, "_.-")) {
        return fault_set(writer->fault, ERR_MALFORMED, "KnownHostsCommand",
                         "it cannot hold this path: %s", options->postern);
    }
    return buf_add_format(writer->out, "    KnownHostsCommand %s --site %s known-hosts --for %%H\n",
                          options->postern, options->site);
}

/* A gate knows them; with no jump host nobody does. */
static err_t put_jobs(const struct writer *writer) {
    if (writer->way.own_count == 0) {
        return OK;
    }
    TRY(buf_add_format(writer->out, "Host%s job-*\n", guard(writer)));
    TRY(put_via(writer, writer->jump));
    TRY(put_keys_command(writer));
    return put_rest(writer, true);
}

/* --- names with a suffix --- */

static err_t put_suffixed_hosts(const struct writer *writer) {
    const struct reach *reach = writer->reach;
    const struct ssh_config_options *options = writer->options;
    for (size_t i = 0; i < reach->host_count; i++) {
        const struct reach_host *host = &reach->hosts[i];
        bool compute = host->role == HOST_COMPUTE;
        const char *via =
            compute ? node_via(reach, host, writer->jump, options->through_login) : "";
        if (is_taken(reach, host->name)) {
            continue;
        }
        /* The jump host finds a compute host by its name. */
        TRY(put_place(writer, options->suffix, host->name,
                      compute && via[0] != '\0' ? host->name : host->address, host->port, false,
                      true));
        if (compute && options->through_login && via[0] != '\0') {
            TRY(put_via(writer, via));
        }
    }
    return OK;
}

static err_t put_suffixed(const struct writer *writer) {
    const struct reach *reach = writer->reach;
    const char *suffix = writer->options->suffix;
    if (suffix == NULL) {
        return OK;
    }
    for (size_t i = 0; i < reach->cluster_count; i++) {
        const struct reach_cluster *cluster = &reach->clusters[i];
        TRY(put_place(writer, suffix, cluster->name, cluster->address, cluster->port, false,
                      false));
    }
    TRY(put_suffixed_hosts(writer));
    TRY(buf_add_format(writer->out, "Host%s *%s\n", guard(writer), suffix));
    TRY(put_via(writer, writer->jump));
    return put_rest(writer, true);
}

/* --- renewing --- */

struct match {
    const struct writer *writer;
    size_t line_begins;
};

static err_t match_end(const struct match *match) {
    const struct ssh_config_options *options = match->writer->options;
    const char *key = options->refresh_key;
    return buf_add_format(
        match->writer->out,
        " exec \"/bin/sh -c 'test ! -x %s || exec %s --from-ssh --site %s%s%s'\"\n",
        options->refresh, options->refresh, options->site, key != NULL ? " --file " : "",
        key != NULL ? key : "");
}

static err_t match_add(struct match *match, const char *pattern, const char *suffix) {
    struct buf *out = match->writer->out;
    size_t chars = out->len - match->line_begins;
    if (match->line_begins != 0 && chars > LIMIT_SSH_CONFIG_LINE_CHARS / 2) {
        TRY(match_end(match));
        match->line_begins = 0;
    }
    bool begins = match->line_begins == 0;
    if (begins) {
        match->line_begins = out->len;
    }
    return buf_add_format(out, "%s%s%s", begins ? "Match originalhost " : ",", pattern, suffix);
}

static err_t match_both(struct match *match, const char *name, const char *address) {
    TRY(match_add(match, name, ""));
    bool both = strcmp(name, address) != 0 && !is_literal(address);
    return both ? match_add(match, address, "") : OK;
}

static err_t match_places(struct match *match) {
    const struct reach *reach = match->writer->reach;
    for (size_t i = 0; i < reach->jump_count; i++) {
        TRY(match_both(match, reach->jumps[i].name, reach->jumps[i].address));
    }
    for (size_t i = 0; i < reach->cluster_count; i++) {
        TRY(match_both(match, reach->clusters[i].name, reach->clusters[i].address));
    }
    for (size_t i = 0; i < reach->host_count; i++) {
        const struct reach_host *host = &reach->hosts[i];
        if (host->role == HOST_LOGIN) {
            TRY(match_add(match, host->name, ""));
        }
    }
    return OK;
}

/*
 * ssh runs it for these destinations alone, and goes on whatever comes of it: the line has no
 * options of its own. A program that is gone is not even noticed. Only what any shell leaves as it
 * is can stand here.
 */
static err_t put_refresh(const struct writer *writer) {
    const struct ssh_config_options *options = writer->options;
    struct match match = {.writer = writer};
    if (options->refresh == NULL) {
        return OK;
    }
    const char *key = options->refresh_key;
    bool plain_key = key == NULL || ssh_value_has_only(key, "_./+,@:=-~");
    if (!ssh_value_can_run(options->refresh) || !ssh_value_has_only(options->site, "_.-") ||
        !plain_key) {
        return fault_set(writer->fault, ERR_MALFORMED, "Match exec",
                         "a shell could take this path for more: %s",
                         plain_key ? options->refresh : key);
    }
    TRY(match_places(&match));
    for (size_t i = 0; i < writer->nodes.count; i++) {
        TRY(match_add(&match, writer->nodes.items[i].text, ""));
    }
    TRY(writer->way.own_count > 0 ? match_add(&match, "job-*", "") : OK);
    TRY(options->suffix != NULL ? match_add(&match, "*", options->suffix) : OK);
    TRY(match.line_begins != 0 ? match_end(&match) : OK);
    return buf_add_byte(writer->out, '\n');
}

/* --- the whole --- */

/* The first IgnoreUnknown that ssh meets is the only one: what the person's own says stands in it
 * too. */
static err_t put_head(const struct writer *writer) {
    const char *theirs = writer->options->ignore_unknown;
    TRY(buf_add_str(writer->out, "IgnoreUnknown UseKeychain,KnownHostsCommand"));
    if (theirs != NULL) {
        if (!ssh_value_has_only(theirs, "_,?*!-")) {
            return fault_set(writer->fault, ERR_MALFORMED, "IgnoreUnknown",
                             "it is no list of patterns: %s", theirs);
        }
        TRY(buf_add_format(writer->out, ",%s", theirs));
    }
    return buf_add_str(writer->out, "\n\n");
}

static err_t set_way(struct writer *writer) {
    struct way_in *way = &writer->way;
    size_t len = 0;
    TRY(way_in_find(writer->reach, writer->options->hops, writer->options->hop_count, way,
                    writer->fault));
    if (way->front_count > 1 && ssh_version_before(writer->options->ssh, 7, 3)) {
        return fault_set(writer->fault, ERR_UNSUPPORTED, "jump",
                         "OpenSSH before 7.3 goes through one host of your own alone");
    }
    for (size_t i = 0; i < way->front_count; i++) {
        size_t room = sizeof writer->front - len;
        int added = snprintf(writer->front + len, room, "%s%s", i == 0 ? "" : ",", way->front[i]);
        if (added < 0 || (size_t)added >= room) {
            return fault_set(writer->fault, ERR_TOO_LONG, "jump", "the hops' names are too long");
        }
        len += (size_t)added;
    }
    writer->jump = way->own_count > 0 || way->front_count == 0 ? way_in_last(way) : writer->front;
    return OK;
}

static err_t put_all(const struct writer *writer) {
    TRY(put_head(writer));
    TRY(put_refresh(writer));
    TRY(put_jumps(writer));
    TRY(put_clusters(writer));
    TRY(put_login_hosts(writer));
    TRY(put_suffixed(writer));
    TRY(put_nodes(writer));
    return put_jobs(writer);
}

err_t ssh_config_write(const struct reach *reach, const struct ssh_config_options *options,
                       struct buf *out, struct fault *fault) {
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_SSH_CONFIG_BYTES);
    struct writer writer = {.reach = reach, .options = options, .out = &text, .fault = fault};
    if (options->suffix != NULL && failed(ssh_value_check_suffix(options->suffix))) {
        return fault_set(fault, ERR_MALFORMED, "suffix",
                         "it is a dot and lower-case letters, digits or hyphens: .g5k");
    }
    TRY(set_way(&writer));
    TRY(node_patterns_make(reach, writer.jump, options->through_login, &writer.nodes));
    err_t err = put_all(&writer);
    node_patterns_done(&writer.nodes);
    TRY(err);
    return buf_add(out, buf_span(&text));
}
