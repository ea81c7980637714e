-- What happened: the changes that gates and hosts follow, and the audit log.

-- AUTOINCREMENT: a revision is never given twice, also when every event before it was pruned.
CREATE TABLE event (
    revision INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    state TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;

CREATE TABLE audit (
    sequence INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    allowed INTEGER NOT NULL CHECK (allowed IN (0, 1)),
    code TEXT NOT NULL,
    detail TEXT NOT NULL,
    source TEXT NOT NULL,
    request_id TEXT NOT NULL
) STRICT;
CREATE TRIGGER audit_not_updated BEFORE UPDATE ON audit BEGIN
    SELECT RAISE (ABORT, 'the audit log is append-only');
END;
CREATE TRIGGER audit_not_deleted BEFORE DELETE ON audit BEGIN
    SELECT RAISE (ABORT, 'the audit log is append-only');
END;
-- INSERT OR REPLACE would delete without firing the trigger above. (A sequence not given is -1 here.)
CREATE TRIGGER audit_not_replaced BEFORE INSERT ON audit
WHEN NEW.sequence >= 0 AND NEW.sequence <= (SELECT max(sequence) FROM audit) BEGIN
    SELECT RAISE (ABORT, 'the audit log is append-only');
END;

CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
