//! Give everything back to the payer before expiry.

use futures::FutureExt;

use super::settle::{Begun, begun_before, begun_or_busy};
use super::unclaimed::by_invoice;
use super::wait::{OperationEnd, not_authorized};
use super::{Ending, Fault, Preauths, Refusal, Snapshot, Stop, Wait};
use crate::model::{
    EventKind, InvoiceId, Millis, OperationKind, OperationState, Preauth, PreauthEvent, PreauthKey,
    PreauthStatus, Tenant, TenantId,
};
use crate::store::{Connection, StoreError, batches, events, operations, preauths};

/// What a cancel found.
enum Found {
    /// Cancelled before, or dropped just now.
    Cancelled(Box<Snapshot>),
    /// Signed but not locked: it is cancelled as soon as it is.
    AfterLock(PreauthKey),
    Begun(Begun),
}

impl Preauths {
    /// Cancels: drops what is not signed yet, returns what is locked. Repeating it gives the same answer.
    ///
    /// # Errors
    /// A [`Fault`] of the database.
    pub async fn cancel(&self, tenant: &Tenant, invoice: &InvoiceId, wait: Wait) -> Result<Ending, Fault> {
        self.ended(self.try_cancel(tenant.id, invoice, wait).await)
    }

    async fn try_cancel(&self, tenant: TenantId, invoice: &InvoiceId, wait: Wait) -> Result<Ending, Stop> {
        self.accepts_work()?;
        let until = self.patience(wait);
        loop {
            match self.begin_cancellation(tenant, invoice.clone()).await? {
                Found::Cancelled(snapshot) => return Ok(Ending::Done(snapshot)),
                Found::AfterLock(key) | Found::Begun(Begun::Operation(key, _)) if wait == Wait::No => {
                    return Ok(Ending::Accepted(Box::new(self.snapshot(key).await?)));
                }
                Found::Begun(Begun::Busy(_, kind)) if wait == Wait::No => {
                    return Err(Refusal::Busy(kind).into());
                }
                Found::AfterLock(key) => return self.follow(key, wait, cancelled).await,
                Found::Begun(Begun::Operation(key, operation) | Begun::Before(key, operation)) => {
                    let end = self.follow_operation(key, operation, until).await?;
                    return self.cancellation_ending(key, end).await;
                }
                Found::Begun(Begun::Busy(key, kind)) => {
                    if !self.until_decided(key, until).await? {
                        return Err(Refusal::Busy(kind).into());
                    }
                }
            }
        }
    }

    async fn begin_cancellation(&self, tenant: TenantId, invoice: InvoiceId) -> Result<Found, Stop> {
        let (now, once) = (self.inner.clock.wall(), self.once);
        let found = self
            .inner
            .store
            .write(move |tx| {
                async move {
                    if let Some(before) = begun_before(tx, once).await? {
                        return Ok(Found::Begun(before));
                    }
                    let mut preauth = by_invoice(tx, tenant, &invoice).await?.ok_or(Refusal::NotFound)?;
                    match preauth.status {
                        PreauthStatus::Cancelled => {
                            // Somebody else's cancel can be undone by a reorg, and with it what the merchant is told now.
                            preauth.cancel_requested = true;
                            preauth.schedule = None;
                            preauths::save(tx, &preauth, now).await?;
                            Ok::<_, Stop>(Found::Cancelled(Box::new(Snapshot::read(tx, preauth).await?)))
                        }
                        PreauthStatus::Pending => Ok(withdraw_lock(tx, preauth, now).await?),
                        PreauthStatus::Authorized => {
                            let (key, deadline) = (preauth.key, preauth.expires_at);
                            let kind = OperationKind::Cancel;
                            let begun = operations::insert(tx, key, kind, None, deadline, now).await?;
                            Ok(Found::Begun(begun_or_busy(tx, once, key, begun).await?))
                        }
                        other => Err(not_authorized(other).into()),
                    }
                }
                .boxed()
            })
            .await?;
        if let Found::Cancelled(snapshot) = &found {
            self.inner.signals.changed([snapshot.preauth.key]);
        }
        self.inner.signals.work_arrived();
        Ok(found)
    }

    async fn cancellation_ending(&self, key: PreauthKey, end: Option<OperationEnd>) -> Result<Ending, Stop> {
        let snapshot = self.snapshot(key).await?;
        match end {
            None => Ok(Ending::Accepted(Box::new(snapshot))),
            Some(OperationEnd::Done) => Ok(Ending::Done(Box::new(snapshot))),
            Some(OperationEnd::Beaten) => Err(not_authorized(snapshot.preauth.status).into()),
            Some(OperationEnd::Failed { failure, .. }) => Err(Refusal::CancellationFailed(failure).into()),
        }
    }
}

/// A lock that nothing signed holds any more is dropped (should it land after a reorg, the observer has it cancelled);
/// one that is in flight is cancelled once it has landed.
async fn withdraw_lock(tx: &mut Connection, mut preauth: Preauth, now: Millis) -> Result<Found, StoreError> {
    let open = operations::open_of(tx, preauth.key).await?;
    let lock = match open {
        Some(open) if open.state == OperationState::Due && !batches::is_in_flight(tx, &open).await? => {
            Some(open)
        }
        _ => None,
    };
    if let Some(lock) = lock
        && let Ok(status) = preauth.status.after(PreauthEvent::Dropped)
    {
        operations::set_state(tx, lock.id, OperationState::Superseded, None, now).await?;
        preauth.status = status;
        preauth.schedule = None;
        preauths::save(tx, &preauth, now).await?;
        events::insert(tx, &preauth, EventKind::Cancelled, now).await?;
        return Ok(Found::Cancelled(Box::new(Snapshot::read(tx, preauth).await?)));
    }
    preauth.cancel_requested = true;
    preauth.schedule = None;
    preauths::save(tx, &preauth, now).await?;
    Ok(Found::AfterLock(preauth.key))
}

fn cancelled(snapshot: &Snapshot) -> Option<Result<(), Refusal>> {
    match snapshot.preauth.status {
        PreauthStatus::Pending | PreauthStatus::Authorized => None,
        PreauthStatus::Cancelled => Some(Ok(())),
        other => Some(Err(not_authorized(other))),
    }
}
