//! What a block did to our preauths, written down in one change: the only place where on-chain outcomes become state.

use crate::chain::{BlockHeader, EscrowEvent, EscrowLog, Receipt};
use crate::model::{
    BaseUnits, BatchId, CallFailure, EventKind, HoldEvent, Millis, Operation, OperationKind, OperationState,
    Preauth, PreauthEvent, PreauthKey, PreauthStatus, Settlement, TokenAmount,
};
use crate::store::blocks::Block;
use crate::store::operations::Unfinished;
use crate::store::outcomes::{Outcome, OutcomeKind, Position};
use crate::store::{
    Connection, Steps, StoreError, batches, block_times, blocks, operations, outcomes, preauths, refunds,
};

use super::endings::{carried_without_effect, fail, is_final, is_too_early, resume_parked};
use super::holds::Holds;
use super::journal::Journal;

/// A block with all that matters in it, fetched before the change is written.
#[derive(Debug, Clone)]
pub(super) struct BlockChanges {
    pub header: BlockHeader,
    pub logs: Vec<EscrowLog>,
    pub mined: Vec<MinedBatch>,
    /// Blocks below this height are too deep to matter and are forgotten.
    pub forget_below: u64,
}

/// A batch of ours whose attempt is in the block.
#[derive(Debug, Clone)]
pub(super) struct MinedBatch {
    pub batch: BatchId,
    pub receipt: Receipt,
    /// Why a transaction of a single call failed, where that could be found out.
    pub failure: Option<CallFailure>,
}

/// Takes a block in. Returns the preauths that changed. What the chain did to a preauth whose rows cannot be read is a
/// step left out: it cannot be applied to them, and it must not hold up what the chain did to the others.
pub(super) async fn take_in(
    connection: &mut Connection,
    changes: &BlockChanges,
    now: Millis,
    steps: &mut Steps,
) -> Result<Vec<PreauthKey>, StoreError> {
    let mut changed = Vec::new();
    let mut journal = Journal::of_block(connection, changes.header.number, now).await?;
    let mut holds = Holds::of(connection, &changes.logs).await?;
    for log in &changes.logs {
        steps.begin(connection).await?;
        let applied = apply_log(connection, changes, log, &mut holds, &mut journal, &mut changed).await;
        journal.end_step(connection, steps, applied).await?;
    }
    journal.write(connection).await?;
    for mined in &changes.mined {
        close_batch(connection, changes, mined, now, &mut changed, steps).await?;
    }
    let header = &changes.header;
    let block = Block { number: header.number, hash: header.hash, timestamp: header.timestamp };
    blocks::insert(connection, &block).await?;
    if !changes.logs.is_empty() || !changes.mined.is_empty() {
        block_times::note(connection, header.number, Some(header.timestamp)).await?;
    }
    blocks::delete_below(connection, changes.forget_below).await?;
    Ok(changed)
}

async fn apply_log(
    connection: &mut Connection,
    changes: &BlockChanges,
    log: &EscrowLog,
    holds: &mut Holds,
    journal: &mut Journal,
    changed: &mut Vec<PreauthKey>,
) -> Result<(), StoreError> {
    let Some((preauth, unfinished)) = holds.take(connection, log, journal).await? else {
        tracing::debug!(preauth_id = %log.preauth_id, "a log of the escrow is about no preauth of this database");
        return Ok(());
    };
    let position = Position {
        block: changes.header.number,
        log: i64::try_from(log.index).unwrap_or(i64::MAX),
        transaction: log.transaction,
    };
    let event = match &log.event {
        EscrowEvent::Locked { terms } => HoldEvent::Locked(*terms),
        EscrowEvent::Settled { amount } => HoldEvent::Settled(*amount),
        EscrowEvent::Cancelled => HoldEvent::Cancelled,
        EscrowEvent::Expired => HoldEvent::Expired,
        EscrowEvent::RefundDeferred { amount } => HoldEvent::RefundDeferred(*amount),
        EscrowEvent::CallFailed { kind, failure } => {
            return apply_failed_call(
                connection,
                changes,
                log,
                (*kind, failure),
                &position,
                (preauth, unfinished),
                journal.now(),
                changed,
            )
            .await;
        }
    };
    let key = preauth.key;
    match apply_hold_event(connection, journal, preauth, unfinished, event, &position).await? {
        Applied::Nothing => {}
        Applied::Quietly => changed.push(key),
        Applied::Moved(mut preauth, kind) => {
            changed.push(key);
            // The log of a refund that was put off follows that of the close: both are one thing to a merchant.
            preauth.deferred_refund = deferred_with(changes, log).or(preauth.deferred_refund);
            journal.tell(*preauth, kind);
        }
    }
    Ok(())
}

/// What of a refund was put off in the call that a log is about.
fn deferred_with(changes: &BlockChanges, log: &EscrowLog) -> Option<BaseUnits> {
    let same = |other: &&EscrowLog| {
        (other.escrow, other.preauth_id, other.transaction) == (log.escrow, log.preauth_id, log.transaction)
    };
    changes.logs.iter().filter(same).find_map(|other| match other.event {
        EscrowEvent::RefundDeferred { amount } => Some(amount),
        _ => None,
    })
}

/// What a log made of a preauth.
pub(super) enum Applied {
    /// It was known already, or cannot be.
    Nothing,
    /// Something that has no event of its own, or that was told of already.
    Quietly,
    /// Its status moved: this is what it is now, and what its merchant is to be told.
    Moved(Box<Preauth>, EventKind),
}

/// Moves a preauth by what the chain did to its hold, in the journal. Tells nobody: the observer does, a rebuild does not.
pub(super) async fn apply_hold_event(
    connection: &mut Connection,
    journal: &mut Journal,
    mut preauth: Preauth,
    unfinished: Unfinished,
    event: HoldEvent,
    position: &Position,
) -> Result<Applied, StoreError> {
    if journal.knows(position) {
        return Ok(Applied::Nothing);
    }
    let (kind, arrow, told) = match event {
        HoldEvent::Locked(terms) if terms != preauth.terms() => {
            return refuse_foreign_lock(connection, journal, preauth, unfinished, position).await;
        }
        HoldEvent::Locked(_) => (OutcomeKind::Locked, PreauthEvent::Locked, EventKind::Authorized),
        HoldEvent::Settled(_) => (OutcomeKind::Settled, PreauthEvent::Settled, EventKind::Settled),
        HoldEvent::Cancelled => (OutcomeKind::Cancelled, PreauthEvent::Cancelled, EventKind::Cancelled),
        HoldEvent::Expired => (OutcomeKind::Expired, PreauthEvent::Expired, EventKind::Expired),
        HoldEvent::RefundDeferred(amount) => {
            journal.note(Outcome {
                preauth: preauth.key,
                kind: OutcomeKind::RefundDeferred,
                position: *position,
            });
            preauth.deferred_refund = Some(amount);
            journal.save(&preauth);
            refunds::insert(connection, &preauth).await?;
            return Ok(Applied::Quietly);
        }
    };
    journal.note(Outcome { preauth: preauth.key, kind, position: *position });
    // Its caller was told that it failed, or it was dropped, and it landed all the same: nobody wants it any more.
    if arrow == PreauthEvent::Locked && (preauth.status != PreauthStatus::Pending || was_told(&unfinished)) {
        preauth.cancel_requested = true;
    }
    match preauth.status.after(arrow) {
        Ok(status) => preauth.status = status,
        Err(error) => {
            // The chain decides; that the database thought otherwise is for the reconciliation to explain.
            tracing::error!(invoice = %preauth.invoice, preauth_id = %preauth.preauth_id, %error, "the database disagrees with the chain");
            return Ok(Applied::Nothing);
        }
    }
    preauth.failure = None;
    if let HoldEvent::Locked(_) = event {
        preauth.lock_transaction = Some(position.transaction);
        journal.save(&preauth);
        follow_lock(connection, journal, &preauth, unfinished).await?;
    } else {
        preauth.close_transaction = Some(position.transaction);
        let (closer, amount) = match event {
            HoldEvent::Settled(amount) => (OperationKind::Settle, Some(amount)),
            HoldEvent::Cancelled => (OperationKind::Cancel, None),
            _ => (OperationKind::Expire, None),
        };
        let written = close_operations(journal, unfinished, closer, amount);
        if let Some(amount) = amount {
            let written = written.unwrap_or_else(|| amount.in_tokens(preauth.decimals));
            preauth.settlement = Some(Settlement { amount, written });
        }
        journal.save(&preauth);
    }
    Ok(Applied::Moved(Box::new(preauth), told))
}

/// Whether the lock's caller was told, before a reorg, that it had failed.
fn was_told(unfinished: &Unfinished) -> bool {
    let open = unfinished.open.as_ref();
    open.is_some_and(|open| open.kind == OperationKind::Authorize && open.failure.is_some())
}

/// A hold was locked under our preauth id with other terms: by a database that knew the invoice otherwise (an old backup
/// was restored). The row cannot stand for that hold.
async fn refuse_foreign_lock(
    connection: &mut Connection,
    journal: &mut Journal,
    mut preauth: Preauth,
    unfinished: Unfinished,
    position: &Position,
) -> Result<Applied, StoreError> {
    tracing::error!(invoice = %preauth.invoice, preauth_id = %preauth.preauth_id,
        "a hold was locked under this preauth id with other terms");
    journal.note(Outcome { preauth: preauth.key, kind: OutcomeKind::LockFailed, position: *position });
    let failure = CallFailure::TermsMismatch;
    match unfinished.open {
        Some(open) if open.kind == OperationKind::Authorize => {
            fail(connection, preauth, &open, &failure, false, journal.now()).await?;
        }
        _ => {
            preauth.failure = Some(failure);
            journal.save(&preauth);
        }
    }
    Ok(Applied::Quietly)
}

/// What has waited for the lock: a cancel that came too early to be dropped, or an operation a reorg had parked.
async fn follow_lock(
    connection: &mut Connection,
    journal: &mut Journal,
    preauth: &Preauth,
    mut unfinished: Unfinished,
) -> Result<(), StoreError> {
    if let Some(lock) = unfinished.open.take_if(|open| open.kind == OperationKind::Authorize) {
        journal.end(lock.id, true);
    }
    if !preauth.cancel_requested && unfinished.parked.is_empty() {
        return Ok(());
    }
    // A preauth has one open operation: the lock ends before another is.
    journal.write(connection).await?;
    let now = journal.now();
    if preauth.cancel_requested {
        // What is signed may still land; what is not must not overtake the cancel.
        for parked in unfinished.parked {
            if !batches::is_in_flight(connection, &parked).await? {
                operations::set_state(connection, parked.id, OperationState::Superseded, None, now).await?;
            }
        }
        operations::insert(connection, preauth.key, OperationKind::Cancel, None, preauth.expires_at, now)
            .await?;
        return Ok(());
    }
    resume_parked(connection, preauth, unfinished, now).await
}

/// Ends the operations of a preauth that was closed: the one that did it is done, any other came too late. Returns the
/// settled amount as it was written, where an operation of ours settled it.
fn close_operations(
    journal: &mut Journal,
    unfinished: Unfinished,
    kind: OperationKind,
    amount: Option<BaseUnits>,
) -> Option<TokenAmount> {
    let mut written = None;
    for operation in unfinished.open.into_iter().chain(unfinished.parked) {
        let did_it = operation.kind == kind && operation.amount.map(|(units, _)| units) == amount;
        journal.end(operation.id, did_it);
        written = written.or(operation.amount.filter(|_| did_it).map(|(_, written)| written));
    }
    written
}

#[allow(clippy::too_many_arguments)]
async fn apply_failed_call(
    connection: &mut Connection,
    changes: &BlockChanges,
    log: &EscrowLog,
    (kind, failure): (OperationKind, &CallFailure),
    position: &Position,
    (preauth, unfinished): (Preauth, Unfinished),
    now: Millis,
    changed: &mut Vec<PreauthKey>,
) -> Result<(), StoreError> {
    // Anyone can send a batch whose calls fail; only what our own transactions say is about our operations.
    let Some(mined) = changes.mined.iter().find(|mined| mined.receipt.transaction == log.transaction) else {
        return Ok(());
    };
    let Some(operation) = unfinished.open.filter(|open| open.kind == kind && open.batch == Some(mined.batch))
    else {
        return Ok(());
    };
    fail_mined(connection, changes, preauth, &operation, failure, position, now, changed).await
}

/// An operation was mined in our own transaction and failed. An expiry that came too early is begun again by the sweep
/// when its time has come.
#[allow(clippy::too_many_arguments)]
async fn fail_mined(
    connection: &mut Connection,
    changes: &BlockChanges,
    preauth: Preauth,
    operation: &Operation,
    failure: &CallFailure,
    position: &Position,
    now: Millis,
    changed: &mut Vec<PreauthKey>,
) -> Result<(), StoreError> {
    let outcome = match operation.kind {
        OperationKind::Authorize => OutcomeKind::LockFailed,
        _ => OutcomeKind::CallFailed,
    };
    if !preauth.admits(operation.kind) || is_too_early(operation.kind, failure) {
        operations::set_state(connection, operation.id, OperationState::Superseded, None, now).await
    } else if is_final(operation.kind, failure) {
        let outcome = Outcome { preauth: preauth.key, kind: outcome, position: *position };
        outcomes::insert(connection, &[outcome]).await?;
        changed.push(preauth.key);
        let schedule_is_due =
            preauth.schedule.is_some_and(|schedule| schedule.settle_at <= changes.header.timestamp);
        fail(connection, preauth, operation, failure, schedule_is_due, now).await
    } else {
        carried_without_effect(connection, operation, now).await
    }
}

/// A batch of ours was mined: whatever its logs did not decide is due again.
async fn close_batch(
    connection: &mut Connection,
    changes: &BlockChanges,
    mined: &MinedBatch,
    now: Millis,
    changed: &mut Vec<PreauthKey>,
    steps: &mut Steps,
) -> Result<(), StoreError> {
    let receipt = &mined.receipt;
    let record = batches::Mined {
        block: changes.header.number,
        transaction: receipt.transaction,
        succeeded: receipt.succeeded,
        gas_used: receipt.gas_used,
        effective_gas_price: receipt.effective_gas_price,
    };
    batches::mark_mined(connection, mined.batch, &record, now).await?;
    for operation in operations::of_batch(connection, mined.batch).await? {
        match operation {
            Err(unreadable) => steps.leave_out(unreadable)?,
            Ok(operation) if operation.batch == Some(mined.batch) => {
                steps.begin(connection).await?;
                let closed = close_item(connection, changes, mined, &operation, now, changed).await;
                steps.end(connection, closed).await?;
            }
            Ok(_) => {}
        }
    }
    Ok(())
}

/// An operation whose batch was mined.
async fn close_item(
    connection: &mut Connection,
    changes: &BlockChanges,
    mined: &MinedBatch,
    operation: &Operation,
    now: Millis,
    changed: &mut Vec<PreauthKey>,
) -> Result<(), StoreError> {
    if operation.state == OperationState::Parked {
        let preauth = preauths::by_key(connection, operation.preauth).await?;
        let unfinished = operations::unfinished_of(connection, preauth.key).await?;
        return resume_parked(connection, &preauth, unfinished, now).await;
    }
    if operation.state != OperationState::Batched {
        return Ok(());
    }
    let Some(failure) = &mined.failure else {
        return carried_without_effect(connection, operation, now).await;
    };
    let preauth = preauths::by_key(connection, operation.preauth).await?;
    let position = Position {
        block: changes.header.number,
        // No log tells of it: a place of its own, below those of logs.
        log: -1 - i64::try_from(mined.receipt.index).unwrap_or(i64::MAX - 1),
        transaction: mined.receipt.transaction,
    };
    fail_mined(connection, changes, preauth, operation, failure, &position, now, changed).await
}
