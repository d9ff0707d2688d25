//! One operator key at work: forms a batch, writes the signed bytes down, sends them, and sees them mined.
//!
//! At most one batch is open at a time, so the nonce is always the chain's own count. While a batch is in flight the
//! next one gathers. What was written down can be sent again at any time; what a node says to it is advice.

use std::collections::HashMap;
use std::time::Duration;

use alloy::primitives::Address;
use alloy::signers::local::PrivateKeySigner;
use futures::FutureExt;
use tokio_util::sync::CancellationToken;

use super::desk::Desk;
use super::fees::Fees;
use super::flight::Flight;
use super::projection::{fail, is_final};
use super::{LaneSettings, Signals, Standing, backoff, gas};
use crate::chain::{Chain, ChainClock, ChainError, DryRun, EscrowCall, TransactionPlan, sign, wall_now};
use crate::model::{BatchId, CallFailure, Millis, OperationId, OperationState, PreauthKey};
use crate::store::batches::{Attempt, NewBatch, OpenBatch};
use crate::store::operations::DueOperation;
use crate::store::{Store, StoreError, batches, operations, preauths};

/// How long a lane without work waits before it looks again unasked.
const IDLE: Duration = Duration::from_secs(5);
/// How often an open batch is looked after when no block comes.
pub(super) const TENDING: Duration = Duration::from_millis(500);
/// How long to wait for a node that lags behind what was mined.
const LAGGING: Duration = Duration::from_millis(250);

/// Why a lane could not go on for now.
#[derive(Debug, thiserror::Error)]
pub(super) enum LaneError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error("an operation was withdrawn while its batch was formed")]
    Withdrawn,
}

/// What a lane waits for after a step.
enum Next {
    /// Nothing: there is more to do.
    Now,
    /// New work, or this long.
    Work(Duration),
    /// A block, or this long.
    Block(Duration),
}

/// One operator key.
pub struct Lane {
    signer: PrivateKeySigner,
    pub(super) store: Store,
    pub(super) chain: Chain,
    pub(super) clock: ChainClock,
    pub(super) signals: Signals,
    pub(super) standing: Standing,
    desk: Desk,
    pub(super) settings: LaneSettings,
    /// Name of this lane's part of the standing.
    pub(super) part: String,
    /// Open batches as this process knows them: one, or more after a reorg.
    pub(super) flights: HashMap<BatchId, Flight>,
    /// Operations of the next batch at most; halved by a batch that failed as a whole.
    capacity: usize,
}

impl Lane {
    #[must_use]
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        signer: PrivateKeySigner,
        store: Store,
        chain: Chain,
        clock: ChainClock,
        signals: Signals,
        standing: Standing,
        desk: Desk,
        settings: LaneSettings,
    ) -> Self {
        let part = format!("lane {}", signer.address());
        let capacity = settings.max_batch_items;
        Self {
            signer,
            store,
            chain,
            clock,
            signals,
            standing,
            desk,
            settings,
            part,
            flights: HashMap::new(),
            capacity,
        }
    }

    pub(super) fn operator(&self) -> Address {
        self.signer.address()
    }

    /// Works until told to stop; what is in flight stays in flight and is found again at the next start.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut work = self.signals.work();
        let mut blocks = self.signals.blocks();
        let mut failures = 0;
        loop {
            work.mark_unchanged();
            blocks.mark_unchanged();
            let next = match self.step().await {
                Ok(next) => {
                    failures = 0;
                    next
                }
                Err(LaneError::Withdrawn) => Next::Now,
                Err(error) => {
                    failures += 1;
                    self.standing.report(&self.part, Some(error.to_string()));
                    Next::Block(backoff::rest(failures))
                }
            };
            if stop.is_cancelled() {
                return;
            }
            // A subscription cannot fail: this lane holds the sender.
            match next {
                Next::Now => {}
                Next::Work(at_most) => tokio::select! {
                    () = stop.cancelled() => return,
                    _ = work.changed() => {}
                    () = tokio::time::sleep(at_most) => {}
                },
                Next::Block(at_most) => tokio::select! {
                    () = stop.cancelled() => return,
                    _ = blocks.changed() => {}
                    () = tokio::time::sleep(at_most) => {}
                },
            }
        }
    }

    async fn step(&mut self) -> Result<Next, LaneError> {
        // Nothing is signed or sent on a chain or a database that is not what it was.
        if self.standing.must_refuse().is_some() {
            return Ok(Next::Block(IDLE));
        }
        let open = {
            let mut reader = self.store.read().await?;
            batches::open(&mut reader, Some(self.operator())).await?
        };
        self.learn_from_closed(&open).await?;
        if open.is_empty() {
            return self.form_batch().await;
        }
        for batch in &open {
            self.tend(batch).await?;
        }
        Ok(Next::Block(TENDING))
    }

    // ---------------------------------------------------------------- a new batch

    async fn form_batch(&mut self) -> Result<Next, LaneError> {
        let now = wall_now();
        let picked = self.desk.pick(self.capacity, now).await?;
        if picked.is_empty() {
            self.standing.report(&self.part, None);
            return self.wait_for_work(now).await;
        }
        let ids: Vec<OperationId> = picked.iter().map(|operation| operation.id).collect();
        let formed = self.form_from(picked).await;
        self.desk.put_back(ids).await;
        formed
    }

    async fn wait_for_work(&self, now: Millis) -> Result<Next, LaneError> {
        let mut reader = self.store.read().await?;
        let deferred = operations::next_deferred(&mut reader, now).await?;
        let until = deferred.map(|at| Duration::from_millis(at.0.saturating_sub(now.0).unsigned_abs()));
        Ok(Next::Work(until.map_or(IDLE, |until| until.min(IDLE))))
    }

    async fn form_from(&mut self, mut picked: Vec<DueOperation>) -> Result<Next, LaneError> {
        let mut calls: Vec<EscrowCall> = picked.iter().map(escrow_call).collect();
        let count = gas::fitting(&calls, self.settings.max_batch_gas);
        picked.truncate(count);
        calls.truncate(count);
        let Some(escrow) = picked.first().map(|operation| operation.escrow) else { return Ok(Next::Now) };

        let (gas_limit, gas_per_call) = gas::transaction_gas(&calls);
        let time = self.clock.carried_on();
        let (dry_run, nonce, quote) = tokio::join!(
            self.chain.dry_run(self.operator(), escrow, &calls, gas_per_call, gas_limit, time),
            self.chain.transaction_count(self.operator(), None),
            self.chain.fee_quote(),
        );
        let fit = match dry_run? {
            DryRun::Answers(answers) => self.sort_out(picked, answers).await?,
            DryRun::NoContract => {
                let trouble = format!("there is no escrow at {escrow}");
                self.standing.report(&self.part, Some(trouble));
                return Ok(Next::Block(LAGGING));
            }
            DryRun::Reverted(failure) => return self.shrink(&picked, &failure).await,
        };
        if fit.is_empty() {
            return Ok(Next::Now);
        }
        let nonce = nonce?;
        if !self.nonce_is_next(nonce).await? {
            return Ok(Next::Block(LAGGING));
        }
        let calls: Vec<EscrowCall> = fit.iter().map(escrow_call).collect();
        let (gas_limit, gas_per_call) = gas::transaction_gas(&calls);
        let fees = Fees::first(quote?, &self.settings);
        let attempt = self.sign_attempt(escrow, nonce, gas_limit, &calls, gas_per_call, fees)?;
        let batch = NewBatch { operator: self.operator(), nonce, escrow, gas_limit, gas_per_call };
        let id = self.write_batch(batch, &fit, attempt.clone()).await?;
        metrics::histogram!("preauthd_batch_items")
            .record(f64::from(u32::try_from(fit.len()).unwrap_or(u32::MAX)));
        metrics::counter!("preauthd_batches_total").increment(1);
        tracing::info!(batch = %id, items = fit.len(), nonce, transaction = %attempt.hash, "batch signed");
        self.flights.insert(id, Flight::new());
        self.broadcast(id, &attempt).await;
        Ok(Next::Block(TENDING))
    }

    /// Splits what the dry run let pass from what failed, and writes the failures down. Nothing signed that holds
    /// these operations can still be mined, so a failure of an operation's own is final.
    async fn sort_out(
        &self,
        picked: Vec<DueOperation>,
        answers: Vec<Result<(), CallFailure>>,
    ) -> Result<Vec<DueOperation>, LaneError> {
        let mut fit = Vec::with_capacity(picked.len());
        let mut unfit = Vec::new();
        for (operation, answer) in picked.into_iter().zip(answers) {
            match answer {
                Ok(()) => fit.push(operation),
                Err(failure) => unfit.push((operation, failure)),
            }
        }
        if unfit.iter().any(|(_, failure)| *failure == CallFailure::NotOperator) {
            let trouble = format!("the key {} is no operator of the escrow", self.operator());
            self.standing.report(&self.part, Some(trouble));
        }
        if !unfit.is_empty() {
            let chain_now = self.clock.now();
            let changed: Vec<PreauthKey> = self
                .store
                .write::<_, StoreError, _>(move |tx| {
                    async move {
                        let now = wall_now();
                        let mut changed = Vec::new();
                        for (due, failure) in unfit {
                            let operation = operations::by_id(tx, due.id).await?;
                            if operation.state != OperationState::Due {
                                continue;
                            }
                            if is_final(operation.kind, &failure) {
                                let preauth = preauths::by_key(tx, operation.preauth).await?;
                                let schedule_is_due =
                                    preauth.schedule.is_some_and(|schedule| schedule.settle_at <= chain_now);
                                fail(tx, preauth, &operation, &failure, schedule_is_due, now).await?;
                                changed.push(operation.preauth);
                            } else {
                                tracing::debug!(operation = due.id.0, %failure, "put off");
                                let at = backoff::after_failure(now, due.tries);
                                operations::defer(tx, due.id, at, now).await?;
                            }
                        }
                        Ok(changed)
                    }
                    .boxed()
                })
                .await?;
            self.signals.changed(changed);
        }
        Ok(fit)
    }

    /// The batch as a whole cannot run: try a smaller one, and a single operation later.
    async fn shrink(&mut self, picked: &[DueOperation], failure: &CallFailure) -> Result<Next, LaneError> {
        tracing::warn!(items = picked.len(), %failure, "a batch cannot run as a whole");
        if let [only] = picked {
            let (id, tries) = (only.id, only.tries);
            self.store
                .write::<_, StoreError, _>(move |tx| {
                    async move {
                        let now = wall_now();
                        operations::defer(tx, id, backoff::after_failure(now, tries), now).await
                    }
                    .boxed()
                })
                .await?;
        }
        self.capacity = (picked.len() / 2).max(1);
        Ok(Next::Now)
    }

    /// A batch that failed as a whole is sent in halves; after one that did not, batches may grow again.
    async fn learn_from_closed(&mut self, open: &[OpenBatch]) -> Result<(), LaneError> {
        let is_open = |id: &BatchId| open.iter().any(|batch| batch.id == *id);
        let closed: Vec<BatchId> = self.flights.keys().copied().filter(|id| !is_open(id)).collect();
        for id in closed {
            self.flights.remove(&id);
            let mut reader = self.store.read().await?;
            match batches::succeeded(&mut reader, id).await? {
                Some(false) => self.capacity = (self.capacity / 2).max(1),
                Some(true) => self.capacity = (self.capacity * 2).min(self.settings.max_batch_items),
                None => {}
            }
        }
        Ok(())
    }

    /// Whether the chain's count is the nonce after our last mined one. A lower count is a node that lags behind.
    async fn nonce_is_next(&self, count: u64) -> Result<bool, LaneError> {
        let last = {
            let mut reader = self.store.read().await?;
            batches::last_mined_nonce(&mut reader, self.operator()).await?
        };
        let expected = last.map_or(0, |last| last + 1);
        if count < expected {
            tracing::debug!(count, expected, "the node lags behind");
            return Ok(false);
        }
        if last.is_some() && count > expected {
            tracing::warn!(count, expected, operator = %self.operator(), "somebody else uses this operator key");
        }
        Ok(true)
    }

    pub(super) fn sign_attempt(
        &self,
        escrow: Address,
        nonce: u64,
        gas_limit: u64,
        calls: &[EscrowCall],
        gas_per_call: u64,
        fees: Fees,
    ) -> Result<Attempt, LaneError> {
        let plan = TransactionPlan {
            chain_id: self.chain.chain_id(),
            to: escrow,
            nonce,
            gas_limit,
            max_fee: fees.max_fee,
            max_priority_fee: fees.max_priority_fee,
            input: EscrowCall::encode_all(calls, gas_per_call),
        };
        let signed = sign(&self.signer, &plan)?;
        Ok(Attempt {
            hash: signed.hash,
            raw: signed.raw,
            max_fee: fees.max_fee,
            max_priority_fee: fees.max_priority_fee,
            created_at: wall_now(),
        })
    }

    /// Batch, items, nonce and signed bytes in one change, before anything is sent.
    async fn write_batch(
        &self,
        batch: NewBatch,
        items: &[DueOperation],
        attempt: Attempt,
    ) -> Result<BatchId, LaneError> {
        let ids: Vec<OperationId> = items.iter().map(|operation| operation.id).collect();
        self.store
            .write(move |tx| {
                async move {
                    let now = wall_now();
                    let id = batches::insert(tx, &batch, &ids, now).await?;
                    for operation in ids {
                        if !operations::take_into_batch(tx, operation, id, now).await? {
                            return Err(LaneError::Withdrawn);
                        }
                    }
                    batches::add_attempt(tx, id, &attempt).await?;
                    Ok(id)
                }
                .boxed()
            })
            .await
    }
}

pub(super) fn escrow_call(operation: &DueOperation) -> EscrowCall {
    EscrowCall {
        kind: operation.kind,
        terms: operation.terms,
        amount: operation.amount.unwrap_or_default(),
        consent: operation.consent.clone(),
    }
}
