-- Requests that came with a key and take effect once. A row is written before its request is begun, what was begun is noted
-- in the same change as the thing itself, and the answer before it is sent.
CREATE TABLE idempotency_keys (
    id         INTEGER PRIMARY KEY,
    tenant_id  BLOB NOT NULL REFERENCES tenants (id),
    -- SHA-256 of tenant, route and key. The key itself is known to its client.
    name       BLOB NOT NULL UNIQUE,
    -- With the key it opens what is sealed.
    salt       BLOB NOT NULL,
    -- What was asked, sealed: path parameters and body.
    request    BLOB NOT NULL,
    -- What was begun, as a number that its route understands; NULL: nothing.
    effect     INTEGER,
    -- What was answered, sealed; NULL: nothing that would be final.
    answer     BLOB,
    created_at INTEGER NOT NULL
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
