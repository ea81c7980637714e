-- What people and machines show to get in: certificates, API keys, sessions, registered keys.

-- Serials increase in time, so rows are appended at the end of the table. host_id is no reference: a host may be removed
-- and its certificates stay on record.
CREATE TABLE issued (
    serial INTEGER PRIMARY KEY,
    account_id INTEGER REFERENCES account (id),
    host_id INTEGER NOT NULL,
    key_id TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    ca_fingerprint TEXT NOT NULL,
    issued_at INTEGER NOT NULL,
    valid_after INTEGER NOT NULL,
    valid_before INTEGER NOT NULL,
    counts INTEGER NOT NULL CHECK (counts IN (0, 1)),
    source TEXT NOT NULL,
    revoked_at INTEGER NOT NULL,
    revoked_reason TEXT NOT NULL
) STRICT;
-- Signing asks two questions, and these answer each by looking at no other row.
CREATE INDEX issued_by_key ON issued (account_id, fingerprint, revoked_at, valid_before);
CREATE INDEX issued_counted ON issued (account_id, issued_at) WHERE counts = 1;
CREATE INDEX issued_revoked ON issued (valid_before) WHERE revoked_at <> 0;

CREATE TABLE api_key (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL REFERENCES account (id),
    name TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    hint TEXT NOT NULL,
    subnets TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    revoked_at INTEGER NOT NULL
) STRICT;
CREATE INDEX api_key_by_account ON api_key (account_id);

CREATE TABLE session (
    hash TEXT PRIMARY KEY,
    account_id INTEGER NOT NULL REFERENCES account (id),
    api_key_id INTEGER REFERENCES api_key (id),
    subnets TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_by_account ON session (account_id);
CREATE INDEX session_by_end ON session (expires_at);

CREATE TABLE registered_key (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL REFERENCES account (id),
    name TEXT NOT NULL,
    key_line TEXT NOT NULL,
    fingerprint TEXT NOT NULL UNIQUE,
    subnets TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX registered_key_by_account ON registered_key (account_id);
