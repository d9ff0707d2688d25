//! What is one party's alone within its tenant: a keyed hash of it, so that nobody reads here what it is.

use crate::model::{ClaimKind, PartyKey, SecretTag, TenantId};
use crate::store::{Connection, StoreError};

/// Claims something for a party; `false`: another party has it.
pub async fn take(
    connection: &mut Connection,
    tenant: TenantId,
    party: PartyKey,
    kind: ClaimKind,
    tag: &SecretTag,
) -> Result<bool, StoreError> {
    let row = sqlx::query(
        "INSERT INTO party_claims (tenant_id, kind, tag, party) VALUES ($1, $2, $3, $4)
         ON CONFLICT (tenant_id, kind, tag) DO UPDATE SET party = excluded.party WHERE party = excluded.party
         RETURNING party",
    )
    .bind(tenant.0.as_bytes().as_slice())
    .bind(kind.as_str())
    .bind(tag.0.as_slice())
    .bind(party.0)
    .fetch_optional(connection)
    .await?;
    Ok(row.is_some())
}
