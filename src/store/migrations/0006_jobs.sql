-- Jobs, and what they and registered keys ask of accounts, clusters and hosts.

ALTER TABLE account ADD COLUMN subnets TEXT NOT NULL DEFAULT '';
ALTER TABLE login ADD COLUMN window_until INTEGER NOT NULL DEFAULT 0;

-- Clusters that are there mean what they meant: whoever reaches one may log in on its nodes, with either credential.
ALTER TABLE cluster ADD COLUMN node_access INTEGER NOT NULL DEFAULT 2 CHECK (node_access IN (1, 2));
ALTER TABLE cluster ADD COLUMN credentials INTEGER NOT NULL DEFAULT 3 CHECK (credentials BETWEEN 1 AND 3);

ALTER TABLE registered_key ADD COLUMN use INTEGER NOT NULL DEFAULT 1 CHECK (use IN (1, 2));
ALTER TABLE registered_key ADD COLUMN cluster_id INTEGER REFERENCES cluster (id)
    CHECK ((use = 2) = (cluster_id IS NOT NULL));

CREATE TABLE job (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    cluster_id INTEGER NOT NULL REFERENCES cluster (id),
    name TEXT NOT NULL,
    account_id INTEGER NOT NULL REFERENCES account (id),
    user TEXT NOT NULL,
    type INTEGER NOT NULL CHECK (type BETWEEN 1 AND 4),
    node_count INTEGER NOT NULL,
    address TEXT NOT NULL,
    port INTEGER NOT NULL,
    host_key_line TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    ended_at INTEGER NOT NULL -- 0: it runs
) STRICT;
CREATE UNIQUE INDEX job_running ON job (cluster_id, name) WHERE ended_at = 0;
-- Those that run stand together and by id, since every index ends in the id.
CREATE INDEX job_by_account ON job (account_id, ended_at);
CREATE INDEX job_by_cluster ON job (cluster_id, ended_at);
CREATE INDEX job_by_end ON job (ended_at);
CREATE INDEX job_by_limit ON job (ends_at) WHERE ended_at = 0 AND ends_at <> 0;

-- `ended` repeats what job says, so that a node's jobs that run are found without looking at all it ever had.
CREATE TABLE job_node (
    job_id INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    node TEXT NOT NULL,
    ended INTEGER NOT NULL CHECK (ended IN (0, 1)),
    PRIMARY KEY (job_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_node_by_node ON job_node (node, ended, job_id);

-- SQLite changes no CHECK in place. The sequence moves along: an id is never given twice.
ALTER TABLE host RENAME TO host_before;
CREATE TABLE host (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    cluster_id INTEGER REFERENCES cluster (id),
    name TEXT NOT NULL UNIQUE,
    address TEXT NOT NULL,
    port INTEGER NOT NULL,
    role INTEGER NOT NULL CHECK (role BETWEEN 1 AND 4),
    scheduler INTEGER NOT NULL CHECK (scheduler IN (0, 1)),
    job_id INTEGER REFERENCES job (id) CHECK ((role = 4) = (job_id IS NOT NULL)),
    enrol_hash TEXT NOT NULL,
    enrol_expires_at INTEGER NOT NULL,
    token_hash TEXT NOT NULL,
    key_line TEXT NOT NULL,
    enrolled_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL
) STRICT;
INSERT INTO host SELECT id, cluster_id, name, address, port, role, 0, NULL, enrol_hash, enrol_expires_at, token_hash,
    key_line, enrolled_at, seen_at FROM host_before;
DELETE FROM sqlite_sequence WHERE name = 'host';
UPDATE sqlite_sequence SET name = 'host' WHERE name = 'host_before';
DROP TABLE host_before;
CREATE UNIQUE INDEX host_by_enrol ON host (enrol_hash) WHERE enrol_hash <> '';
CREATE UNIQUE INDEX host_by_token ON host (token_hash) WHERE token_hash <> '';
CREATE INDEX host_by_role ON host (role, name);
CREATE INDEX host_by_job ON host (job_id) WHERE job_id IS NOT NULL;
