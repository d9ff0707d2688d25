//! What the chain did to our preauths, block by block, so that a reorg can take it back.

use std::collections::HashSet;

use alloy::primitives::B256;
use sqlx::Row;

use super::column::{signed, word};
use super::{Connection, StoreError, bulk};
use crate::model::PreauthKey;

/// One thing the chain did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutcomeKind {
    Locked,
    Settled,
    Cancelled,
    Expired,
    RefundDeferred,
    /// The authorization was mined in our own transaction and failed.
    LockFailed,
    /// Another operation was mined in our own transaction and failed.
    CallFailed,
}

impl OutcomeKind {
    const ALL: [Self; 7] = [
        Self::Locked,
        Self::Settled,
        Self::Cancelled,
        Self::Expired,
        Self::RefundDeferred,
        Self::LockFailed,
        Self::CallFailed,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Locked => "locked",
            Self::Settled => "settled",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::RefundDeferred => "refund_deferred",
            Self::LockFailed => "lock_failed",
            Self::CallFailed => "call_failed",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Where in the chain an outcome stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub block: u64,
    /// The log's index in its block; negative for a failure that left no log.
    pub log: i64,
    pub transaction: B256,
}

/// An outcome that is to be written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    pub preauth: PreauthKey,
    pub kind: OutcomeKind,
    pub position: Position,
}

/// Writes outcomes down. What is there already stays as it is.
pub async fn insert(connection: &mut Connection, outcomes: &[Outcome]) -> Result<(), StoreError> {
    let values = |outcome: &Outcome| {
        Ok(vec![
            signed(outcome.position.block)?.into(),
            outcome.position.log.into(),
            outcome.position.transaction.as_slice().into(),
            outcome.preauth.0.into(),
            outcome.kind.as_str().into(),
        ])
    };
    let rows = outcomes.iter().map(values).collect::<Result<_, StoreError>>()?;
    let before = "INSERT INTO outcomes (block_number, log_index, transaction_hash, preauth, kind) ";
    bulk::execute(connection, before, rows, " ON CONFLICT (block_number, log_index) DO NOTHING").await?;
    Ok(())
}

/// The places in a block where an outcome is written down already.
pub async fn places_in(connection: &mut Connection, block: u64) -> Result<HashSet<i64>, StoreError> {
    let rows = sqlx::query("SELECT log_index FROM outcomes WHERE block_number = $1")
        .bind(signed(block)?)
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| Ok(row.try_get("log_index")?)).collect()
}

/// Takes out every outcome of a preauth, before they are written anew from the chain.
pub async fn delete_of(connection: &mut Connection, preauth: PreauthKey) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM outcomes WHERE preauth = $1").bind(preauth.0).execute(connection).await?;
    Ok(())
}

/// Takes out what stands at a position: a log is about one preauth, so what another row has there is wrong.
pub async fn delete_at(connection: &mut Connection, position: &Position) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM outcomes WHERE block_number = $1 AND log_index = $2")
        .bind(signed(position.block)?)
        .bind(position.log)
        .execute(connection)
        .await?;
    Ok(())
}

/// Takes out every outcome above `block`, newest first.
pub async fn take_above(
    connection: &mut Connection,
    block: u64,
) -> Result<Vec<(PreauthKey, OutcomeKind)>, StoreError> {
    let rows = sqlx::query("SELECT preauth, kind FROM outcomes WHERE block_number > $1 ORDER BY block_number DESC, log_index DESC")
        .bind(signed(block)?)
        .fetch_all(&mut *connection)
        .await?;
    sqlx::query("DELETE FROM outcomes WHERE block_number > $1")
        .bind(signed(block)?)
        .execute(connection)
        .await?;
    rows.iter()
        .map(|row| Ok((PreauthKey(row.try_get("preauth")?), word(row, "kind", OutcomeKind::parse)?)))
        .collect()
}
