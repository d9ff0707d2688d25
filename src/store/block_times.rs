//! When the blocks were made in which something happened: what turns outcomes and fees into days of a report.
//!
//! Times grow with the blocks, so that a day is a range of blocks, and outcomes and batches are found by their block.

use std::ops::RangeInclusive;

use sqlx::Row;

use super::column::{corrupt, signed, unsigned};
use super::{Connection, StoreError};
use crate::model::ChainTime;

/// Notes a block in which something happened, and its time where that is known.
pub async fn note(
    connection: &mut Connection,
    number: u64,
    time: Option<ChainTime>,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO block_times (number, at) VALUES ($1, $2)
         ON CONFLICT (number) DO UPDATE SET at = COALESCE(excluded.at, block_times.at)",
    )
    .bind(signed(number)?)
    .bind(time.map(ChainTime::as_i64))
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets blocks that a reorg undid.
pub async fn delete_above(connection: &mut Connection, number: u64) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM block_times WHERE number > $1")
        .bind(signed(number)?)
        .execute(connection)
        .await?;
    Ok(())
}

/// Blocks whose time is not known yet, lowest first.
pub async fn unknown(connection: &mut Connection, limit: u32) -> Result<Vec<u64>, StoreError> {
    let rows = sqlx::query("SELECT number FROM block_times WHERE at IS NULL ORDER BY number LIMIT $1 + 0")
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| unsigned(row, "number")).collect()
}

/// The time of the first such block from `from` on and before `end`.
pub async fn first(
    connection: &mut Connection,
    from: ChainTime,
    end: ChainTime,
) -> Result<Option<ChainTime>, StoreError> {
    let at: Option<i64> = sqlx::query("SELECT MIN(at) FROM block_times WHERE at >= $1 AND at < $2")
        .bind(from.as_i64())
        .bind(end.as_i64())
        .fetch_one(connection)
        .await?
        .try_get(0)?;
    Ok(at.map(ChainTime::from_i64))
}

/// The first and the last such block from `from` on and before `end`.
pub async fn range(
    connection: &mut Connection,
    from: ChainTime,
    end: ChainTime,
) -> Result<Option<RangeInclusive<u64>>, StoreError> {
    let row = sqlx::query(
        "SELECT MIN(number) AS first, MAX(number) AS last FROM block_times WHERE at >= $1 AND at < $2",
    )
    .bind(from.as_i64())
    .bind(end.as_i64())
    .fetch_one(connection)
    .await?;
    let (first, last): (Option<i64>, Option<i64>) = (row.try_get("first")?, row.try_get("last")?);
    let number = |number: i64| u64::try_from(number).map_err(|error| corrupt("number", error));
    first.zip(last).map(|(first, last)| Ok(number(first)?..=number(last)?)).transpose()
}
