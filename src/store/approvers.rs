//! Whom tenants want to be asked before a hold is locked.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::column::{corrupt, millis, tenant_id, uuid};
use super::{Connection, StoreError};
use crate::model::{Approver, ApproverName, KeptKey, Millis, TenantId};

const COLUMNS: &str =
    "id, uuid, tenant_id, name, url, time_limit_ms, secret, old_secret, old_until, enabled, created_at";

/// Adds an approver, unless its tenant has `most` already (`None`), and returns its database key. A unique violation is
/// a name that another one has.
pub async fn insert(
    connection: &mut Connection,
    approver: &Approver,
    most: u32,
) -> Result<Option<i64>, StoreError> {
    let row = sqlx::query(
        "INSERT INTO approvers (uuid, tenant_id, name, url, time_limit_ms, secret, enabled, created_at)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8
         WHERE (SELECT COUNT(*) FROM approvers WHERE tenant_id = $2 AND removed_at IS NULL) < $9
         RETURNING id",
    )
    .bind(approver.id.as_bytes().as_slice())
    .bind(approver.tenant.0.as_bytes().as_slice())
    .bind(approver.name.as_str())
    .bind(&approver.url)
    .bind(i64::from(approver.time_limit_ms))
    .bind(approver.secret.0.as_slice())
    .bind(approver.enabled)
    .bind(approver.created_at.0)
    .bind(i64::from(most))
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| row.try_get("id")).transpose()?)
}

/// A tenant's approvers, oldest first. There are few of them.
pub async fn of_tenant(connection: &mut Connection, tenant: TenantId) -> Result<Vec<Approver>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM approvers WHERE tenant_id = $1 AND removed_at IS NULL ORDER BY id"
    ));
    let rows = sqlx::query(sql).bind(tenant.0.as_bytes().as_slice()).fetch_all(connection).await?;
    rows.iter().map(decode).collect()
}

/// A tenant's approver by its id.
pub async fn find(
    connection: &mut Connection,
    tenant: TenantId,
    id: Uuid,
) -> Result<Option<Approver>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM approvers WHERE uuid = $1 AND tenant_id = $2 AND removed_at IS NULL"
    ));
    let row = sqlx::query(sql)
        .bind(id.as_bytes().as_slice())
        .bind(tenant.0.as_bytes().as_slice())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(decode).transpose()
}

/// A tenant's approver by its database key.
pub async fn by_key(
    connection: &mut Connection,
    tenant: TenantId,
    key: i64,
) -> Result<Option<Approver>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM approvers WHERE id = $1 AND tenant_id = $2 AND removed_at IS NULL"
    ));
    let row =
        sqlx::query(sql).bind(key).bind(tenant.0.as_bytes().as_slice()).fetch_optional(connection).await?;
    row.as_ref().map(decode).transpose()
}

/// Stores what can be changed about an approver, its keys included.
pub async fn update(connection: &mut Connection, approver: &Approver) -> Result<(), StoreError> {
    let old = approver.old_secret.as_ref();
    sqlx::query(
        "UPDATE approvers SET url = $2, time_limit_ms = $3, secret = $4, old_secret = $5, old_until = $6, enabled = $7
         WHERE id = $1 AND removed_at IS NULL",
    )
    .bind(approver.key)
    .bind(&approver.url)
    .bind(i64::from(approver.time_limit_ms))
    .bind(approver.secret.0.as_slice())
    .bind(old.map(|(secret, _)| secret.0.as_slice()))
    .bind(old.map(|(_, until)| until.0))
    .bind(approver.enabled)
    .execute(connection)
    .await?;
    Ok(())
}

/// Ends an approver and forgets its keys. What it decided stays on record.
pub async fn remove(connection: &mut Connection, key: i64, now: Millis) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE approvers SET removed_at = $2, secret = x'', old_secret = NULL, old_until = NULL WHERE id = $1",
    )
    .bind(key)
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(())
}

fn decode(row: &SqliteRow) -> Result<Approver, StoreError> {
    let old: Option<Vec<u8>> = row.try_get("old_secret")?;
    let until: Option<i64> = row.try_get("old_until")?;
    Ok(Approver {
        key: row.try_get("id")?,
        id: uuid(row, "uuid")?,
        tenant: tenant_id(row, "tenant_id")?,
        name: name(row, "name")?,
        url: row.try_get("url")?,
        time_limit_ms: row.try_get("time_limit_ms")?,
        secret: KeptKey(row.try_get("secret")?),
        old_secret: old.map(KeptKey).zip(until.map(Millis)),
        enabled: row.try_get("enabled")?,
        created_at: millis(row, "created_at")?,
    })
}

pub(super) fn name(row: &SqliteRow, column: &str) -> Result<ApproverName, StoreError> {
    ApproverName::parse(row.try_get(column)?).map_err(|why| corrupt(column, why))
}
