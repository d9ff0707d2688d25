//! The blocks the projection stands on: the observer's cursor, and what it compares to see a reorg.

use alloy::primitives::B256;
use sqlx::sqlite::SqliteRow;

use super::column::{b256, chain_time, signed, unsigned};
use super::{Connection, StoreError};
use crate::model::ChainTime;

/// A block that was taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    pub number: u64,
    pub hash: B256,
    pub timestamp: ChainTime,
}

/// The newest block that was taken in.
pub async fn tip(connection: &mut Connection) -> Result<Option<Block>, StoreError> {
    let row = sqlx::query("SELECT number, hash, timestamp FROM blocks ORDER BY number DESC LIMIT 1")
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(decode).transpose()
}

/// The newest stored block below `number`.
pub async fn below(connection: &mut Connection, number: u64) -> Result<Option<Block>, StoreError> {
    let row = sqlx::query(
        "SELECT number, hash, timestamp FROM blocks WHERE number < $1 ORDER BY number DESC LIMIT 1",
    )
    .bind(signed(number)?)
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(decode).transpose()
}

pub async fn insert(connection: &mut Connection, block: &Block) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO blocks (number, hash, timestamp) VALUES ($1, $2, $3)")
        .bind(signed(block.number)?)
        .bind(block.hash.as_slice())
        .bind(block.timestamp.as_i64())
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn delete_above(connection: &mut Connection, number: u64) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM blocks WHERE number > $1").bind(signed(number)?).execute(connection).await?;
    Ok(())
}

/// Forgets blocks that are too deep to matter.
pub async fn delete_below(connection: &mut Connection, number: u64) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM blocks WHERE number < $1").bind(signed(number)?).execute(connection).await?;
    Ok(())
}

fn decode(row: &SqliteRow) -> Result<Block, StoreError> {
    Ok(Block {
        number: unsigned(row, "number")?,
        hash: b256(row, "hash")?,
        timestamp: chain_time(row, "timestamp")?,
    })
}
