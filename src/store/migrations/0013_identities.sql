-- Who an account is at external issuers: its first sign-in there says so, and a name that somebody else has there later is
-- not enough. Sessions say by which issuer they began, and end with it.

CREATE TABLE identity (
    account_id INTEGER NOT NULL REFERENCES account (id),
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (account_id, issuer),
    UNIQUE (issuer, subject)
) STRICT, WITHOUT ROWID;

ALTER TABLE session ADD COLUMN issuer TEXT NOT NULL DEFAULT '';
ALTER TABLE authorization ADD COLUMN issuer TEXT NOT NULL DEFAULT '';
