-- Keys of those who run the daemon. They open the admin listener and nothing else, as tenants' keys open everything else.
CREATE TABLE admin_keys (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL,
    prefix     TEXT NOT NULL UNIQUE,
    hash       BLOB NOT NULL UNIQUE,
    scopes     TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
);

-- What was done by those who run the daemon, each row written in the change it tells of. Rows are never changed.
CREATE TABLE audit (
    id      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    -- "key" and the prefix of an admin key, or "cli" and the account of the system that ran the command.
    actor   TEXT NOT NULL,
    act     TEXT NOT NULL,
    subject TEXT NOT NULL
);

-- What the dashboard counts, so that a look at it does not read the rows.
CREATE INDEX preauths_counted ON preauths (token, status);
CREATE INDEX preauths_held ON preauths (escrow, token, hold) WHERE status = 'AUTHORIZED';
CREATE INDEX events_timed ON events (created_at, kind);
