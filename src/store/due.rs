//! What is to be done about holds: each query finds those that are due and that nothing is being done about.

use super::preauths::{COLUMNS, decode};
use super::unreadable::each;
use super::{Connection, StoreError, UnreadableRow};
use crate::model::{ChainTime, Preauth, PreauthKey};

/// Holds past their expiry at `now` that nothing is being done about, oldest first, but for those whose return was put
/// off beyond it.
pub async fn overdue(
    connection: &mut Connection,
    now: ChainTime,
    limit: u32,
) -> Result<Vec<Result<Preauth, UnreadableRow>>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM preauths
         WHERE status = 'AUTHORIZED' AND release_at <= $1 AND expires_at <= $1
           AND NOT EXISTS (SELECT 1 FROM operations
                           WHERE preauth = preauths.id AND state IN ('due', 'batched'))
         ORDER BY release_at, id LIMIT $2 + 0"
    ));
    let rows = sqlx::query(sql).bind(now.as_i64()).bind(i64::from(limit)).fetch_all(connection).await?;
    each(&rows, decode)
}

/// Holds that expire between `now` and `until`, whose coming expiry was not announced, nearest expiry first.
pub async fn unwarned(
    connection: &mut Connection,
    now: ChainTime,
    until: ChainTime,
    limit: u32,
) -> Result<Vec<Result<Preauth, UnreadableRow>>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM preauths
         WHERE status = 'AUTHORIZED' AND warned = 0 AND expires_at > $1 AND expires_at <= $2
         ORDER BY expires_at, id LIMIT $3 + 0"
    ));
    let rows = sqlx::query(sql)
        .bind(now.as_i64())
        .bind(until.as_i64())
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await?;
    each(&rows, decode)
}

/// Notes that the coming expiry of a hold was announced.
pub async fn mark_warned(connection: &mut Connection, key: PreauthKey) -> Result<(), StoreError> {
    sqlx::query("UPDATE preauths SET warned = 1 WHERE id = $1").bind(key.0).execute(connection).await?;
    Ok(())
}

/// Puts the return of a hold off until `release_at`.
pub async fn put_off_release(
    connection: &mut Connection,
    key: PreauthKey,
    release_at: ChainTime,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE preauths SET release_at = $2 WHERE id = $1")
        .bind(key.0)
        .bind(release_at.as_i64())
        .execute(connection)
        .await?;
    Ok(())
}

/// Scheduled settlements that are due at `now` and not past their expiry, with nothing being done about them, oldest
/// first.
pub async fn scheduled(
    connection: &mut Connection,
    now: ChainTime,
    limit: u32,
) -> Result<Vec<Result<Preauth, UnreadableRow>>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM preauths
         WHERE status = 'AUTHORIZED' AND settle_at IS NOT NULL AND settle_at <= $1 AND expires_at > $1
           AND NOT EXISTS (SELECT 1 FROM operations
                           WHERE preauth = preauths.id AND state IN ('due', 'batched'))
         ORDER BY settle_at, id LIMIT $2 + 0"
    ));
    let rows = sqlx::query(sql).bind(now.as_i64()).bind(i64::from(limit)).fetch_all(connection).await?;
    each(&rows, decode)
}

/// Holds that are to be cancelled, because that was asked for before they were locked, with nothing being done about
/// them.
pub async fn to_cancel(
    connection: &mut Connection,
    limit: u32,
) -> Result<Vec<Result<Preauth, UnreadableRow>>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM preauths
         WHERE status = 'AUTHORIZED' AND cancel_requested = 1
           AND NOT EXISTS (SELECT 1 FROM operations WHERE preauth = preauths.id AND state IN ('due', 'batched'))
         ORDER BY id LIMIT $1 + 0"
    ));
    let rows = sqlx::query(sql).bind(i64::from(limit)).fetch_all(connection).await?;
    each(&rows, decode)
}
