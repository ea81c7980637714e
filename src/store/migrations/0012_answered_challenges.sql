-- Challenges for passkeys that were answered: each is good once, also where several authorities serve the store.

CREATE TABLE answered_challenge (
    challenge TEXT PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX answered_challenge_by_end ON answered_challenge (expires_at);

-- The issuer's private keys go to a file beside the store. Those that stood here are in backups: new ones are made.
DELETE FROM meta WHERE name = 'issuer_keys';
