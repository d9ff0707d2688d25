//! Where tenants want to be told of events.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::column::{corrupt, millis, tenant_id, uuid, word};
use super::{Connection, StoreError};
use crate::model::{Endpoint, EventKind, KeptKey, Millis, SigningScheme, TenantId};

const COLUMNS: &str = "id, uuid, tenant_id, url, kinds, scheme, secret, old_secret, old_until, disabled, failing_since, \
    created_at";

/// Adds an endpoint, unless its tenant has `most` already (`None`), and returns its database key. It is told of what
/// happens from now on.
pub async fn insert(
    connection: &mut Connection,
    endpoint: &Endpoint,
    most: u32,
    now: Millis,
) -> Result<Option<i64>, StoreError> {
    let row = sqlx::query(
        "INSERT INTO webhook_endpoints (uuid, tenant_id, url, kinds, scheme, secret, cursor, created_at)
         SELECT $1, $2, $3, $4, $5, $6, (SELECT COALESCE(MAX(id), 0) FROM events), $7
         WHERE (SELECT COUNT(*) FROM webhook_endpoints WHERE tenant_id = $2 AND removed_at IS NULL) < $8
         RETURNING id",
    )
    .bind(endpoint.id.as_bytes().as_slice())
    .bind(endpoint.tenant.0.as_bytes().as_slice())
    .bind(&endpoint.url)
    .bind(kinds_text(&endpoint.kinds))
    .bind(endpoint.scheme.as_str())
    .bind(endpoint.secret.0.as_slice())
    .bind(now.0)
    .bind(i64::from(most))
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| row.try_get("id")).transpose()?)
}

/// A tenant's endpoints, oldest first. There are few of them.
pub async fn of_tenant(connection: &mut Connection, tenant: TenantId) -> Result<Vec<Endpoint>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM webhook_endpoints WHERE tenant_id = $1 AND removed_at IS NULL ORDER BY id"
    ));
    let rows = sqlx::query(sql).bind(tenant.0.as_bytes().as_slice()).fetch_all(connection).await?;
    rows.iter().map(decode).collect()
}

/// A tenant's endpoint by its name.
pub async fn find(
    connection: &mut Connection,
    tenant: TenantId,
    id: Uuid,
) -> Result<Option<Endpoint>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM webhook_endpoints WHERE uuid = $1 AND tenant_id = $2 AND removed_at IS NULL"
    ));
    let row = sqlx::query(sql)
        .bind(id.as_bytes().as_slice())
        .bind(tenant.0.as_bytes().as_slice())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(decode).transpose()
}

/// A tenant's endpoint by its database key.
pub async fn by_key(
    connection: &mut Connection,
    tenant: TenantId,
    key: i64,
) -> Result<Option<Endpoint>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM webhook_endpoints WHERE id = $1 AND tenant_id = $2 AND removed_at IS NULL"
    ));
    let row =
        sqlx::query(sql).bind(key).bind(tenant.0.as_bytes().as_slice()).fetch_optional(connection).await?;
    row.as_ref().map(decode).transpose()
}

/// Stores what can be changed about an endpoint, its keys included.
pub async fn update(connection: &mut Connection, endpoint: &Endpoint) -> Result<(), StoreError> {
    let old = endpoint.old_secret.as_ref();
    sqlx::query(
        "UPDATE webhook_endpoints SET url = $2, kinds = $3, secret = $4, old_secret = $5, old_until = $6, disabled = $7,
             failing_since = $8
         WHERE id = $1 AND removed_at IS NULL",
    )
    .bind(endpoint.key)
    .bind(&endpoint.url)
    .bind(kinds_text(&endpoint.kinds))
    .bind(endpoint.secret.0.as_slice())
    .bind(old.map(|(secret, _)| secret.0.as_slice()))
    .bind(old.map(|(_, until)| until.0))
    .bind(&endpoint.disabled)
    .bind(endpoint.failing_since.map(|since| since.0))
    .execute(connection)
    .await?;
    Ok(())
}

/// Lets an endpoint begin with what happens from now on.
pub async fn skip_to_now(connection: &mut Connection, key: i64) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE webhook_endpoints SET cursor = (SELECT COALESCE(MAX(id), 0) FROM events) WHERE id = $1",
    )
    .bind(key)
    .execute(connection)
    .await?;
    Ok(())
}

/// Ends an endpoint and forgets its keys. What was sent to it stays on record.
pub async fn remove(connection: &mut Connection, key: i64, now: Millis) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE webhook_endpoints SET removed_at = $2, secret = x'', old_secret = NULL, old_until = NULL
         WHERE id = $1",
    )
    .bind(key)
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes how an attempt ended, for an endpoint that is still there.
pub async fn note_attempt(
    connection: &mut Connection,
    key: i64,
    failed: bool,
    disabled: Option<&str>,
    now: Millis,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE webhook_endpoints
         SET failing_since = CASE WHEN $2 THEN COALESCE(failing_since, $4) END, disabled = COALESCE($3, disabled)
         WHERE id = $1 AND ($2 OR failing_since IS NOT NULL OR $3 IS NOT NULL)",
    )
    .bind(key)
    .bind(failed)
    .bind(disabled)
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// Enabled endpoints of all tenants that have not looked at their tenants' newest events, with where they stand.
pub async fn behind(connection: &mut Connection, limit: u32) -> Result<Vec<(Endpoint, i64)>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS}, cursor FROM webhook_endpoints w
         WHERE removed_at IS NULL AND disabled IS NULL
           AND cursor < (SELECT COALESCE(MAX(id), 0) FROM events WHERE tenant_id = w.tenant_id)
         ORDER BY id LIMIT $1 + 0"
    ));
    let rows = sqlx::query(sql).bind(i64::from(limit)).fetch_all(connection).await?;
    rows.iter().map(|row| Ok((decode(row)?, row.try_get("cursor")?))).collect()
}

/// Enabled endpoints of all tenants with a delivery that is due at `now`.
pub async fn with_due(connection: &mut Connection, now: Millis) -> Result<Vec<Endpoint>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM webhook_endpoints w
         WHERE removed_at IS NULL AND disabled IS NULL
           AND EXISTS (SELECT 1 FROM deliveries WHERE endpoint = w.id AND state = 'pending' AND next_at <= $1)
         ORDER BY id"
    ));
    sqlx::query(sql).bind(now.0).fetch_all(connection).await?.iter().map(decode).collect()
}

pub(super) fn kinds_text(kinds: &[EventKind]) -> String {
    kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(" ")
}

fn decode(row: &SqliteRow) -> Result<Endpoint, StoreError> {
    let kinds: &str = row.try_get("kinds")?;
    let kind = |text| {
        EventKind::parse(text).ok_or_else(|| corrupt("kinds", format_args!("{text:?} is no known word")))
    };
    let old: Option<Vec<u8>> = row.try_get("old_secret")?;
    let until: Option<i64> = row.try_get("old_until")?;
    let failing_since: Option<i64> = row.try_get("failing_since")?;
    Ok(Endpoint {
        key: row.try_get("id")?,
        id: uuid(row, "uuid")?,
        tenant: tenant_id(row, "tenant_id")?,
        url: row.try_get("url")?,
        kinds: kinds.split_whitespace().map(kind).collect::<Result<_, _>>()?,
        scheme: word(row, "scheme", SigningScheme::parse)?,
        secret: KeptKey(row.try_get("secret")?),
        old_secret: old.map(KeptKey).zip(until.map(Millis)),
        disabled: row.try_get("disabled")?,
        failing_since: failing_since.map(Millis),
        created_at: millis(row, "created_at")?,
    })
}
