//! Personal data, encrypted before it comes here.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::model::{Millis, PartyKey};
use crate::store::column::{millis, unsigned};
use crate::store::{Connection, StoreError};

/// A version as it is stored.
#[derive(Debug, Clone)]
pub struct SealedProfile {
    pub version: u64,
    pub sealed: Vec<u8>,
}

/// Adds a version.
pub async fn insert(
    connection: &mut Connection,
    party: PartyKey,
    profile: &SealedProfile,
    actor: &str,
    now: Millis,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO party_profiles (party, version, sealed, actor, at) VALUES ($1, $2, $3, $4, $5)")
        .bind(party.0)
        .bind(i64::try_from(profile.version).unwrap_or(i64::MAX))
        .bind(profile.sealed.as_slice())
        .bind(actor)
        .bind(now.0)
        .execute(connection)
        .await?;
    Ok(())
}

/// The newest version.
pub async fn newest(
    connection: &mut Connection,
    party: PartyKey,
) -> Result<Option<SealedProfile>, StoreError> {
    let row = sqlx::query(
        "SELECT version, sealed FROM party_profiles WHERE party = $1 ORDER BY version DESC LIMIT 1",
    )
    .bind(party.0)
    .fetch_optional(connection)
    .await?;
    row.map(|row| Ok(SealedProfile { version: unsigned(&row, "version")?, sealed: row.try_get("sealed")? }))
        .transpose()
}

/// Every version, oldest first, with who stored it and when.
pub async fn all(
    connection: &mut Connection,
    party: PartyKey,
) -> Result<Vec<(SealedProfile, String, Millis)>, StoreError> {
    let rows = sqlx::query(
        "SELECT version, sealed, actor, at FROM party_profiles WHERE party = $1 ORDER BY version",
    )
    .bind(party.0)
    .fetch_all(connection)
    .await?;
    let decode = |row: &SqliteRow| {
        let profile = SealedProfile { version: unsigned(row, "version")?, sealed: row.try_get("sealed")? };
        Ok((profile, row.try_get("actor")?, millis(row, "at")?))
    };
    rows.iter().map(decode).collect()
}
