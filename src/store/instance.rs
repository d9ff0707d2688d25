//! What the database belongs to: one chain, and every escrow it ever served.

use alloy::primitives::Address;
use sqlx::Row;

use super::column::{address, signed, unsigned};
use super::{Connection, StoreError};
use crate::model::Millis;

/// The chain this database serves; `None` before the first start.
pub async fn chain_id(connection: &mut Connection) -> Result<Option<u64>, StoreError> {
    let row = sqlx::query("SELECT chain_id FROM instance WHERE id = 1").fetch_optional(connection).await?;
    row.map(|row| unsigned(&row, "chain_id")).transpose()
}

/// Binds a fresh database to a chain; a second binding is refused by the schema.
pub async fn bind_to_chain(
    connection: &mut Connection,
    chain_id: u64,
    now: Millis,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO instance (id, chain_id, created_at) VALUES (1, $1, $2)")
        .bind(signed(chain_id)?)
        .bind(now.0)
        .execute(connection)
        .await?;
    Ok(())
}

/// Adds an escrow to those that are served; adding it again changes nothing. `true`: it was not served before.
pub async fn add_escrow(
    connection: &mut Connection,
    escrow: Address,
    deployed_block: u64,
    now: Millis,
) -> Result<bool, StoreError> {
    let added = sqlx::query(
        "INSERT INTO escrows (address, deployed_block, added_at) VALUES ($1, $2, $3) ON CONFLICT (address) DO NOTHING",
    )
    .bind(escrow.as_slice())
    .bind(signed(deployed_block)?)
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(added.rows_affected() > 0)
}

/// Every escrow that is served, with the block from which on its logs count; oldest first.
pub async fn escrows(connection: &mut Connection) -> Result<Vec<(Address, u64)>, StoreError> {
    let rows = sqlx::query("SELECT address, deployed_block FROM escrows ORDER BY added_at, deployed_block")
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| Ok((address(row, "address")?, unsigned(row, "deployed_block")?))).collect()
}

/// Whether the database can be read at all.
pub async fn ping(connection: &mut Connection) -> Result<(), StoreError> {
    let one: i64 = sqlx::query("SELECT 1").fetch_one(connection).await?.try_get(0)?;
    debug_assert_eq!(one, 1);
    Ok(())
}
