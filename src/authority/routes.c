#include "authority/routes.h"

#include <string.h>

#include "authority/authority.h"
#include "authority/page.h"

/* The busiest first. */
const struct route *const route_tables[] = {
    sign_routes,
    feed_routes,
    list_routes,
    revoke_routes,
    login_routes,
    site_routes,
    session_list_routes,
    host_call_routes,
    internal_key_routes,
    job_certificate_routes,
    account_routes,
    project_routes,
    cluster_routes,
    host_admin_routes,
    service_account_routes,
    registered_key_routes,
    job_routes,
    job_list_routes,
    grant_routes,
    ticket_routes,
    project_people_routes,
    project_issued_routes,
    grant_renewal_routes,
    access_routes,
    kerberos_routes,
    known_hosts_routes,
    window_routes,
    enrolment_routes,
    gate_audit_routes,
    gate_session_routes,
    audit_routes,
    statistics_routes,
    oidc_discovery_routes,
    oidc_authorize_routes,
    oidc_token_routes,
    oidc_device_routes,
    page_routes,
    sign_in_routes,
    sign_in_issuer_routes,
    dashboard_routes,
    factor_routes,
    identity_routes,
    password_routes,
    passkey_page_routes,
    health_routes,
    metrics_routes,
    NULL,
};

/* Compares template and path segment by segment; fills the parameters. */
static bool path_matches(const char *template, char *path, struct route_match *match) {
    match->count = 0;
    while (*template != '\0' && *template != '{') {
        if (*template ++ != *path++) {
            return false;
        }
    }
    if (*template == '\0') {
        return *path == '\0';
    }
    const char *name = template + 1;
    const char *name_end = strchr(name, '}');
    INVARIANT(name_end != NULL && match->count < CALL_PATH_PARAMETERS_COUNT);
    size_t chars = strcspn(path, "/");
    if (chars == 0) {
        return false;
    }
    struct route_match rest = {.count = 0};
    if (!path_matches(name_end + 1, path + chars, &rest)) {
        return false;
    }
    INVARIANT(rest.count + 1 <= CALL_PATH_PARAMETERS_COUNT);
    match->names[0] = name;
    match->name_chars[0] = (size_t)(name_end - name);
    match->values[0] = path;
    for (size_t i = 0; i < rest.count; i++) {
        match->names[i + 1] = rest.names[i];
        match->name_chars[i + 1] = rest.name_chars[i];
        match->values[i + 1] = rest.values[i];
    }
    match->count = rest.count + 1;
    return true;
}

/* Only once it is known which route it is: another template might need the slashes. */
static void end_values(char *path, const struct route_match *match) {
    for (size_t i = 0; i < match->count; i++) {
        path[(size_t)(match->values[i] - path) + strcspn(match->values[i], "/")] = '\0';
    }
}

struct route_match routes_find(enum http_method method, char *path) {
    struct route_match found = {.route = NULL};
    size_t index = 0;
    for (size_t table = 0; route_tables[table] != NULL; table++) {
        for (const struct route *route = route_tables[table]; route->path != NULL;
             route++, index++) {
            struct route_match match = {.route = route, .index = index};
            if ((found.path_known && route->method != method) ||
                !path_matches(route->path, path, &match)) {
                continue;
            }
            found.path_known = true;
            if (route->method == method) {
                match.path_known = true;
                end_values(path, &match);
                return match;
            }
        }
    }
    return found;
}

static const char *method_name(enum http_method method) {
    static const char *const names[] = {
        [HTTP_GET] = "GET", [HTTP_POST] = "POST", [HTTP_PUT] = "PUT", [HTTP_DELETE] = "DELETE"};
    return names[method];
}

static const char *access_name(enum access access) {
    static const char *const names[] = {
        [ACCESS_NONE] = "none",       [ACCESS_PUBLIC] = "public",
        [ACCESS_ACCOUNT] = "account", [ACCESS_ADMINISTRATOR] = "administrator",
        [ACCESS_HOST] = "host",       [ACCESS_ACCOUNT_OR_HOST] = "account-or-host"};
    return names[access];
}

void routes_print(FILE *out) {
    for (size_t table = 0; route_tables[table] != NULL; table++) {
        for (const struct route *route = route_tables[table]; route->path != NULL; route++) {
            (void)fprintf(out, "%s %s %s %s\n", method_name(route->method), route->path,
                          access_name(route->access), route->action);
        }
    }
}
