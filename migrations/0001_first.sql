-- Times ending in _at are Unix milliseconds by the wall clock; expires_at and settle_at are Unix seconds by the chain's
-- clock. Amounts are base units as decimal text (96 bits do not fit an integer); *_written is the text a client sent.
-- Addresses, hashes and UUIDs are blobs.

-- What this database belongs to. One row: a database serves one chain, for ever.
CREATE TABLE instance (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    chain_id   INTEGER NOT NULL,
    created_at INTEGER NOT NULL
);

-- Every escrow this database ever served; an old one is served until it is empty.
CREATE TABLE escrows (
    address        BLOB PRIMARY KEY,
    deployed_block INTEGER NOT NULL,
    added_at       INTEGER NOT NULL
);

CREATE TABLE tenants (
    id                  BLOB PRIMARY KEY,
    name                TEXT NOT NULL UNIQUE,
    disabled            INTEGER NOT NULL DEFAULT 0,
    allowed_tip_bps     INTEGER NOT NULL DEFAULT 0 CHECK (allowed_tip_bps BETWEEN 0 AND 5000),
    default_ttl_seconds INTEGER NOT NULL,
    rules               TEXT NOT NULL DEFAULT '{}',
    created_at          INTEGER NOT NULL
);

CREATE TABLE api_keys (
    id         INTEGER PRIMARY KEY,
    tenant_id  BLOB NOT NULL REFERENCES tenants (id),
    prefix     TEXT NOT NULL,
    hash       BLOB NOT NULL UNIQUE,
    scopes     TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
);
CREATE INDEX api_keys_by_prefix ON api_keys (prefix) WHERE revoked_at IS NULL;

CREATE TABLE tokens (
    address     BLOB PRIMARY KEY,
    written     TEXT NOT NULL,
    symbol      TEXT NOT NULL,
    decimals    INTEGER NOT NULL CHECK (decimals BETWEEN 0 AND 28),
    active      INTEGER NOT NULL,
    admitted_at INTEGER NOT NULL
);

CREATE TABLE wallets (
    id            INTEGER PRIMARY KEY,
    tenant_id     BLOB NOT NULL REFERENCES tenants (id),
    address       BLOB NOT NULL,
    written       TEXT NOT NULL,
    role          TEXT NOT NULL CHECK (role IN ('sender', 'receiver')),
    registered_at INTEGER NOT NULL,
    removed_at    INTEGER
);
CREATE UNIQUE INDEX wallets_registered ON wallets (tenant_id, address, role) WHERE removed_at IS NULL;

-- Nonces handed out for the proof of a sender's wallet; each is good for one registration.
CREATE TABLE wallet_proofs (
    nonce     BLOB PRIMARY KEY,
    tenant_id BLOB NOT NULL REFERENCES tenants (id),
    address   BLOB NOT NULL,
    deadline  INTEGER NOT NULL
);

CREATE TABLE preauths (
    id                INTEGER PRIMARY KEY,
    transaction_id    BLOB NOT NULL UNIQUE,
    tenant_id         BLOB NOT NULL REFERENCES tenants (id),
    invoice_id        TEXT NOT NULL,
    preauth_id        BLOB NOT NULL UNIQUE,
    escrow            BLOB NOT NULL REFERENCES escrows (address),
    sender            BLOB NOT NULL,
    sender_written    TEXT NOT NULL,
    receiver          BLOB NOT NULL,
    receiver_written  TEXT NOT NULL,
    token             BLOB NOT NULL,
    token_written     TEXT NOT NULL,
    decimals          INTEGER NOT NULL,
    amount_written    TEXT NOT NULL,
    hold              TEXT NOT NULL,
    expires_at        INTEGER NOT NULL,
    consent           BLOB NOT NULL,
    status            TEXT NOT NULL
        CHECK (status IN ('PENDING', 'AUTHORIZED', 'SETTLED', 'CANCELLED', 'EXPIRED', 'REJECTED')),
    cancel_requested  INTEGER NOT NULL DEFAULT 0,
    settle_at         INTEGER,
    scheduled         TEXT,
    scheduled_written TEXT,
    settled           TEXT,
    settled_written   TEXT,
    lock_transaction  BLOB,
    close_transaction BLOB,
    deferred_refund   TEXT,
    failure           TEXT,
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL,
    UNIQUE (tenant_id, invoice_id)
);
CREATE INDEX preauths_listed ON preauths (tenant_id, id);
CREATE INDEX preauths_listed_by_status ON preauths (tenant_id, status, id);
CREATE INDEX preauths_listed_by_sender ON preauths (tenant_id, sender, id);
CREATE INDEX preauths_listed_by_receiver ON preauths (tenant_id, receiver, id);
CREATE INDEX preauths_overdue ON preauths (expires_at, id) WHERE status = 'AUTHORIZED';
CREATE INDEX preauths_to_cancel ON preauths (id) WHERE status = 'AUTHORIZED' AND cancel_requested = 1;
CREATE INDEX preauths_scheduled ON preauths (settle_at, id) WHERE status = 'AUTHORIZED' AND settle_at IS NOT NULL;

-- A durable intent to authorize, settle, cancel or expire one preauth.
CREATE TABLE operations (
    id             INTEGER PRIMARY KEY,
    preauth        INTEGER NOT NULL REFERENCES preauths (id),
    kind           TEXT NOT NULL CHECK (kind IN ('settle', 'authorize', 'cancel', 'expire')),
    state          TEXT NOT NULL CHECK (state IN ('due', 'batched', 'done', 'failed', 'superseded', 'parked')),
    amount         TEXT,
    amount_written TEXT,
    deadline       INTEGER NOT NULL,
    batch_id       INTEGER REFERENCES batches (id),
    failure        TEXT,
    -- Not before this wall time; set when a try showed that it is too early.
    not_before     INTEGER NOT NULL DEFAULT 0,
    tries          INTEGER NOT NULL DEFAULT 0,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL
);
CREATE UNIQUE INDEX operations_one_open ON operations (preauth) WHERE state IN ('due', 'batched');
CREATE INDEX operations_due ON operations (kind, deadline, id) WHERE state = 'due';
CREATE INDEX operations_open ON operations (kind) WHERE state IN ('due', 'batched');
CREATE INDEX operations_of_preauth ON operations (preauth, id);

-- The operations that travel in one transaction: one nonce of one operator key.
CREATE TABLE batches (
    id                  INTEGER PRIMARY KEY,
    operator            BLOB NOT NULL,
    nonce               INTEGER NOT NULL,
    escrow              BLOB NOT NULL REFERENCES escrows (address),
    state               TEXT NOT NULL CHECK (state IN ('open', 'mined', 'lost')),
    gas_limit           INTEGER NOT NULL,
    gas_per_call        INTEGER NOT NULL,
    -- The block it was mined in, or, for a lost batch, the block that showed its nonce gone.
    mined_block         INTEGER,
    mined_hash          BLOB,
    succeeded           INTEGER,
    gas_used            INTEGER,
    effective_gas_price TEXT,
    created_at          INTEGER NOT NULL,
    updated_at          INTEGER NOT NULL
);
CREATE INDEX batches_open ON batches (operator, nonce) WHERE state = 'open';
CREATE INDEX batches_by_nonce ON batches (operator, nonce);
CREATE INDEX batches_by_block ON batches (mined_block) WHERE mined_block IS NOT NULL;

CREATE TABLE batch_items (
    batch_id     INTEGER NOT NULL REFERENCES batches (id),
    position     INTEGER NOT NULL,
    operation_id INTEGER NOT NULL REFERENCES operations (id),
    PRIMARY KEY (batch_id, position)
);
CREATE INDEX batch_items_by_operation ON batch_items (operation_id);

-- One signed encoding of a batch; a fee bump is another attempt of the same batch.
CREATE TABLE attempts (
    id               INTEGER PRIMARY KEY,
    hash             BLOB NOT NULL UNIQUE,
    batch_id         INTEGER NOT NULL REFERENCES batches (id),
    raw              BLOB NOT NULL,
    max_fee          TEXT NOT NULL,
    max_priority_fee TEXT NOT NULL,
    created_at       INTEGER NOT NULL
);
CREATE INDEX attempts_by_batch ON attempts (batch_id);

-- The blocks the projection stands on, newest `reorgDepth` of them.
CREATE TABLE blocks (
    number    INTEGER PRIMARY KEY,
    hash      BLOB NOT NULL,
    timestamp INTEGER NOT NULL
);

-- What the chain did to our preauths: the source of every on-chain status.
CREATE TABLE outcomes (
    id           INTEGER PRIMARY KEY,
    block_number INTEGER NOT NULL,
    log_index    INTEGER NOT NULL,
    transaction_hash BLOB NOT NULL,
    preauth      INTEGER NOT NULL REFERENCES preauths (id),
    kind         TEXT NOT NULL
        CHECK (kind IN ('locked', 'settled', 'cancelled', 'expired', 'refund_deferred', 'lock_failed', 'call_failed')),
    UNIQUE (block_number, log_index)
);
CREATE INDEX outcomes_by_preauth ON outcomes (preauth, id);
