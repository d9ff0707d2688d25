//! How operations end or go on where no log of the chain says so: failed, carried without effect, parked and resumed.

use super::backoff;
use crate::model::{
    BatchId, CallFailure, ChainTime, Disposition, EventKind, Millis, Operation, OperationKind,
    OperationState, Preauth, PreauthEvent, PreauthStatus,
};
use crate::store::blocks::Block;
use crate::store::operations::Unfinished;
use crate::store::{Connection, Steps, StoreError, batches, blocks, due, events, operations, preauths};

/// Tries after which an expiry is forlorn: long enough for a node that lags by a block or two, and for the log of somebody
/// else's `expire` to be read.
const FORLORN_TRIES: u32 = 4;

/// Whether a failure ends an operation. An expiry is never given up: it is the payer's money.
pub(super) fn is_final(kind: OperationKind, failure: &CallFailure) -> bool {
    // Only an expiry can be too early by the contract; a token that says so of another call has its own reasons.
    let fails = failure.disposition() == Disposition::Fail || *failure == CallFailure::NotExpired;
    kind != OperationKind::Expire && fails
}

/// An expiry that came too early is given up: the sweep begins it again when its time has come.
pub(super) fn is_too_early(kind: OperationKind, failure: &CallFailure) -> bool {
    kind == OperationKind::Expire && *failure == CallFailure::NotExpired
}

/// An expiry of a hold that the chain has shown `tries` times not to be open, although no log told of its end, is
/// [forlorn](give_up_for_now): the row, not the hold, is what is wrong.
pub(super) fn is_forlorn(kind: OperationKind, failure: &CallFailure, tries: u32) -> bool {
    kind == OperationKind::Expire && *failure == CallFailure::NotOpen && tries >= FORLORN_TRIES
}

/// Gives an expiry up, so that it no longer keeps the place of another; the sweep begins it again later, after longer and
/// longer pauses.
pub(super) async fn give_up_for_now(
    connection: &mut Connection,
    preauth: &Preauth,
    operation: &Operation,
    failure: &CallFailure,
    chain_now: ChainTime,
    now: Millis,
) -> Result<(), StoreError> {
    let before = operations::count_forlorn(connection, preauth.key).await?;
    let pause = backoff::forlorn_seconds(before);
    tracing::warn!(invoice = %preauth.invoice, %failure, pause, "the chain knows of no open hold: its return is put off");
    due::put_off_release(connection, preauth.key, chain_now.saturating_add(pause)).await?;
    operations::set_state(connection, operation.id, OperationState::Failed, Some(failure), now).await
}

/// Ends an operation as failed, and with it, where it was the lock, its preauth.
pub(super) async fn fail(
    connection: &mut Connection,
    mut preauth: Preauth,
    operation: &Operation,
    failure: &CallFailure,
    schedule_is_due: bool,
    now: Millis,
) -> Result<(), StoreError> {
    operations::set_state(connection, operation.id, OperationState::Failed, Some(failure), now).await?;
    if operation.kind == OperationKind::Authorize {
        match preauth.status.after(PreauthEvent::LockFailed) {
            Ok(status) => preauth.status = status,
            Err(error) => {
                tracing::error!(invoice = %preauth.invoice, %error, "a lock failed that cannot have")
            }
        }
    }
    // Otherwise the schedule, or the wish to cancel, would ask for the same failure again with every block.
    if operation.kind == OperationKind::Settle && schedule_is_due {
        preauth.schedule = None;
    }
    if operation.kind == OperationKind::Cancel {
        preauth.cancel_requested = false;
    }
    preauth.failure = Some(failure.clone());
    preauths::save(connection, &preauth, now).await?;
    let unfinished = operations::unfinished_of(connection, preauth.key).await?;
    if preauth.status == PreauthStatus::Rejected {
        for parked in unfinished.parked {
            operations::set_state(connection, parked.id, OperationState::Superseded, None, now).await?;
        }
    } else {
        resume_parked(connection, &preauth, unfinished, now).await?;
    }
    let told = match operation.kind {
        OperationKind::Authorize => EventKind::Rejected,
        OperationKind::Settle => EventKind::SettlementFailed,
        // A cancel that failed changes nothing, and an expiry is tried again.
        OperationKind::Cancel | OperationKind::Expire => return Ok(()),
    };
    events::insert(connection, &preauth, told, now).await
}

/// A transaction carried an operation and nothing came of it: it is due again, unless its caller was told before a reorg
/// that it failed, or it can no longer do anything.
pub(super) async fn carried_without_effect(
    connection: &mut Connection,
    operation: &Operation,
    now: Millis,
) -> Result<(), StoreError> {
    let preauth = preauths::by_key(connection, operation.preauth).await?;
    if !preauth.admits(operation.kind) {
        return operations::set_state(connection, operation.id, OperationState::Superseded, None, now).await;
    }
    match &operation.failure {
        Some(failure) => fail(connection, preauth, operation, failure, false, now).await,
        None => {
            let at = backoff::after_failure(now, operation.tries);
            operations::make_due(connection, operation.id, at, now).await
        }
    }
}

/// Lets the newest parked operation of an AUTHORIZED preauth go on, where nothing else is open.
pub(super) async fn resume_parked(
    connection: &mut Connection,
    preauth: &Preauth,
    unfinished: Unfinished,
    now: Millis,
) -> Result<(), StoreError> {
    if preauth.status != PreauthStatus::Authorized || unfinished.open.is_some() {
        return Ok(());
    }
    let Some(parked) = unfinished.parked.into_iter().next() else { return Ok(()) };
    let state = if batches::is_in_flight(connection, &parked).await? {
        OperationState::Batched
    } else {
        OperationState::Due
    };
    operations::set_state(connection, parked.id, state, parked.failure.as_ref(), now).await
}

/// A transaction that is not ours took a batch's nonce, as the chain up to block `tip` shows: its operations are due
/// again. Nothing happens (`false`) where that block is no longer the newest, or the batch was mined after all.
pub(super) async fn lose_batch(
    connection: &mut Connection,
    batch: BatchId,
    tip: &Block,
    now: Millis,
    steps: &mut Steps,
) -> Result<bool, StoreError> {
    let newest = blocks::tip(connection).await?;
    if newest.is_none_or(|newest| newest.hash != tip.hash) || !batches::is_open(connection, batch).await? {
        return Ok(false);
    }
    batches::mark_lost(connection, batch, tip.number, now).await?;
    for operation in operations::of_batch(connection, batch).await? {
        match operation {
            Err(unreadable) => steps.leave_out(unreadable)?,
            Ok(operation) if operation.batch == Some(batch) => {
                steps.begin(connection).await?;
                let lost = lose_item(connection, &operation, now).await;
                steps.end(connection, lost).await?;
            }
            Ok(_) => {}
        }
    }
    Ok(true)
}

async fn lose_item(
    connection: &mut Connection,
    operation: &Operation,
    now: Millis,
) -> Result<(), StoreError> {
    match operation.state {
        OperationState::Batched => carried_without_effect(connection, operation, now).await,
        OperationState::Parked => {
            let preauth = preauths::by_key(connection, operation.preauth).await?;
            let unfinished = operations::unfinished_of(connection, preauth.key).await?;
            resume_parked(connection, &preauth, unfinished, now).await
        }
        _ => Ok(()),
    }
}
