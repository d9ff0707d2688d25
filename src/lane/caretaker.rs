//! Looks after open batches whose key this daemon does not have: taken out of the configuration, or replaced by another.
//!
//! What such a key has signed can still be mined, and until it is, or can no longer be, nobody else may carry the same
//! operations. The stored bytes can be sent again without the key; only raising their fees needs it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use alloy::primitives::Address;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::flight::REBROADCAST;
use super::worker::{IDLE, LaneError, TENDING};
use super::{Signals, Standing, backoff, nonce};
use crate::chain::{Chain, ChainClock, SendAdvice};
use crate::model::{BatchId, OperationState};
use crate::store::batches::OpenBatch;
use crate::store::{Store, batches, operations};

/// Name of its own part of the standing.
const PART: &str = "batches without a key";

/// Looks after what no lane does.
pub struct Caretaker {
    store: Store,
    chain: Chain,
    clock: ChainClock,
    signals: Signals,
    standing: Standing,
    /// Keys that have a lane.
    served: BTreeSet<Address>,
    /// When a batch was last sent, and what the node said to it.
    sent: BTreeMap<BatchId, (Instant, SendAdvice)>,
    /// Keys that are missed, as was reported.
    missed: BTreeSet<Address>,
    /// Looks that failed, one after the other.
    failures: u32,
}

impl Caretaker {
    /// `served` are the keys that have a lane.
    #[must_use]
    pub fn new(
        store: Store,
        chain: Chain,
        clock: ChainClock,
        signals: Signals,
        standing: Standing,
        served: impl IntoIterator<Item = Address>,
    ) -> Self {
        let served = served.into_iter().collect();
        let (sent, missed) = (BTreeMap::new(), BTreeSet::new());
        Self { store, chain, clock, signals, standing, served, sent, missed, failures: 0 }
    }

    /// Looks until told to stop. Faults are reported and outlived.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut blocks = self.signals.blocks();
        loop {
            blocks.mark_unchanged();
            let rest = self.turn().await;
            tokio::select! {
                () = stop.cancelled() => return,
                _ = blocks.changed() => {}
                () = tokio::time::sleep(rest) => {}
            }
        }
    }

    /// One look, and how long to rest before the next. Faults are reported and outlived.
    pub(crate) async fn turn(&mut self) -> Duration {
        self.standing.forgive_foreign();
        match self.look().await {
            Ok(rest) => {
                self.failures = 0;
                self.standing.report(PART, None);
                rest
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                if let LaneError::Store(error) = &error {
                    self.standing.note(&self.store, error);
                }
                self.standing.report(PART, Some(error.to_string()));
                backoff::rest(self.failures)
            }
        }
    }

    async fn look(&mut self) -> Result<Duration, LaneError> {
        // Nothing is sent on a chain or a database that is not what it was.
        if self.standing.must_refuse().is_some() {
            return Ok(IDLE);
        }
        let mut open = {
            let mut reader = self.store.read().await?;
            batches::open(&mut reader, None).await?
        };
        open.retain(|batch| !self.served.contains(&batch.operator));
        self.sent.retain(|id, _| open.iter().any(|batch| batch.id == *id));
        self.say_who_is_missed(&open).await?;
        for batch in &open {
            self.tend(batch).await?;
        }
        Ok(if open.is_empty() { IDLE } else { TENDING })
    }

    /// Sends a batch again, or finds that its nonce is gone.
    #[allow(clippy::disallowed_methods)]
    async fn tend(&mut self, batch: &OpenBatch) -> Result<(), LaneError> {
        batch.unreadable.iter().for_each(|row| self.standing.note_unreadable(row.clone()));
        if let Some(tip) = nonce::block_without_us(&self.store, &self.chain, batch).await? {
            return nonce::give_up(batch, tip, &self.store, &self.clock, &self.signals, &self.standing).await;
        }
        let is_fresh = self.sent.get(&batch.id).is_some_and(|(at, _)| at.elapsed() < REBROADCAST);
        let Some(newest) = batch.attempts.last().filter(|_| !is_fresh) else { return Ok(()) };
        let advice = self.chain.send(&newest.raw).await;
        tracing::debug!(batch = %batch.id, transaction = %newest.hash, ?advice, "sent without its key");
        self.sent.insert(batch.id, (Instant::now(), advice));
        self.signals.look_for_block();
        Ok(())
    }

    /// Names each key that operations wait for. A batch that nobody waits for is no trouble.
    async fn say_who_is_missed(&mut self, open: &[OpenBatch]) -> Result<(), LaneError> {
        let mut waiting: BTreeMap<Address, usize> = BTreeMap::new();
        {
            let mut reader = self.store.read().await?;
            for batch in open {
                let items = operations::of_batch(&mut reader, batch.id).await?;
                // What cannot be read is spoken of elsewhere; it waits as well.
                let waits = items.iter().filter(|item| {
                    item.as_ref().map_or(true, |operation| {
                        operation.batch == Some(batch.id)
                            && matches!(operation.state, OperationState::Batched | OperationState::Parked)
                    })
                });
                *waiting.entry(batch.operator).or_default() += waits.count();
            }
        }
        waiting.retain(|_, count| *count > 0);
        for (key, count) in &waiting {
            let is_poor = open.iter().filter(|batch| batch.operator == *key).any(|batch| {
                self.sent.get(&batch.id).is_some_and(|(_, advice)| *advice == SendAdvice::InsufficientFunds)
            });
            let poor = if is_poor { ", for which it cannot pay" } else { "" };
            let trouble = format!(
                "the key {key} is not configured, and {count} operations wait for what it has signed{poor}: that is \
                 sent again, but its fees cannot be raised without the key"
            );
            self.standing.report(&part(*key), Some(trouble));
        }
        let gone = self.missed.iter().filter(|key| !waiting.contains_key(*key));
        gone.for_each(|key| self.standing.report(&part(*key), None));
        self.missed = waiting.into_keys().collect();
        Ok(())
    }
}

fn part(key: Address) -> String {
    format!("lane {key} (no key)")
}
