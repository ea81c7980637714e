-- Sign-ins that a client has asked for and not yet got: authorization codes and device grants, which outlive a restart. What
-- clients and people hold is kept as hashes. Device grants have no account_id unless somebody approved them.

CREATE TABLE authorization (
    hash TEXT PRIMARY KEY,
    kind INTEGER NOT NULL,
    state INTEGER NOT NULL,
    user_code_hash TEXT NOT NULL,
    client TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    challenge TEXT NOT NULL,
    nonce TEXT NOT NULL,
    offline INTEGER NOT NULL CHECK (offline IN (0, 1)),
    source TEXT NOT NULL,
    account_id INTEGER REFERENCES account (id),
    authenticated_at INTEGER NOT NULL,
    methods TEXT NOT NULL,
    family TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    interval_s INTEGER NOT NULL,
    polled_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX authorization_by_user_code ON authorization (user_code_hash) WHERE user_code_hash <> '';
CREATE INDEX authorization_by_account ON authorization (account_id) WHERE account_id IS NOT NULL;
CREATE INDEX authorization_by_end ON authorization (expires_at);
CREATE INDEX authorization_unapproved ON authorization (expires_at) WHERE account_id IS NULL;
