//! Keys of those who run the daemon. Only their SHA-256 is stored.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::api_keys::scopes;
use super::{Connection, StoreError};
use crate::model::{Millis, Scope};

/// A key as it is listed: never the key itself.
#[derive(Debug, Clone)]
pub struct AdminKey {
    pub name: String,
    pub prefix: String,
    pub scopes: Vec<Scope>,
    pub created_at: Millis,
    pub revoked_at: Option<Millis>,
}

const COLUMNS: &str = "name, prefix, hash, scopes, created_at, revoked_at";

/// Adds a key by its readable prefix and its SHA-256.
pub async fn insert(connection: &mut Connection, key: &AdminKey, hash: &[u8; 32]) -> Result<(), StoreError> {
    let scopes = key.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" ");
    sqlx::query(
        "INSERT INTO admin_keys (name, prefix, hash, scopes, created_at) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(&key.name)
    .bind(&key.prefix)
    .bind(hash.as_slice())
    .bind(scopes)
    .bind(key.created_at.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// The live key with a prefix, and its hash. The caller compares in constant time.
pub async fn by_prefix(
    connection: &mut Connection,
    prefix: &str,
) -> Result<Option<(Vec<u8>, AdminKey)>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM admin_keys WHERE prefix = $1 AND revoked_at IS NULL"
    ));
    let row = sqlx::query(sql).bind(prefix).fetch_optional(connection).await?;
    row.map(|row| Ok((row.try_get("hash")?, decode(&row)?))).transpose()
}

/// All keys, oldest first.
pub async fn all(connection: &mut Connection) -> Result<Vec<AdminKey>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM admin_keys ORDER BY id"));
    sqlx::query(sql).fetch_all(connection).await?.iter().map(decode).collect()
}

/// Ends a key; says whether it was live.
pub async fn revoke(connection: &mut Connection, prefix: &str, now: Millis) -> Result<bool, StoreError> {
    let done = sqlx::query("UPDATE admin_keys SET revoked_at = $2 WHERE prefix = $1 AND revoked_at IS NULL")
        .bind(prefix)
        .bind(now.0)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() > 0)
}

fn decode(row: &SqliteRow) -> Result<AdminKey, StoreError> {
    Ok(AdminKey {
        name: row.try_get("name")?,
        prefix: row.try_get("prefix")?,
        scopes: scopes(row)?,
        created_at: Millis(row.try_get("created_at")?),
        revoked_at: row.try_get::<Option<i64>, _>("revoked_at")?.map(Millis),
    })
}
