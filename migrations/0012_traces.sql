-- The trace that an operation was asked for in (W3C traceparent), so that its batch and its block can be added to it; NULL where
-- nothing is traced.
ALTER TABLE operations ADD COLUMN trace TEXT;
