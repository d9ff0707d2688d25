//! Figures for those who watch: what is open, how old it is, and how long what was mined has taken. Read by indexes, so that
//! watching costs little however much there is.

use sqlx::Row;

use super::column::{chain_time, signed, word};
use super::{Connection, StoreError};
use crate::model::{ChainTime, EventKind, Millis, OperationKind, OperationState};

/// Operations of one kind and state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenOperations {
    pub kind: OperationKind,
    pub state: OperationState,
    pub count: i64,
    /// When the oldest of them was accepted.
    pub oldest: Millis,
}

/// Open operations by kind and state; what is missing there is none of.
pub async fn open_operations(connection: &mut Connection) -> Result<Vec<OpenOperations>, StoreError> {
    let rows = sqlx::query(
        "SELECT kind, state, COUNT(*) AS number, MIN(created_at) AS oldest FROM operations
         WHERE state IN ('due', 'batched') GROUP BY kind, state",
    )
    .fetch_all(connection)
    .await?;
    let decode = |row| {
        Ok(OpenOperations {
            kind: word(row, "kind", OperationKind::parse)?,
            state: word(row, "state", OperationState::parse)?,
            count: row.try_get("number")?,
            oldest: Millis(row.try_get("oldest")?),
        })
    };
    rows.iter().map(decode).collect()
}

/// When the next open hold is to be returned, by the chain's clock; `None`: none is open.
pub async fn next_release(connection: &mut Connection) -> Result<Option<ChainTime>, StoreError> {
    let row = sqlx::query(
        "SELECT release_at FROM preauths WHERE status = 'AUTHORIZED' ORDER BY release_at, id LIMIT 1",
    )
    .fetch_optional(connection)
    .await?;
    row.map(|row| chain_time(&row, "release_at")).transpose()
}

/// How long one mined operation has taken, in milliseconds by the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Journey {
    pub kind: OperationKind,
    /// From its acceptance to the signing of its batch.
    pub to_signed: i64,
    /// From its acceptance to the change that took its block in.
    pub to_included: i64,
    /// When it was accepted.
    pub accepted: Millis,
}

/// The journeys of what was mined above block `after`, up to block `last`.
pub async fn journeys(
    connection: &mut Connection,
    after: u64,
    last: u64,
    limit: u32,
) -> Result<Vec<Journey>, StoreError> {
    let rows = sqlx::query(
        "SELECT o.kind, o.created_at, b.created_at - o.created_at AS to_signed,
                b.updated_at - o.created_at AS to_included
         FROM batches b CROSS JOIN batch_items i CROSS JOIN operations o
         WHERE b.mined_block > $1 AND b.mined_block <= $2 AND b.state = 'mined' AND i.batch_id = b.id
           AND o.id = i.operation_id
         ORDER BY b.mined_block LIMIT $3 + 0",
    )
    .bind(signed(after)?)
    .bind(signed(last)?)
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    let decode = |row| {
        Ok(Journey {
            kind: word(row, "kind", OperationKind::parse)?,
            to_signed: row.try_get("to_signed")?,
            to_included: row.try_get("to_included")?,
            accepted: Millis(row.try_get("created_at")?),
        })
    };
    rows.iter().map(decode).collect()
}

/// The position of the newest event of all tenants.
pub async fn newest_event(connection: &mut Connection) -> Result<i64, StoreError> {
    let newest: Option<i64> =
        sqlx::query("SELECT MAX(id) FROM events").fetch_one(connection).await?.try_get(0)?;
    Ok(newest.unwrap_or(0))
}

/// How many events of each kind there are after a position, up to another.
pub async fn events_between(
    connection: &mut Connection,
    after: i64,
    last: i64,
) -> Result<Vec<(EventKind, i64)>, StoreError> {
    let rows =
        sqlx::query("SELECT kind, COUNT(*) AS number FROM events WHERE id > $1 AND id <= $2 GROUP BY kind")
            .bind(after)
            .bind(last)
            .fetch_all(connection)
            .await?;
    rows.iter().map(|row| Ok((word(row, "kind", EventKind::parse)?, row.try_get("number")?))).collect()
}
