-- Who there is, what they belong to, and which machines that reaches.
-- Ids are never given twice (AUTOINCREMENT), because history refers to them. Times are seconds since 1970.

CREATE TABLE project (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    display_name TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE account (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    kind INTEGER NOT NULL CHECK (kind IN (1, 2)),
    display_name TEXT NOT NULL,
    email TEXT NOT NULL,
    administrator INTEGER NOT NULL CHECK (administrator IN (0, 1)),
    disabled INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    project_id INTEGER REFERENCES project (id),
    quota_per_day INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE login (
    account_id INTEGER PRIMARY KEY REFERENCES account (id),
    password_hash TEXT NOT NULL,
    totp_secret BLOB NOT NULL,
    totp_last_step INTEGER NOT NULL,
    invitation_hash TEXT NOT NULL,
    invitation_expires_at INTEGER NOT NULL,
    pending_password_hash TEXT NOT NULL,
    pending_totp_hex TEXT NOT NULL,
    failures INTEGER NOT NULL,
    locked_until INTEGER NOT NULL
) STRICT;
CREATE INDEX login_by_invitation ON login (invitation_hash) WHERE invitation_hash <> '';

CREATE TABLE member (
    project_id INTEGER NOT NULL REFERENCES project (id),
    account_id INTEGER NOT NULL REFERENCES account (id),
    role INTEGER NOT NULL CHECK (role IN (1, 2)),
    since INTEGER NOT NULL,
    PRIMARY KEY (project_id, account_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX member_by_account ON member (account_id, project_id, role, since);

CREATE TABLE cluster (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    address TEXT NOT NULL,
    port INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE project_cluster (
    project_id INTEGER NOT NULL REFERENCES project (id),
    cluster_id INTEGER NOT NULL REFERENCES cluster (id),
    PRIMARY KEY (project_id, cluster_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE host (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    cluster_id INTEGER REFERENCES cluster (id),
    name TEXT NOT NULL UNIQUE,
    address TEXT NOT NULL,
    port INTEGER NOT NULL,
    role INTEGER NOT NULL CHECK (role IN (1, 2, 3)),
    enrol_hash TEXT NOT NULL,
    enrol_expires_at INTEGER NOT NULL,
    token_hash TEXT NOT NULL,
    key_line TEXT NOT NULL,
    enrolled_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX host_by_enrol ON host (enrol_hash) WHERE enrol_hash <> '';
CREATE UNIQUE INDEX host_by_token ON host (token_hash) WHERE token_hash <> '';
