//! Batches, their items and their attempts.

use alloy::primitives::{Address, B256, Bytes, keccak256};
use futures::TryStreamExt;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::column::{address, b256, corrupt, list, parsed, signed, unsigned};
use super::unreadable::{Table, apart};
use super::{Connection, StoreError, UnreadableRow};
use crate::model::{BatchId, Millis, Operation, OperationId};

/// One signed encoding of a batch.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub hash: B256,
    pub raw: Bytes,
    /// Wei per gas.
    pub max_fee: u128,
    /// Wei per gas.
    pub max_priority_fee: u128,
    pub created_at: Millis,
}

/// A batch that may still be mined, with its attempts, oldest first.
#[derive(Debug, Clone)]
pub struct OpenBatch {
    pub id: BatchId,
    pub operator: Address,
    pub nonce: u64,
    pub escrow: Address,
    pub gas_limit: u64,
    pub gas_per_call: u64,
    pub attempts: Vec<Attempt>,
    /// Attempts whose bytes are not what was signed.
    pub unreadable: Vec<UnreadableRow>,
}

/// What is fixed about a batch when it is formed.
#[derive(Debug, Clone, Copy)]
pub struct NewBatch {
    pub operator: Address,
    pub nonce: u64,
    pub escrow: Address,
    pub gas_limit: u64,
    pub gas_per_call: u64,
}

/// Writes down a batch with its items, in order.
pub async fn insert(
    connection: &mut Connection,
    batch: &NewBatch,
    items: &[OperationId],
    now: Millis,
) -> Result<BatchId, StoreError> {
    let row = sqlx::query(
        "INSERT INTO batches (operator, nonce, escrow, state, gas_limit, gas_per_call, created_at, updated_at)
         VALUES ($1, $2, $3, 'open', $4, $5, $6, $6) RETURNING id",
    )
    .bind(batch.operator.as_slice())
    .bind(signed(batch.nonce)?)
    .bind(batch.escrow.as_slice())
    .bind(signed(batch.gas_limit)?)
    .bind(signed(batch.gas_per_call)?)
    .bind(now.0)
    .fetch_one(&mut *connection)
    .await?;
    let id = BatchId(row.try_get("id")?);
    sqlx::query(
        "INSERT INTO batch_items (batch_id, position, operation_id) SELECT $1, key, value FROM json_each($2)",
    )
    .bind(id.0)
    .bind(list(items.iter().map(|item| item.0)))
    .execute(&mut *connection)
    .await?;
    Ok(id)
}

/// Writes down signed bytes, before they are sent. The same bytes can be signed again for another batch (signing is
/// deterministic) after the first was lost.
pub async fn add_attempt(
    connection: &mut Connection,
    batch: BatchId,
    attempt: &Attempt,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO attempts (hash, batch_id, raw, max_fee, max_priority_fee, created_at)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (hash)
         DO UPDATE SET batch_id = excluded.batch_id, raw = excluded.raw",
    )
    .bind(attempt.hash.as_slice())
    .bind(batch.0)
    .bind(attempt.raw.as_ref())
    .bind(attempt.max_fee.to_string())
    .bind(attempt.max_priority_fee.to_string())
    .bind(attempt.created_at.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// Every open batch with its attempts, of one operator or of all, lowest nonce first.
pub async fn open(
    connection: &mut Connection,
    operator: Option<Address>,
) -> Result<Vec<OpenBatch>, StoreError> {
    let rows = sqlx::query(
        "SELECT a.id, a.batch_id, operator, nonce, escrow, gas_limit, gas_per_call, hash, raw, max_fee,
                max_priority_fee, a.created_at
         FROM batches b JOIN attempts a ON a.batch_id = b.id
         WHERE b.state = 'open' AND ($1 IS NULL OR operator = $1) ORDER BY nonce, b.id, a.id",
    )
    .bind(operator.as_ref().map(|address| address.as_slice()))
    .fetch_all(connection)
    .await?;
    let mut batches: Vec<OpenBatch> = Vec::new();
    for row in &rows {
        let id = BatchId(row.try_get("batch_id")?);
        if batches.last().is_none_or(|batch| batch.id != id) {
            batches.push(OpenBatch {
                id,
                operator: address(row, "operator")?,
                nonce: unsigned(row, "nonce")?,
                escrow: address(row, "escrow")?,
                gas_limit: unsigned(row, "gas_limit")?,
                gas_per_call: unsigned(row, "gas_per_call")?,
                attempts: Vec::new(),
                unreadable: Vec::new(),
            });
        }
        let Some(batch) = batches.last_mut() else { continue };
        match apart(decode_attempt(row))? {
            Ok(attempt) => batch.attempts.push(attempt),
            Err(unreadable) => batch.unreadable.push(unreadable),
        }
    }
    Ok(batches)
}

/// How a batch was mined.
#[derive(Debug, Clone, Copy)]
pub struct Mined {
    pub block: u64,
    pub transaction: B256,
    pub succeeded: bool,
    pub gas_used: u64,
    /// Wei per gas.
    pub effective_gas_price: u128,
}

pub async fn mark_mined(
    connection: &mut Connection,
    id: BatchId,
    mined: &Mined,
    now: Millis,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE batches SET state = 'mined', mined_block = $2, mined_hash = $3, succeeded = $4, gas_used = $5,
             effective_gas_price = $6, updated_at = $7 WHERE id = $1",
    )
    .bind(id.0)
    .bind(signed(mined.block)?)
    .bind(mined.transaction.as_slice())
    .bind(i64::from(mined.succeeded))
    .bind(signed(mined.gas_used)?)
    .bind(mined.effective_gas_price.to_string())
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// A transaction that is not ours took the nonce, as the chain up to `block` shows. A reorg of that block opens the batch
/// again.
pub async fn mark_lost(
    connection: &mut Connection,
    id: BatchId,
    block: u64,
    now: Millis,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE batches SET state = 'lost', mined_block = $2, updated_at = $3 WHERE id = $1")
        .bind(id.0)
        .bind(signed(block)?)
        .bind(now.0)
        .execute(connection)
        .await?;
    Ok(())
}

/// Opens again every batch that was mined or lost above `block`, in that order.
pub async fn reopen_above(
    connection: &mut Connection,
    block: u64,
    now: Millis,
) -> Result<Vec<BatchId>, StoreError> {
    let rows = sqlx::query("SELECT id FROM batches WHERE mined_block > $1 ORDER BY mined_block, nonce, id")
        .bind(signed(block)?)
        .fetch_all(&mut *connection)
        .await?;
    sqlx::query(
        "UPDATE batches SET state = 'open', mined_block = NULL, mined_hash = NULL, succeeded = NULL, gas_used = NULL,
             effective_gas_price = NULL, updated_at = $2 WHERE mined_block > $1",
    )
    .bind(signed(block)?)
    .bind(now.0)
    .execute(connection)
    .await?;
    rows.iter().map(|row| Ok(BatchId(row.try_get("id")?))).collect()
}

/// How a batch's transaction ended; `None` while it is open or when it was lost.
pub async fn succeeded(connection: &mut Connection, id: BatchId) -> Result<Option<bool>, StoreError> {
    let succeeded: Option<i64> = sqlx::query("SELECT succeeded FROM batches WHERE id = $1")
        .bind(id.0)
        .fetch_one(connection)
        .await?
        .try_get(0)?;
    Ok(succeeded.map(|succeeded| succeeded != 0))
}

/// What the first attempt of a recent batch offered as its tip, where a later attempt of it offered `tip`; in wei per gas.
pub async fn first_tip_before(connection: &mut Connection, tip: u128) -> Result<Option<u128>, StoreError> {
    let row = sqlx::query(
        "SELECT first.max_priority_fee
         FROM attempts raised JOIN attempts first ON first.batch_id = raised.batch_id AND first.id < raised.id
         WHERE raised.id > (SELECT max(id) FROM attempts) - 100 AND raised.max_priority_fee = $1
         ORDER BY first.id LIMIT 1",
    )
    .bind(tip.to_string())
    .fetch_optional(connection)
    .await?;
    row.map(|row| parsed(&row, "max_priority_fee")).transpose()
}

/// Whether signed bytes with this hash were written down.
#[cfg(test)]
pub async fn attempt_exists(connection: &mut Connection, hash: B256) -> Result<bool, StoreError> {
    let row = sqlx::query("SELECT 1 FROM attempts WHERE hash = $1")
        .bind(hash.as_slice())
        .fetch_optional(connection)
        .await?;
    Ok(row.is_some())
}

/// Whether a batch may still be mined.
pub async fn is_open(connection: &mut Connection, id: BatchId) -> Result<bool, StoreError> {
    let row = sqlx::query("SELECT 1 FROM batches WHERE id = $1 AND state = 'open'")
        .bind(id.0)
        .fetch_optional(connection)
        .await?;
    Ok(row.is_some())
}

/// Whether signed bytes that hold the operation can still be mined.
pub async fn is_in_flight(connection: &mut Connection, operation: &Operation) -> Result<bool, StoreError> {
    match operation.batch {
        Some(batch) => is_open(connection, batch).await,
        None => Ok(false),
    }
}

/// The highest nonce of an operator that a mined batch of ours has used.
pub async fn last_mined_nonce(
    connection: &mut Connection,
    operator: Address,
) -> Result<Option<u64>, StoreError> {
    let nonce: Option<i64> =
        sqlx::query("SELECT max(nonce) FROM batches WHERE operator = $1 AND state = 'mined'")
            .bind(operator.as_slice())
            .fetch_one(connection)
            .await?
            .try_get(0)?;
    Ok(nonce.map(i64::unsigned_abs))
}

/// Whether the bytes of an attempt are what was signed. Those of a closed batch are no longer found: nobody needs them.
pub(super) async fn verify_attempt(connection: &mut Connection, id: i64) -> Result<(), StoreError> {
    let row = sqlx::query(
        "SELECT a.id, a.batch_id, hash, raw, max_fee, max_priority_fee, a.created_at
         FROM attempts a JOIN batches b ON b.id = a.batch_id WHERE a.id = $1 AND b.state = 'open'",
    )
    .bind(id)
    .fetch_one(connection)
    .await?;
    decode_attempt(&row).map(drop)
}

/// Attempts, of any batch, whose bytes are not what was signed.
pub(super) async fn unreadable_attempts(
    connection: &mut Connection,
) -> Result<Vec<UnreadableRow>, StoreError> {
    let mut rows = sqlx::query(
        "SELECT id, batch_id, hash, raw, max_fee, max_priority_fee, created_at FROM attempts ORDER BY id",
    )
    .fetch(connection);
    let mut unreadable = Vec::new();
    while let Some(row) = rows.try_next().await? {
        unreadable.extend(apart(decode_attempt(&row))?.err());
    }
    Ok(unreadable)
}

fn decode_attempt(row: &SqliteRow) -> Result<Attempt, StoreError> {
    decode_signed(row)
        .map_err(|error| StoreError::Unreadable(Box::new(Table::Attempts.unreadable(row, &error))))
}

/// Signed bytes need no seal: they are their own preimage.
fn decode_signed(row: &SqliteRow) -> Result<Attempt, StoreError> {
    let attempt = Attempt {
        hash: b256(row, "hash")?,
        raw: Bytes::copy_from_slice(row.try_get("raw")?),
        max_fee: parsed(row, "max_fee")?,
        max_priority_fee: parsed(row, "max_priority_fee")?,
        created_at: Millis(row.try_get("created_at")?),
    };
    if keccak256(&attempt.raw) != attempt.hash {
        return Err(corrupt("raw", "the bytes do not have the hash of the transaction"));
    }
    Ok(attempt)
}
