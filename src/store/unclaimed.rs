//! Holds that were recovered from the chain and that no tenant has claimed yet.

use alloy::primitives::B256;

use super::column::{b256, list_of_blobs};
use super::preauths::{COLUMNS, decode, put};
use super::{Connection, StoreError};
use crate::model::{InvoiceId, Millis, Preauth, TenantId, derive_preauth_id};

/// Whether any escrow's row has this name, readable or not.
pub async fn is_taken(connection: &mut Connection, preauth_id: B256) -> Result<bool, StoreError> {
    let row = sqlx::query("SELECT 1 FROM preauths WHERE preauth_id = $1")
        .bind(preauth_id.as_slice())
        .fetch_optional(connection)
        .await?;
    Ok(row.is_some())
}

/// The unclaimed hold of this name, if there is one.
pub async fn by_preauth_id(
    connection: &mut Connection,
    preauth_id: B256,
) -> Result<Option<Preauth>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM preauths WHERE preauth_id = $1 AND tenant_id = $2"
    ));
    let row = sqlx::query(sql)
        .bind(preauth_id.as_slice())
        .bind(TenantId::UNCLAIMED.0.as_bytes().as_slice())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(decode).transpose()
}

/// `+`, so that it is searched by name: a tenant that is nobody may have many.
pub(super) const AMONG: &str = "SELECT preauth_id FROM preauths
     WHERE preauth_id IN (SELECT unhex(value) FROM json_each($1)) AND +tenant_id = $2";

/// Which of these names are those of unclaimed holds.
pub(super) async fn among<'a>(
    connection: &mut Connection,
    preauth_ids: impl Iterator<Item = &'a B256>,
) -> Result<Vec<B256>, StoreError> {
    let rows = sqlx::query(AMONG)
        .bind(list_of_blobs(preauth_ids))
        .bind(TenantId::UNCLAIMED.0.as_bytes().as_slice())
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| b256(row, "preauth_id")).collect()
}

/// Gives a tenant the unclaimed hold of its invoice, if there is one: that the preauth id follows from both is the proof.
pub async fn adopt(
    connection: &mut Connection,
    tenant: TenantId,
    invoice: &InvoiceId,
    now: Millis,
) -> Result<Option<Preauth>, StoreError> {
    let Some(mut preauth) = by_preauth_id(connection, derive_preauth_id(tenant, invoice)).await? else {
        return Ok(None);
    };
    preauth.tenant = tenant;
    preauth.invoice = invoice.clone();
    preauth.updated_at = now;
    put(connection, &preauth, now).await?;
    Ok(Some(preauth))
}

/// Unclaimed holds that are open, nearest expiry first.
pub async fn open(connection: &mut Connection, limit: u32) -> Result<Vec<Preauth>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM preauths WHERE tenant_id = $1 AND status = 'AUTHORIZED' ORDER BY expires_at, id LIMIT $2 + 0"
    ));
    let tenant = TenantId::UNCLAIMED;
    let rows = sqlx::query(sql).bind(tenant.0.as_bytes().as_slice()).bind(i64::from(limit));
    rows.fetch_all(connection).await?.iter().map(decode).collect()
}
