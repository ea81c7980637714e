-- What machines may do unattended (automation grants), what an API key is bound to besides networks, and certificates that a
-- service account asks for in a person's place.

ALTER TABLE account ADD COLUMN impersonates INTEGER NOT NULL DEFAULT 0 CHECK (impersonates IN (0, 1));
ALTER TABLE api_key ADD COLUMN clusters TEXT NOT NULL DEFAULT '';
ALTER TABLE api_key ADD COLUMN duration_max_s INTEGER NOT NULL DEFAULT 0;

-- What a grant obtained is found among its account's. Only what a service account obtained for others enters the index.
ALTER TABLE issued ADD COLUMN grant_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE issued ADD COLUMN by_id INTEGER NOT NULL DEFAULT 0;
CREATE INDEX issued_by_other ON issued (by_id, serial) WHERE by_id <> 0;

CREATE TABLE automation_grant (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL REFERENCES account (id),
    name TEXT NOT NULL,
    key_line TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    clusters TEXT NOT NULL,
    subnets TEXT NOT NULL,
    force_command TEXT NOT NULL,
    duration_s INTEGER NOT NULL CHECK (duration_s > 0),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    last_source TEXT NOT NULL,
    last_proof_ms INTEGER NOT NULL,
    revoked_at INTEGER NOT NULL
) STRICT;
CREATE INDEX grant_by_account ON automation_grant (account_id);
CREATE INDEX grant_by_key ON automation_grant (fingerprint);

CREATE TABLE ticket (
    hash TEXT PRIMARY KEY,
    account_id INTEGER NOT NULL REFERENCES account (id),
    api_key_id INTEGER NOT NULL REFERENCES api_key (id),
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX ticket_by_end ON ticket (expires_at);
