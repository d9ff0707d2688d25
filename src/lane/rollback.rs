//! Taking blocks back after a reorg, in one change: outcomes are undone, and what carried them may be mined again.

use std::collections::BTreeMap;

use super::endings::fail;
use crate::model::{
    EventKind, Millis, Operation, OperationKind, OperationState, PreauthEvent, PreauthKey, PreauthStatus,
};
use crate::store::outcomes::OutcomeKind;
use crate::store::{
    Connection, Steps, StoreError, batches, block_times, blocks, events, operations, outcomes, preauths,
    refunds,
};

/// Takes back every block above `number`: outcomes are undone, newest first, and the batches they came from are open
/// again. Returns the preauths that changed, and tells the merchant of each, once. What cannot be read is a step left out.
pub(super) async fn roll_back_to(
    connection: &mut Connection,
    number: u64,
    now: Millis,
    steps: &mut Steps,
) -> Result<Vec<PreauthKey>, StoreError> {
    // What each was before the first of its outcomes was undone.
    let mut before = BTreeMap::new();
    for (key, kind) in outcomes::take_above(connection, number).await? {
        steps.begin(connection).await?;
        let mut was = None;
        let undone = undo(connection, key, kind, &mut was, now).await;
        steps.end(connection, undone).await?;
        let first = before.entry(key).or_insert(was);
        *first = first.or(was);
    }
    for batch in batches::reopen_above(connection, number, now).await? {
        for operation in operations::of_batch(connection, batch).await? {
            match operation {
                Err(unreadable) => steps.leave_out(unreadable)?,
                Ok(operation) if operation.batch == Some(batch) => {
                    steps.begin(connection).await?;
                    let reopened = reopen(connection, &operation, now).await;
                    steps.end(connection, reopened).await?;
                }
                Ok(_) => {}
            }
        }
    }
    // What was done by somebody else's transaction, or by a batch that is still open, is in no batch reopened here.
    for (key, was) in &before {
        steps.begin(connection).await?;
        let taken_up = take_up_again(connection, *key, *was, now).await;
        steps.end(connection, taken_up).await?;
    }
    blocks::delete_above(connection, number).await?;
    block_times::delete_above(connection, number).await?;
    refunds::forget_claims_above(connection, number).await?;
    Ok(before.into_keys().collect())
}

async fn undo(
    connection: &mut Connection,
    key: PreauthKey,
    kind: OutcomeKind,
    was: &mut Option<PreauthStatus>,
    now: Millis,
) -> Result<(), StoreError> {
    let mut preauth = preauths::by_key(connection, key).await?;
    *was = Some(preauth.status);
    let event = match kind {
        OutcomeKind::Locked => {
            preauth.lock_transaction = None;
            Some(PreauthEvent::LockUndone)
        }
        OutcomeKind::Settled | OutcomeKind::Cancelled | OutcomeKind::Expired => {
            preauth.settlement = None;
            preauth.close_transaction = None;
            Some(PreauthEvent::CloseUndone)
        }
        OutcomeKind::LockFailed => {
            preauth.failure = None;
            Some(PreauthEvent::LockFailureUndone)
        }
        OutcomeKind::RefundDeferred => {
            preauth.deferred_refund = None;
            refunds::delete(connection, key).await?;
            None
        }
        OutcomeKind::CallFailed => {
            preauth.failure = None;
            None
        }
    };
    if let Some(event) = event {
        match preauth.status.after(event) {
            Ok(status) => preauth.status = status,
            Err(error) => tracing::error!(invoice = %preauth.invoice, %error, "an outcome cannot be undone"),
        }
    }
    if kind == OutcomeKind::Locked
        && let Some(open) = operations::open_of(connection, preauth.key).await?
    {
        operations::set_state(connection, open.id, OperationState::Parked, None, now).await?;
    }
    preauths::save(connection, &preauth, now).await
}

/// An operation whose batch is open again travels with it, unless its preauth has another open operation or waits for
/// its own lock. Its failure stays noted: its caller was told.
async fn reopen(connection: &mut Connection, operation: &Operation, now: Millis) -> Result<(), StoreError> {
    if !matches!(operation.state, OperationState::Done | OperationState::Failed | OperationState::Due) {
        return Ok(());
    }
    let preauth = preauths::by_key(connection, operation.preauth).await?;
    if !preauth.admits(operation.kind) {
        return Ok(());
    }
    let others = operations::open_of(connection, operation.preauth).await?;
    let has_other = others.is_some_and(|open| open.id != operation.id);
    if has_other && operation.state == OperationState::Failed {
        // It was retried since. Should it land after all, its log will tell.
        return Ok(());
    }
    let lacks_lock = preauth.lock_transaction.is_none() && operation.kind != OperationKind::Authorize;
    let state = if has_other || lacks_lock { OperationState::Parked } else { OperationState::Batched };
    operations::set_state(connection, operation.id, state, operation.failure.as_ref(), now).await
}

/// A preauth that lost an outcome: where nothing is open, what brought the outcome about is open again. Its merchant is told
/// what it has come back to.
async fn take_up_again(
    connection: &mut Connection,
    key: PreauthKey,
    was: Option<PreauthStatus>,
    now: Millis,
) -> Result<(), StoreError> {
    let preauth = preauths::by_key(connection, key).await?;
    let is_open = operations::open_of(connection, key).await?.is_some();
    let lost = match preauth.status {
        _ if is_open => None,
        PreauthStatus::Pending => operations::newest_of(connection, key, true).await?,
        PreauthStatus::Authorized => operations::newest_of(connection, key, false).await?,
        _ => None,
    };
    let Some(operation) = lost else {
        return events::insert_correction(connection, &preauth, EventKind::Reorged, was, now).await;
    };
    let state = if batches::is_in_flight(connection, &operation).await? {
        OperationState::Batched
    } else if let Some(failure) = &operation.failure {
        // Its caller was told that it failed, and nothing signed can make that untrue.
        events::insert_correction(connection, &preauth, EventKind::Reorged, was, now).await?;
        return fail(connection, preauth, &operation, failure, false, now).await;
    } else {
        OperationState::Due
    };
    operations::set_state(connection, operation.id, state, operation.failure.as_ref(), now).await?;
    events::insert_correction(connection, &preauth, EventKind::Reorged, was, now).await
}
