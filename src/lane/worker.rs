//! One operator key at work: forms a batch, writes the signed bytes down, sends them, and sees them mined.
//!
//! At most one batch is open at a time, so the nonce is always the chain's own count. While a batch is in flight the
//! next one gathers. What was written down can be sent again at any time; what a node says to it is advice.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use alloy::primitives::Address;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::desk::Desk;
use super::flight::Flight;
use super::{LaneSettings, Signals, Standing, backoff};
use crate::chain::{Chain, ChainClock, ChainError};
use crate::keys::{KeyFault, OperatorKey};
use crate::model::BatchId;
use crate::store::batches::OpenBatch;
use crate::store::{Store, StoreError, batches};

/// How long a lane without work waits before it looks again unasked.
pub(super) const IDLE: Duration = Duration::from_secs(5);
/// How often an open batch is looked after when no block comes.
pub(super) const TENDING: Duration = Duration::from_millis(500);
/// So long no operation comes when those that came together are all there: longer than the check of the next few takes. And no
/// longer than this part of a flight: a wait must be short beside the one that it spares.
const QUIET: Duration = Duration::from_millis(15);
const QUIET_PART: u32 = 4;
/// How long an operation waits for others at most.
const GATHERING: Duration = Duration::from_millis(100);
const GATHERING_PART: u32 = 2;

/// Why a lane could not go on for now.
#[derive(Debug, thiserror::Error)]
pub(super) enum LaneError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The key does not sign at present.
    #[error("nothing can be signed: {0}")]
    Key(#[from] KeyFault),
    #[error("an operation was withdrawn while its batch was formed")]
    Withdrawn,
}

/// What a lane waits for after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing: there is more to do.
    Now,
    /// New work, or this long.
    Work(Duration),
    /// A block, or this long.
    Block(Duration),
}

/// One operator key.
pub struct Lane {
    pub(super) key: OperatorKey,
    pub(super) store: Store,
    pub(super) chain: Chain,
    pub(super) clock: ChainClock,
    pub(super) signals: Signals,
    pub(super) standing: Standing,
    pub(super) desk: Desk,
    pub(super) settings: LaneSettings,
    /// Name of this lane's part of the standing.
    pub(super) part: String,
    /// Open batches as this process knows them: one, or more after a reorg.
    pub(super) flights: BTreeMap<BatchId, Flight>,
    /// Operations of the next batch at most; halved by a batch that failed as a whole.
    pub(super) max_items: usize,
    /// Operations of the last batch.
    pub(super) last_items: usize,
    /// How long the last batch took from its signature to its block.
    last_flight: Duration,
    /// Until when each operation's cap is set aside, where one batch needed more gas than such operations usually use.
    pub(super) wary_until: Option<Instant>,
    /// Gas the key could pay for, and nodes would relay, when last looked at.
    pub(super) affordable_gas: u64,
    /// Escrows of which the key was found to be no operator, and until when that is believed.
    pub(super) barred: HashMap<Address, Instant>,
    /// The key did not sign when it was last asked, or was never asked.
    pub(super) is_mute: bool,
    /// Steps that failed, one after the other.
    failures: u32,
}

impl Lane {
    #[must_use]
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        key: OperatorKey,
        store: Store,
        chain: Chain,
        clock: ChainClock,
        signals: Signals,
        standing: Standing,
        desk: Desk,
        settings: LaneSettings,
    ) -> Self {
        let part = format!("lane {}", key.address());
        let max_items = settings.max_batch_items;
        // What is asked over a network is tried before it is relied on.
        let is_mute = key.is_elsewhere();
        Self {
            key,
            store,
            chain,
            clock,
            signals,
            standing,
            desk,
            settings,
            part,
            flights: BTreeMap::new(),
            max_items,
            last_items: 0,
            last_flight: Duration::ZERO,
            wary_until: None,
            affordable_gas: u64::MAX,
            barred: HashMap::new(),
            is_mute,
            failures: 0,
        }
    }

    pub(super) fn operator(&self) -> Address {
        self.key.address()
    }

    /// Works until told to stop; what is in flight stays in flight and is found again at the next start.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut work = self.signals.work();
        let mut blocks = self.signals.blocks();
        loop {
            work.mark_unchanged();
            blocks.mark_unchanged();
            let next = self.turn().await;
            if stop.is_cancelled() {
                return;
            }
            // A subscription cannot fail: this lane holds the sender.
            match next {
                Next::Now => {}
                Next::Work(at_most) => {
                    tokio::select! {
                        () = stop.cancelled() => return,
                        _ = work.changed() => self.let_gather(&mut work).await,
                        () = tokio::time::sleep(at_most) => {}
                    }
                }
                Next::Block(at_most) => tokio::select! {
                    () = stop.cancelled() => return,
                    _ = blocks.changed() => {}
                    () = tokio::time::sleep(at_most) => {}
                },
            }
        }
    }

    /// Where operations last came in numbers, more follow the first of them at once: it waits for them a little, because
    /// what does not travel with it waits for its block. One that comes alone does not wait.
    async fn let_gather(&self, work: &mut watch::Receiver<u64>) {
        if self.last_items < 2 {
            return;
        }
        let quiet = QUIET.min(self.last_flight / QUIET_PART);
        let gathered = async { while tokio::time::timeout(quiet, work.changed()).await.is_ok() {} };
        // That they go on coming is no reason to wait for ever.
        let _ = tokio::time::timeout(GATHERING.min(self.last_flight / GATHERING_PART), gathered).await;
    }

    /// One step, and what to wait for before the next. Faults are reported and outlived.
    pub(crate) async fn turn(&mut self) -> Next {
        match self.step().await {
            Ok(next) => {
                self.failures = 0;
                next
            }
            Err(LaneError::Withdrawn) => Next::Now,
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                if let LaneError::Store(error) = &error {
                    self.standing.note(&self.store, error);
                }
                self.standing.report(&self.part, Some(error.to_string()));
                Next::Block(backoff::rest(self.failures))
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

    /// A batch of several that failed as a whole is sent in halves; after one that did not, batches may grow again.
    async fn learn_from_closed(&mut self, open: &[OpenBatch]) -> Result<(), LaneError> {
        let is_open = |id: &BatchId| open.iter().any(|batch| batch.id == *id);
        let closed: Vec<BatchId> = self.flights.keys().copied().filter(|id| !is_open(id)).collect();
        for id in closed {
            let Some(flight) = self.flights.remove(&id) else { continue };
            self.last_flight = flight.begun.elapsed();
            let mut reader = self.store.read().await?;
            match batches::succeeded(&mut reader, id).await? {
                Some(false) if flight.items > 1 => self.max_items = (self.max_items / 2).max(1),
                Some(true) => self.max_items = (self.max_items * 2).min(self.settings.max_batch_items),
                Some(false) | None => {}
            }
        }
        Ok(())
    }
}
