-- Systems that a tenant has named to be asked before a hold is locked.
CREATE TABLE approvers (
    id            INTEGER PRIMARY KEY,
    uuid          BLOB NOT NULL UNIQUE,
    tenant_id     BLOB NOT NULL REFERENCES tenants (id),
    name          TEXT NOT NULL,
    url           TEXT NOT NULL,
    time_limit_ms INTEGER NOT NULL,
    -- A key as the vault keeps it; empty once the approver is removed.
    secret        BLOB NOT NULL,
    -- The key before, which signs beside the new one until then.
    old_secret    BLOB,
    old_until     INTEGER,
    enabled       INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    removed_at    INTEGER
);
CREATE UNIQUE INDEX approvers_by_tenant ON approvers (tenant_id, name) WHERE removed_at IS NULL;

-- What was decided about creations, each row written before anything follows from it. Rows are never changed.
CREATE TABLE approvals (
    id             INTEGER PRIMARY KEY,
    approver       INTEGER NOT NULL REFERENCES approvers (id),
    tenant_id      BLOB NOT NULL REFERENCES tenants (id),
    invoice_id     TEXT NOT NULL,
    -- Of the preauth that the creation would become; there is a preauth of that name where it did.
    transaction_id BLOB NOT NULL,
    decision       TEXT NOT NULL CHECK (decision IN ('approved', 'refused', 'unavailable', 'withdrawn')),
    reason         TEXT,
    duration_ms    INTEGER NOT NULL,
    at             INTEGER NOT NULL
);
CREATE INDEX approvals_by_invoice ON approvals (tenant_id, invoice_id, id);
