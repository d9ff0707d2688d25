//! Columns as the model's types. A value that does not decode is a fault of the row, reported with the column's name.

use std::fmt::Display;
use std::str::FromStr;

use alloy::primitives::{Address, B256};
use serde::Serialize;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::StoreError;
use crate::model::{Account, BaseUnits, CallFailure, ChainTime, Millis, TenantId, TokenAmount};

pub(super) fn corrupt(column: &str, why: impl Display) -> StoreError {
    StoreError::Corrupt(format!("{column}: {why}"))
}

/// Row ids as one value, so that a statement is the same however many there are: `IN (SELECT value FROM json_each($1))`.
pub(super) fn list(ids: impl IntoIterator<Item = i64>) -> String {
    let ids: Vec<String> = ids.into_iter().map(|id| id.to_string()).collect();
    format!("[{}]", ids.join(","))
}

/// The same for blobs: `IN (SELECT unhex(value) FROM json_each($1))`.
pub(super) fn list_of_blobs<T: AsRef<[u8]>>(blobs: impl IntoIterator<Item = T>) -> String {
    let blobs: Vec<String> =
        blobs.into_iter().map(|blob| format!("\"{}\"", alloy::hex::encode(blob))).collect();
    format!("[{}]", blobs.join(","))
}

/// The same for texts, and for rows of them.
pub(super) fn json(values: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(values).map_err(|error| corrupt("json", error))
}

pub(super) fn address(row: &SqliteRow, column: &str) -> Result<Address, StoreError> {
    let bytes: &[u8] = row.try_get(column)?;
    Address::try_from(bytes).map_err(|error| corrupt(column, error))
}

pub(super) fn b256(row: &SqliteRow, column: &str) -> Result<B256, StoreError> {
    let bytes: &[u8] = row.try_get(column)?;
    B256::try_from(bytes).map_err(|error| corrupt(column, error))
}

pub(super) fn optional_b256(row: &SqliteRow, column: &str) -> Result<Option<B256>, StoreError> {
    let bytes: Option<&[u8]> = row.try_get(column)?;
    bytes.map(|bytes| B256::try_from(bytes).map_err(|error| corrupt(column, error))).transpose()
}

pub(super) fn account(row: &SqliteRow, column: &str) -> Result<Account, StoreError> {
    Account::parse(row.try_get(column)?).map_err(|error| corrupt(column, error))
}

pub(super) fn tenant_id(row: &SqliteRow, column: &str) -> Result<TenantId, StoreError> {
    Ok(TenantId(uuid(row, column)?))
}

pub(super) fn uuid(row: &SqliteRow, column: &str) -> Result<Uuid, StoreError> {
    let bytes: &[u8] = row.try_get(column)?;
    Uuid::from_slice(bytes).map_err(|error| corrupt(column, error))
}

pub(super) fn base_units(row: &SqliteRow, column: &str) -> Result<BaseUnits, StoreError> {
    parsed(row, column)
}

pub(super) fn optional_base_units(row: &SqliteRow, column: &str) -> Result<Option<BaseUnits>, StoreError> {
    let text: Option<&str> = row.try_get(column)?;
    text.map(|text| BaseUnits::from_str(text).map_err(|error| corrupt(column, error))).transpose()
}

pub(super) fn token_amount(row: &SqliteRow, column: &str) -> Result<TokenAmount, StoreError> {
    TokenAmount::parse(row.try_get(column)?).map_err(|error| corrupt(column, error))
}

/// A pair of columns: base units, and the amount as it was written.
pub(super) fn optional_amount(
    row: &SqliteRow,
    units: &str,
    written: &str,
) -> Result<Option<(BaseUnits, TokenAmount)>, StoreError> {
    optional_base_units(row, units)?.map(|units| Ok((units, token_amount(row, written)?))).transpose()
}

pub(super) fn chain_time(row: &SqliteRow, column: &str) -> Result<ChainTime, StoreError> {
    Ok(ChainTime::from_i64(row.try_get(column)?))
}

pub(super) fn millis(row: &SqliteRow, column: &str) -> Result<Millis, StoreError> {
    Ok(Millis(row.try_get(column)?))
}

pub(super) fn unsigned(row: &SqliteRow, column: &str) -> Result<u64, StoreError> {
    u64::try_from(row.try_get::<i64, _>(column)?).map_err(|error| corrupt(column, error))
}

pub(super) fn parsed<T: FromStr<Err: Display>>(row: &SqliteRow, column: &str) -> Result<T, StoreError> {
    row.try_get::<&str, _>(column)?.parse().map_err(|error| corrupt(column, error))
}

/// A word of one of the model's closed vocabularies.
pub(super) fn word<T>(row: &SqliteRow, column: &str, parse: fn(&str) -> Option<T>) -> Result<T, StoreError> {
    let text: &str = row.try_get(column)?;
    parse(text).ok_or_else(|| corrupt(column, format_args!("{text:?} is no known word")))
}

/// Numbers of the chain as SQL's signed integers.
pub(super) fn signed(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|error| corrupt("number", error))
}

pub(super) fn optional_failure(row: &SqliteRow, column: &str) -> Result<Option<CallFailure>, StoreError> {
    let text: Option<&str> = row.try_get(column)?;
    Ok(text.map(CallFailure::from_text))
}
