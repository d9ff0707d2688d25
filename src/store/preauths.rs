//! Preauthorizations.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, Bytes};
use futures::TryStreamExt;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::column::{
    account, address, b256, base_units, chain_time, corrupt, millis, optional_amount, optional_b256,
    optional_base_units, optional_failure, tenant_id, token_amount, uuid, word,
};
use super::{Connection, StoreError};
use crate::model::{
    Account, BaseUnits, ChainTime, InvoiceId, Millis, Preauth, PreauthKey, PreauthStatus, Schedule,
    Settlement, TenantId, TokenAmount,
};

const COLUMNS: &str = "id, transaction_id, tenant_id, invoice_id, preauth_id, escrow, sender_written, \
    receiver_written, token_written, decimals, amount_written, hold, expires_at, consent, status, cancel_requested, \
    settle_at, scheduled, scheduled_written, settled, settled_written, lock_transaction, close_transaction, \
    deferred_refund, failure, created_at, updated_at";

/// What is fixed about a preauthorization when it is created.
#[derive(Debug, Clone)]
pub struct NewPreauth {
    pub transaction_id: Uuid,
    pub tenant: TenantId,
    pub invoice: InvoiceId,
    pub preauth_id: B256,
    pub escrow: Address,
    pub sender: Account,
    pub receiver: Account,
    pub token: Account,
    pub decimals: u8,
    pub amount: TokenAmount,
    pub hold: BaseUnits,
    pub expires_at: ChainTime,
    pub consent: Bytes,
    pub schedule: Option<Schedule>,
}

/// Stores a new preauthorization as PENDING. An invoice id that is taken is a unique violation.
pub async fn insert(
    connection: &mut Connection,
    new: &NewPreauth,
    now: Millis,
) -> Result<PreauthKey, StoreError> {
    let row = sqlx::query(
        "INSERT INTO preauths (transaction_id, tenant_id, invoice_id, preauth_id, escrow, sender, sender_written,
             receiver, receiver_written, token, token_written, decimals, amount_written, hold, expires_at, consent,
             status, settle_at, scheduled, scheduled_written, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 'PENDING', $17, $18, $19, $20, $20)
         RETURNING id",
    )
    .bind(new.transaction_id.as_bytes().as_slice())
    .bind(new.tenant.0.as_bytes().as_slice())
    .bind(new.invoice.as_str())
    .bind(new.preauth_id.as_slice())
    .bind(new.escrow.as_slice())
    .bind(new.sender.address().as_slice())
    .bind(new.sender.written())
    .bind(new.receiver.address().as_slice())
    .bind(new.receiver.written())
    .bind(new.token.address().as_slice())
    .bind(new.token.written())
    .bind(i64::from(new.decimals))
    .bind(new.amount.to_string())
    .bind(new.hold.to_string())
    .bind(new.expires_at.as_i64())
    .bind(new.consent.as_ref())
    .bind(new.schedule.map(|schedule| schedule.settle_at.as_i64()))
    .bind(new.schedule.map(|schedule| schedule.amount.to_string()))
    .bind(new.schedule.map(|schedule| schedule.written.to_string()))
    .bind(now.0)
    .fetch_one(connection)
    .await?;
    Ok(PreauthKey(row.try_get("id")?))
}

/// Stores everything that can change about a preauthorization.
pub async fn save(connection: &mut Connection, preauth: &Preauth, now: Millis) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE preauths SET status = $2, cancel_requested = $3, settle_at = $4, scheduled = $5, scheduled_written = $6,
             settled = $7, settled_written = $8, lock_transaction = $9, close_transaction = $10,
             deferred_refund = $11, failure = $12, updated_at = $13
         WHERE id = $1",
    )
    .bind(preauth.key.0)
    .bind(preauth.status.as_str())
    .bind(i64::from(preauth.cancel_requested))
    .bind(preauth.schedule.map(|schedule| schedule.settle_at.as_i64()))
    .bind(preauth.schedule.map(|schedule| schedule.amount.to_string()))
    .bind(preauth.schedule.map(|schedule| schedule.written.to_string()))
    .bind(preauth.settlement.map(|settlement| settlement.amount.to_string()))
    .bind(preauth.settlement.map(|settlement| settlement.written.to_string()))
    .bind(preauth.lock_transaction.as_ref().map(|hash| hash.as_slice()))
    .bind(preauth.close_transaction.as_ref().map(|hash| hash.as_slice()))
    .bind(preauth.deferred_refund.map(|units| units.to_string()))
    .bind(preauth.failure.as_ref().map(ToString::to_string))
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// A tenant's preauthorization by its invoice.
pub async fn by_invoice(
    connection: &mut Connection,
    tenant: TenantId,
    invoice: &InvoiceId,
) -> Result<Option<Preauth>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM preauths WHERE tenant_id = $1 AND invoice_id = $2"
    ));
    let row = sqlx::query(sql)
        .bind(tenant.0.as_bytes().as_slice())
        .bind(invoice.as_str())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(decode).transpose()
}

/// Any preauthorization by its database key, for the workers that serve all tenants.
pub async fn by_key(connection: &mut Connection, key: PreauthKey) -> Result<Preauth, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM preauths WHERE id = $1"));
    decode(&sqlx::query(sql).bind(key.0).fetch_one(connection).await?)
}

/// Any preauthorization by its name on chain and the escrow that holds it, for the observer.
pub async fn by_preauth_id(
    connection: &mut Connection,
    escrow: Address,
    preauth_id: B256,
) -> Result<Option<Preauth>, StoreError> {
    let sql =
        sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM preauths WHERE preauth_id = $1 AND escrow = $2"));
    let row = sqlx::query(sql)
        .bind(preauth_id.as_slice())
        .bind(escrow.as_slice())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(decode).transpose()
}

/// Sum of a sender's open holds of a token with a tenant, in base units.
pub async fn open_total(
    connection: &mut Connection,
    tenant: TenantId,
    sender: Address,
    token: Address,
) -> Result<u128, StoreError> {
    let rows = sqlx::query(
        "SELECT hold FROM preauths
         WHERE tenant_id = $1 AND sender = $2 AND token = $3 AND status IN ('PENDING', 'AUTHORIZED')",
    )
    .bind(tenant.0.as_bytes().as_slice())
    .bind(sender.as_slice())
    .bind(token.as_slice())
    .fetch_all(connection)
    .await?;
    rows.iter().try_fold(0u128, |total, row| Ok(total.saturating_add(base_units(row, "hold")?.get())))
}

/// Which preauthorizations of a tenant to list. An absent filter lets everything pass.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub status: Option<PreauthStatus>,
    pub sender: Option<Address>,
    pub receiver: Option<Address>,
    /// Expires before this second by the chain's clock.
    pub expiring_before: Option<ChainTime>,
    /// Continues after this row of an earlier page.
    pub before: Option<PreauthKey>,
}

/// A page of a tenant's preauthorizations, newest first.
pub async fn page(
    connection: &mut Connection,
    tenant: TenantId,
    filter: &Filter,
    limit: u32,
) -> Result<Vec<Preauth>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM preauths
         WHERE tenant_id = $1 AND ($2 IS NULL OR status = $2) AND ($3 IS NULL OR sender = $3)
           AND ($4 IS NULL OR receiver = $4) AND ($5 IS NULL OR expires_at < $5) AND ($6 IS NULL OR id < $6)
         ORDER BY id DESC LIMIT $7"
    ));
    let rows = sqlx::query(sql)
        .bind(tenant.0.as_bytes().as_slice())
        .bind(filter.status.map(PreauthStatus::as_str))
        .bind(filter.sender.as_ref().map(|address| address.as_slice()))
        .bind(filter.receiver.as_ref().map(|address| address.as_slice()))
        .bind(filter.expiring_before.map(ChainTime::as_i64))
        .bind(filter.before.map(|key| key.0))
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await?;
    rows.iter().map(decode).collect()
}

/// Holds past their expiry at `now` that nothing is being done about, oldest first.
pub async fn overdue(
    connection: &mut Connection,
    now: ChainTime,
    limit: u32,
) -> Result<Vec<Preauth>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM preauths
         WHERE status = 'AUTHORIZED' AND expires_at <= $1
           AND NOT EXISTS (SELECT 1 FROM operations
                           WHERE preauth = preauths.id AND state IN ('due', 'batched'))
         ORDER BY expires_at, id LIMIT $2"
    ));
    let rows = sqlx::query(sql).bind(now.as_i64()).bind(i64::from(limit)).fetch_all(connection).await?;
    rows.iter().map(decode).collect()
}

/// Scheduled settlements that are due at `now` and not past their expiry, with nothing being done about them, oldest
/// first.
pub async fn scheduled(
    connection: &mut Connection,
    now: ChainTime,
    limit: u32,
) -> Result<Vec<Preauth>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM preauths
         WHERE status = 'AUTHORIZED' AND settle_at IS NOT NULL AND settle_at <= $1 AND expires_at > $1
           AND NOT EXISTS (SELECT 1 FROM operations
                           WHERE preauth = preauths.id AND state IN ('due', 'batched'))
         ORDER BY settle_at, id LIMIT $2"
    ));
    let rows = sqlx::query(sql).bind(now.as_i64()).bind(i64::from(limit)).fetch_all(connection).await?;
    rows.iter().map(decode).collect()
}

/// Holds that are to be cancelled, because that was asked for before they were locked, with nothing being done about
/// them.
pub async fn to_cancel(connection: &mut Connection, limit: u32) -> Result<Vec<Preauth>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM preauths
         WHERE status = 'AUTHORIZED' AND cancel_requested = 1
           AND NOT EXISTS (SELECT 1 FROM operations WHERE preauth = preauths.id AND state IN ('due', 'batched'))
         ORDER BY id LIMIT $1"
    ));
    let rows = sqlx::query(sql).bind(i64::from(limit)).fetch_all(connection).await?;
    rows.iter().map(decode).collect()
}

/// A page of the preauthorizations of all tenants, oldest first, for the comparison with the chain.
pub async fn page_of_all(
    connection: &mut Connection,
    after: PreauthKey,
    limit: u32,
) -> Result<Vec<Preauth>, StoreError> {
    let sql =
        sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM preauths WHERE id > $1 ORDER BY id LIMIT $2"));
    let rows = sqlx::query(sql).bind(after.0).bind(i64::from(limit)).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            // Whoever looks for faults must be told in which row they are.
            let invoice = row.try_get::<&str, _>("invoice_id").unwrap_or("?");
            decode(row).map_err(|error| StoreError::Corrupt(format!("preauth of invoice {invoice}: {error}")))
        })
        .collect()
}

/// What is open by escrow and token, in base units.
pub async fn open_totals(
    connection: &mut Connection,
) -> Result<BTreeMap<(Address, Address), u128>, StoreError> {
    // SQLite's SUM knows 64 bits only. Row by row, so that a million open holds fill no memory.
    let mut rows =
        sqlx::query("SELECT escrow, token, hold FROM preauths WHERE status = 'AUTHORIZED'").fetch(connection);
    let mut totals = BTreeMap::new();
    while let Some(row) = rows.try_next().await? {
        let total: &mut u128 = totals.entry((address(&row, "escrow")?, address(&row, "token")?)).or_default();
        *total = total.saturating_add(base_units(&row, "hold")?.get());
    }
    Ok(totals)
}

/// Escrow, sender and token of every claim that deferred refunds have made.
pub async fn claims(connection: &mut Connection) -> Result<Vec<(Address, Address, Address)>, StoreError> {
    let rows =
        sqlx::query("SELECT DISTINCT escrow, sender, token FROM preauths WHERE deferred_refund IS NOT NULL")
            .fetch_all(connection)
            .await?;
    rows.iter()
        .map(|row| Ok((address(row, "escrow")?, address(row, "sender")?, address(row, "token")?)))
        .collect()
}

fn decode(row: &SqliteRow) -> Result<Preauth, StoreError> {
    let scheduled = optional_amount(row, "scheduled", "scheduled_written")?;
    let settle_at: Option<i64> = row.try_get("settle_at")?;
    let settled = optional_amount(row, "settled", "settled_written")?;
    Ok(Preauth {
        key: PreauthKey(row.try_get("id")?),
        transaction_id: uuid(row, "transaction_id")?,
        tenant: tenant_id(row, "tenant_id")?,
        invoice: InvoiceId::parse(row.try_get("invoice_id")?)
            .map_err(|error| corrupt("invoice_id", error))?,
        preauth_id: b256(row, "preauth_id")?,
        escrow: address(row, "escrow")?,
        sender: account(row, "sender_written")?,
        receiver: account(row, "receiver_written")?,
        token: account(row, "token_written")?,
        decimals: row.try_get("decimals")?,
        amount: token_amount(row, "amount_written")?,
        hold: base_units(row, "hold")?,
        expires_at: chain_time(row, "expires_at")?,
        consent: Bytes::copy_from_slice(row.try_get("consent")?),
        status: word(row, "status", PreauthStatus::parse)?,
        cancel_requested: row.try_get::<i64, _>("cancel_requested")? != 0,
        schedule: settle_at.zip(scheduled).map(|(settle_at, (amount, written))| Schedule {
            settle_at: ChainTime::from_i64(settle_at),
            amount,
            written,
        }),
        settlement: settled.map(|(amount, written)| Settlement { amount, written }),
        lock_transaction: optional_b256(row, "lock_transaction")?,
        close_transaction: optional_b256(row, "close_transaction")?,
        deferred_refund: optional_base_units(row, "deferred_refund")?,
        failure: optional_failure(row, "failure")?,
        created_at: millis(row, "created_at")?,
        updated_at: millis(row, "updated_at")?,
    })
}
