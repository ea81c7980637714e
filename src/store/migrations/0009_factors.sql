-- Second factors besides the one-time code: passkeys and security keys, and recovery codes.

CREATE TABLE passkey (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL REFERENCES account (id),
    credential TEXT NOT NULL UNIQUE CHECK (credential <> ''),
    public_key TEXT NOT NULL CHECK (public_key <> ''),
    name TEXT NOT NULL,
    counter INTEGER NOT NULL,
    may_be_copied INTEGER NOT NULL CHECK (may_be_copied IN (0, 1)),
    created_at INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    locked_at INTEGER NOT NULL
) STRICT;
CREATE INDEX passkey_by_account ON passkey (account_id);

CREATE TABLE recovery_code (
    account_id INTEGER NOT NULL REFERENCES account (id),
    hash TEXT NOT NULL,
    PRIMARY KEY (account_id, hash)
) STRICT, WITHOUT ROWID;
