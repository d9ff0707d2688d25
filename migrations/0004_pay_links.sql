-- Links by which a payer consents on a page: the terms of a creation, and who may see them. One row for each invoice; a link that is withdrawn or
-- lapsed makes room for the next one. Whether a link was used is told by the preauth of its invoice.
CREATE TABLE pay_links (
    id               INTEGER PRIMARY KEY,
    tenant_id        BLOB NOT NULL REFERENCES tenants (id),
    invoice_id       TEXT NOT NULL,
    -- SHA-256 of the token in the link. The token itself is known to those who have the link.
    token_hash       BLOB NOT NULL UNIQUE,
    -- The only wallet that may pay; null: any.
    sender_written   TEXT,
    receiver_written TEXT NOT NULL,
    token_written    TEXT NOT NULL,
    amount_written   TEXT NOT NULL,
    -- Null: the tenant's time to live, counted from the signing.
    expires_at       INTEGER,
    settle_at        INTEGER,
    description      TEXT,
    return_url       TEXT,
    -- Unix seconds by the chain's clock, as the two above.
    lapses           INTEGER NOT NULL,
    withdrawn_at     INTEGER,
    seal             BLOB NOT NULL,
    created_at       INTEGER NOT NULL,
    UNIQUE (tenant_id, invoice_id)
);
