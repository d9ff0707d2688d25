-- What the holders of a token can sign, as it was probed: JSON. NULL: it was not asked yet.
ALTER TABLE tokens ADD COLUMN signing TEXT;

-- Whether a tenant's creations need the payer's signature.
ALTER TABLE tenants ADD COLUMN require_signed_consent INTEGER NOT NULL DEFAULT 0;
