#include <stddef.h>

#include "store/sqlite.h"

#define COLUMN(kind, type, member)                                                                 \
    {                                                                                              \
        COLUMN_##kind, (uint16_t)sizeof(((struct type *)NULL)->member),                            \
            offsetof(struct type, member)                                                          \
    }

#define SHAPE_BARE(type, ...)                                                                      \
    static const struct column type##_columns[] = {__VA_ARGS__};                                   \
    const struct shape type##_shape = {.size = sizeof(struct type),                                \
                                       .columns = type##_columns,                                  \
                                       .column_count = COUNT_OF(type##_columns),                   \
                                       .visit = visit_##type}

#define SHAPE(type, ...)                                                                           \
    static err_t visit_##type(const struct visitor *visitor, const void *row) {                    \
        return visitor->type(visitor->context, row);                                               \
    }                                                                                              \
    SHAPE_BARE(type, __VA_ARGS__)

#define visit_login             NULL
#define visit_authorization     NULL
#define visit_ticket            NULL
#define visit_external_identity NULL

SHAPE(account, COLUMN(U64, account, id), COLUMN(TEXT, account, name), COLUMN(U32, account, kind),
      COLUMN(TEXT, account, display_name), COLUMN(TEXT, account, email),
      COLUMN(BOOL, account, administrator), COLUMN(BOOL, account, disabled),
      COLUMN(REFERENCE, account, project_id), COLUMN(U32, account, quota_per_day),
      COLUMN(I64, account, created_at), COLUMN(SUBNETS, account, subnets),
      COLUMN(BOOL, account, impersonates));

SHAPE_BARE(login, COLUMN(U64, login, account_id), COLUMN(TEXT, login, password_hash),
           COLUMN(TOTP, login, totp_secret), COLUMN(I64, login, totp_last_step),
           COLUMN(TEXT, login, invitation_hash), COLUMN(I64, login, invitation_expires_at),
           COLUMN(TEXT, login, pending_password_hash), COLUMN(TEXT, login, pending_totp_hex),
           COLUMN(U32, login, failures), COLUMN(I64, login, locked_until),
           COLUMN(I64, login, window_until));

SHAPE(project, COLUMN(U64, project, id), COLUMN(TEXT, project, name),
      COLUMN(TEXT, project, display_name), COLUMN(I64, project, created_at));

SHAPE(membership, COLUMN(U64, membership, project_id), COLUMN(U64, membership, account_id),
      COLUMN(U32, membership, role), COLUMN(I64, membership, since));

SHAPE(cluster, COLUMN(U64, cluster, id), COLUMN(TEXT, cluster, name),
      COLUMN(TEXT, cluster, address), COLUMN(U16, cluster, port), COLUMN(I64, cluster, created_at),
      COLUMN(U32, cluster, node_access), COLUMN(U32, cluster, credentials));

SHAPE(host, COLUMN(U64, host, id), COLUMN(REFERENCE, host, cluster_id), COLUMN(TEXT, host, name),
      COLUMN(TEXT, host, address), COLUMN(U16, host, port), COLUMN(U32, host, role),
      COLUMN(BOOL, host, scheduler), COLUMN(REFERENCE, host, job_id),
      COLUMN(TEXT, host, enrol_hash), COLUMN(I64, host, enrol_expires_at),
      COLUMN(TEXT, host, token_hash), COLUMN(TEXT, host, key_line), COLUMN(I64, host, enrolled_at),
      COLUMN(I64, host, seen_at));

SHAPE(issued, COLUMN(U64, issued, serial), COLUMN(REFERENCE, issued, account_id),
      COLUMN(U64, issued, host_id), COLUMN(TEXT, issued, key_id), COLUMN(TEXT, issued, fingerprint),
      COLUMN(TEXT, issued, ca_fingerprint), COLUMN(I64, issued, issued_at),
      COLUMN(I64, issued, valid_after), COLUMN(I64, issued, valid_before),
      COLUMN(BOOL, issued, counts), COLUMN(TEXT, issued, source), COLUMN(I64, issued, revoked_at),
      COLUMN(TEXT, issued, revoked_reason), COLUMN(U64, issued, api_key_id),
      COLUMN(U64, issued, grant_id), COLUMN(U64, issued, by_id));

SHAPE(api_key, COLUMN(U64, api_key, id), COLUMN(U64, api_key, account_id),
      COLUMN(TEXT, api_key, name), COLUMN(TEXT, api_key, hash), COLUMN(TEXT, api_key, hint),
      COLUMN(SUBNETS, api_key, subnets), COLUMN(I64, api_key, created_at),
      COLUMN(I64, api_key, expires_at), COLUMN(I64, api_key, last_used_at),
      COLUMN(I64, api_key, revoked_at), COLUMN(CLUSTERS, api_key, clusters),
      COLUMN(I64, api_key, duration_max_s));

SHAPE(session, COLUMN(TEXT, session, hash), COLUMN(U64, session, account_id),
      COLUMN(REFERENCE, session, api_key_id), COLUMN(SUBNETS, session, subnets),
      COLUMN(I64, session, created_at), COLUMN(I64, session, expires_at), COLUMN(U32, session, use),
      COLUMN(TEXT, session, family), COLUMN(TEXT, session, client),
      COLUMN(I64, session, authenticated_at), COLUMN(TEXT, session, methods),
      COLUMN(I64, session, used_at), COLUMN(TEXT, session, issuer));

SHAPE_BARE(external_identity, COLUMN(U64, external_identity, account_id),
           COLUMN(TEXT, external_identity, issuer), COLUMN(TEXT, external_identity, subject),
           COLUMN(I64, external_identity, since));

SHAPE_BARE(authorization, COLUMN(TEXT, authorization, hash), COLUMN(U32, authorization, kind),
           COLUMN(U32, authorization, state), COLUMN(TEXT, authorization, user_code_hash),
           COLUMN(TEXT, authorization, request.client),
           COLUMN(TEXT, authorization, request.redirect_uri),
           COLUMN(TEXT, authorization, request.challenge),
           COLUMN(TEXT, authorization, request.nonce), COLUMN(BOOL, authorization, request.offline),
           COLUMN(TEXT, authorization, request.source),
           COLUMN(REFERENCE, authorization, approval.account_id),
           COLUMN(I64, authorization, approval.authenticated_at),
           COLUMN(TEXT, authorization, approval.methods), COLUMN(TEXT, authorization, family),
           COLUMN(I64, authorization, created_at), COLUMN(I64, authorization, expires_at),
           COLUMN(I64, authorization, interval_s), COLUMN(I64, authorization, polled_at),
           COLUMN(TEXT, authorization, approval.issuer));

SHAPE(registered_key, COLUMN(U64, registered_key, id), COLUMN(U64, registered_key, account_id),
      COLUMN(TEXT, registered_key, name), COLUMN(TEXT, registered_key, key_line),
      COLUMN(TEXT, registered_key, fingerprint), COLUMN(SUBNETS, registered_key, subnets),
      COLUMN(I64, registered_key, created_at), COLUMN(I64, registered_key, expires_at),
      COLUMN(U32, registered_key, use), COLUMN(REFERENCE, registered_key, cluster_id));

SHAPE(grant, COLUMN(U64, grant, id), COLUMN(U64, grant, account_id), COLUMN(TEXT, grant, name),
      COLUMN(TEXT, grant, key_line), COLUMN(TEXT, grant, fingerprint),
      COLUMN(CLUSTERS, grant, clusters), COLUMN(SUBNETS, grant, subnets),
      COLUMN(TEXT, grant, force_command), COLUMN(I64, grant, duration_s),
      COLUMN(I64, grant, created_at), COLUMN(I64, grant, expires_at),
      COLUMN(I64, grant, last_used_at), COLUMN(TEXT, grant, last_source),
      COLUMN(I64, grant, last_proof_ms), COLUMN(I64, grant, revoked_at));

SHAPE(passkey, COLUMN(U64, passkey, id), COLUMN(U64, passkey, account_id),
      COLUMN(TEXT, passkey, credential), COLUMN(TEXT, passkey, public_key),
      COLUMN(TEXT, passkey, name), COLUMN(U32, passkey, counter),
      COLUMN(BOOL, passkey, may_be_copied), COLUMN(I64, passkey, created_at),
      COLUMN(I64, passkey, last_used_at), COLUMN(I64, passkey, locked_at));

SHAPE_BARE(ticket, COLUMN(TEXT, ticket, hash), COLUMN(U64, ticket, account_id),
           COLUMN(U64, ticket, api_key_id), COLUMN(I64, ticket, expires_at));

SHAPE(job, COLUMN(U64, job, id), COLUMN(U64, job, cluster_id), COLUMN(TEXT, job, name),
      COLUMN(U64, job, account_id), COLUMN(TEXT, job, user), COLUMN(U32, job, type),
      COLUMN(U32, job, node_count), COLUMN(TEXT, job, address), COLUMN(U16, job, port),
      COLUMN(TEXT, job, host_key_line), COLUMN(I64, job, started_at), COLUMN(I64, job, ends_at),
      COLUMN(I64, job, ended_at));

SHAPE(event, COLUMN(U64, event, revision), COLUMN(TEXT, event, kind), COLUMN(TEXT, event, key),
      COLUMN(BORROWED, event, state), COLUMN(I64, event, at));

SHAPE(audit, COLUMN(U64, audit, sequence), COLUMN(I64, audit, at), COLUMN(TEXT, audit, actor),
      COLUMN(TEXT, audit, action), COLUMN(TEXT, audit, target), COLUMN(BOOL, audit, allowed),
      COLUMN(TEXT, audit, code), COLUMN(TEXT, audit, detail), COLUMN(TEXT, audit, source),
      COLUMN(TEXT, audit, request_id));

SHAPE(tally, COLUMN(I64, tally, step_s), COLUMN(I64, tally, at), COLUMN(U32, tally, kind),
      COLUMN(U64, tally, count));

static int bind_buf(sqlite3_stmt *statement, int index, const struct buf *text) {
    return sqlite3_bind_text(statement, index, text->len == 0 ? "" : (const char *)text->data,
                             (int)text->len, SQLITE_TRANSIENT);
}

static int bind_subnets(sqlite3_stmt *statement, int index, const struct subnet_list *subnets) {
    struct buf text CLEANUP(buf_done) = BUF(LIMIT_SUBNETS_COUNT * INET_CHARS);
    return failed(subnet_list_print(subnets, &text)) ? SQLITE_NOMEM
                                                     : bind_buf(statement, index, &text);
}

static int bind_clusters(sqlite3_stmt *statement, int index, const struct cluster_list *clusters) {
    struct buf text CLEANUP(buf_done) = BUF(sizeof clusters->names);
    return failed(cluster_list_print(clusters, &text)) ? SQLITE_NOMEM
                                                       : bind_buf(statement, index, &text);
}

static int bind_number(sqlite3_stmt *statement, int index, enum column_kind kind,
                       const void *member) {
    switch (kind) {
    case COLUMN_U64:
    case COLUMN_REFERENCE: {
        uint64_t value = *(const uint64_t *)member;
        INVARIANT(value <= INT64_MAX);
        return kind == COLUMN_REFERENCE && value == 0
                   ? sqlite3_bind_null(statement, index)
                   : sqlite3_bind_int64(statement, index, (int64_t)value);
    }
    case COLUMN_I64:
        return sqlite3_bind_int64(statement, index, *(const int64_t *)member);
    case COLUMN_U32:
        return sqlite3_bind_int64(statement, index, *(const uint32_t *)member);
    case COLUMN_U16:
        return sqlite3_bind_int(statement, index, *(const uint16_t *)member);
    default:
        INVARIANT(kind == COLUMN_BOOL);
        return sqlite3_bind_int(statement, index, *(const bool *)member);
    }
}

static int bind_column(sqlite3_stmt *statement, int index, const struct column *column,
                       const void *from) {
    const uint8_t *member = (const uint8_t *)from + column->offset;
    switch (column->kind) {
    case COLUMN_TEXT: {
        size_t len = strnlen((const char *)member, column->size);
        INVARIANT(len < column->size);
        return sqlite3_bind_text(statement, index, (const char *)member, (int)len, SQLITE_STATIC);
    }
    case COLUMN_BORROWED: {
        const char *text;
        memcpy(&text, member, sizeof text);
        return sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC);
    }
    case COLUMN_SUBNETS:
        return bind_subnets(statement, index, (const struct subnet_list *)(const void *)member);
    case COLUMN_CLUSTERS:
        return bind_clusters(statement, index, (const struct cluster_list *)(const void *)member);
    case COLUMN_TOTP: {
        const struct login *login = from;
        INVARIANT(login->totp_secret_bytes <= sizeof login->totp_secret);
        return sqlite3_bind_blob(statement, index, login->totp_secret, login->totp_secret_bytes,
                                 SQLITE_STATIC);
    }
    default:
        return bind_number(statement, index, column->kind, member);
    }
}

err_t shape_bind(const struct shape *shape, sqlite3_stmt *statement, const void *from) {
    for (size_t i = 0; i < shape->column_count; i++) {
        int result = bind_column(statement, (int)i + 1, &shape->columns[i], from);
        if (result != SQLITE_OK) {
            return sqlite_error(sqlite3_db_handle(statement), result);
        }
    }
    return OK;
}

static err_t read_number(sqlite3_stmt *statement, int index, enum column_kind kind, void *member) {
    int64_t value = sqlite3_column_int64(statement, index);
    if (kind == COLUMN_I64) {
        *(int64_t *)member = value;
        return OK;
    }
    int64_t max = kind == COLUMN_BOOL  ? 1
                  : kind == COLUMN_U16 ? UINT16_MAX
                  : kind == COLUMN_U32 ? UINT32_MAX
                                       : INT64_MAX;
    if (value < 0 || value > max) {
        return FAIL(ERR_MALFORMED);
    }
    switch (kind) {
    case COLUMN_BOOL:
        *(bool *)member = value != 0;
        return OK;
    case COLUMN_U16:
        *(uint16_t *)member = (uint16_t)value;
        return OK;
    case COLUMN_U32:
        *(uint32_t *)member = (uint32_t)value;
        return OK;
    default:
        *(uint64_t *)member = (uint64_t)value; /* NULL reads as 0 */
        return OK;
    }
}

/* column_text before column_bytes: the first may convert, the second measures. */
static err_t read_text(sqlite3_stmt *statement, int index, span_t *out) {
    const unsigned char *text = sqlite3_column_text(statement, index);
    if (text == NULL) {
        return FAIL(ERR_MEMORY); /* the schema has no NULL where a text is read */
    }
    *out = span_of(text, (size_t)sqlite3_column_bytes(statement, index));
    return OK;
}

static err_t read_totp(sqlite3_stmt *statement, int index, struct login *login) {
    const void *secret = sqlite3_column_blob(statement, index);
    size_t len = (size_t)sqlite3_column_bytes(statement, index);
    if (len > sizeof login->totp_secret) {
        return FAIL(ERR_MALFORMED);
    }
    if (len > 0) {
        memcpy(login->totp_secret, secret, len);
    }
    login->totp_secret_bytes = (uint8_t)len;
    return OK;
}

static err_t read_column(sqlite3_stmt *statement, int index, const struct column *column,
                         void *out) {
    uint8_t *member = (uint8_t *)out + column->offset;
    span_t text;
    switch (column->kind) {
    case COLUMN_TEXT:
        TRY(read_text(statement, index, &text));
        if (text.len >= column->size) {
            return FAIL(ERR_MALFORMED);
        }
        memcpy(member, text.data, text.len);
        member[text.len] = '\0';
        return OK;
    case COLUMN_BORROWED:
        TRY(read_text(statement, index, &text));
        memcpy(member, &text.data, sizeof text.data);
        return OK;
    case COLUMN_SUBNETS:
        TRY(read_text(statement, index, &text));
        return text.len == 0 ? OK : subnet_list_parse(text, (struct subnet_list *)(void *)member);
    case COLUMN_CLUSTERS:
        TRY(read_text(statement, index, &text));
        return cluster_list_parse(text, (struct cluster_list *)(void *)member);
    case COLUMN_TOTP:
        return read_totp(statement, index, out);
    default:
        return read_number(statement, index, column->kind, member);
    }
}

err_t shape_read(const struct shape *shape, sqlite3_stmt *statement, void *out) {
    memset(out, 0, shape->size);
    for (size_t i = 0; i < shape->column_count; i++) {
        TRY(read_column(statement, (int)i, &shape->columns[i], out));
    }
    return OK;
}
