//! Verifications of identities: asked for, under way, ended.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::model::{FailureReason, Millis, PartyKey, TenantId, Verification, VerificationState};
use crate::store::column::{millis, uuid, word};
use crate::store::{Connection, StoreError};

const COLUMNS: &str = "id, uuid, party, state, reason, deadline, created_at";

/// Adds a verification, which is due at once. A unique violation is one that is under way.
pub async fn insert(
    connection: &mut Connection,
    party: PartyKey,
    id: Uuid,
    deadline: Millis,
    now: Millis,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO party_verifications (uuid, party, state, next_at, deadline, created_at)
         VALUES ($1, $2, 'pending', $3, $4, $3)",
    )
    .bind(id.as_bytes().as_slice())
    .bind(party.0)
    .bind(now.0)
    .bind(deadline.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// How many verifications a party had.
pub async fn count(connection: &mut Connection, party: PartyKey) -> Result<i64, StoreError> {
    let row = sqlx::query("SELECT COUNT(*) FROM party_verifications WHERE party = $1")
        .bind(party.0)
        .fetch_one(connection)
        .await?;
    Ok(row.try_get(0)?)
}

/// A party's newest verification.
pub async fn newest(
    connection: &mut Connection,
    party: PartyKey,
) -> Result<Option<Verification>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM party_verifications WHERE party = $1 ORDER BY id DESC LIMIT 1"
    ));
    let row = sqlx::query(sql).bind(party.0).fetch_optional(connection).await?;
    row.as_ref().map(decode).transpose()
}

/// A tenant's verification by its name.
pub async fn by_id(
    connection: &mut Connection,
    tenant: TenantId,
    id: Uuid,
) -> Result<Option<Verification>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM party_verifications
         WHERE uuid = $1 AND (SELECT p.tenant_id FROM parties p WHERE p.id = party) = $2"
    ));
    let query = sqlx::query(sql).bind(id.as_bytes().as_slice()).bind(tenant.0.as_bytes().as_slice());
    query.fetch_optional(connection).await?.as_ref().map(decode).transpose()
}

/// A verification by its name, whosever it is.
pub async fn by_uuid(connection: &mut Connection, id: Uuid) -> Result<Option<Verification>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM party_verifications WHERE uuid = $1"));
    let row = sqlx::query(sql).bind(id.as_bytes().as_slice()).fetch_optional(connection).await?;
    row.as_ref().map(decode).transpose()
}

/// A verification by its row.
pub async fn by_key(connection: &mut Connection, key: i64) -> Result<Option<Verification>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM party_verifications WHERE id = $1"));
    let row = sqlx::query(sql).bind(key).fetch_optional(connection).await?;
    row.as_ref().map(decode).transpose()
}

pub(in crate::store) const DUE: &str =
    "WHERE state = 'pending' AND next_at <= $1 ORDER BY next_at, id LIMIT $2 + 0";

/// Verifications that are due at `now`, longest due first.
pub async fn due(
    connection: &mut Connection,
    now: Millis,
    limit: u32,
) -> Result<Vec<Verification>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM party_verifications {DUE}"));
    let rows = sqlx::query(sql).bind(now.0).bind(i64::from(limit)).fetch_all(connection).await?;
    rows.iter().map(decode).collect()
}

/// Puts a verification off.
pub async fn put_off(connection: &mut Connection, key: i64, next_at: Millis) -> Result<(), StoreError> {
    sqlx::query("UPDATE party_verifications SET next_at = $2 WHERE id = $1")
        .bind(key)
        .bind(next_at.0)
        .execute(connection)
        .await?;
    Ok(())
}

/// Writes down how a verification ended.
pub async fn end(
    connection: &mut Connection,
    key: i64,
    state: VerificationState,
    reason: Option<FailureReason>,
    now: Millis,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE party_verifications SET state = $2, reason = $3, ended_at = $4 WHERE id = $1")
        .bind(key)
        .bind(state.as_str())
        .bind(reason.map(FailureReason::as_str))
        .bind(now.0)
        .execute(connection)
        .await?;
    Ok(())
}

fn decode(row: &SqliteRow) -> Result<Verification, StoreError> {
    let reason: Option<&str> = row.try_get("reason")?;
    Ok(Verification {
        key: row.try_get("id")?,
        id: uuid(row, "uuid")?,
        party: PartyKey(row.try_get("party")?),
        state: word(row, "state", VerificationState::parse)?,
        reason: reason.map(|_| word(row, "reason", FailureReason::parse)).transpose()?,
        deadline: millis(row, "deadline")?,
        created_at: millis(row, "created_at")?,
    })
}
