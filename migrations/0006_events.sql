-- What merchants are told of, each row written in the change it tells of. The id is the position in the feed: there is
-- one writer, so ids are given in the order of the commits. A row holds what the preauth was at that moment, as far as
-- that can change; the rest is in its preauth.
CREATE TABLE events (
    id                INTEGER PRIMARY KEY,
    uuid              BLOB NOT NULL UNIQUE,
    tenant_id         BLOB NOT NULL REFERENCES tenants (id),
    preauth           INTEGER NOT NULL REFERENCES preauths (id),
    -- 1, 2, 3, … of its preauth, without a gap.
    sequence          INTEGER NOT NULL,
    kind              TEXT NOT NULL CHECK (kind IN ('authorized', 'rejected', 'settled', 'settlement_failed',
        'cancelled', 'expired', 'expiring', 'reorged')),
    -- What a correcting event corrects.
    status_before     TEXT,
    status            TEXT NOT NULL,
    pending           TEXT,
    settle_at         INTEGER,
    scheduled         TEXT,
    scheduled_written TEXT,
    settled           TEXT,
    settled_written   TEXT,
    lock_transaction  BLOB,
    close_transaction BLOB,
    deferred_refund   TEXT,
    failure           TEXT,
    seal              BLOB NOT NULL,
    created_at        INTEGER NOT NULL,
    UNIQUE (preauth, sequence)
);
CREATE INDEX events_fed ON events (tenant_id, id);

-- Whether the coming expiry of a hold was announced.
ALTER TABLE preauths ADD COLUMN warned INTEGER NOT NULL DEFAULT 0;
CREATE INDEX preauths_unwarned ON preauths (expires_at, id) WHERE status = 'AUTHORIZED' AND warned = 0;

CREATE TABLE webhook_endpoints (
    id            INTEGER PRIMARY KEY,
    uuid          BLOB NOT NULL UNIQUE,
    tenant_id     BLOB NOT NULL REFERENCES tenants (id),
    url           TEXT NOT NULL,
    -- Kinds of events, separated by spaces; empty: all.
    kinds         TEXT NOT NULL,
    scheme        TEXT NOT NULL CHECK (scheme IN ('v1', 'v1a')),
    -- A key as the vault keeps it; empty once the endpoint is removed.
    secret        BLOB NOT NULL,
    -- The key before, which signs beside the new one until then.
    old_secret    BLOB,
    old_until     INTEGER,
    -- Why nothing is sent; NULL: it is.
    disabled      TEXT,
    -- Since when every attempt failed.
    failing_since INTEGER,
    -- The last event that was looked at for this endpoint.
    cursor        INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    removed_at    INTEGER
);
CREATE INDEX webhook_endpoints_by_tenant ON webhook_endpoints (tenant_id, id) WHERE removed_at IS NULL;

-- What is to be sent, to whom, and when it is tried next.
CREATE TABLE deliveries (
    id         INTEGER PRIMARY KEY,
    endpoint   INTEGER NOT NULL REFERENCES webhook_endpoints (id),
    event      INTEGER NOT NULL REFERENCES events (id),
    state      TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
    tries      INTEGER NOT NULL DEFAULT 0,
    next_at    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (endpoint, event)
);
CREATE INDEX deliveries_due ON deliveries (endpoint, next_at, id) WHERE state = 'pending';
CREATE INDEX deliveries_pending ON deliveries (id) WHERE state = 'pending';
CREATE INDEX deliveries_listed ON deliveries (endpoint, id);

CREATE TABLE delivery_attempts (
    id          INTEGER PRIMARY KEY,
    delivery    INTEGER NOT NULL REFERENCES deliveries (id),
    at          INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    status      INTEGER,
    error       TEXT,
    response    TEXT
);
CREATE INDEX delivery_attempts_by_delivery ON delivery_attempts (delivery, id);
