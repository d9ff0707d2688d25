-- Rows that are money carry a checksum of what is money in them, verified whenever they are read. Rows from before have
-- none: the daemon seals them at its next start, in pages, and notes here how far it has come. Once that is done, a row
-- without a checksum is damaged.
ALTER TABLE preauths ADD COLUMN terms_seal BLOB;
ALTER TABLE preauths ADD COLUMN state_seal BLOB;
ALTER TABLE operations ADD COLUMN seal BLOB;

CREATE TABLE sealing (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    -- Rows up to these ids are sealed.
    preauths   INTEGER NOT NULL,
    operations INTEGER NOT NULL,
    done       INTEGER NOT NULL CHECK (done IN (0, 1))
);
INSERT INTO sealing (id, preauths, operations, done) VALUES (1, 0, 0, 0);
