//! From due operations to signed bytes: pick, dry-run, sign, write down, send.

use std::time::Duration;

use alloy::primitives::{Address, U256};
use futures::FutureExt;
use tokio::time::Instant;

use super::desk::{Capacity, escrow_call, need};
use super::endings::{fail, give_up_for_now, is_final, is_forlorn, is_too_early};
use super::fees::{Fees, quote};
use super::flight::Flight;
use super::worker::{IDLE, Lane, LaneError, Next, TENDING};
use super::{backoff, gas, traces};
use crate::chain::{DryRun, EscrowCall};
use crate::model::{
    BatchId, CallFailure, ChainTime, Disposition, Millis, OperationId, OperationKind, OperationState,
    PreauthKey,
};
use crate::store::batches::{Attempt, NewBatch};
use crate::store::operations::DueOperation;
use crate::store::{Connection, StoreError, batches, operations, preauths};

/// How long to wait for a node that lags behind what was mined.
pub(super) const LAGGING: Duration = Duration::from_millis(250);
/// How often a lane that cannot pay for gas looks at its account.
const POOR_PAUSE: Duration = Duration::from_secs(2);
/// How long a lane leaves an escrow's work to the others after its key was found to be no operator of it.
const BAR: Duration = Duration::from_secs(5);
/// How long each operation's cap is set aside after a batch was found to need more gas than such operations usually use: a
/// token that takes more than others is likely to be met again.
const WARINESS: Duration = Duration::from_secs(600);
/// An authorization fails in a dry run for good only from this try on: the node that is asked may lag behind the one
/// that was asked when the creation was checked.
const LOCK_TRIES: u32 = 2;

impl Lane {
    pub(super) async fn form_batch(&mut self) -> Result<Next, LaneError> {
        self.find_voice().await?;
        self.barred.retain(|_, until| until.elapsed().is_zero());
        let now = self.clock.wall();
        let gas = self.settings.max_batch_gas.min(self.affordable_gas).min(self.clock.block_gas_limit());
        let capacity = Capacity { items: self.max_items, gas, is_wary: self.is_wary(), barred: &self.barred };
        let picked = self.desk.pick(capacity, now).await?;
        if picked.is_empty() {
            if let Some(next) = self.claim_for_sender(now).await? {
                return Ok(next);
            }
            return self.wait_for_work(now).await;
        }
        let ids: Vec<OperationId> = picked.iter().map(|operation| operation.id).collect();
        let formed = self.form_from(picked).await;
        self.desk.put_back(ids).await;
        if !self.barred.is_empty() || self.is_mute {
            // What this key may not do, or cannot sign, is for the other lanes.
            self.signals.work_arrived();
        }
        formed
    }

    async fn wait_for_work(&mut self, now: Millis) -> Result<Next, LaneError> {
        if self.affordable_gas < gas::DEAREST {
            // Nothing can be picked, so that there is no other occasion to see that the account was filled again.
            return self.look_at_account().await;
        }
        if self.barred.is_empty() {
            self.standing.report(&self.part, None);
        }
        let mut reader = self.store.read().await?;
        let deferred = operations::next_deferred(&mut reader, now).await?;
        let until = deferred.map(|at| Duration::from_millis(at.0.saturating_sub(now.0).unsigned_abs()));
        Ok(Next::Work(until.map_or(IDLE, |until| until.min(IDLE))))
    }

    async fn look_at_account(&mut self) -> Result<Next, LaneError> {
        let (quote, balance) =
            tokio::join!(quote(&self.chain, &self.store), self.chain.native_balance(self.operator()));
        self.affordable_gas = self.affordable(Fees::first(quote?, &self.settings), balance?);
        Ok(if self.affordable_gas < gas::DEAREST { self.cannot_afford(1) } else { Next::Now })
    }

    /// Gas the key can pay for at these fees, within what nodes relay for one transaction.
    pub(super) fn affordable(&self, fees: Fees, balance: U256) -> u64 {
        let fee = fees.max_fee.max(1);
        let by_balance: u128 = (balance / U256::from(fee)).saturating_to();
        let by_fee_limit = self.settings.max_transaction_fee / fee;
        u64::try_from(by_balance.min(by_fee_limit)).unwrap_or(u64::MAX)
    }

    async fn form_from(&mut self, picked: Vec<DueOperation>) -> Result<Next, LaneError> {
        let Some(escrow) = picked.first().map(|operation| operation.escrow) else { return Ok(Next::Now) };
        let calls: Vec<EscrowCall> = picked.iter().map(escrow_call).collect();
        let (gas_limit, gas_per_call) = self.gas_of(&picked);
        let operator = self.operator();
        let (dry_run, nonce, quote, balance) = tokio::join!(
            self.chain.dry_run(operator, escrow, &calls, gas_per_call, gas_limit, self.clock.carried_on()),
            self.chain.transaction_count(operator, None),
            quote(&self.chain, &self.store),
            self.chain.native_balance(operator),
        );
        let fees = Fees::first(quote?, &self.settings);
        self.affordable_gas = self.affordable(fees, balance?);
        if gas_limit > self.affordable_gas {
            return Ok(self.cannot_afford(picked.len()));
        }
        let fit = match dry_run? {
            DryRun::Answers(answers) if answers.contains(&Err(CallFailure::NotOperator)) => {
                let (picked, answers) = self.without_rights(escrow, picked, answers).await?;
                self.sort_out(picked, answers).await?
            }
            DryRun::Answers(answers) => self.sort_out(picked, answers).await?,
            DryRun::NoContract => {
                self.standing.report(&self.part, Some(format!("there is no escrow at {escrow}")));
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
        let (gas_limit, gas_per_call) = self.gas_of(&fit);
        let batch = NewBatch { operator, nonce, escrow, gas_limit, gas_per_call };
        let bare = fit.iter().all(|operation| operation.tries == 0);
        let input = EscrowCall::encode_all(&calls, gas_per_call, bare);
        let attempt = self.sign_attempt(&batch, input, fees).await?;
        let id = self.write_batch(batch, &fit, attempt.clone()).await?;
        metrics::histogram!("preauthd_batch_items")
            .record(f64::from(u32::try_from(fit.len()).unwrap_or(u32::MAX)));
        metrics::counter!("preauthd_batches_total").increment(1);
        tracing::info!(batch = %id, items = fit.len(), nonce, transaction = %attempt.hash, "batch signed");
        self.flights.insert(id, Flight::new(fit.len()));
        self.last_items = fit.len();
        traces::batched(&self.store, id, &attempt).await;
        self.broadcast(id, &attempt).await;
        Ok(Next::Block(TENDING))
    }

    /// The gas limit of a transaction for these operations, and the cap each of them gets.
    fn gas_of(&self, operations: &[DueOperation]) -> (u64, u64) {
        let is_wary = self.is_wary();
        let needs: Vec<_> = operations.iter().map(|operation| need(operation, is_wary)).collect();
        gas::transaction_gas(&needs)
    }

    fn is_wary(&self) -> bool {
        self.wary_until.is_some_and(|until| until.elapsed().is_zero())
    }

    /// Nothing is signed that the key cannot pay for or that nodes would not relay: it would jam the nonce.
    fn cannot_afford(&self, items: usize) -> Next {
        if items > 1 {
            return Next::Now;
        }
        let trouble = format!("the key {} cannot pay for its gas, or it costs too much", self.operator());
        self.standing.report(&self.part, Some(trouble));
        Next::Work(POOR_PAUSE)
    }

    /// The escrow says that the key is no operator. Where that is so, only expiries go on here, what came too late is
    /// told so, and the rest is left to the other lanes. Where it is not, a token's code borrowed the words.
    async fn without_rights(
        &mut self,
        escrow: Address,
        picked: Vec<DueOperation>,
        mut answers: Vec<Result<(), CallFailure>>,
    ) -> Result<(Vec<DueOperation>, Vec<Result<(), CallFailure>>), LaneError> {
        let operator = self.operator();
        let no_rights = Err(CallFailure::NotOperator);
        if self.chain.is_operator(escrow, operator).await? {
            for answer in answers.iter_mut().filter(|answer| **answer == no_rights) {
                *answer = Err(CallFailure::Other("the token refused the transfer".into()));
            }
            return Ok((picked, answers));
        }
        self.standing
            .report(&self.part, Some(format!("the key {operator} is no operator of the escrow {escrow}")));
        self.barred.insert(escrow, after(BAR));
        let now = self.clock.now();
        let kept = picked.into_iter().zip(answers).filter_map(|(due, answer)| {
            if answer != no_rights {
                return Some((due, answer));
            }
            let too_late = match due.kind {
                OperationKind::Settle => CallFailure::PreauthExpired,
                OperationKind::Authorize => CallFailure::InvalidExpiry,
                // The sweep returns everything.
                OperationKind::Cancel | OperationKind::Expire => CallFailure::Other("it has expired".into()),
            };
            (due.terms.expires_at <= now).then_some((due, Err(too_late)))
        });
        Ok(kept.unzip())
    }

    /// Splits what the dry run let pass from what failed, and writes the failures down.
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
        if !unfit.is_empty() {
            let (chain_now, now) = (self.clock.now(), self.clock.wall());
            let changed: Vec<PreauthKey> = self
                .store
                .write::<_, StoreError, _>(move |tx| {
                    async move {
                        let mut changed = Vec::with_capacity(unfit.len());
                        for (due, failure) in unfit {
                            refuse(tx, &due, &failure, chain_now, now).await?;
                            changed.push(due.preauth);
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
        if picked.len() > 1 && !self.is_wary() {
            tracing::debug!(items = picked.len(), %failure, "a batch cannot run on the gas such operations usually use");
            self.wary_until = Some(after(WARINESS));
            return Ok(Next::Now);
        }
        tracing::warn!(items = picked.len(), %failure, "a batch cannot run as a whole");
        if let [only] = picked {
            let (id, tries, now) = (only.id, only.tries, self.clock.wall());
            self.store
                .write::<_, StoreError, _>(move |tx| {
                    async move { operations::defer(tx, id, backoff::after_failure(now, tries), now).await }
                        .boxed()
                })
                .await?;
        }
        self.max_items = (picked.len() / 2).max(1);
        Ok(Next::Now)
    }

    /// Whether the chain's count is the nonce after our last mined one. A lower count is a node that lags behind.
    pub(super) async fn nonce_is_next(&self, count: u64) -> Result<bool, LaneError> {
        let last = {
            let mut reader = self.store.read().await?;
            batches::last_mined_nonce(&mut reader, self.operator()).await?
        };
        let expected = last.map_or(0, |last| last + 1);
        if count < expected {
            tracing::debug!(count, expected, "the node lags behind");
            return Ok(false);
        }
        if last.is_some() {
            self.standing.note_foreign(self.operator(), expected..count);
        }
        Ok(true)
    }

    /// Batch, items, nonce and signed bytes in one change, before anything is sent.
    pub(super) async fn write_batch(
        &self,
        batch: NewBatch,
        items: &[DueOperation],
        attempt: Attempt,
    ) -> Result<BatchId, LaneError> {
        let ids: Vec<OperationId> = items.iter().map(|operation| operation.id).collect();
        let now = self.clock.wall();
        self.store
            .write(move |tx| {
                async move {
                    let id = batches::insert(tx, &batch, &ids, now).await?;
                    let taken = operations::take_into_batch(tx, &ids, id, now).await?;
                    if usize::try_from(taken) != Ok(ids.len()) {
                        return Err(LaneError::Withdrawn);
                    }
                    batches::add_attempt(tx, id, &attempt).await?;
                    Ok(id)
                }
                .boxed()
            })
            .await
    }
}

#[allow(clippy::disallowed_methods)]
fn after(time: Duration) -> Instant {
    Instant::now() + time
}

/// A due operation that a dry run refused: ended where it can never succeed, put off otherwise.
async fn refuse(
    tx: &mut Connection,
    due: &DueOperation,
    failure: &CallFailure,
    chain_now: ChainTime,
    now: Millis,
) -> Result<(), StoreError> {
    let operation = operations::by_id(tx, due.id).await?;
    if operation.state != OperationState::Due {
        return Ok(());
    }
    let preauth = preauths::by_key(tx, operation.preauth).await?;
    if !preauth.admits(operation.kind) || is_too_early(operation.kind, failure) {
        return operations::set_state(tx, operation.id, OperationState::Superseded, None, now).await;
    }
    if is_forlorn(operation.kind, failure, due.tries) {
        return give_up_for_now(tx, &preauth, &operation, failure, chain_now, now).await;
    }
    let may_lag = operation.kind == OperationKind::Authorize
        && *failure != CallFailure::InvalidExpiry
        && due.tries < LOCK_TRIES;
    if is_final(operation.kind, failure) && !may_lag {
        let schedule_is_due = preauth.schedule.is_some_and(|schedule| schedule.settle_at <= chain_now);
        return fail(tx, preauth, &operation, failure, schedule_is_due, now).await;
    }
    if failure.disposition() == Disposition::Retry && due.tries > LOCK_TRIES {
        tracing::warn!(invoice = %preauth.invoice, kind = operation.kind.as_str(), %failure, tries = due.tries,
            "an operation is put off again");
    }
    operations::defer(tx, due.id, backoff::after_failure(now, due.tries), now).await
}
