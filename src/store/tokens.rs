//! Tokens that were admitted.

use alloy::primitives::Address;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::column::account;
use super::{Connection, StoreError};
use crate::model::{Millis, Token};

/// Admits a token, or changes what is known of it.
pub async fn save(connection: &mut Connection, token: &Token, now: Millis) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO tokens (address, written, symbol, decimals, active, admitted_at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (address) DO UPDATE SET symbol = excluded.symbol, active = excluded.active",
    )
    .bind(token.contract.address().as_slice())
    .bind(token.contract.written())
    .bind(&token.symbol)
    .bind(i64::from(token.decimals))
    .bind(i64::from(token.active))
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(())
}

pub async fn by_address(connection: &mut Connection, address: Address) -> Result<Option<Token>, StoreError> {
    let row = sqlx::query("SELECT written, symbol, decimals, active FROM tokens WHERE address = $1")
        .bind(address.as_slice())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(decode).transpose()
}

/// All tokens, in the order in which they were admitted.
pub async fn all(connection: &mut Connection) -> Result<Vec<Token>, StoreError> {
    let rows =
        sqlx::query("SELECT written, symbol, decimals, active FROM tokens ORDER BY admitted_at, address")
            .fetch_all(connection)
            .await?;
    rows.iter().map(decode).collect()
}

fn decode(row: &SqliteRow) -> Result<Token, StoreError> {
    Ok(Token {
        contract: account(row, "written")?,
        symbol: row.try_get("symbol")?,
        decimals: row.try_get("decimals")?,
        active: row.try_get::<i64, _>("active")? != 0,
    })
}
