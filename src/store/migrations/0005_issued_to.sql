-- With which API key a certificate was asked for, and which were given to a host: all of them end with it. What an API key
-- obtained is found among its account's; only rows of hosts, which are few, enter the new index.

ALTER TABLE issued ADD COLUMN api_key_id INTEGER NOT NULL DEFAULT 0;
CREATE INDEX issued_by_host ON issued (host_id, serial) WHERE host_id <> 0;
