//! Parties. One whose key was destroyed is there for what refers to it, and found by nobody.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::requirements;
use crate::model::{Bar, ExternalId, Millis, Party, PartyId, PartyKey, PartyKind, TenantId};
use crate::store::column::{corrupt, millis, tenant_id, uuid, word};
use crate::store::{Connection, StoreError};

const COLUMNS: &str = "id, uuid, tenant_id, kind, external_id, bar, created_at";

/// A party to be.
#[derive(Debug, Clone)]
pub struct NewParty {
    pub id: PartyId,
    pub tenant: TenantId,
    pub kind: PartyKind,
    pub external_id: Option<ExternalId>,
    /// The key of its personal data, wrapped.
    pub data_key: Vec<u8>,
}

/// Adds a party. A unique violation is an external id that another one has.
pub async fn insert(
    connection: &mut Connection,
    new: &NewParty,
    now: Millis,
) -> Result<PartyKey, StoreError> {
    let row = sqlx::query(
        "INSERT INTO parties (uuid, tenant_id, kind, external_id, data_key, created_at) VALUES ($1, $2, $3, $4, $5, $6)
         RETURNING id",
    )
    .bind(new.id.0.as_bytes().as_slice())
    .bind(new.tenant.0.as_bytes().as_slice())
    .bind(new.kind.as_str())
    .bind(new.external_id.as_ref().map(ExternalId::as_str))
    .bind(new.data_key.as_slice())
    .bind(now.0)
    .fetch_one(connection)
    .await?;
    Ok(PartyKey(row.try_get("id")?))
}

/// A tenant's party.
pub async fn find(
    connection: &mut Connection,
    tenant: TenantId,
    id: PartyId,
) -> Result<Option<Party>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM parties WHERE uuid = $1 AND tenant_id = $2 AND data_key IS NOT NULL"
    ));
    let row = sqlx::query(sql)
        .bind(id.0.as_bytes().as_slice())
        .bind(tenant.0.as_bytes().as_slice())
        .fetch_optional(&mut *connection)
        .await?;
    Ok(whole(connection, row.as_slice()).await?.pop())
}

/// A party by its row: one that a challenge, a verification or a repeated request leads to.
pub async fn by_key(connection: &mut Connection, key: PartyKey) -> Result<Option<Party>, StoreError> {
    let sql =
        sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM parties WHERE id = $1 AND data_key IS NOT NULL"));
    let row = sqlx::query(sql).bind(key.0).fetch_optional(&mut *connection).await?;
    Ok(whole(connection, row.as_slice()).await?.pop())
}

/// The name of a tenant's party, by the tenant's own name for it.
pub async fn by_external_id(
    connection: &mut Connection,
    tenant: TenantId,
    id: &ExternalId,
) -> Result<Option<PartyId>, StoreError> {
    let row = sqlx::query("SELECT uuid FROM parties WHERE tenant_id = $1 AND external_id = $2")
        .bind(tenant.0.as_bytes().as_slice())
        .bind(id.as_str())
        .fetch_optional(connection)
        .await?;
    row.map(|row| Ok(PartyId(uuid(&row, "uuid")?))).transpose()
}

/// A tenant's parties before a row, newest first.
pub async fn page(
    connection: &mut Connection,
    tenant: TenantId,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<Party>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM parties
         WHERE tenant_id = $1 AND data_key IS NOT NULL AND ($2 IS NULL OR id < $2) ORDER BY id DESC LIMIT $3 + 0"
    ));
    let rows = sqlx::query(sql)
        .bind(tenant.0.as_bytes().as_slice())
        .bind(before)
        .bind(i64::from(limit))
        .fetch_all(&mut *connection)
        .await?;
    whole(connection, &rows).await
}

/// The wrapped key of a party's personal data.
pub async fn data_key(connection: &mut Connection, key: PartyKey) -> Result<Option<Vec<u8>>, StoreError> {
    let row = sqlx::query("SELECT data_key FROM parties WHERE id = $1")
        .bind(key.0)
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|row| row.try_get("data_key")).transpose()?.flatten())
}

/// Some party and its wrapped key, to try the operator's key on.
pub async fn any_data_key(connection: &mut Connection) -> Result<Option<(PartyId, Vec<u8>)>, StoreError> {
    let row = sqlx::query(
        "SELECT uuid, data_key FROM parties WHERE data_key IS NOT NULL ORDER BY tenant_id, id LIMIT 1",
    )
    .fetch_optional(connection)
    .await?;
    row.map(|row| Ok((PartyId(uuid(&row, "uuid")?), row.try_get("data_key")?))).transpose()
}

/// Writes down what was decided about a party.
pub async fn set_bar(connection: &mut Connection, key: PartyKey, bar: Option<Bar>) -> Result<(), StoreError> {
    sqlx::query("UPDATE parties SET bar = $2 WHERE id = $1")
        .bind(key.0)
        .bind(bar.map(Bar::as_str))
        .execute(connection)
        .await?;
    Ok(())
}

/// Destroys a party's key and everything that is encrypted with it; its id and what money needs remain. What is freed in the
/// file is overwritten.
pub async fn delete(connection: &mut Connection, key: PartyKey, now: Millis) -> Result<(), StoreError> {
    sqlx::query("PRAGMA secure_delete = ON").execute(&mut *connection).await?;
    for sql in [
        "DELETE FROM party_profiles WHERE party = $1",
        "DELETE FROM party_challenges WHERE party = $1",
        "DELETE FROM party_requirements WHERE party = $1",
        "DELETE FROM party_claims WHERE party = $1",
        "UPDATE party_documents SET review = NULL, label = x'', content = x'' WHERE party = $1",
        "DELETE FROM party_reviews WHERE party = $1",
        "UPDATE parties SET data_key = NULL, external_id = NULL WHERE id = $1",
    ] {
        sqlx::query(sql).bind(key.0).execute(&mut *connection).await?;
    }
    for sql in [
        "UPDATE party_wallets SET untied_at = $2 WHERE party = $1 AND untied_at IS NULL",
        "UPDATE party_verifications SET state = 'failed', ended_at = $2 WHERE party = $1 AND state = 'pending'",
        "UPDATE party_documents SET state = 'refused', checked_at = $2 WHERE party = $1 AND state = 'pending'",
    ] {
        sqlx::query(sql).bind(key.0).bind(now.0).execute(&mut *connection).await?;
    }
    sqlx::query("PRAGMA secure_delete = OFF").execute(connection).await?;
    Ok(())
}

async fn whole(connection: &mut Connection, rows: &[SqliteRow]) -> Result<Vec<Party>, StoreError> {
    let mut parties = rows.iter().map(decode).collect::<Result<Vec<_>, _>>()?;
    let keys: Vec<PartyKey> = parties.iter().map(|party| party.key).collect();
    let mut requirements = requirements::of_each(connection, &keys).await?;
    for party in &mut parties {
        party.requirements = requirements.remove(&party.key).unwrap_or_default();
        if party.requirements.is_empty() {
            // It would count as verified.
            return Err(corrupt("party_requirements", format_args!("{} has none", party.id)));
        }
    }
    Ok(parties)
}

pub(super) fn bar(row: &SqliteRow) -> Result<Option<Bar>, StoreError> {
    let text: Option<&str> = row.try_get("bar")?;
    text.map(|_| word(row, "bar", Bar::parse)).transpose()
}

fn decode(row: &SqliteRow) -> Result<Party, StoreError> {
    let external_id: Option<&str> = row.try_get("external_id")?;
    let external_id = external_id.map(ExternalId::parse).transpose();
    Ok(Party {
        key: PartyKey(row.try_get("id")?),
        id: PartyId(uuid(row, "uuid")?),
        tenant: tenant_id(row, "tenant_id")?,
        kind: word(row, "kind", PartyKind::parse)?,
        external_id: external_id.map_err(|why| corrupt("external_id", why))?,
        bar: bar(row)?,
        requirements: Vec::new(),
        created_at: millis(row, "created_at")?,
    })
}
