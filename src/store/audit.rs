//! What was done by those who run the daemon.

use sqlx::Row;

use super::{Connection, StoreError};
use crate::model::Millis;

/// An act: who did what, to what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    pub actor: String,
    /// Noun and verb, such as `tenant.create`.
    pub act: &'static str,
    pub subject: String,
}

/// An act that was written down.
#[derive(Debug, Clone)]
pub struct Entry {
    pub id: i64,
    pub at: Millis,
    pub actor: String,
    pub act: String,
    pub subject: String,
}

/// Writes an act down, in the change that it is.
pub async fn note(connection: &mut Connection, act: &Act, now: Millis) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO audit (at, actor, act, subject) VALUES ($1, $2, $3, $4)")
        .bind(now.0)
        .bind(&act.actor)
        .bind(act.act)
        .bind(&act.subject)
        .execute(connection)
        .await?;
    Ok(())
}

/// A page of acts, newest first, before a row.
pub async fn page(
    connection: &mut Connection,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<Entry>, StoreError> {
    let rows = sqlx::query(
        "SELECT id, at, actor, act, subject FROM audit WHERE ($1 IS NULL OR id < $1) ORDER BY id DESC LIMIT $2 + 0",
    )
    .bind(before)
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    let read = |row: &sqlx::sqlite::SqliteRow| {
        Ok(Entry {
            id: row.try_get("id")?,
            at: Millis(row.try_get("at")?),
            actor: row.try_get("actor")?,
            act: row.try_get("act")?,
            subject: row.try_get("subject")?,
        })
    };
    rows.iter().map(read).collect()
}
