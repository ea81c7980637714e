#include "authority/init.h"

#include <getopt.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/random.h"
#include "base/secret.h"
#include "base/text.h"
#include "identity/token.h"
#include "net/tls.h"
#include "ssh/private_key.h"
#include "store/store.h"

enum { INVITATION_S = 2 * 24 * 3600, PORT_DEFAULT = 8443 };

struct plan {
    const char *folder;
    const char *site;
    const char *admin;
    const char *listen;
    char address[INET_CHARS];
    uint16_t port;
    char url[512];
    char url_host[256];
    char invitation[TOKEN_CHARS];
};

static const char usage[] =
    "usage: posternd init DIR [--site NAME] [--url URL] [--listen ADDRESS:PORT] [--admin NAME]\n"
    "\n"
    "Makes in DIR: the configuration, CA keys for users and hosts, a TLS certificate of its own,\n"
    "the store, and the first administrator, whose invitation is printed once.\n";

static const char config_text[] =
    "# Configuration of posternd. All settings: examples/posternd.yaml; posternd check explains\n"
    "# what is wrong. Paths are relative to this file.\n"
    "site:\n"
    "  name: %s\n"
    "listen:\n"
    "  address: \"%s\"\n"
    "  port: %u\n"
    "public_url: %s\n"
    "tls:\n"
    "  certificate: tls/server.pem\n"
    "  key: tls/server.key\n"
    "store:\n"
    "  path: store/posternd.db\n"
    "signer:\n"
    "  directory: ca\n"
    "policy:\n"
    "  durations: [1d, 1min]\n"
    "  default_duration: 1d\n"
    "  quota_per_day: 5\n";

static int fail(const struct plan *plan, const char *what, err_t err) {
    fprintf(stderr, "posternd init: %s/%s: %s\n", plan->folder, what, err_text(err));
    return 1;
}

/* ---- options ----------------------------------------------------------------------------- */

static bool parse_listen(struct plan *plan) {
    const char *colon = strrchr(plan->listen, ':');
    uint64_t port;
    if (colon == NULL || failed(u64_parse(span_str(colon + 1), &port)) || port == 0 ||
        port > UINT16_MAX) {
        return false;
    }
    const char *from = plan->listen;
    size_t len = (size_t)(colon - from);
    if (len >= 2 && from[0] == '[' && from[len - 1] == ']') {
        from++;
        len -= 2;
    }
    struct inet_address address;
    if (failed(inet_address_parse(span_of(from, len), &address))) {
        return false;
    }
    inet_address_print(&address, plan->address);
    plan->port = (uint16_t)port;
    return true;
}

/* The host of "https://host:port/…", also "[::1]". */
static bool parse_url(struct plan *plan) {
    if (strncmp(plan->url, "https://", 8) != 0) {
        return false;
    }
    const char *from = plan->url + 8;
    bool bracket = from[0] == '[';
    from += bracket;
    size_t len = strcspn(from, bracket ? "]/" : ":/");
    if (len == 0 || len >= sizeof plan->url_host || !text_is_printable(span_str(plan->url)) ||
        strpbrk(plan->url, " \"'<>\\?#") != NULL) {
        return false;
    }
    memcpy(plan->url_host, from, len);
    plan->url_host[len] = '\0';
    return true;
}

static bool default_url(struct plan *plan) {
    char name[256] = "localhost";
    if (gethostname(name, sizeof name - 1) != 0 ||
        failed(host_name_check(span_str(name), "url", NULL))) {
        (void)snprintf(name, sizeof name, "localhost");
    }
    int len = snprintf(plan->url, sizeof plan->url, "https://%s:%u", name, plan->port);
    return len > 0 && (size_t)len < sizeof plan->url;
}

static const char *default_admin(void) {
    const char *names[] = {getenv("SUDO_USER"), getenv("USER")};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (names[i] != NULL && !failed(account_name_check(span_str(names[i]), NULL))) {
            return names[i];
        }
    }
    return "admin";
}

static int bad_option(const char *text) {
    fprintf(stderr, "posternd init: %s\n\n%s", text, usage);
    return 2;
}

static int read_options(int argc, char **argv, struct plan *plan) {
    static const struct option options[] = {
        {"site", required_argument, NULL, 's'},   {"url", required_argument, NULL, 'u'},
        {"listen", required_argument, NULL, 'l'}, {"admin", required_argument, NULL, 'a'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0}};
    struct fault fault = {.reason = ""};
    const char *url = NULL;
    *plan = (struct plan){.site = "site", .listen = "0.0.0.0:8443", .admin = default_admin()};
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        switch (option) {
        case 's':
            plan->site = optarg;
            break;
        case 'u':
            url = optarg;
            break;
        case 'l':
            plan->listen = optarg;
            break;
        case 'a':
            plan->admin = optarg;
            break;
        case 'h':
            fputs(usage, stdout);
            exit(0);
        default:
            fputs(usage, stderr);
            return 2;
        }
    }
    if (optind + 1 != argc) {
        return bad_option("give just one folder");
    }
    plan->folder = argv[optind];
    if (failed(cluster_name_check(span_str(plan->site), &fault))) {
        return bad_option("--site: lower-case letters, digits, '.', '_', '-'");
    }
    if (failed(account_name_check(span_str(plan->admin), &fault))) {
        fprintf(stderr, "posternd init: --admin: %s\n", fault.reason);
        return 2;
    }
    if (!parse_listen(plan)) {
        return bad_option("--listen: ADDRESS:PORT, as in 0.0.0.0:8443 or [::]:8443");
    }
    if (url != NULL ? (size_t)snprintf(plan->url, sizeof plan->url, "%s", url) >= sizeof plan->url
                    : !default_url(plan)) {
        return bad_option("--url: too long");
    }
    return parse_url(plan) ? 0 : bad_option("--url: https://NAME or https://NAME:PORT");
}

/* ---- making ------------------------------------------------------------------------------ */

static err_t put_file(const struct plan *plan, const char *name, span_t bytes, mode_t mode) {
    char *path CLEANUP(freep) = NULL;
    TRY(path_join(plan->folder, name, &path));
    return file_replace(path, bytes, mode, FILE_DURABLE | FILE_EXCLUSIVE);
}

static err_t make_folder(const struct plan *plan, const char *name) {
    char *path CLEANUP(freep) = NULL;
    TRY(path_join(plan->folder, name, &path));
    TRY(file_make_dirs(path, 0700));
    return chmod(path, 0700) == 0 ? OK : FAIL(ERR_IO);
}

static err_t make_ca(const struct plan *plan, const char *name) {
    struct private_key *key CLEANUP(private_key_freep) = NULL;
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_KEY_FILE_BYTES);
    struct buf line CLEANUP(buf_done) = BUF(LIMIT_KEY_LINE_CHARS);
    char comment[160], file[64];
    (void)snprintf(comment, sizeof comment, "%s@%s", name, plan->site);
    TRY(private_key_generate(KEY_ED25519, 256, &key));
    TRY(private_key_write(key, comment, NULL, 0, &text));
    TRY(key_print_line(private_key_public(key), comment, &line));
    TRY(buf_add_byte(&line, '\n'));
    (void)snprintf(file, sizeof file, "ca/%s.key", name);
    TRY(put_file(plan, file, buf_span(&text), 0600));
    (void)snprintf(file, sizeof file, "ca/%s.pub", name);
    return put_file(plan, file, buf_span(&line), 0644);
}

static err_t make_tls(const struct plan *plan) {
    struct tls_made made CLEANUP(tls_made_done) = {.key_pem = {.len = 0}};
    const char *const names[] = {plan->url_host, "localhost", "127.0.0.1", "::1"};
    size_t skip = strcmp(plan->url_host, "localhost") == 0 ? 1 : 0;
    TRY(tls_make(plan->url_host, names + skip, COUNT_OF(names) - skip, clock_now_s(), &made));
    TRY(put_file(plan, "tls/ca.pem", buf_span(&made.ca_pem), 0644));
    TRY(put_file(plan, "tls/ca.key", buf_span(&made.ca_key_pem), 0600));
    TRY(put_file(plan, "tls/server.pem", buf_span(&made.chain_pem), 0644));
    return put_file(plan, "tls/server.key", buf_span(&made.key_pem), 0600);
}

static err_t add_administrator(struct plan *plan, struct store *store) {
    uint8_t random[TOKEN_RANDOM_BYTES];
    struct account account = {
        .kind = ACCOUNT_PERSON, .administrator = true, .created_at = clock_now_s()};
    struct login login = {.invitation_expires_at = account.created_at + INVITATION_S};
    struct audit audit = {.at = account.created_at,
                          .actor = "system",
                          .action = "authority.init",
                          .allowed = true,
                          .code = "ok"};
    (void)snprintf(account.name, sizeof account.name, "%s", plan->admin);
    (void)snprintf(audit.target, sizeof audit.target, "%s", plan->admin);
    TRY(store_account_add(store, &account));
    random_bytes(random, sizeof random);
    TRY(token_make(TOKEN_INVITATION, random, plan->invitation, login.invitation_hash));
    login.account_id = account.id;
    TRY(store_login_put(store, &login));
    return store_audit_append(store, &audit);
}

static err_t make_store(struct plan *plan) {
    char *path CLEANUP(freep) = NULL;
    struct store *store CLEANUP(store_closep) = NULL;
    TRY(path_join(plan->folder, "store/posternd.db", &path));
    TRY(store_open_sqlite(path, &store));
    TRY(store_begin(store));
    err_t err = add_administrator(plan, store);
    if (failed(err)) {
        store_rollback(store);
        return err;
    }
    return store_commit(store);
}

static err_t make_config(const struct plan *plan) {
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_CONFIG_FILE_BYTES);
    TRY(buf_add_format(&text, config_text, plan->site, plan->address, plan->port, plan->url));
    return put_file(plan, "posternd.yaml", buf_span(&text), 0600);
}

static bool is_taken(const struct plan *plan) {
    static const char *const names[] = {"posternd.yaml", "ca", "tls", "store"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char *path CLEANUP(freep) = NULL;
        if (failed(path_join(plan->folder, names[i], &path)) || access(path, F_OK) == 0) {
            fprintf(stderr,
                    "posternd init: %s/%s is there already; nothing was changed. Give another "
                    "folder, or start what is there: posternd serve -c %s/posternd.yaml\n",
                    plan->folder, names[i], plan->folder);
            return true;
        }
    }
    return false;
}

static void tell(const struct plan *plan) {
    printf("An authority was made in %s for the site %s.\n\n"
           "Start it:\n"
           "  posternd serve -c %s/posternd.yaml\n\n"
           "Then, on your own machine, set the password and second factor of the first\n"
           "administrator, %s. The invitation is shown only here and is good for two days:\n"
           "  postern init %s\n"
           "  postern login --invitation %s\n\n"
           "Keep a copy of %s/ca in a safe place: who has these keys can log in anywhere, and\n"
           "without them every host must be enrolled anew.\n",
           plan->folder, plan->site, plan->folder, plan->admin, plan->url, plan->invitation,
           plan->folder);
}

int init_main(int argc, char **argv) {
    struct plan plan;
    int status = read_options(argc, argv, &plan);
    if (status != 0) {
        return status;
    }
    if (is_taken(&plan)) {
        return 2;
    }
    umask(077);
    err_t err = OK;
    static const char *const folders[] = {"ca", "tls", "store"};
    for (size_t i = 0; i < COUNT_OF(folders); i++) {
        if (failed(err = make_folder(&plan, folders[i]))) {
            return fail(&plan, folders[i], err);
        }
    }
    if (failed(err = make_ca(&plan, "user_1")) || failed(err = make_ca(&plan, "host_1"))) {
        return fail(&plan, "ca", err);
    }
    if (failed(err = make_tls(&plan))) {
        return fail(&plan, "tls", err);
    }
    if (failed(err = make_store(&plan))) {
        return fail(&plan, "store", err);
    }
    if (failed(err = make_config(&plan))) {
        return fail(&plan, "posternd.yaml", err);
    }
    tell(&plan);
    secret_wipe(plan.invitation, sizeof plan.invitation);
    return 0;
}
