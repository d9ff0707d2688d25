//! What only a repair does to the tables: it reads what is left of damaged rows, and ends what belongs to rows that are
//! gone.

use alloy::primitives::{Address, B256};
use sqlx::Row;
use uuid::Uuid;

use super::{Connection, StoreError, column};
use crate::model::{Account, BaseUnits, ChainTime, InvoiceId, Millis, PreauthKey, TenantId, TokenAmount};

/// The columns of a damaged preauth that still make sense, each by itself. What the chain can tell is not among them, but
/// for the names under which to ask it.
#[derive(Debug, Clone, Default)]
pub struct Remains {
    pub transaction_id: Option<Uuid>,
    pub tenant: Option<TenantId>,
    pub invoice: Option<InvoiceId>,
    pub preauth_id: Option<B256>,
    pub escrow: Option<Address>,
    pub sender: Option<Account>,
    pub receiver: Option<Account>,
    pub token: Option<Account>,
    pub decimals: Option<u8>,
    pub amount: Option<TokenAmount>,
    pub hold: Option<BaseUnits>,
    pub expires_at: Option<ChainTime>,
    pub settled: Option<TokenAmount>,
    pub created_at: Option<Millis>,
}

/// What is left of a row.
pub async fn remains(connection: &mut Connection, key: PreauthKey) -> Result<Remains, StoreError> {
    let sql =
        "SELECT transaction_id, tenant_id, invoice_id, preauth_id, escrow, sender_written, receiver_written,
                   token_written, decimals, amount_written, hold, expires_at, settled_written, created_at
               FROM preauths WHERE id = $1";
    let Some(row) = sqlx::query(sql).bind(key.0).fetch_optional(connection).await? else {
        return Ok(Remains::default());
    };
    let invoice = row.try_get::<&str, _>("invoice_id").ok();
    Ok(Remains {
        transaction_id: column::uuid(&row, "transaction_id").ok(),
        tenant: column::tenant_id(&row, "tenant_id").ok(),
        invoice: invoice.and_then(|text| InvoiceId::parse(text).ok()),
        preauth_id: column::b256(&row, "preauth_id").ok(),
        escrow: column::address(&row, "escrow").ok(),
        sender: column::account(&row, "sender_written").ok(),
        receiver: column::account(&row, "receiver_written").ok(),
        token: column::account(&row, "token_written").ok(),
        decimals: row.try_get("decimals").ok(),
        amount: column::token_amount(&row, "amount_written").ok(),
        hold: column::base_units(&row, "hold").ok(),
        expires_at: column::chain_time(&row, "expires_at").ok(),
        settled: column::token_amount(&row, "settled_written").ok(),
        created_at: column::millis(&row, "created_at").ok(),
    })
}

/// Ends every operation, and takes out every outcome, whose preauth is gone: neither can mean anything any more, and the
/// observer and the lanes could not go on where they meet one.
pub async fn end_orphans(connection: &mut Connection, now: Millis) -> Result<u64, StoreError> {
    let operations = sqlx::query(
        "UPDATE operations SET state = 'superseded', updated_at = $1
         WHERE state <> 'superseded' AND NOT EXISTS (SELECT 1 FROM preauths WHERE preauths.id = operations.preauth)",
    )
    .bind(now.0)
    .execute(&mut *connection)
    .await?;
    let outcomes = sqlx::query(
        "DELETE FROM outcomes WHERE NOT EXISTS (SELECT 1 FROM preauths WHERE preauths.id = outcomes.preauth)",
    )
    .execute(connection)
    .await?;
    Ok(operations.rows_affected() + outcomes.rows_affected())
}

/// A key that no row has, nor any operation that outlived its row.
pub async fn free_key(connection: &mut Connection) -> Result<PreauthKey, StoreError> {
    let row = sqlx::query(
        "SELECT (SELECT coalesce(max(id), 0) FROM preauths) AS rows,
                (SELECT coalesce(max(preauth), 0) FROM operations) AS orphans",
    )
    .fetch_one(connection)
    .await?;
    let (rows, orphans): (i64, i64) = (row.try_get("rows")?, row.try_get("orphans")?);
    Ok(PreauthKey(rows.max(orphans).saturating_add(1)))
}
