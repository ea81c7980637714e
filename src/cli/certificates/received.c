#include "cli/certificates/received.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "cli/api.h"
#include "cli/document.h"
#include "model/scope.h"

/* An address that the certificate's source-address lets in, so that the rest of it is judged: from
 * where it will be used is not known here. */
static bool any_source(const struct cert *cert, struct inet_address *out) {
    for (size_t i = 0; i < cert->critical_option_count; i++) {
        const struct cert_option *option = &cert->critical_options[i];
        struct subnet_list list;
        if (strcmp(option->name, "source-address") == 0 && option->value != NULL &&
            !failed(subnet_list_parse(span_str(option->value), &list)) && list.count > 0) {
            *out = list.subnets[0].address;
            return true;
        }
    }
    return false;
}

static err_t judge(const struct site *site, const struct cert *cert, const char *principal,
                   struct cert_verdict *out) {
    struct key_list ca_keys CLEANUP(key_list_done) = {0};
    TRY(document_ca_keys(site->document, "userCaKeys", &ca_keys));
    struct inet_address source;
    struct cert_check check = {
        .type = CERT_USER,
        .ca_keys = (const struct key *const *)ca_keys.keys,
        .ca_key_count = ca_keys.count,
        .now = (uint64_t)clock_now_s(),
        .principal = principal,
        .source = any_source(cert, &source) ? &source : NULL,
    };
    *out = cert_verify(cert, &check);
    return OK;
}

err_t received_check(struct cli *cli, struct site *site, const char *line, const struct key *key,
                     const char *username, struct cert **out) {
    struct cert *cert CLEANUP(cert_freep) = NULL;
    char principal[SCOPE_PRINCIPAL_CHARS];
    err_t err = cert_parse_line(span_str(line), &cert, NULL);
    if (failed(err)) {
        return trouble_set(&cli->trouble, EXIT_AUTHORITY,
                           "the authority's certificate cannot be read: %s", err_text(err));
    }
    if (key != NULL && !key_equal(cert->key, key)) {
        return trouble_set(&cli->trouble, EXIT_AUTHORITY,
                           "the authority's certificate is for another key; nothing was written");
    }
    scope_principal_of(cert, username, principal);
    struct cert_verdict verdict = {0};
    TRY(judge(site, cert, principal, &verdict));
    if (verdict.why == CERT_REFUSED_CA) {
        TRY(api_refresh_document(cli, site));
        TRY(judge(site, cert, principal, &verdict));
    }
    if (!verdict.allowed) {
        if (verdict.why == CERT_REFUSED_NOT_YET || verdict.why == CERT_REFUSED_EXPIRED) {
            trouble_next(&cli->trouble, "date   # is this machine's clock right?");
        }
        return trouble_set(&cli->trouble, EXIT_AUTHORITY,
                           "the authority's certificate is not good, and was not written: %s",
                           cert_refusal_text(verdict.why));
    }
    *out = TAKE(cert);
    return OK;
}

void received_until(const struct cert *cert, char out[80]) {
    if (cert->valid_before > INT64_MAX) {
        (void)snprintf(out, 80, "forever");
    } else {
        time_and_distance((int64_t)cert->valid_before, out);
    }
}

err_t received_write(struct cli *cli, const struct cert *cert, const char *comment,
                     const char *path) {
    struct buf line CLEANUP(buf_done) = BUF(2 * LIMIT_CERT_BLOB_BYTES);
    TRY(cert_print_line(cert, comment[0] != '\0' ? comment : NULL, &line));
    TRY(buf_add_byte(&line, '\n'));
    err_t err = file_put(path, buf_span(&line), 0644, 0);
    return failed(err) ? trouble_of(&cli->trouble, err, "cannot write %s", path) : OK;
}
