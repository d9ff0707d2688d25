//! What those who run the daemon look at: counts and newest rows of all tenants. Every query is bounded, or reads an index alone.

use alloy::primitives::{Address, B256};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::column::{address, millis, optional_b256, tenant_id, unsigned, uuid, word};
use super::preauths::{COLUMNS, decode};
use super::{Connection, StoreError};
use crate::model::{
    DeliveryState, EventKind, Millis, OperationKind, Preauth, PreauthKey, PreauthStatus, TenantId,
};

/// How many preauthorizations of a token stand where.
pub async fn counts(connection: &mut Connection) -> Result<Vec<(Address, PreauthStatus, u64)>, StoreError> {
    let rows = sqlx::query("SELECT token, status, count(*) AS n FROM preauths GROUP BY token, status")
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            Ok((address(row, "token")?, word(row, "status", PreauthStatus::parse)?, unsigned(row, "n")?))
        })
        .collect()
}

/// How many operations wait, and since when the oldest.
pub async fn waiting(connection: &mut Connection) -> Result<Vec<(OperationKind, u64, Millis)>, StoreError> {
    let rows = sqlx::query(
        "SELECT kind, count(*) AS n, min(created_at) AS oldest FROM operations WHERE state IN ('due', 'batched') GROUP BY kind",
    )
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            Ok((word(row, "kind", OperationKind::parse)?, unsigned(row, "n")?, millis(row, "oldest")?))
        })
        .collect()
}

/// The newest preauthorizations, of all tenants or those of one invoice id, before a row. Damaged rows are left out:
/// others tell of them.
pub async fn newest(
    connection: &mut Connection,
    invoice: Option<&str>,
    before: Option<PreauthKey>,
    limit: u32,
) -> Result<Vec<Preauth>, StoreError> {
    // An invoice is found by its tenant, of which there are few.
    let place = match invoice {
        Some(_) => "tenant_id IN (SELECT id FROM tenants) AND invoice_id = $1",
        None => "$1 IS NULL",
    };
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM preauths WHERE {place} AND ($2 IS NULL OR id < $2) ORDER BY id DESC LIMIT $3 + 0"
    ));
    let rows = sqlx::query(sql)
        .bind(invoice)
        .bind(before.map(|key| key.0))
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await?;
    Ok(rows.iter().filter_map(|row| decode(row).ok()).collect())
}

/// Those whose tokens go back soonest.
pub async fn expiring(connection: &mut Connection, limit: u32) -> Result<Vec<Preauth>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM preauths WHERE status = 'AUTHORIZED' ORDER BY release_at, id LIMIT $1 + 0"
    ));
    let rows = sqlx::query(sql).bind(i64::from(limit)).fetch_all(connection).await?;
    Ok(rows.iter().filter_map(|row| decode(row).ok()).collect())
}

/// One preauthorization by the daemon's own name for it.
pub async fn by_transaction_id(connection: &mut Connection, id: Uuid) -> Result<Option<Preauth>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM preauths WHERE transaction_id = $1"));
    let row = sqlx::query(sql).bind(id.as_bytes().as_slice()).fetch_optional(connection).await?;
    row.as_ref().map(decode).transpose()
}

/// A batch as it is shown.
#[derive(Debug, Clone)]
pub struct BatchRow {
    pub id: i64,
    pub operator: Address,
    pub nonce: u64,
    pub state: String,
    pub items: u64,
    pub attempts: u64,
    /// The transaction that was mined, or the one that was signed last.
    pub transaction: Option<B256>,
    /// Wei per gas that the last attempt offers at most, as decimal digits.
    pub max_fee: Option<String>,
    pub mined_block: Option<i64>,
    pub succeeded: Option<bool>,
    pub gas_used: Option<i64>,
    /// Wei per gas, as decimal digits.
    pub gas_price: Option<String>,
    pub created_at: Millis,
}

/// The newest batches, or those that are open.
pub async fn batches(
    connection: &mut Connection,
    open_only: bool,
    limit: u32,
) -> Result<Vec<BatchRow>, StoreError> {
    let place = if open_only { "WHERE state = 'open'" } else { "" };
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT b.id, operator, nonce, state, mined_block, mined_hash, succeeded, gas_used, effective_gas_price, created_at,
             (SELECT count(*) FROM batch_items i WHERE i.batch_id = b.id) AS items,
             (SELECT count(*) FROM attempts a WHERE a.batch_id = b.id) AS attempts,
             (SELECT hash FROM attempts a WHERE a.batch_id = b.id ORDER BY a.id DESC LIMIT 1) AS last_hash,
             (SELECT max_fee FROM attempts a WHERE a.batch_id = b.id ORDER BY a.id DESC LIMIT 1) AS max_fee
         FROM batches b {place} ORDER BY b.id DESC LIMIT $1 + 0"
    ));
    let rows = sqlx::query(sql).bind(i64::from(limit)).fetch_all(connection).await?;
    rows.iter().map(decode_batch).collect()
}

fn decode_batch(row: &SqliteRow) -> Result<BatchRow, StoreError> {
    let mined = optional_b256(row, "mined_hash")?;
    Ok(BatchRow {
        id: row.try_get("id")?,
        operator: address(row, "operator")?,
        nonce: unsigned(row, "nonce")?,
        state: row.try_get("state")?,
        items: unsigned(row, "items")?,
        attempts: unsigned(row, "attempts")?,
        transaction: if mined.is_some() { mined } else { optional_b256(row, "last_hash")? },
        max_fee: row.try_get("max_fee")?,
        mined_block: row.try_get("mined_block")?,
        succeeded: row.try_get::<Option<i64>, _>("succeeded")?.map(|succeeded| succeeded != 0),
        gas_used: row.try_get("gas_used")?,
        gas_price: row.try_get("effective_gas_price")?,
        created_at: millis(row, "created_at")?,
    })
}

/// A delivery as it is shown, and what is needed to send it again.
#[derive(Debug, Clone)]
pub struct DeliveryRow {
    pub id: i64,
    pub tenant: TenantId,
    pub endpoint: Uuid,
    pub event: Uuid,
    pub url: String,
    pub kind: EventKind,
    /// The invoice, or the party, that it is about.
    pub invoice: String,
    pub state: DeliveryState,
    pub tries: u64,
    pub next_at: Millis,
    /// Of the last attempt.
    pub status: Option<i64>,
    pub error: Option<String>,
}

/// The newest deliveries, or one of them.
pub async fn deliveries(
    connection: &mut Connection,
    id: Option<i64>,
    limit: u32,
) -> Result<Vec<DeliveryRow>, StoreError> {
    let place = if id.is_some() { "d.id = $1" } else { "$1 IS NULL" };
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT d.id, e.tenant_id, w.uuid AS endpoint_uuid, e.uuid AS event_uuid, w.url, e.kind, p.invoice_id, e.party, d.state,
             d.tries, d.next_at,
             (SELECT status FROM delivery_attempts a WHERE a.delivery = d.id ORDER BY a.id DESC LIMIT 1) AS last_status,
             (SELECT error FROM delivery_attempts a WHERE a.delivery = d.id ORDER BY a.id DESC LIMIT 1) AS last_error
         FROM deliveries d JOIN webhook_endpoints w ON w.id = d.endpoint JOIN events e ON e.id = d.event
             LEFT JOIN preauths p ON p.id = e.preauth
         WHERE {place} ORDER BY d.id DESC LIMIT $2 + 0"
    ));
    let rows = sqlx::query(sql).bind(id).bind(i64::from(limit)).fetch_all(connection).await?;
    let read = |row: &SqliteRow| {
        Ok(DeliveryRow {
            id: row.try_get("id")?,
            tenant: tenant_id(row, "tenant_id")?,
            endpoint: uuid(row, "endpoint_uuid")?,
            event: uuid(row, "event_uuid")?,
            url: row.try_get("url")?,
            kind: word(row, "kind", EventKind::parse)?,
            invoice: match row.try_get("invoice_id")? {
                Some(invoice) => invoice,
                None => format!("party {}", uuid(row, "party")?),
            },
            state: word(row, "state", DeliveryState::parse)?,
            tries: unsigned(row, "tries")?,
            next_at: millis(row, "next_at")?,
            status: row.try_get("last_status")?,
            error: row.try_get("last_error")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Events by hour and kind from a time on. An hour is its number since 1970.
pub async fn events_by_hour(
    connection: &mut Connection,
    since: Millis,
) -> Result<Vec<(i64, EventKind, u64)>, StoreError> {
    let rows = sqlx::query(
        "SELECT created_at / 3600000 AS hour, kind, count(*) AS n FROM events WHERE created_at >= $1 GROUP BY hour, kind
         ORDER BY hour",
    )
    .bind(since.0)
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| Ok((row.try_get("hour")?, word(row, "kind", EventKind::parse)?, unsigned(row, "n")?)))
        .collect()
}
