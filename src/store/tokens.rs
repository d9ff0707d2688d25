//! Tokens that were admitted.

use std::collections::HashMap;

use alloy::primitives::Address;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::column::{account, corrupt, list_of_blobs};
use super::{Connection, StoreError};
use crate::model::{Millis, Token, TokenSigning};

const COLUMNS: &str = "written, symbol, decimals, active, signing";

/// Admits a token, or changes what is known of it.
pub async fn save(connection: &mut Connection, token: &Token, now: Millis) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO tokens (address, written, symbol, decimals, active, signing, admitted_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (address) DO UPDATE
             SET symbol = excluded.symbol, active = excluded.active, signing = excluded.signing",
    )
    .bind(token.contract.address().as_slice())
    .bind(token.contract.written())
    .bind(&token.symbol)
    .bind(i64::from(token.decimals))
    .bind(i64::from(token.active))
    .bind(token.signing.as_ref().map(signing_json).transpose()?)
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes what a token's holders can sign, as it was just found.
pub async fn set_signing(
    connection: &mut Connection,
    address: Address,
    signing: &TokenSigning,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE tokens SET signing = $2 WHERE address = $1")
        .bind(address.as_slice())
        .bind(signing_json(signing)?)
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn by_address(connection: &mut Connection, address: Address) -> Result<Option<Token>, StoreError> {
    Ok(by_addresses(connection, vec![address]).await?.remove(&address))
}

pub(super) fn addresses_sql() -> String {
    format!("SELECT {COLUMNS} FROM tokens WHERE address IN (SELECT unhex(value) FROM json_each($1))")
}

/// Tokens by their addresses.
pub(super) async fn by_addresses(
    connection: &mut Connection,
    addresses: Vec<Address>,
) -> Result<HashMap<Address, Token>, StoreError> {
    let rows = sqlx::query(sqlx::AssertSqlSafe(addresses_sql()))
        .bind(list_of_blobs(addresses))
        .fetch_all(connection)
        .await?;
    let tokens = rows.iter().map(decode);
    tokens.map(|token| token.map(|token| (token.contract.address(), token))).collect()
}

/// All tokens, in the order in which they were admitted.
pub async fn all(connection: &mut Connection) -> Result<Vec<Token>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM tokens ORDER BY admitted_at, address"));
    let rows = sqlx::query(sql).fetch_all(connection).await?;
    rows.iter().map(decode).collect()
}

fn signing_json(signing: &TokenSigning) -> Result<String, StoreError> {
    serde_json::to_string(signing).map_err(|error| corrupt("signing", error))
}

fn decode(row: &SqliteRow) -> Result<Token, StoreError> {
    let signing: Option<&str> = row.try_get("signing")?;
    Ok(Token {
        contract: account(row, "written")?,
        symbol: row.try_get("symbol")?,
        decimals: row.try_get("decimals")?,
        active: row.try_get::<i64, _>("active")? != 0,
        signing: signing.map(serde_json::from_str).transpose().map_err(|error| corrupt("signing", error))?,
    })
}
