//! A preauth rebuilt from the chain: taken back to its beginning, and through its logs again by the same steps by which the
//! observer takes them in. So what comes out is what following the chain would have made of it, outcomes for a later
//! reorg included.
//!
//! History is not told again: whoever followed the events knows it, and a database that was made anew does not know when it
//! happened. But where the last thing a merchant was told is no longer so, one event says what is.

use super::journal::Journal;
use super::projection::apply_hold_event;
use crate::model::{
    CallFailure, EventKind, History, Millis, OperationKind, OperationState, Preauth, PreauthEvent,
    PreauthStatus,
};
use crate::store::outcomes::Position;
use crate::store::{Connection, StoreError, block_times, events, operations, outcomes, preauths, refunds};

/// Writes a preauth as its whole history says. Its terms must be those that were locked, where it was locked.
///
/// What it believes beyond that is given up: a lock that is not on chain is not made again, unless an operation that is
/// still open is about to.
///
/// # Errors
/// A fault of the database.
pub async fn rebuild(
    connection: &mut Connection,
    told: &Preauth,
    history: &History,
    now: Millis,
) -> Result<Preauth, StoreError> {
    let key = told.key;
    operations::end_unreadable(connection, key, now).await?;
    outcomes::delete_of(connection, key).await?;
    refunds::delete(connection, key).await?;
    let beginning = Preauth {
        status: PreauthStatus::Pending,
        cancel_requested: told.cancel_requested || is_unwanted(connection, told).await?,
        settlement: None,
        lock_transaction: None,
        close_transaction: None,
        deferred_refund: None,
        failure: None,
        ..told.clone()
    };
    preauths::put(connection, &beginning, now).await?;
    for log in history.logs() {
        let position = Position {
            block: log.block,
            log: i64::try_from(log.index).unwrap_or(i64::MAX),
            transaction: log.transaction,
        };
        outcomes::delete_at(connection, &position).await?;
        block_times::note(connection, log.block, log.time).await?;
        let preauth = preauths::by_key(connection, key).await?;
        let unfinished = operations::unfinished_of(connection, key).await?;
        let mut journal = Journal::new(now);
        apply_hold_event(connection, &mut journal, preauth, unfinished, log.event, &position).await?;
        journal.write(connection).await?;
    }
    let mut rebuilt = preauths::by_key(connection, key).await?;
    keep_written_form(connection, &mut rebuilt, told).await?;
    match rebuilt.status {
        PreauthStatus::Pending => give_up(connection, &mut rebuilt, now).await?,
        PreauthStatus::Authorized => end_closers(connection, &rebuilt, now).await?,
        _ => {}
    }
    preauths::save(connection, &rebuilt, now).await?;
    let told = events::last_status(connection, key).await?.filter(|told| *told != rebuilt.status);
    if told.is_some() {
        let kind = EventKind::of_status(rebuilt.status);
        events::insert_correction(connection, &rebuilt, kind, told, now).await?;
    }
    Ok(rebuilt)
}

/// Whether its caller was told that it failed or was dropped: should it be locked all the same, it goes back at once. A
/// lock under other terms is another's: nobody was told anything about that one.
async fn is_unwanted(connection: &mut Connection, told: &Preauth) -> Result<bool, StoreError> {
    let ended_unlocked = matches!(told.status, PreauthStatus::Rejected | PreauthStatus::Cancelled)
        && told.lock_transaction.is_none()
        && told.failure != Some(CallFailure::TermsMismatch);
    let lock = operations::newest_of(connection, told.key, true).await?;
    Ok(ended_unlocked && lock.is_some_and(|lock| lock.state != OperationState::Done))
}

/// The chain knows base units; how the amount was written is kept where it is known.
async fn keep_written_form(
    connection: &mut Connection,
    rebuilt: &mut Preauth,
    told: &Preauth,
) -> Result<(), StoreError> {
    let Some(settlement) = &mut rebuilt.settlement else { return Ok(()) };
    if let Some(known) = told.settlement.filter(|known| known.amount == settlement.amount) {
        settlement.written = known.written;
        return Ok(());
    }
    let all = operations::all_of(connection, told.key).await?;
    let written = all.iter().filter(|one| one.kind == OperationKind::Settle).find_map(|one| {
        one.amount.filter(|(units, _)| *units == settlement.amount).map(|(_, written)| written)
    });
    settlement.written = written.unwrap_or(settlement.written);
    Ok(())
}

/// Nothing of it is on chain: what is still about to lock it goes on, anything else ends, and it with that.
async fn give_up(connection: &mut Connection, preauth: &mut Preauth, now: Millis) -> Result<(), StoreError> {
    let open = operations::open_of(connection, preauth.key).await?;
    let is_about_to_lock = open.is_some_and(|open| open.kind == OperationKind::Authorize);
    for operation in operations::all_of(connection, preauth.key).await? {
        let goes_on = operation.state.is_open() && operation.kind == OperationKind::Authorize;
        let has_ended = matches!(operation.state, OperationState::Failed | OperationState::Superseded);
        if !goes_on && !has_ended {
            operations::set_state(connection, operation.id, OperationState::Superseded, None, now).await?;
        }
    }
    if is_about_to_lock {
        return Ok(());
    }
    if let Ok(status) = preauth.status.after(PreauthEvent::LockFailed) {
        preauth.status = status;
    }
    preauth.schedule = None;
    preauth.cancel_requested = false;
    preauth.failure = Some(CallFailure::Other("its lock is not on chain".into()));
    Ok(())
}

/// It is open, so no settlement, cancel or expiry of it was ever done.
async fn end_closers(connection: &mut Connection, preauth: &Preauth, now: Millis) -> Result<(), StoreError> {
    for operation in operations::all_of(connection, preauth.key).await? {
        if operation.kind != OperationKind::Authorize && operation.state == OperationState::Done {
            operations::set_state(connection, operation.id, OperationState::Superseded, None, now).await?;
        }
    }
    Ok(())
}
