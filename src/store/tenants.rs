//! Tenants.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::column::{corrupt, signed, tenant_id, unsigned};
use super::{Connection, StoreError};
use crate::model::{Millis, Tenant, TenantId};

const COLUMNS: &str = "id, name, disabled, allowed_tip_bps, default_ttl_seconds, require_signed_consent, require_verified_party, rules";

/// Adds a tenant; a name that is taken is a unique violation.
pub async fn insert(connection: &mut Connection, tenant: &Tenant, now: Millis) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO tenants (id, name, disabled, allowed_tip_bps, default_ttl_seconds, rules, created_at,
             require_signed_consent, require_verified_party)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(tenant.id.0.as_bytes().as_slice())
    .bind(&tenant.name)
    .bind(i64::from(tenant.disabled))
    .bind(i64::from(tenant.allowed_tip_bps))
    .bind(signed(tenant.default_ttl_seconds)?)
    .bind(rules_json(tenant)?)
    .bind(now.0)
    .bind(i64::from(tenant.require_signed_consent))
    .bind(i64::from(tenant.require_verified_party))
    .execute(connection)
    .await?;
    Ok(())
}

/// The name of [`TenantId::UNCLAIMED`]. It begins with a space, as no operator can name a tenant.
const UNCLAIMED_NAME: &str = " unclaimed";

/// Makes the owner of unclaimed holds, unless it is there.
pub async fn insert_unclaimed(connection: &mut Connection, now: Millis) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO tenants (id, name, disabled, default_ttl_seconds, created_at) VALUES ($1, $2, 1, 0, $3)
         ON CONFLICT (id) DO NOTHING",
    )
    .bind(TenantId::UNCLAIMED.0.as_bytes().as_slice())
    .bind(UNCLAIMED_NAME)
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// Stores everything about a tenant but its id and name.
pub async fn update(connection: &mut Connection, tenant: &Tenant) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE tenants SET disabled = $2, allowed_tip_bps = $3, default_ttl_seconds = $4, rules = $5,
             require_signed_consent = $6, require_verified_party = $7
         WHERE id = $1",
    )
    .bind(tenant.id.0.as_bytes().as_slice())
    .bind(i64::from(tenant.disabled))
    .bind(i64::from(tenant.allowed_tip_bps))
    .bind(signed(tenant.default_ttl_seconds)?)
    .bind(rules_json(tenant)?)
    .bind(i64::from(tenant.require_signed_consent))
    .bind(i64::from(tenant.require_verified_party))
    .execute(connection)
    .await?;
    Ok(())
}

pub async fn by_id(connection: &mut Connection, id: TenantId) -> Result<Option<Tenant>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM tenants WHERE id = $1"));
    let row = sqlx::query(sql).bind(id.0.as_bytes().as_slice()).fetch_optional(connection).await?;
    row.as_ref().map(decode).transpose()
}

/// An operator's tenant; the owner of unclaimed holds is none.
pub async fn by_name(connection: &mut Connection, name: &str) -> Result<Option<Tenant>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM tenants WHERE name = $1 AND id <> $2"));
    let unclaimed = TenantId::UNCLAIMED;
    let row = sqlx::query(sql)
        .bind(name)
        .bind(unclaimed.0.as_bytes().as_slice())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(decode).transpose()
}

/// All operators' tenants, by name.
pub async fn all(connection: &mut Connection) -> Result<Vec<Tenant>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM tenants WHERE id <> $1 ORDER BY name"));
    let rows =
        sqlx::query(sql).bind(TenantId::UNCLAIMED.0.as_bytes().as_slice()).fetch_all(connection).await?;
    rows.iter().map(decode).collect()
}

fn rules_json(tenant: &Tenant) -> Result<String, StoreError> {
    serde_json::to_string(&tenant.rules).map_err(|error| corrupt("rules", error))
}

pub(super) fn decode(row: &SqliteRow) -> Result<Tenant, StoreError> {
    Ok(Tenant {
        id: tenant_id(row, "id")?,
        name: row.try_get("name")?,
        disabled: row.try_get::<i64, _>("disabled")? != 0,
        allowed_tip_bps: row.try_get("allowed_tip_bps")?,
        default_ttl_seconds: unsigned(row, "default_ttl_seconds")?,
        require_signed_consent: row.try_get::<i64, _>("require_signed_consent")? != 0,
        require_verified_party: row.try_get::<i64, _>("require_verified_party")? != 0,
        rules: serde_json::from_str(row.try_get("rules")?).map_err(|error| corrupt("rules", error))?,
    })
}
