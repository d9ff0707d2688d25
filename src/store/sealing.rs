//! Seals rows from before there were seals, once, at the first start after the migration.
//!
//! In pages, each a transaction of its own that also notes how far it came: the memory stays bounded, and a start that was
//! interrupted goes on where it ended.

use sqlx::{Connection as _, Row};

use super::seal::Sealed;
use super::{Connection, StoreError, operations, preauths};

/// Rows of one transaction.
const PAGE: i64 = 1_000;

/// Seals what has no seal yet. Once all is sealed, a row without a seal is damaged, and nobody gives it one any more.
pub(super) async fn seal_all(connection: &mut Connection) -> Result<(), StoreError> {
    if is_done(connection).await? {
        return Ok(());
    }
    let mut sealed = 0;
    loop {
        let page = seal_page(connection).await?;
        sealed += page;
        if page == 0 {
            break;
        }
        if sealed % (PAGE * 50) < page {
            tracing::info!(rows = sealed, "sealing rows from before the upgrade");
        }
    }
    sqlx::query("UPDATE sealing SET done = 1 WHERE id = 1").execute(connection).await?;
    if sealed > 0 {
        tracing::info!(rows = sealed, "every row is sealed");
    }
    Ok(())
}

/// Whether every row was sealed.
pub(super) async fn is_done(connection: &mut Connection) -> Result<bool, StoreError> {
    let done: i64 =
        sqlx::query("SELECT done FROM sealing WHERE id = 1").fetch_one(connection).await?.try_get(0)?;
    Ok(done == 1)
}

/// One page of each table; says how many rows there were.
async fn seal_page(connection: &mut Connection) -> Result<i64, StoreError> {
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
    let row =
        sqlx::query("SELECT preauths, operations FROM sealing WHERE id = 1").fetch_one(&mut *tx).await?;
    let (preauths, operations): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    let (preauths, first) =
        seal_rows(&mut tx, "preauths", &[preauths::TERMS, preauths::STATE], preauths).await?;
    let (operations, second) = seal_rows(&mut tx, "operations", &[operations::SEALED], operations).await?;
    sqlx::query("UPDATE sealing SET preauths = $1, operations = $2 WHERE id = 1")
        .bind(preauths)
        .bind(operations)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(first + second)
}

/// Seals the page of a table after a row; returns the last row, and how many there were.
async fn seal_rows(
    connection: &mut Connection,
    table: &str,
    sealed: &[Sealed],
    after: i64,
) -> Result<(i64, i64), StoreError> {
    let select = sqlx::AssertSqlSafe(format!("SELECT * FROM {table} WHERE id > $1 ORDER BY id LIMIT $2 + 0"));
    let rows = sqlx::query(select).bind(after).bind(PAGE).fetch_all(&mut *connection).await?;
    let set: Vec<String> =
        sealed.iter().zip(2..).map(|(sealed, place)| format!("{} = ${place}", sealed.column)).collect();
    let update = format!("UPDATE {table} SET {} WHERE id = $1", set.join(", "));
    let (mut last, mut count) = (after, 0);
    for row in &rows {
        last = row.try_get("id")?;
        let mut query = sqlx::query(sqlx::AssertSqlSafe(update.clone())).bind(last);
        for sealed in sealed {
            // What is damaged already stays without a seal, and is found when it is read.
            query = query.bind(sealed.seal_of(row).ok().map(|seal| seal.to_vec()));
        }
        query.execute(&mut *connection).await?;
        count += 1;
    }
    Ok((last, count))
}
