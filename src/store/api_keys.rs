//! API keys. Only their SHA-256 is stored.

use std::collections::HashMap;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::column::{corrupt, json};
use super::{Connection, KeyHolder, StoreError, tenants};
use crate::model::{Millis, Scope, TenantId};

/// A key as it is listed: never the key itself.
#[derive(Debug, Clone)]
pub struct ApiKey {
    pub id: i64,
    pub prefix: String,
    pub scopes: Vec<Scope>,
    pub created_at: Millis,
    pub revoked_at: Option<Millis>,
}

/// Adds a key by its readable prefix and its SHA-256.
pub async fn insert(
    connection: &mut Connection,
    tenant: TenantId,
    prefix: &str,
    hash: &[u8; 32],
    scopes: &[Scope],
    now: Millis,
) -> Result<(), StoreError> {
    let scopes = scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" ");
    sqlx::query(
        "INSERT INTO api_keys (tenant_id, prefix, hash, scopes, created_at) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(tenant.0.as_bytes().as_slice())
    .bind(prefix)
    .bind(hash.as_slice())
    .bind(scopes)
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) const BY_PREFIXES: &str =
    "SELECT tenants.id, name, disabled, allowed_tip_bps, default_ttl_seconds, require_signed_consent, require_verified_party,
         rules, hash, scopes, prefix
     FROM api_keys JOIN tenants ON tenants.id = api_keys.tenant_id
     WHERE prefix IN (SELECT value FROM json_each($1)) AND revoked_at IS NULL";

/// All live keys with these prefixes, by prefix.
pub(super) async fn by_prefixes(
    connection: &mut Connection,
    prefixes: Vec<String>,
) -> Result<HashMap<String, Vec<KeyHolder>>, StoreError> {
    let rows = sqlx::query(BY_PREFIXES).bind(json(&prefixes)?).fetch_all(connection).await?;
    let mut found: HashMap<String, Vec<KeyHolder>> = HashMap::with_capacity(prefixes.len());
    for row in &rows {
        let holder = (row.try_get("hash")?, tenants::decode(row)?, scopes(row)?);
        found.entry(row.try_get("prefix")?).or_default().push(holder);
    }
    Ok(found)
}

/// All keys of a tenant, oldest first.
pub async fn of_tenant(connection: &mut Connection, tenant: TenantId) -> Result<Vec<ApiKey>, StoreError> {
    let rows = sqlx::query(
        "SELECT id, prefix, scopes, created_at, revoked_at FROM api_keys WHERE tenant_id = $1 ORDER BY id",
    )
    .bind(tenant.0.as_bytes().as_slice())
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(ApiKey {
                id: row.try_get("id")?,
                prefix: row.try_get("prefix")?,
                scopes: scopes(row)?,
                created_at: Millis(row.try_get("created_at")?),
                revoked_at: row.try_get::<Option<i64>, _>("revoked_at")?.map(Millis),
            })
        })
        .collect()
}

/// Ends the keys of a tenant with this prefix; says how many there were.
pub async fn revoke(
    connection: &mut Connection,
    tenant: TenantId,
    prefix: &str,
    now: Millis,
) -> Result<u64, StoreError> {
    let done = sqlx::query(
        "UPDATE api_keys SET revoked_at = $3 WHERE tenant_id = $1 AND prefix = $2 AND revoked_at IS NULL",
    )
    .bind(tenant.0.as_bytes().as_slice())
    .bind(prefix)
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

pub(super) fn scopes(row: &SqliteRow) -> Result<Vec<Scope>, StoreError> {
    row.try_get::<&str, _>("scopes")?
        .split_whitespace()
        .map(|word| Scope::parse(word).ok_or_else(|| corrupt("scopes", word)))
        .collect()
}
