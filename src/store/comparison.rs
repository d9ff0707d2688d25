//! Preauthorizations as a comparison with the chain walks over them: of all tenants, and damaged ones too.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256};
use futures::TryStreamExt;

use super::column::{address, base_units};
use super::preauths::{COLUMNS, decode};
use super::unreadable::{apart, each};
use super::{Connection, StoreError, UnreadableRow};
use crate::model::{Millis, Preauth, PreauthKey};

/// A row as a comparison sees it: what it says, or what is left of it.
pub type Reading = Result<Preauth, UnreadableRow>;

/// The key of a row, readable or not.
#[must_use]
pub fn key_of(reading: &Reading) -> PreauthKey {
    match reading {
        Ok(preauth) => preauth.key,
        Err(unreadable) => PreauthKey(unreadable.id),
    }
}

/// A page of the preauthorizations of all tenants, oldest first, for the comparison with the chain.
pub async fn page_of_all(
    connection: &mut Connection,
    after: PreauthKey,
    limit: u32,
) -> Result<Vec<Reading>, StoreError> {
    let sql =
        sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM preauths WHERE id > $1 ORDER BY id LIMIT $2 + 0"));
    let rows = sqlx::query(sql).bind(after.0).bind(i64::from(limit)).fetch_all(connection).await?;
    each(&rows, decode)
}

/// A page of those whose tokens are held, and of those that changed at or after `since`, for a comparison that goes on
/// from an earlier one.
pub async fn page_of_recent(
    connection: &mut Connection,
    after: PreauthKey,
    since: Millis,
    limit: u32,
) -> Result<Vec<Reading>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM preauths WHERE id > $1 AND (status = 'AUTHORIZED' OR updated_at >= $3) ORDER BY id LIMIT $2 + 0"
    ));
    let rows =
        sqlx::query(sql).bind(after.0).bind(i64::from(limit)).bind(since.0).fetch_all(connection).await?;
    each(&rows, decode)
}

/// The row of a key; `None`: there is none.
pub async fn row(connection: &mut Connection, key: PreauthKey) -> Result<Option<Reading>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM preauths WHERE id = $1"));
    let row = sqlx::query(sql).bind(key.0).fetch_optional(connection).await?;
    row.map(|row| apart(decode(&row))).transpose()
}

/// Whether there is a row of this name, readable or not.
pub async fn exists(
    connection: &mut Connection,
    escrow: Address,
    preauth_id: B256,
) -> Result<bool, StoreError> {
    let row = sqlx::query("SELECT 1 FROM preauths WHERE preauth_id = $1 AND escrow = $2")
        .bind(preauth_id.as_slice())
        .bind(escrow.as_slice())
        .fetch_optional(connection)
        .await?;
    Ok(row.is_some())
}

/// What is open by escrow and token, in base units.
pub async fn open_totals(
    connection: &mut Connection,
) -> Result<BTreeMap<(Address, Address), u128>, StoreError> {
    // SQLite's SUM knows 64 bits only. Row by row, so that a million open holds fill no memory. The seals are not looked
    // at: whoever asks walks over every row beside this, and is told of each that is damaged.
    let mut rows =
        sqlx::query("SELECT escrow, token, hold FROM preauths WHERE status = 'AUTHORIZED'").fetch(connection);
    let mut totals = BTreeMap::new();
    while let Some(row) = rows.try_next().await? {
        // A damaged row is a finding of its own, and must not keep the others from being weighed.
        let read = (address(&row, "escrow"), address(&row, "token"), base_units(&row, "hold"));
        if let (Ok(escrow), Ok(token), Ok(hold)) = read {
            let total: &mut u128 = totals.entry((escrow, token)).or_default();
            *total = total.saturating_add(hold.get());
        }
    }
    Ok(totals)
}

/// Escrow, sender and token of every claim that deferred refunds have made.
pub async fn claims(connection: &mut Connection) -> Result<Vec<(Address, Address, Address)>, StoreError> {
    let rows =
        sqlx::query("SELECT DISTINCT escrow, sender, token FROM preauths WHERE deferred_refund IS NOT NULL")
            .fetch_all(connection)
            .await?;
    Ok(rows
        .iter()
        .filter_map(|row| {
            Some((address(row, "escrow").ok()?, address(row, "sender").ok()?, address(row, "token").ok()?))
        })
        .collect())
}
