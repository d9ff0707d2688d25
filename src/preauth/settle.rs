//! Pay the receiver all or part of a hold, now or on schedule.

use futures::FutureExt;

use super::terms::{in_base_units, settlement_time};
use super::unclaimed::by_invoice;
use super::wait::{OperationEnd, not_authorized};
use super::{Ending, Fault, Preauths, Refusal, RequestedTime, Snapshot, Stop, Wait};
use crate::model::{
    CallFailure, ChainTime, InvoiceId, Once, OperationId, OperationKind, Preauth, PreauthKey, PreauthStatus,
    Schedule, Tenant, TenantId, TokenAmount,
};
use crate::store::{Connection, StoreError, idempotency, operations, preauths};

/// What the attempt to begin an operation found.
pub(super) enum Begun {
    Operation(PreauthKey, OperationId),
    /// An earlier run of the same request began it.
    Before(PreauthKey, OperationId),
    /// Another operation is being decided; it may fail, so this one has to wait for it.
    Busy(PreauthKey, OperationKind),
}

impl Preauths {
    /// Settles now, or, with a time, schedules the settlement (an earlier schedule is replaced).
    ///
    /// # Errors
    /// A [`Fault`] of the database.
    pub async fn settle(
        &self,
        tenant: &Tenant,
        invoice: &InvoiceId,
        amount: TokenAmount,
        settle_at: RequestedTime,
        wait: Wait,
    ) -> Result<Ending, Fault> {
        self.ended(match settle_at {
            RequestedTime::Absent => self.try_settle(tenant, invoice, amount, wait).await,
            _ => self.try_schedule(tenant, invoice, amount, settle_at).await,
        })
    }

    async fn try_settle(
        &self,
        tenant: &Tenant,
        invoice: &InvoiceId,
        amount: TokenAmount,
        wait: Wait,
    ) -> Result<Ending, Stop> {
        self.accepts_work()?;
        let until = self.patience(wait);
        loop {
            match self.begin_settlement(tenant.id, invoice.clone(), amount).await? {
                Begun::Operation(key, _) if wait == Wait::No => {
                    return Ok(Ending::Accepted(Box::new(self.snapshot(key).await?)));
                }
                Begun::Operation(key, operation) | Begun::Before(key, operation) => {
                    let end = self.follow_operation(key, operation, until).await?;
                    return self.settlement_ending(key, end).await;
                }
                Begun::Busy(_, kind) if wait == Wait::No => return Err(Refusal::Busy(kind).into()),
                Begun::Busy(key, kind) => {
                    if !self.until_decided(key, until).await? {
                        return Err(Refusal::Busy(kind).into());
                    }
                }
            }
        }
    }

    async fn settlement_ending(&self, key: PreauthKey, end: Option<OperationEnd>) -> Result<Ending, Stop> {
        let snapshot = self.snapshot(key).await?;
        match end {
            None => Ok(Ending::Accepted(Box::new(snapshot))),
            Some(OperationEnd::Done) => Ok(Ending::Done(Box::new(snapshot))),
            Some(OperationEnd::Beaten) => Err(not_authorized(snapshot.preauth.status).into()),
            Some(OperationEnd::Failed { failure: CallFailure::PreauthExpired, .. }) => {
                Err(Refusal::Expired.into())
            }
            Some(OperationEnd::Failed { failure, was_signed: true }) => {
                Err(Refusal::SettlementFailed(failure).into())
            }
            Some(OperationEnd::Failed { failure, was_signed: false }) => {
                Err(Refusal::NotInitialized(failure).into())
            }
        }
    }

    async fn begin_settlement(
        &self,
        tenant: TenantId,
        invoice: InvoiceId,
        amount: TokenAmount,
    ) -> Result<Begun, Stop> {
        let (now, wall, once) = (self.inner.clock.now(), self.inner.clock.wall(), self.once);
        let begun = self
            .inner
            .store
            .write(move |tx| {
                async move {
                    if let Some(before) = begun_before(tx, once).await? {
                        return Ok(before);
                    }
                    let preauth = settleable(tx, tenant, &invoice, now).await?;
                    let units = within_hold(&preauth, amount)?;
                    let (key, deadline) = (preauth.key, preauth.expires_at);
                    let kind = OperationKind::Settle;
                    let begun =
                        operations::insert(tx, key, kind, Some((units, amount)), deadline, wall).await?;
                    Ok::<_, Stop>(begun_or_busy(tx, once, key, begun).await?)
                }
                .boxed()
            })
            .await?;
        self.inner.signals.work_arrived();
        Ok(begun)
    }

    async fn try_schedule(
        &self,
        tenant: &Tenant,
        invoice: &InvoiceId,
        amount: TokenAmount,
        settle_at: RequestedTime,
    ) -> Result<Ending, Stop> {
        let (tenant, invoice) = (tenant.id, invoice.clone());
        let (now, wall, once) = (self.inner.clock.now(), self.inner.clock.wall(), self.once);
        let snapshot = self
            .inner
            .store
            .write(move |tx| {
                async move {
                    if let Some(key) = idempotency::effect(tx, once).await? {
                        let preauth = preauths::by_key(tx, PreauthKey(key)).await?;
                        return Ok(Snapshot::read(tx, preauth).await?);
                    }
                    let mut preauth = settleable(tx, tenant, &invoice, now).await?;
                    let units = within_hold(&preauth, amount)?;
                    let settle_at = settlement_time(settle_at, now, preauth.expires_at)?;
                    if let Some(open) = operations::open_of(tx, preauth.key).await? {
                        return Err(Refusal::Busy(open.kind).into());
                    }
                    preauth.schedule =
                        settle_at.map(|settle_at| Schedule { settle_at, amount: units, written: amount });
                    preauths::save(tx, &preauth, wall).await?;
                    idempotency::note_effect(tx, once, preauth.key.0).await?;
                    Ok::<_, Stop>(Snapshot::read(tx, preauth).await?)
                }
                .boxed()
            })
            .await?;
        Ok(Ending::Accepted(Box::new(snapshot)))
    }

    /// Withdraws a scheduled settlement.
    ///
    /// # Errors
    /// A [`Fault`] of the database.
    pub async fn withdraw_settlement(&self, tenant: &Tenant, invoice: &InvoiceId) -> Result<Ending, Fault> {
        self.ended(self.try_withdraw(tenant.id, invoice.clone()).await)
    }

    async fn try_withdraw(&self, tenant: TenantId, invoice: InvoiceId) -> Result<Ending, Stop> {
        let wall = self.inner.clock.wall();
        let snapshot = self
            .inner
            .store
            .write(move |tx| {
                async move {
                    let preauth = by_invoice(tx, tenant, &invoice).await?;
                    let mut preauth = preauth.ok_or(Refusal::NotFound)?;
                    let unfinished = operations::unfinished_of(tx, preauth.key).await?;
                    if unfinished
                        .open
                        .iter()
                        .chain(&unfinished.parked)
                        .any(|operation| operation.kind == OperationKind::Settle)
                    {
                        return Err(Refusal::Busy(OperationKind::Settle).into());
                    }
                    preauth.open_schedule().ok_or(Refusal::NothingScheduled)?;
                    preauth.schedule = None;
                    preauths::save(tx, &preauth, wall).await?;
                    Ok::<_, Stop>(Snapshot::read(tx, preauth).await?)
                }
                .boxed()
            })
            .await?;
        Ok(Ending::Done(Box::new(snapshot)))
    }
}

/// The preauth, if it can be settled at `now`.
async fn settleable(
    tx: &mut Connection,
    tenant: TenantId,
    invoice: &InvoiceId,
    now: ChainTime,
) -> Result<Preauth, Stop> {
    let preauth = by_invoice(tx, tenant, invoice).await?.ok_or(Refusal::NotFound)?;
    if preauth.status != PreauthStatus::Authorized {
        return Err(not_authorized(preauth.status).into());
    }
    if now >= preauth.expires_at {
        return Err(Refusal::Expired.into());
    }
    Ok(preauth)
}

fn within_hold(preauth: &Preauth, amount: TokenAmount) -> Result<crate::model::BaseUnits, Refusal> {
    if amount.is_zero() {
        return Err(Refusal::AmountNotPositive);
    }
    let units = match in_base_units(amount, preauth.decimals) {
        Err(Refusal::AmountTooLarge) => return Err(Refusal::ExceedsHold),
        other => other?,
    };
    if units > preauth.hold { Err(Refusal::ExceedsHold) } else { Ok(units) }
}

/// The operation that an earlier run of the same request began.
pub(super) async fn begun_before(
    tx: &mut Connection,
    once: Option<Once>,
) -> Result<Option<Begun>, StoreError> {
    let Some(id) = idempotency::effect(tx, once).await? else { return Ok(None) };
    let operation = operations::by_id(tx, OperationId(id)).await?;
    Ok(Some(Begun::Before(operation.preauth, operation.id)))
}

/// Notes the operation that was begun; names the one that is in the way where none could begin.
pub(super) async fn begun_or_busy(
    tx: &mut Connection,
    once: Option<Once>,
    key: PreauthKey,
    begun: Option<OperationId>,
) -> Result<Begun, StoreError> {
    if let Some(operation) = begun {
        idempotency::note_effect(tx, once, operation.0).await?;
        return Ok(Begun::Operation(key, operation));
    }
    let open = operations::open_of(tx, key).await?;
    Ok(Begun::Busy(key, open.map_or(OperationKind::Settle, |open| open.kind)))
}
