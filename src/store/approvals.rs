//! What approvers decided about creations.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::approvers::name;
use super::column::{corrupt, millis, unsigned, uuid, word};
use super::{Connection, StoreError};
use crate::model::{Approval, Decision, InvoiceId, TenantId};

/// Writes down a decision.
pub async fn insert(
    connection: &mut Connection,
    tenant: TenantId,
    approval: &Approval,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO approvals (approver, tenant_id, invoice_id, transaction_id, decision, reason, duration_ms, at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(approval.approver)
    .bind(tenant.0.as_bytes().as_slice())
    .bind(approval.invoice.as_str())
    .bind(approval.transaction_id.as_bytes().as_slice())
    .bind(approval.decision.as_str())
    .bind(&approval.reason)
    .bind(i64::try_from(approval.duration_ms).unwrap_or(i64::MAX))
    .bind(approval.at.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// What was decided about a tenant's invoice, before a row, newest first.
pub async fn page(
    connection: &mut Connection,
    tenant: TenantId,
    invoice: &InvoiceId,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<Approval>, StoreError> {
    let rows = sqlx::query(
        "SELECT l.id, l.approver, l.invoice_id, l.transaction_id, l.decision, l.reason, l.duration_ms, l.at,
             r.uuid AS approver_uuid, r.name AS approver_name
         FROM approvals l JOIN approvers r ON r.id = l.approver
         WHERE l.tenant_id = $1 AND l.invoice_id = $2 AND ($3 IS NULL OR l.id < $3)
         ORDER BY l.id DESC LIMIT $4 + 0",
    )
    .bind(tenant.0.as_bytes().as_slice())
    .bind(invoice.as_str())
    .bind(before)
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    rows.iter().map(decode).collect()
}

fn decode(row: &SqliteRow) -> Result<Approval, StoreError> {
    Ok(Approval {
        key: row.try_get("id")?,
        approver: row.try_get("approver")?,
        approver_id: uuid(row, "approver_uuid")?,
        approver_name: name(row, "approver_name")?,
        invoice: InvoiceId::parse(row.try_get("invoice_id")?).map_err(|why| corrupt("invoice_id", why))?,
        transaction_id: uuid(row, "transaction_id")?,
        decision: word(row, "decision", Decision::parse)?,
        reason: row.try_get("reason")?,
        duration_ms: unsigned(row, "duration_ms")?,
        at: millis(row, "at")?,
    })
}
