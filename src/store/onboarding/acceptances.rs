//! Which versions of the terms a party accepted, and when. Rows are never changed.

use super::terms::decode;
use crate::model::{Millis, PartyKey, TermsVersion};
use crate::store::{Connection, StoreError};

/// Writes down that a party accepted a version. Accepting it again changes nothing.
pub async fn insert(
    connection: &mut Connection,
    party: PartyKey,
    version: &TermsVersion,
    now: Millis,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO party_acceptances (party, version, at) VALUES ($1, $2, $3) ON CONFLICT (party, version) DO NOTHING",
    )
    .bind(party.0)
    .bind(version.key)
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// The newest version that a party accepted.
pub async fn last(connection: &mut Connection, party: PartyKey) -> Result<Option<TermsVersion>, StoreError> {
    let row = sqlx::query(
        "SELECT t.id, t.name, t.published_at FROM party_acceptances a JOIN terms_versions t ON t.id = a.version
         WHERE a.party = $1 ORDER BY t.id DESC LIMIT 1",
    )
    .bind(party.0)
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(decode).transpose()
}
