//! What merchants are told of. An event is written in the change it tells of, so one is there exactly when the other is.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::column::{
    chain_time, millis, optional_amount, optional_b256, optional_base_units, optional_failure, tenant_id,
    unsigned, uuid, word,
};
use super::seal::{Sealed, Value};
use super::{Connection, StoreError, bulk, onboarding};
use crate::model::{
    Event, EventKind, EventState, FeedEvent, Millis, OperationKind, Preauth, PreauthKey, PreauthStatus,
    Schedule, Settlement, TenantId,
};

const COLUMNS: &str = "id, uuid, tenant_id, preauth, sequence, kind, status_before, status, pending, settle_at, \
    scheduled, scheduled_written, settled, settled_written, lock_transaction, close_transaction, deferred_refund, \
    failure, party, verification, document, seal, created_at";

/// What an event says, bound to its name, so that it cannot pass for another's.
pub(super) const SAID: Sealed = Sealed {
    domain: "preauthd events 1",
    columns: &[
        "uuid",
        "tenant_id",
        "preauth",
        "kind",
        "status_before",
        "status",
        "settle_at",
        "scheduled",
        "scheduled_written",
        "settled",
        "settled_written",
        "lock_transaction",
        "close_transaction",
        "deferred_refund",
        "failure",
    ],
    column: "seal",
    what: "an event",
};

/// What happened to a preauth, and what it is now.
#[derive(Debug, Clone)]
pub struct NewEvent {
    pub preauth: Preauth,
    pub kind: EventKind,
    /// Where it corrects an earlier event that told of another status: that one.
    pub status_before: Option<PreauthStatus>,
}

/// Writes down what happened to a preauth, with what it is now. A hold that belongs to nobody has nobody to tell.
pub async fn insert(
    connection: &mut Connection,
    preauth: &Preauth,
    kind: EventKind,
    now: Millis,
) -> Result<(), StoreError> {
    insert_correction(connection, preauth, kind, None, now).await
}

/// The same for what corrects an earlier event that told of another status.
pub async fn insert_correction(
    connection: &mut Connection,
    preauth: &Preauth,
    kind: EventKind,
    status_before: Option<PreauthStatus>,
    now: Millis,
) -> Result<(), StoreError> {
    let event = NewEvent { preauth: preauth.clone(), kind, status_before };
    insert_all(connection, &[event], now).await
}

pub(super) const INSERT: [&str; 2] = [
    "INSERT INTO events (uuid, tenant_id, preauth, kind, status_before, status, settle_at, scheduled,
         scheduled_written, settled, settled_written, lock_transaction, close_transaction, deferred_refund, failure,
         seal, created_at, sequence, pending)
     SELECT new.*,
         (SELECT COALESCE(MAX(sequence), 0) + 1 FROM events WHERE preauth = new.column3),
         (SELECT kind FROM operations WHERE preauth = new.column3 AND state IN ('due', 'batched'))
     FROM (",
    ") AS new",
];

/// The same for what happened to several preauths, one event for each.
pub async fn insert_all(
    connection: &mut Connection,
    events: &[NewEvent],
    now: Millis,
) -> Result<(), StoreError> {
    let values = |event: &NewEvent| {
        let said = values(Uuid::now_v7(), &event.preauth, event.kind, event.status_before);
        let seal = SAID.seal(&said);
        said.into_iter().chain([seal.as_slice().into(), now.0.into()]).collect()
    };
    let told = events.iter().filter(|event| event.preauth.tenant != TenantId::UNCLAIMED);
    let [before, after] = INSERT;
    bulk::execute(connection, before, told.map(values).collect(), after).await?;
    Ok(())
}

/// The values of [`SAID`].
pub(super) fn values(
    id: Uuid,
    preauth: &Preauth,
    kind: EventKind,
    status_before: Option<PreauthStatus>,
) -> [Value; SAID.columns.len()] {
    [
        id.as_bytes().as_slice().into(),
        preauth.tenant.0.as_bytes().as_slice().into(),
        preauth.key.0.into(),
        kind.as_str().into(),
        status_before.map(PreauthStatus::as_str).into(),
        preauth.status.as_str().into(),
        preauth.schedule.map(|schedule| schedule.settle_at.as_i64()).into(),
        preauth.schedule.map(|schedule| schedule.amount.to_string()).into(),
        preauth.schedule.map(|schedule| schedule.written.to_string()).into(),
        preauth.settlement.map(|settlement| settlement.amount.to_string()).into(),
        preauth.settlement.map(|settlement| settlement.written.to_string()).into(),
        preauth.lock_transaction.as_ref().map(|hash| hash.as_slice()).into(),
        preauth.close_transaction.as_ref().map(|hash| hash.as_slice()).into(),
        preauth.deferred_refund.map(|units| units.to_string()).into(),
        preauth.failure.as_ref().map(ToString::to_string).into(),
    ]
}

/// The status that the newest event of a preauth told of; `None`: nobody was told anything.
pub async fn last_status(
    connection: &mut Connection,
    preauth: PreauthKey,
) -> Result<Option<PreauthStatus>, StoreError> {
    let row = sqlx::query("SELECT status FROM events WHERE preauth = $1 ORDER BY sequence DESC LIMIT 1")
        .bind(preauth.0)
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(|row| word(row, "status", PreauthStatus::parse)).transpose()
}

/// A tenant's events after a position, oldest first.
pub async fn page(
    connection: &mut Connection,
    tenant: TenantId,
    kind: Option<EventKind>,
    after: i64,
    limit: u32,
) -> Result<Vec<FeedEvent>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM events
         WHERE tenant_id = $1 AND id > $2 AND ($3 IS NULL OR kind = $3) ORDER BY id LIMIT $4 + 0"
    ));
    let rows = sqlx::query(sql)
        .bind(tenant.0.as_bytes().as_slice())
        .bind(after)
        .bind(kind.map(EventKind::as_str))
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await?;
    rows.iter().map(decode_any).collect()
}

/// A preauth's events after a position, oldest first.
pub async fn timeline(
    connection: &mut Connection,
    tenant: TenantId,
    preauth: PreauthKey,
    after: i64,
    limit: u32,
) -> Result<Vec<Event>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM events WHERE preauth = $1 AND tenant_id = $2 AND id > $3 ORDER BY sequence LIMIT $4 + 0"
    ));
    let rows = sqlx::query(sql)
        .bind(preauth.0)
        .bind(tenant.0.as_bytes().as_slice())
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await?;
    rows.iter().map(decode).collect()
}

/// The position of a tenant's newest event; 0: there is none.
pub async fn newest(connection: &mut Connection, tenant: TenantId) -> Result<i64, StoreError> {
    let row = sqlx::query("SELECT COALESCE(MAX(id), 0) FROM events WHERE tenant_id = $1")
        .bind(tenant.0.as_bytes().as_slice())
        .fetch_one(connection)
        .await?;
    Ok(row.try_get(0)?)
}

/// An event by its position.
pub async fn by_position(connection: &mut Connection, position: i64) -> Result<FeedEvent, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM events WHERE id = $1"));
    decode_any(&sqlx::query(sql).bind(position).fetch_one(connection).await?)
}

fn decode_any(row: &SqliteRow) -> Result<FeedEvent, StoreError> {
    match row.try_get::<Option<&[u8]>, _>("party")? {
        Some(_) => onboarding::events::decode(row).map(FeedEvent::Party),
        None => decode(row).map(Box::new).map(FeedEvent::Preauth),
    }
}

fn decode(row: &SqliteRow) -> Result<Event, StoreError> {
    SAID.verify(row)?;
    let scheduled = optional_amount(row, "scheduled", "scheduled_written")?;
    let schedule = match scheduled {
        Some((amount, written)) => {
            Some(Schedule { settle_at: chain_time(row, "settle_at")?, amount, written })
        }
        None => None,
    };
    let settled = optional_amount(row, "settled", "settled_written")?;
    Ok(Event {
        position: row.try_get("id")?,
        id: uuid(row, "uuid")?,
        tenant: tenant_id(row, "tenant_id")?,
        preauth: PreauthKey(row.try_get("preauth")?),
        sequence: unsigned(row, "sequence")?,
        kind: word(row, "kind", EventKind::parse)?,
        status_before: optional_word(row, "status_before", PreauthStatus::parse)?,
        pending: optional_word(row, "pending", OperationKind::parse)?,
        state: EventState {
            status: word(row, "status", PreauthStatus::parse)?,
            schedule,
            settlement: settled.map(|(amount, written)| Settlement { amount, written }),
            lock_transaction: optional_b256(row, "lock_transaction")?,
            close_transaction: optional_b256(row, "close_transaction")?,
            deferred_refund: optional_base_units(row, "deferred_refund")?,
            failure: optional_failure(row, "failure")?,
        },
        created_at: millis(row, "created_at")?,
    })
}

fn optional_word<T>(
    row: &SqliteRow,
    column: &str,
    parse: fn(&str) -> Option<T>,
) -> Result<Option<T>, StoreError> {
    let text: Option<&str> = row.try_get(column)?;
    text.map(|_| word(row, column, parse)).transpose()
}
