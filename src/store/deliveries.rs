//! Events on their way to endpoints: written before anything is sent, due by their time.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::column::{corrupt, millis, unsigned, uuid, word};
use super::endpoints::kinds_text;
use super::{Connection, StoreError};
use crate::model::{Delivery, DeliveryAttempt, DeliveryState, Endpoint, EventKind, Millis};

/// Attempts of a delivery that are shown, newest first.
const SHOWN_ATTEMPTS: i64 = 20;

/// Writes down what an endpoint wants of its tenant's next `limit` events after `cursor`, to be tried at `next_at`, and moves
/// its cursor beyond them.
pub async fn fan_out(
    connection: &mut Connection,
    endpoint: &Endpoint,
    cursor: i64,
    limit: u32,
    next_at: Millis,
    now: Millis,
) -> Result<(), StoreError> {
    let row = sqlx::query(
        "SELECT COALESCE(MAX(id), $2) FROM (SELECT id FROM events WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT $3 + 0)",
    )
    .bind(endpoint.tenant.0.as_bytes().as_slice())
    .bind(cursor)
    .bind(i64::from(limit))
    .fetch_one(&mut *connection)
    .await?;
    let last: i64 = row.try_get(0)?;
    sqlx::query(
        "INSERT INTO deliveries (endpoint, event, state, next_at, created_at, updated_at)
         SELECT $1, id, 'pending', $6, $7, $7 FROM events
         WHERE tenant_id = $2 AND id > $3 AND id <= $4
           AND ($5 = '' OR ' ' || $5 || ' ' LIKE '% ' || kind || ' %')
         ORDER BY id
         ON CONFLICT (endpoint, event) DO NOTHING",
    )
    .bind(endpoint.key)
    .bind(endpoint.tenant.0.as_bytes().as_slice())
    .bind(cursor)
    .bind(last)
    .bind(kinds_text(&endpoint.kinds))
    .bind(next_at.0)
    .bind(now.0)
    .execute(&mut *connection)
    .await?;
    sqlx::query("UPDATE webhook_endpoints SET cursor = $2 WHERE id = $1 AND cursor = $3")
        .bind(endpoint.key)
        .bind(last)
        .bind(cursor)
        .execute(connection)
        .await?;
    Ok(())
}

/// An endpoint's deliveries that are due at `now`, longest due first.
pub async fn due(
    connection: &mut Connection,
    endpoint: i64,
    now: Millis,
    limit: u32,
) -> Result<Vec<Delivery>, StoreError> {
    let rows = sqlx::query(
        "SELECT d.id, d.event, d.state, d.tries, d.next_at, d.created_at, e.uuid AS event_uuid, e.kind
         FROM deliveries d JOIN events e ON e.id = d.event
         WHERE d.endpoint = $1 AND d.state = 'pending' AND d.next_at <= $2 ORDER BY d.next_at, d.id LIMIT $3 + 0",
    )
    .bind(endpoint)
    .bind(now.0)
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    rows.iter().map(decode).collect()
}

/// Writes down an attempt and what becomes of the delivery: its state, and when it is tried next. A delivery that was asked
/// for again meanwhile stays asked for.
pub async fn note_attempt(
    connection: &mut Connection,
    delivery: &Delivery,
    attempt: &DeliveryAttempt,
    state: DeliveryState,
    next_at: Millis,
    now: Millis,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO delivery_attempts (delivery, at, duration_ms, status, error, response) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(delivery.key)
    .bind(attempt.at.0)
    .bind(i64::try_from(attempt.duration_ms).unwrap_or(i64::MAX))
    .bind(attempt.status.map(i64::from))
    .bind(&attempt.error)
    .bind(&attempt.response)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "UPDATE deliveries SET state = $2, tries = tries + 1, next_at = $3, updated_at = $4
         WHERE id = $1 AND tries = $5 AND next_at = $6",
    )
    .bind(delivery.key)
    .bind(state.as_str())
    .bind(next_at.0)
    .bind(now.0)
    .bind(i64::from(delivery.tries))
    .bind(delivery.next_at.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// Which of a tenant's events to send once more. An absent bound lets everything pass.
#[derive(Debug, Clone, Copy, Default)]
pub struct Again {
    pub event: Option<Uuid>,
    /// From when on they happened, and before when.
    pub since: Option<Millis>,
    pub until: Option<Millis>,
}

/// Makes an endpoint's deliveries of events due at `now`, as if they had never been tried; oldest first, at most `limit`.
/// Returns how many.
pub async fn ask_again(
    connection: &mut Connection,
    endpoint: &Endpoint,
    again: Again,
    limit: u32,
    now: Millis,
) -> Result<u64, StoreError> {
    // What was asked for by its name is sent whatever kind it is of.
    let kinds = if again.event.is_some() { String::new() } else { kinds_text(&endpoint.kinds) };
    let done = sqlx::query(
        "INSERT INTO deliveries (endpoint, event, state, next_at, created_at, updated_at)
         SELECT $1, id, 'pending', $7, $7, $7 FROM events
         WHERE tenant_id = $2 AND ($3 IS NULL OR uuid = $3) AND ($4 IS NULL OR created_at >= $4)
           AND ($5 IS NULL OR created_at < $5) AND ($6 = '' OR ' ' || $6 || ' ' LIKE '% ' || kind || ' %')
         ORDER BY id LIMIT $8 + 0
         ON CONFLICT (endpoint, event) DO UPDATE SET state = 'pending', tries = 0, next_at = $7, updated_at = $7",
    )
    .bind(endpoint.key)
    .bind(endpoint.tenant.0.as_bytes().as_slice())
    .bind(again.event.as_ref().map(|id| id.as_bytes().as_slice()))
    .bind(again.since.map(|time| time.0))
    .bind(again.until.map(|time| time.0))
    .bind(kinds)
    .bind(now.0)
    .bind(i64::from(limit))
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// When the longest pending delivery of an enabled endpoint was written down.
pub async fn oldest_pending(connection: &mut Connection) -> Result<Option<Millis>, StoreError> {
    let row = sqlx::query(
        "SELECT d.created_at FROM deliveries d JOIN webhook_endpoints w ON w.id = d.endpoint
         WHERE d.state = 'pending' AND w.disabled IS NULL AND w.removed_at IS NULL ORDER BY d.id LIMIT 1",
    )
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(|row| millis(row, "created_at")).transpose()
}

/// An endpoint's deliveries before a row, newest first, with their attempts.
pub async fn page(
    connection: &mut Connection,
    endpoint: i64,
    state: Option<DeliveryState>,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<Delivery>, StoreError> {
    let rows = sqlx::query(
        "SELECT d.id, d.event, d.state, d.tries, d.next_at, d.created_at, e.uuid AS event_uuid, e.kind
         FROM deliveries d JOIN events e ON e.id = d.event
         WHERE d.endpoint = $1 AND ($2 IS NULL OR d.state = $2) AND ($3 IS NULL OR d.id < $3)
         ORDER BY d.id DESC LIMIT $4 + 0",
    )
    .bind(endpoint)
    .bind(state.map(DeliveryState::as_str))
    .bind(before)
    .bind(i64::from(limit))
    .fetch_all(&mut *connection)
    .await?;
    let mut page: Vec<Delivery> = rows.iter().map(decode).collect::<Result<_, _>>()?;
    for delivery in &mut page {
        delivery.attempts = attempts(connection, delivery.key).await?;
    }
    Ok(page)
}

async fn attempts(connection: &mut Connection, delivery: i64) -> Result<Vec<DeliveryAttempt>, StoreError> {
    let rows = sqlx::query(
        "SELECT at, duration_ms, status, error, response FROM delivery_attempts
         WHERE delivery = $1 ORDER BY id DESC LIMIT $2 + 0",
    )
    .bind(delivery)
    .bind(SHOWN_ATTEMPTS)
    .fetch_all(connection)
    .await?;
    rows.iter().map(decode_attempt).collect()
}

fn decode(row: &SqliteRow) -> Result<Delivery, StoreError> {
    Ok(Delivery {
        key: row.try_get("id")?,
        event: row.try_get("event")?,
        event_id: uuid(row, "event_uuid")?,
        event_kind: word(row, "kind", EventKind::parse)?,
        state: word(row, "state", DeliveryState::parse)?,
        tries: row.try_get("tries")?,
        next_at: millis(row, "next_at")?,
        created_at: millis(row, "created_at")?,
        attempts: Vec::new(),
    })
}

fn decode_attempt(row: &SqliteRow) -> Result<DeliveryAttempt, StoreError> {
    let status: Option<i64> = row.try_get("status")?;
    let status = status.map(|status| u16::try_from(status).map_err(|error| corrupt("status", error)));
    Ok(DeliveryAttempt {
        at: millis(row, "at")?,
        duration_ms: unsigned(row, "duration_ms")?,
        status: status.transpose()?,
        error: row.try_get("error")?,
        response: row.try_get("response")?,
    })
}
