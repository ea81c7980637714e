-- An index on issued that signing does not pay for: rows enter it sorted and many at a time, so a page is written once for
-- many certificates. Until then a row counts as the tail of issued, which begins after up_to.

CREATE TABLE issued_by_account (
    account_id INTEGER NOT NULL,
    serial INTEGER NOT NULL,
    valid_before INTEGER NOT NULL,
    counted_at INTEGER NOT NULL, -- issued_at of one that counts, else 0
    PRIMARY KEY (account_id, serial)
) STRICT, WITHOUT ROWID;
INSERT INTO issued_by_account SELECT account_id, serial, valid_before, issued_at * counts FROM issued
WHERE account_id IS NOT NULL ORDER BY account_id, serial;

CREATE TABLE issued_indexed (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    up_to INTEGER NOT NULL
) STRICT;
INSERT INTO issued_indexed SELECT 1, coalesce(max(serial), 0) FROM issued;

DROP INDEX issued_by_key;
DROP INDEX issued_counted;
