//! Operations: what is to be done on chain, written before anything is sent.

use std::collections::HashMap;

use alloy::primitives::{Address, Bytes};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::column::{chain_time, list, optional_amount, optional_failure, word};
use super::seal::{Sealed, Value, bind};
use super::unreadable::{Table, apart, each};
use super::{Connection, StoreError, UnreadableRow, preauths};
use crate::model::{
    BaseUnits, BatchId, CallFailure, ChainTime, Millis, Operation, OperationId, OperationKind,
    OperationState, Preauth, PreauthKey, Terms, TokenAmount,
};
use crate::trace;

const COLUMNS: &str = "o.id, o.preauth, o.kind, o.state, o.amount, o.amount_written, o.deadline, o.batch_id, \
    o.failure, o.tries, o.seal";

/// What is asked of the chain, for which preauth. Where the operation stands is no money.
pub(super) const SEALED: Sealed = Sealed {
    domain: "preauthd operations 1",
    columns: &["preauth", "kind", "amount", "amount_written", "deadline"],
    column: "seal",
    what: "kind, amount and deadline",
};

/// Writes down an operation as due, as a part of the current trace. `None`: another operation of the preauth is open.
pub async fn insert(
    connection: &mut Connection,
    preauth: PreauthKey,
    kind: OperationKind,
    amount: Option<(BaseUnits, TokenAmount)>,
    deadline: ChainTime,
    now: Millis,
) -> Result<Option<OperationId>, StoreError> {
    let values = sealed_values(preauth, kind, amount, deadline);
    let seal = SEALED.seal(&values);
    let insert = sqlx::query(
        "INSERT INTO operations (preauth, kind, amount, amount_written, deadline, seal, state, created_at, updated_at,
             trace)
         VALUES ($1, $2, $3, $4, $5, $6, 'due', $7, $7, $8)
         ON CONFLICT (preauth) WHERE state IN ('due', 'batched') DO NOTHING RETURNING id",
    );
    let insert = bind(insert, values).bind(seal.as_slice()).bind(now.0).bind(trace::current());
    let row = insert.fetch_optional(connection).await?;
    row.map(|row| Ok(OperationId(row.try_get("id")?))).transpose()
}

/// The values of [`SEALED`].
pub(super) fn sealed_values(
    preauth: PreauthKey,
    kind: OperationKind,
    amount: Option<(BaseUnits, TokenAmount)>,
    deadline: ChainTime,
) -> [Value; SEALED.columns.len()] {
    [
        preauth.0.into(),
        kind.as_str().into(),
        amount.map(|(units, _)| units.to_string()).into(),
        amount.map(|(_, written)| written.to_string()).into(),
        deadline.as_i64().into(),
    ]
}

/// The trace of each traced operation in a batch, with when the operation was asked for and the batch was made.
pub async fn traces_of(
    connection: &mut Connection,
    batch: BatchId,
) -> Result<Vec<(String, Millis, Millis)>, StoreError> {
    let rows = sqlx::query(
        "SELECT o.trace, o.created_at AS asked_at, b.created_at AS batched_at
         FROM batch_items i JOIN operations o ON o.id = i.operation_id JOIN batches b ON b.id = i.batch_id
         WHERE i.batch_id = $1 AND o.trace IS NOT NULL ORDER BY i.position",
    )
    .bind(batch.0)
    .fetch_all(connection)
    .await?;
    let decode = |row: &SqliteRow| {
        Ok((row.try_get("trace")?, Millis(row.try_get("asked_at")?), Millis(row.try_get("batched_at")?)))
    };
    rows.iter().map(decode).collect()
}

pub async fn by_id(connection: &mut Connection, id: OperationId) -> Result<Operation, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM operations o WHERE id = $1"));
    decode(&sqlx::query(sql).bind(id.0).fetch_one(connection).await?)
}

/// The open operation of a preauth.
pub async fn open_of(
    connection: &mut Connection,
    preauth: PreauthKey,
) -> Result<Option<Operation>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM operations o WHERE preauth = $1 AND state IN ('due', 'batched')"
    ));
    sqlx::query(sql).bind(preauth.0).fetch_optional(connection).await?.as_ref().map(decode).transpose()
}

/// The operations of a preauth that are not ended.
#[derive(Debug, Clone, Default)]
pub struct Unfinished {
    pub open: Option<Operation>,
    /// Those that wait for a reorg to be made good, newest first.
    pub parked: Vec<Operation>,
}

impl Unfinished {
    fn add(&mut self, operation: Operation) {
        match operation.state {
            OperationState::Parked => self.parked.push(operation),
            _ => self.open = Some(operation),
        }
    }
}

/// What is not ended of a preauth's operations.
pub async fn unfinished_of(
    connection: &mut Connection,
    preauth: PreauthKey,
) -> Result<Unfinished, StoreError> {
    let mut unfinished = unfinished_of_each(connection, &[preauth]).await?;
    let of_this = unfinished.remove(&preauth).unwrap_or(Ok(Unfinished::default()));
    Ok(of_this?)
}

/// The order is that of the index, backwards: newest first.
pub(super) fn unfinished_sql() -> String {
    format!(
        "SELECT {COLUMNS} FROM operations o
         WHERE preauth IN (SELECT value FROM json_each($1)) AND state IN ('due', 'batched', 'parked')
         ORDER BY preauth DESC, id DESC"
    )
}

/// What is not ended of some preauths' operations. A preauth that is not among the answers has none.
pub async fn unfinished_of_each(
    connection: &mut Connection,
    preauths: &[PreauthKey],
) -> Result<HashMap<PreauthKey, Result<Unfinished, UnreadableRow>>, StoreError> {
    let unfinished = sqlx::query(sqlx::AssertSqlSafe(unfinished_sql()));
    let rows = unfinished.bind(list(preauths.iter().map(|key| key.0))).fetch_all(connection).await?;
    let mut found = HashMap::with_capacity(rows.len());
    for row in &rows {
        let of_this = found
            .entry(PreauthKey(row.try_get("preauth")?))
            .or_insert_with(|| Ok::<_, UnreadableRow>(Unfinished::default()));
        match (apart(decode(row))?, of_this.as_mut()) {
            (Ok(operation), Ok(unfinished)) => unfinished.add(operation),
            (Err(unreadable), Ok(_)) => *of_this = Err(unreadable),
            (_, Err(_)) => {}
        }
    }
    Ok(found)
}

/// The newest operation of a preauth that locks it (`lock`) or closes it, and is done; or, for a lock, in any state.
pub async fn newest_of(
    connection: &mut Connection,
    preauth: PreauthKey,
    lock: bool,
) -> Result<Option<Operation>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM operations o
         WHERE preauth = $1 AND (($2 = 1 AND kind = 'authorize') OR ($2 = 0 AND kind <> 'authorize' AND state = 'done'))
         ORDER BY id DESC LIMIT 1"
    ));
    let row = sqlx::query(sql).bind(preauth.0).bind(i64::from(lock)).fetch_optional(connection).await?;
    row.as_ref().map(decode).transpose()
}

/// Every operation of a preauth, oldest first.
pub async fn all_of(connection: &mut Connection, preauth: PreauthKey) -> Result<Vec<Operation>, StoreError> {
    let sql =
        sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM operations o WHERE preauth = $1 ORDER BY id"));
    sqlx::query(sql).bind(preauth.0).fetch_all(connection).await?.iter().map(decode).collect()
}

/// Keys of the operations after `after` that cannot be read, with those of their preauths, among the next `limit`; and the
/// last key that was looked at, `None` at the end.
pub async fn unreadable_after(
    connection: &mut Connection,
    after: OperationId,
    limit: u32,
) -> Result<(Vec<PreauthKey>, Option<OperationId>), StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM operations o WHERE id > $1 ORDER BY id LIMIT $2 + 0"
    ));
    let rows = sqlx::query(sql).bind(after.0).bind(i64::from(limit)).fetch_all(connection).await?;
    let last = rows.last().map(|row| Ok::<_, StoreError>(OperationId(row.try_get("id")?))).transpose()?;
    let unreadable = each(&rows, decode)?.into_iter().filter_map(Result::err);
    Ok((unreadable.filter_map(|row| row.preauth).collect(), last))
}

/// Ends the operations of a preauth that cannot be read: nobody can carry them out. They can be read again afterwards, as
/// superseded, without what was damaged.
pub async fn end_unreadable(
    connection: &mut Connection,
    preauth: PreauthKey,
    now: Millis,
) -> Result<(), StoreError> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM operations o WHERE preauth = $1"));
    for row in sqlx::query(sql).bind(preauth.0).fetch_all(&mut *connection).await? {
        if apart(decode(&row))?.is_ok() {
            continue;
        }
        let kind = word(&row, "kind", OperationKind::parse).unwrap_or(OperationKind::Expire);
        let values = sealed_values(preauth, kind, None, ChainTime(0));
        let seal = SEALED.seal(&values);
        let update = sqlx::query(
            "UPDATE operations SET preauth = $1, kind = $2, amount = $3, amount_written = $4, deadline = $5, seal = $6,
                 state = 'superseded', failure = NULL, not_before = 0, tries = 0, updated_at = $7
             WHERE id = $8",
        );
        let id: i64 = row.try_get("id")?;
        bind(update, values).bind(seal.as_slice()).bind(now.0).bind(id).execute(&mut *connection).await?;
    }
    Ok(())
}

/// The operations of a batch, in the order in which they travel.
pub async fn of_batch(
    connection: &mut Connection,
    batch: BatchId,
) -> Result<Vec<Result<Operation, UnreadableRow>>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM batch_items i JOIN operations o ON o.id = i.operation_id
         WHERE i.batch_id = $1 ORDER BY position"
    ));
    let rows = sqlx::query(sql).bind(batch.0).fetch_all(connection).await?;
    each(&rows, decode)
}

/// A page of all operations, oldest first, for the inspection of a copy.
pub(super) async fn page_of_all(
    connection: &mut Connection,
    after: OperationId,
    limit: u32,
) -> Result<Vec<Result<Operation, UnreadableRow>>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM operations o WHERE id > $1 ORDER BY id LIMIT $2 + 0"
    ));
    let rows = sqlx::query(sql).bind(after.0).bind(i64::from(limit)).fetch_all(connection).await?;
    each(&rows, decode)
}

/// How many operations of a kind are open.
pub async fn count_open(connection: &mut Connection, kind: OperationKind) -> Result<u64, StoreError> {
    let count: i64 =
        sqlx::query("SELECT count(*) FROM operations WHERE kind = $1 AND state IN ('due', 'batched')")
            .bind(kind.as_str())
            .fetch_one(connection)
            .await?
            .try_get(0)?;
    Ok(count.unsigned_abs())
}

/// An operation that waits for a lane, with all that its call needs.
#[derive(Debug, Clone)]
pub struct DueOperation {
    pub id: OperationId,
    pub preauth: PreauthKey,
    pub kind: OperationKind,
    /// Base units a settlement pays.
    pub amount: Option<BaseUnits>,
    pub escrow: Address,
    pub terms: Terms,
    pub consent: Bytes,
    pub tries: u32,
}

/// Due operations of a kind and an escrow whose time has come at `now`, nearest deadline first. Each is an operation and
/// a preauth, and unreadable where one of them is.
pub async fn due(
    connection: &mut Connection,
    kind: OperationKind,
    escrow: Address,
    now: Millis,
    limit: u32,
) -> Result<Vec<Result<DueOperation, UnreadableRow>>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM operations o JOIN preauths p ON p.id = o.preauth
         WHERE o.state = 'due' AND o.kind = $1 AND o.not_before <= $2 AND p.escrow = $4
         ORDER BY o.deadline, o.id LIMIT $3 + 0"
    ));
    let rows = sqlx::query(sql)
        .bind(kind.as_str())
        .bind(now.0)
        .bind(i64::from(limit))
        .bind(escrow.as_slice())
        .fetch_all(&mut *connection)
        .await?;
    let due = each(&rows, decode)?;
    let keys: Vec<PreauthKey> = due.iter().flatten().map(|operation| operation.preauth).collect();
    let preauths = preauths::by_keys(connection, &keys).await?;
    let with_preauth = |operation: Operation| match preauths.get(&operation.preauth) {
        Some(Ok(preauth)) => Some(Ok(for_lane(operation, preauth))),
        Some(Err(unreadable)) => Some(Err(unreadable.clone())),
        None => None,
    };
    Ok(due.into_iter().filter_map(|read| read.map_or_else(|row| Some(Err(row)), with_preauth)).collect())
}

/// What is signed comes from here: from two sealed rows, and from nowhere else.
fn for_lane(operation: Operation, preauth: &Preauth) -> DueOperation {
    DueOperation {
        id: operation.id,
        preauth: operation.preauth,
        kind: operation.kind,
        amount: operation.amount.map(|(units, _)| units),
        escrow: preauth.escrow,
        terms: preauth.terms(),
        consent: preauth.consent.clone(),
        tries: operation.tries,
    }
}

/// How many expiries of a preauth were given up.
pub async fn count_forlorn(connection: &mut Connection, preauth: PreauthKey) -> Result<u32, StoreError> {
    let count: i64 = sqlx::query(
        "SELECT count(*) FROM operations WHERE preauth = $1 AND kind = 'expire' AND state = 'failed'",
    )
    .bind(preauth.0)
    .fetch_one(connection)
    .await?
    .try_get(0)?;
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

/// When the next due operation that was put off may be tried again.
pub async fn next_deferred(connection: &mut Connection, now: Millis) -> Result<Option<Millis>, StoreError> {
    let next: Option<i64> =
        sqlx::query("SELECT min(not_before) FROM operations WHERE state = 'due' AND not_before > $1")
            .bind(now.0)
            .fetch_one(connection)
            .await?
            .try_get(0)?;
    Ok(next.map(Millis))
}

/// Moves an operation to a state, keeping the batch that carried it.
pub async fn set_state(
    connection: &mut Connection,
    id: OperationId,
    state: OperationState,
    failure: Option<&CallFailure>,
    now: Millis,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE operations SET state = $2, failure = $3, updated_at = $4 WHERE id = $1")
        .bind(id.0)
        .bind(state.as_str())
        .bind(failure.map(ToString::to_string))
        .bind(now.0)
        .execute(connection)
        .await?;
    Ok(())
}

/// Moves operations that did not fail to a state.
pub async fn set_state_of_all(
    connection: &mut Connection,
    ids: &[OperationId],
    state: OperationState,
    now: Millis,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE operations SET state = $2, failure = NULL, updated_at = $3
         WHERE id IN (SELECT value FROM json_each($1))",
    )
    .bind(list(ids.iter().map(|id| id.0)))
    .bind(state.as_str())
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// Puts due operations into a batch; says how many of them were still due.
pub async fn take_into_batch(
    connection: &mut Connection,
    ids: &[OperationId],
    batch: BatchId,
    now: Millis,
) -> Result<u64, StoreError> {
    let done = sqlx::query(
        "UPDATE operations SET state = 'batched', batch_id = $2, updated_at = $3
         WHERE id IN (SELECT value FROM json_each($1)) AND state = 'due'",
    )
    .bind(list(ids.iter().map(|id| id.0)))
    .bind(batch.0)
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// Makes an operation due again that a batch carried without effect, not to be tried before `not_before`.
pub async fn make_due(
    connection: &mut Connection,
    id: OperationId,
    not_before: Millis,
    now: Millis,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE operations SET state = 'due', not_before = $2, tries = tries + 1, updated_at = $3 WHERE id = $1",
    )
    .bind(id.0)
    .bind(not_before.0)
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// Puts a due operation off until `not_before`.
pub async fn defer(
    connection: &mut Connection,
    id: OperationId,
    not_before: Millis,
    now: Millis,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE operations SET not_before = $2, tries = tries + 1, updated_at = $3 WHERE id = $1 AND state = 'due'",
    )
    .bind(id.0)
    .bind(not_before.0)
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// Nothing of a row is believed before its seal was verified.
pub(super) fn decode(row: &SqliteRow) -> Result<Operation, StoreError> {
    SEALED
        .verify(row)
        .and_then(|()| decode_columns(row))
        .map_err(|error| StoreError::Unreadable(Box::new(Table::Operations.unreadable(row, &error))))
}

fn decode_columns(row: &SqliteRow) -> Result<Operation, StoreError> {
    Ok(Operation {
        id: OperationId(row.try_get("id")?),
        preauth: PreauthKey(row.try_get("preauth")?),
        kind: word(row, "kind", OperationKind::parse)?,
        state: word(row, "state", OperationState::parse)?,
        amount: optional_amount(row, "amount", "amount_written")?,
        deadline: chain_time(row, "deadline")?,
        batch: row.try_get::<Option<i64>, _>("batch_id")?.map(BatchId),
        failure: optional_failure(row, "failure")?,
        tries: row.try_get("tries")?,
    })
}
