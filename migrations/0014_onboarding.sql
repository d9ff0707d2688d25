-- Who may pay and be paid. What is stored are facts; whether a party is verified follows from them and is stored nowhere.
-- Personal data is in no column but `sealed`, encrypted with the party's own key.

-- Whether a tenant's creations need wallets of verified parties.
ALTER TABLE tenants ADD COLUMN require_verified_party INTEGER NOT NULL DEFAULT 0;

CREATE TABLE parties (
    id          INTEGER PRIMARY KEY,
    uuid        BLOB NOT NULL UNIQUE,
    tenant_id   BLOB NOT NULL REFERENCES tenants (id),
    kind        TEXT NOT NULL CHECK (kind IN ('consumer', 'business')),
    -- The tenant's own name for it.
    external_id TEXT,
    -- What people decided about it.
    bar         TEXT CHECK (bar IN ('rejected', 'suspended')),
    -- The key of its personal data, wrapped with the operator's; NULL: it was deleted, and nobody can read them any more.
    data_key    BLOB,
    created_at  INTEGER NOT NULL
);
CREATE UNIQUE INDEX parties_external ON parties (tenant_id, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX parties_listed ON parties (tenant_id, id) WHERE data_key IS NOT NULL;
CREATE INDEX parties_kept ON parties (id) WHERE data_key IS NOT NULL;

-- What is asked of a party, and when it did what is asked. Where that is told by other rows (an accepted version of the terms, a
-- verification that passed), met_at stays NULL.
CREATE TABLE party_requirements (
    party     INTEGER NOT NULL REFERENCES parties (id),
    kind      TEXT NOT NULL,
    mandatory INTEGER NOT NULL,
    met_at    INTEGER,
    PRIMARY KEY (party, kind)
);

-- Personal data, each version whole: a change is a version and the one before it.
CREATE TABLE party_profiles (
    id      INTEGER PRIMARY KEY,
    party   INTEGER NOT NULL REFERENCES parties (id),
    -- 1, 2, 3, … of its party, without a gap.
    version INTEGER NOT NULL,
    -- The profile, and why it was changed.
    sealed  BLOB NOT NULL,
    actor   TEXT NOT NULL,
    at      INTEGER NOT NULL,
    UNIQUE (party, version)
);

-- Codes and links that were sent. Of the secret there is a keyed hash.
CREATE TABLE party_challenges (
    id          INTEGER PRIMARY KEY,
    uuid        BLOB NOT NULL UNIQUE,
    party       INTEGER NOT NULL REFERENCES parties (id),
    kind        TEXT NOT NULL CHECK (kind IN ('phone_code', 'email_link', 'identity_link')),
    tag         BLOB NOT NULL,
    attempts    INTEGER NOT NULL DEFAULT 0,
    created_at  INTEGER NOT NULL,
    lapses_at   INTEGER NOT NULL,
    answered_at INTEGER,
    void        INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX party_challenges_of_party ON party_challenges (party, kind, id);

CREATE TABLE party_verifications (
    id         INTEGER PRIMARY KEY,
    uuid       BLOB NOT NULL UNIQUE,
    party      INTEGER NOT NULL REFERENCES parties (id),
    state      TEXT NOT NULL CHECK (state IN ('pending', 'verified', 'failed')),
    reason     TEXT,
    -- When the provider is asked next, and until when it may answer.
    next_at    INTEGER NOT NULL,
    deadline   INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    ended_at   INTEGER
);
CREATE INDEX party_verifications_of_party ON party_verifications (party, id);
CREATE UNIQUE INDEX party_verifications_one_pending ON party_verifications (party) WHERE state = 'pending';
CREATE INDEX party_verifications_due ON party_verifications (next_at, id) WHERE state = 'pending';

-- A verification that failed, justified by the party and decided by people.
CREATE TABLE party_reviews (
    id           INTEGER PRIMARY KEY,
    uuid         BLOB NOT NULL UNIQUE,
    tenant_id    BLOB NOT NULL REFERENCES tenants (id),
    party        INTEGER NOT NULL REFERENCES parties (id),
    verification INTEGER NOT NULL REFERENCES party_verifications (id),
    -- What the party says, and what was noted about the decision.
    sealed       BLOB NOT NULL,
    decision     TEXT CHECK (decision IN ('approved', 'rejected')),
    decided_by   TEXT,
    decided_at   INTEGER,
    created_at   INTEGER NOT NULL,
    modified_at  INTEGER NOT NULL
);
CREATE UNIQUE INDEX party_reviews_one_open ON party_reviews (verification) WHERE decision IS NULL;
CREATE INDEX party_reviews_of_party ON party_reviews (party, id);
CREATE INDEX party_reviews_listed ON party_reviews (tenant_id, id);
CREATE INDEX party_reviews_open ON party_reviews (id) WHERE decision IS NULL;

CREATE TABLE party_documents (
    id         INTEGER PRIMARY KEY,
    uuid       BLOB NOT NULL UNIQUE,
    party      INTEGER NOT NULL REFERENCES parties (id),
    -- Where a requirement has the same name, an accepted document meets it.
    purpose    TEXT NOT NULL,
    -- The review that it belongs to.
    review     INTEGER REFERENCES party_reviews (id),
    state      TEXT NOT NULL CHECK (state IN ('pending', 'accepted', 'refused')),
    reason     TEXT,
    bytes      INTEGER NOT NULL,
    -- When the provider is asked next, and until when it may answer.
    next_at    INTEGER NOT NULL,
    deadline   INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    checked_at INTEGER,
    -- What kind of document it is, and the document; last, because it is long.
    label      BLOB NOT NULL,
    content    BLOB NOT NULL
);
CREATE INDEX party_documents_of_party ON party_documents (party, purpose, state);
CREATE INDEX party_documents_of_review ON party_documents (review, id) WHERE review IS NOT NULL;
CREATE INDEX party_documents_due ON party_documents (next_at, id) WHERE state = 'pending';

-- What may be one party's alone within a tenant: a keyed hash of it.
CREATE TABLE party_claims (
    tenant_id BLOB NOT NULL REFERENCES tenants (id),
    kind      TEXT NOT NULL,
    tag       BLOB NOT NULL,
    party     INTEGER NOT NULL REFERENCES parties (id),
    PRIMARY KEY (tenant_id, kind, tag)
);
CREATE INDEX party_claims_of_party ON party_claims (party);

-- The terms that a tenant's parties accept. The newest version is the one with the largest id.
CREATE TABLE terms_versions (
    id           INTEGER PRIMARY KEY,
    tenant_id    BLOB NOT NULL REFERENCES tenants (id),
    name         TEXT NOT NULL,
    published_at INTEGER NOT NULL,
    UNIQUE (tenant_id, name)
);
CREATE INDEX terms_versions_newest ON terms_versions (tenant_id, id);

CREATE TABLE terms_texts (
    version  INTEGER NOT NULL REFERENCES terms_versions (id),
    language TEXT NOT NULL,
    text     TEXT NOT NULL,
    PRIMARY KEY (version, language)
);

CREATE TABLE party_acceptances (
    party   INTEGER NOT NULL REFERENCES parties (id),
    version INTEGER NOT NULL REFERENCES terms_versions (id),
    at      INTEGER NOT NULL,
    PRIMARY KEY (party, version)
);

-- Whose a wallet is. The tenant vouches for that; whether it may be named in a creation is told by `wallets`.
CREATE TABLE party_wallets (
    id        INTEGER PRIMARY KEY,
    tenant_id BLOB NOT NULL REFERENCES tenants (id),
    address   BLOB NOT NULL,
    written   TEXT NOT NULL,
    role      TEXT NOT NULL CHECK (role IN ('sender', 'receiver')),
    party     INTEGER NOT NULL REFERENCES parties (id),
    tied_at   INTEGER NOT NULL,
    untied_at INTEGER
);
CREATE UNIQUE INDEX party_wallets_tied ON party_wallets (tenant_id, address, role) WHERE untied_at IS NULL;
CREATE INDEX party_wallets_of_party ON party_wallets (party, id);

-- Events may be about parties from now on. What was demanded of a column cannot be taken back, so the table is made anew, and
-- with it those that refer to it, the last first: nothing ever refers to what is not there.
CREATE TABLE events_anew (
    id                INTEGER PRIMARY KEY,
    uuid              BLOB NOT NULL UNIQUE,
    tenant_id         BLOB NOT NULL REFERENCES tenants (id),
    -- What it is about: one of the two.
    preauth           INTEGER REFERENCES preauths (id),
    party             BLOB REFERENCES parties (uuid),
    -- 1, 2, 3, … of its preauth or party, without a gap.
    sequence          INTEGER NOT NULL,
    kind              TEXT NOT NULL CHECK (kind IN ('authorized', 'rejected', 'settled', 'settlement_failed',
        'cancelled', 'expired', 'expiring', 'reorged', 'party_verified', 'party_rejected', 'party_suspended',
        'verification_completed', 'document_checked')),
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
    -- The verification that was completed.
    verification      BLOB REFERENCES party_verifications (uuid),
    -- The document that was checked.
    document          BLOB REFERENCES party_documents (uuid),
    seal              BLOB NOT NULL,
    created_at        INTEGER NOT NULL,
    UNIQUE (preauth, sequence),
    UNIQUE (party, sequence),
    CHECK ((preauth IS NULL) <> (party IS NULL))
);
INSERT INTO events_anew (id, uuid, tenant_id, preauth, sequence, kind, status_before, status, pending, settle_at, scheduled,
    scheduled_written, settled, settled_written, lock_transaction, close_transaction, deferred_refund, failure, seal, created_at)
SELECT id, uuid, tenant_id, preauth, sequence, kind, status_before, status, pending, settle_at, scheduled, scheduled_written,
    settled, settled_written, lock_transaction, close_transaction, deferred_refund, failure, seal, created_at
FROM events;

CREATE TABLE deliveries_anew (
    id         INTEGER PRIMARY KEY,
    endpoint   INTEGER NOT NULL REFERENCES webhook_endpoints (id),
    event      INTEGER NOT NULL REFERENCES events_anew (id),
    state      TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
    tries      INTEGER NOT NULL DEFAULT 0,
    next_at    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (endpoint, event)
);
INSERT INTO deliveries_anew (id, endpoint, event, state, tries, next_at, created_at, updated_at)
SELECT id, endpoint, event, state, tries, next_at, created_at, updated_at FROM deliveries;

CREATE TABLE delivery_attempts_anew (
    id          INTEGER PRIMARY KEY,
    delivery    INTEGER NOT NULL REFERENCES deliveries_anew (id),
    at          INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    status      INTEGER,
    error       TEXT,
    response    TEXT
);
INSERT INTO delivery_attempts_anew (id, delivery, at, duration_ms, status, error, response)
SELECT id, delivery, at, duration_ms, status, error, response FROM delivery_attempts;

DROP TABLE delivery_attempts;
DROP TABLE deliveries;
DROP TABLE events;
-- Whoever refers to a table follows its name.
ALTER TABLE events_anew RENAME TO events;
ALTER TABLE deliveries_anew RENAME TO deliveries;
ALTER TABLE delivery_attempts_anew RENAME TO delivery_attempts;
CREATE INDEX events_fed ON events (tenant_id, id);
CREATE INDEX events_timed ON events (created_at, kind);
CREATE INDEX deliveries_due ON deliveries (endpoint, next_at, id) WHERE state = 'pending';
CREATE INDEX deliveries_pending ON deliveries (id) WHERE state = 'pending';
CREATE INDEX deliveries_listed ON deliveries (endpoint, id);
CREATE INDEX delivery_attempts_by_delivery ON delivery_attempts (delivery, id);
