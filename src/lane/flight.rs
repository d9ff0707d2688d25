//! A batch in flight: sent, sent again, replaced with higher fees, or found to be lost.

use std::time::Duration;

use alloy::primitives::{Bytes, U256};
use futures::FutureExt;
use tokio::time::Instant;

use super::fees::{Fees, quote};
use super::nonce;
use super::worker::{Lane, LaneError, TENDING};
use crate::chain::{EscrowCall, SendAdvice, claim_input};
use crate::model::{BatchId, OperationKind};
use crate::store::batches::{Attempt, NewBatch, OpenBatch};
use crate::store::blocks::Block;
use crate::store::{StoreError, UnreadableRow, batches, operations, preauths, refunds};

/// How often stored bytes are sent again while they are not mined.
pub(super) const REBROADCAST: Duration = Duration::from_secs(5);
/// A settlement this near its deadline, in seconds, does not wait as long for a replacement.
const NEAR_DEADLINE_SECONDS: u64 = 120;

/// Said while a transaction waits for fees to fall.
const CAPPED: &str = "higher fees are beyond the cap or the balance: waiting for lower ones";
/// What a batch found after a restart is taken to carry.
const UNKNOWN_ITEMS: usize = 2;

/// What this process remembers of an open batch; all of it can be lost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flight {
    /// Operations it carries; at least two where that is not known.
    pub(super) items: usize,
    pub(super) begun: Instant,
    attempt_since: Instant,
    last_sent: Option<Instant>,
    accepted: bool,
    /// Higher fees are not allowed or cannot be paid for: said until it is mined.
    capped: bool,
}

impl Flight {
    pub(super) fn new(items: usize) -> Self {
        let now = Instant::now();
        Self { items, begun: now, attempt_since: now, last_sent: None, accepted: false, capped: false }
    }
}

impl Lane {
    /// Looks after an open batch: sends it again, replaces it, or finds that its nonce is gone.
    pub(super) async fn tend(&mut self, batch: &OpenBatch) -> Result<(), LaneError> {
        batch.unreadable.iter().for_each(|row| self.standing.note_unreadable(row.clone()));
        let Some(newest) = batch.attempts.last() else { return self.sign_again(batch).await };
        // Found after a restart or a reorg, nobody knows whether it was sent.
        let flight = *self.flights.entry(batch.id).or_insert_with(|| Flight::new(UNKNOWN_ITEMS));
        let Some(last_sent) = flight.last_sent else {
            self.broadcast(batch.id, newest).await;
            return Ok(());
        };
        if last_sent.elapsed() < TENDING {
            return Ok(());
        }
        if let Some(tip) = nonce::block_without_us(&self.store, &self.chain, batch).await? {
            return self.give_up(batch, tip).await;
        }
        let count = self.chain.transaction_count(self.operator(), None).await?;
        if count > batch.nonce {
            // Mined, but not confirmed yet: neither a higher fee nor another copy does any good.
            return Ok(());
        }
        if flight.attempt_since.elapsed() >= self.patience(batch).await? {
            if let Some(nonce) = self.gap_before(batch, count).await? {
                return self.fill_gap(nonce, batch).await;
            }
            match self.replace(batch, newest).await {
                // What was signed before is still good, and is sent again meanwhile.
                Err(error @ LaneError::Key(_)) => self.standing.report(&self.part, Some(error.to_string())),
                replaced => return replaced,
            }
        }
        if !flight.accepted || last_sent.elapsed() >= REBROADCAST {
            self.broadcast(batch.id, newest).await;
        }
        Ok(())
    }

    /// How long the newest attempt may stay unmined: less where a settlement nears its deadline.
    async fn patience(&self, batch: &OpenBatch) -> Result<Duration, LaneError> {
        let deadline = {
            let mut reader = self.store.read().await?;
            let items = operations::of_batch(&mut reader, batch.id).await?;
            let settlements = items.iter().flatten().filter(|item| item.kind == OperationKind::Settle);
            settlements.map(|item| item.deadline).min()
        };
        let near =
            deadline.is_some_and(|deadline| deadline.seconds_since(self.clock.now()) < NEAR_DEADLINE_SECONDS);
        Ok(if near { self.settings.replace_after / 3 } else { self.settings.replace_after })
    }

    async fn give_up(&self, batch: &OpenBatch, tip: Block) -> Result<(), LaneError> {
        nonce::give_up(batch, tip, &self.store, &self.clock, &self.signals, &self.standing).await
    }

    /// No attempt of the batch can be read. Whatever was sent of it, its nonce is good for one transaction only, so the
    /// batch is signed anew at its nonce.
    async fn sign_again(&mut self, batch: &OpenBatch) -> Result<(), LaneError> {
        if let Some(tip) = nonce::block_without_us(&self.store, &self.chain, batch).await? {
            return self.give_up(batch, tip).await;
        }
        let fees = Fees::first(quote(&self.chain, &self.store).await?, &self.settings);
        match self.input_of(batch).await? {
            Ok(input) => self.sign_attempt_of(batch, input, fees).await,
            Err(unreadable) => {
                self.standing.note_unreadable(unreadable);
                Ok(())
            }
        }
    }

    /// Signs the same batch at its nonce with higher fees, writes it down, and sends it.
    async fn replace(&mut self, batch: &OpenBatch, newest: &Attempt) -> Result<(), LaneError> {
        let (quote, balance) =
            tokio::join!(quote(&self.chain, &self.store), self.chain.native_balance(self.operator()));
        let (quote, balance) = (quote?, balance?);
        let old = Fees { max_fee: newest.max_fee, max_priority_fee: newest.max_priority_fee };
        let relayable = |fees: &Fees| {
            let cost = fees.max_fee.saturating_mul(batch.gas_limit.into());
            cost <= self.settings.max_transaction_fee && U256::from(cost) <= balance
        };
        let Some(fees) = old.replacing(quote, &self.settings).filter(relayable) else {
            self.broadcast(batch.id, newest).await;
            self.standing.report(&self.part, Some(CAPPED.to_owned()));
            if let Some(flight) = self.flights.get_mut(&batch.id) {
                flight.capped = true;
            }
            self.restart_patience(batch.id);
            return Ok(());
        };
        let input = match self.input_of(batch).await? {
            Ok(input) => input,
            Err(unreadable) => {
                // What was signed before is what was meant; nothing new is signed from a damaged row.
                self.standing.note_unreadable(unreadable);
                self.broadcast(batch.id, newest).await;
                self.restart_patience(batch.id);
                return Ok(());
            }
        };
        self.sign_attempt_of(batch, input, fees).await?;
        metrics::counter!("preauthd_replacements_total").increment(1);
        Ok(())
    }

    /// Signs a batch at its nonce, writes the bytes down, and sends them.
    async fn sign_attempt_of(
        &mut self,
        batch: &OpenBatch,
        input: Bytes,
        fees: Fees,
    ) -> Result<(), LaneError> {
        let plan = NewBatch {
            operator: batch.operator,
            nonce: batch.nonce,
            escrow: batch.escrow,
            gas_limit: batch.gas_limit,
            gas_per_call: batch.gas_per_call,
        };
        let attempt = self.sign_attempt(&plan, input, fees).await?;
        let (id, stored) = (batch.id, attempt.clone());
        self.store
            .write::<_, StoreError, _>(move |tx| {
                async move { batches::add_attempt(tx, id, &stored).await }.boxed()
            })
            .await?;
        tracing::info!(batch = %batch.id, nonce = batch.nonce, max_fee = fees.max_fee, transaction = %attempt.hash,
            "batch signed again");
        self.restart_patience(batch.id);
        self.broadcast(batch.id, &attempt).await;
        Ok(())
    }

    fn restart_patience(&mut self, batch: BatchId) {
        if let Some(flight) = self.flights.get_mut(&batch) {
            flight.attempt_since = Instant::now();
        }
    }

    /// What a batch's transaction says; or the row that stands in the way.
    async fn input_of(&self, batch: &OpenBatch) -> Result<Result<Bytes, UnreadableRow>, LaneError> {
        let mut reader = self.store.read().await?;
        let mut calls = Vec::new();
        let mut bare = true;
        for operation in operations::of_batch(&mut reader, batch.id).await? {
            let operation = match operation {
                Ok(operation) => operation,
                Err(unreadable) => return Ok(Err(unreadable)),
            };
            let preauth = match preauths::by_key(&mut reader, operation.preauth).await {
                Err(StoreError::Unreadable(unreadable)) => return Ok(Err(*unreadable)),
                read => read?,
            };
            bare &= operation.tries == 0;
            calls.push(EscrowCall {
                kind: operation.kind,
                terms: preauth.terms(),
                amount: operation.amount.map(|(units, _)| units).unwrap_or_default(),
                consent: preauth.consent,
            });
        }
        if calls.is_empty()
            && let Some((sender, token)) = refunds::claimed_by(&mut reader, batch.id).await?
        {
            return Ok(Ok(claim_input(sender, token)));
        }
        Ok(Ok(EscrowCall::encode_all(&calls, batch.gas_per_call, bare)))
    }

    pub(super) async fn broadcast(&mut self, batch: BatchId, attempt: &Attempt) {
        let advice = self.chain.send(&attempt.raw).await;
        if let Some(flight) = self.flights.get_mut(&batch) {
            flight.last_sent = Some(Instant::now());
            flight.accepted = advice == SendAdvice::Accepted;
        }
        match advice {
            SendAdvice::Accepted
                if self.is_mute || self.flights.get(&batch).is_some_and(|flight| flight.capped) => {}
            SendAdvice::Accepted => self.standing.report(&self.part, None),
            SendAdvice::NonceUsed => {
                tracing::debug!(transaction = %attempt.hash, "the nonce is used already")
            }
            SendAdvice::InsufficientFunds => {
                let trouble = format!("the key {} cannot pay for its gas", self.operator());
                self.standing.report(&self.part, Some(trouble));
            }
            SendAdvice::Underpriced => {
                tracing::info!(transaction = %attempt.hash, "the node wants a higher fee")
            }
            SendAdvice::Unknown(why) => {
                tracing::warn!(transaction = %attempt.hash, why, "it is unknown whether the node took it");
            }
        }
        self.signals.look_for_block();
    }
}
