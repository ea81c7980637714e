-- Sessions by what their token is good for, and what came of one sign-in together: bearers, refresh tokens, browsers.

ALTER TABLE session ADD COLUMN use INTEGER NOT NULL DEFAULT 1;
ALTER TABLE session ADD COLUMN family TEXT NOT NULL DEFAULT '';
ALTER TABLE session ADD COLUMN client TEXT NOT NULL DEFAULT '';
ALTER TABLE session ADD COLUMN authenticated_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN methods TEXT NOT NULL DEFAULT '';
ALTER TABLE session ADD COLUMN used_at INTEGER NOT NULL DEFAULT 0;
CREATE INDEX session_by_family ON session (family) WHERE family <> '';
