-- When the return of a hold is to be begun: at its expiry, or, where the chain was found to know nothing of the hold,
-- later, so that such rows do not stand before the others.
ALTER TABLE preauths ADD COLUMN release_at INTEGER NOT NULL DEFAULT 0;
UPDATE preauths SET release_at = expires_at;
DROP INDEX preauths_overdue;
CREATE INDEX preauths_overdue ON preauths (release_at, id) WHERE status = 'AUTHORIZED';
