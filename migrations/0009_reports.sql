-- When the blocks were made in which something happened to our preauths, or a batch of ours was mined: Unix seconds by the
-- chain's clock, for the reports. NULL: not known yet; the daemon asks the node. `blocks` forgets, this does not.
CREATE TABLE block_times (
    number INTEGER PRIMARY KEY,
    at     INTEGER
);
CREATE INDEX block_times_by_time ON block_times (at, number);
INSERT INTO block_times (number, at)
SELECT happened.number, blocks.timestamp
FROM (SELECT block_number AS number FROM outcomes UNION SELECT mined_block FROM batches WHERE state = 'mined') AS happened
LEFT JOIN blocks ON blocks.number = happened.number;

-- Refunds that a token refused, until their sender has them. A claim pays a sender all there is of a token.
CREATE TABLE refunds (
    preauth       INTEGER PRIMARY KEY REFERENCES preauths (id),
    escrow        BLOB NOT NULL,
    sender        BLOB NOT NULL,
    token         BLOB NOT NULL,
    -- The block that showed it claimed; NULL: it waits.
    claimed_block INTEGER,
    -- When the daemon tries again to claim it for its sender, and how often it has tried.
    not_before    INTEGER NOT NULL DEFAULT 0,
    tries         INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX refunds_waiting ON refunds (preauth) WHERE claimed_block IS NULL;
CREATE INDEX refunds_due ON refunds (not_before) WHERE claimed_block IS NULL;
CREATE INDEX refunds_claimed ON refunds (claimed_block) WHERE claimed_block IS NOT NULL;
INSERT INTO refunds (preauth, escrow, sender, token)
SELECT id, escrow, sender, token FROM preauths WHERE deferred_refund IS NOT NULL;

-- What a transaction of ours claimed, or tried to: a batch without operations.
CREATE TABLE claim_items (
    batch_id INTEGER NOT NULL REFERENCES batches (id),
    preauth  INTEGER NOT NULL REFERENCES preauths (id),
    PRIMARY KEY (batch_id, preauth)
);
