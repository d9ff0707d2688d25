//! Follows the chain block by block and writes down what happened. The only writer of on-chain outcomes.
//!
//! Each block is taken in by one change that moves preauths, closes operations and batches, and advances the cursor, so
//! a crash between two blocks loses nothing and repeats nothing. A block whose parent is not the last one taken in is
//! a reorg: the projection goes back to the newest block both chains share and follows the new one from there.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address, B256};
use futures::FutureExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::projection::{BlockChanges, MinedBatch, take_in};
use super::rhythm::Rhythm;
use super::rollback::roll_back_to;
use super::{LaneSettings, Signals, Standing, backoff, traces};
use crate::chain::{
    BlockHeader, BlockView, Chain, ChainClock, ChainError, EscrowCall, EscrowLog, Receipt, WallClock,
};
use crate::model::{CallFailure, PreauthKey};
use crate::store::batches::OpenBatch;
use crate::store::blocks::Block;
use crate::store::{Steps, Store, StoreError, batches, blocks, instance, operations, preauths};

/// The part of [`Standing`] the observer answers for.
const PART: &str = "chain";
/// After a send the next block is looked for this soon; the interval doubles up to that of the chain's rhythm.
const EAGER: Duration = Duration::from_millis(2);
/// Blocks whose logs are fetched by one request while catching up on what is too deep to reorg.
const RANGE: u64 = 1_000;

/// Why the observer could not go on for now.
#[derive(Debug, thiserror::Error)]
pub enum ObserverError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(
        "the chain was reorganized deeper than {0} blocks: nothing is signed until an operator has looked at it"
    )]
    TooDeep(u64),
}

/// What one step did.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// The cursor moved; there may be more.
    Moved,
    /// The cursor went back after a reorg.
    WentBack,
    /// Nothing new.
    AtHead,
}

/// What to do after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Another step at once.
    None,
    /// Another step after this long, or sooner where a block is expected.
    For(Duration),
}

/// What matters in one of many blocks that are taken in at once.
#[derive(Default)]
struct BlockContents {
    logs: Vec<EscrowLog>,
    mined: Vec<(OpenBatch, Receipt)>,
}

/// Follows one chain.
pub struct Observer {
    store: Store,
    chain: Chain,
    clock: ChainClock,
    signals: Signals,
    standing: Standing,
    settings: LaneSettings,
    /// How long to wait before the next look.
    pause: Duration,
    rhythm: Rhythm,
    /// A batch is in flight: somebody waits for the block that brings it.
    is_awaited: bool,
    /// Steps that failed, one after the other.
    failures: u32,
}

impl Observer {
    /// Prepares to follow the chain from the last block taken in, or from just before the oldest escrow.
    pub async fn prepare(
        store: Store,
        chain: Chain,
        signals: Signals,
        standing: Standing,
        settings: LaneSettings,
        wall: WallClock,
    ) -> Result<Self, ObserverError> {
        let (tip, escrows) = {
            let mut reader = store.read().await?;
            (blocks::tip(&mut reader).await?, instance::escrows(&mut reader).await?)
        };
        let tip = match tip {
            Some(tip) => tip,
            None => {
                let head = chain.head().await?.number;
                let oldest = escrows.iter().map(|(_, block)| *block).min().unwrap_or(head);
                let start = block_at(&chain, oldest.min(head).saturating_sub(1)).await?.header;
                let range = (start.number, start.number);
                if !chain.agrees_on_range(&[], range, &[start], &[], &[]).await? {
                    return Err(ChainError::NoAgreement(format!(
                        "the endpoints do not agree about block {} yet",
                        start.number
                    ))
                    .into());
                }
                let block = Block { number: start.number, hash: start.hash, timestamp: start.timestamp };
                store.write(move |tx| async move { blocks::insert(tx, &block).await }.boxed()).await?;
                block
            }
        };
        let clock = ChainClock::starting_at(tip.number, tip.timestamp, wall);
        show_block(tip.number);
        let pause = settings.poll_interval;
        Ok(Self {
            store,
            chain,
            clock,
            signals,
            standing,
            settings,
            pause,
            rhythm: Rhythm::default(),
            is_awaited: false,
            failures: 0,
        })
    }

    /// The chain's clock, moved by this observer.
    #[must_use]
    pub fn clock(&self) -> ChainClock {
        self.clock.clone()
    }

    /// Takes in everything up to the chain's head.
    pub async fn catch_up(&mut self) -> Result<(), ObserverError> {
        loop {
            match self.step().await {
                Ok(Step::Moved | Step::WentBack) => {}
                Ok(Step::AtHead) => return Ok(()),
                // Whether the others come round is no reason not to start: what is missing is taken in later.
                Err(ObserverError::Chain(error @ ChainError::NoAgreement(_))) => {
                    self.standing.report(PART, Some(error.to_string()));
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Follows the chain until told to stop. Faults are reported and outlived.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let rest = self.turn().await;
            if stop.is_cancelled() {
                return;
            }
            let Rest::For(pause) = rest else { continue };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
                () = self.signals.block_expected(), if self.failures == 0 => {
                    self.pause = EAGER;
                    self.is_awaited = true;
                }
            }
        }
    }

    /// One step, and how long to rest before the next. Faults are reported and outlived.
    pub(crate) async fn turn(&mut self) -> Rest {
        match self.step().await {
            Ok(step) => {
                self.failures = 0;
                self.standing.report(PART, None);
                match step {
                    Step::Moved => Rest::None,
                    // A node that flaps between two chains must not keep us busy.
                    Step::WentBack => Rest::For(EAGER),
                    Step::AtHead => {
                        let pause = self.pause;
                        self.pause = (pause * 2).min(self.between_looks());
                        Rest::For(pause)
                    }
                }
            }
            Err(error) => {
                match &error {
                    ObserverError::TooDeep(_) => {
                        self.standing.report(Standing::FATAL, Some(error.to_string()));
                    }
                    ObserverError::Store(error) => self.standing.note(&self.store, error),
                    ObserverError::Chain(_) => {}
                }
                self.standing.report(PART, Some(error.to_string()));
                self.failures = self.failures.saturating_add(1);
                Rest::For(backoff::rest(self.failures))
            }
        }
    }

    /// While somebody waits, one look more costs less than his time.
    fn between_looks(&self) -> Duration {
        let ordinary = self.settings.poll_interval;
        if self.is_awaited { self.rhythm.between_looks(Instant::now(), ordinary) } else { ordinary }
    }

    /// Takes in the next block, goes back after a reorg, or finds that there is nothing new.
    async fn step(&mut self) -> Result<Step, ObserverError> {
        let head = self.chain.head().await?;
        self.rhythm.saw(head.number, Instant::now());
        let tip = self.tip().await?;
        let confirmed = head.number.saturating_sub(self.settings.confirmations.saturating_sub(1));

        if head.number == tip.number && head.hash != tip.hash {
            return self.go_back(tip, &head).await;
        }
        if confirmed <= tip.number {
            // A lower head is a lagging node, or a shorter chain: the stored block at its height tells.
            if head.number < tip.number && !self.knows(&head).await? {
                return self.go_back(tip, &head).await;
            }
            return Ok(Step::AtHead);
        }
        let deep = confirmed.saturating_sub(self.settings.reorg_depth);
        if tip.number + RANGE / 10 < deep {
            return self.take_range(tip, deep.min(tip.number + RANGE), &head).await;
        }
        let Some(block) = self.chain.block_at(tip.number + 1).await? else { return Ok(Step::AtHead) };
        if block.header.parent != tip.hash {
            return self.go_back(tip, &head).await;
        }
        self.take_block(&block).await
    }

    async fn tip(&self) -> Result<Block, ObserverError> {
        let mut reader = self.store.read().await?;
        let tip = blocks::tip(&mut reader).await?;
        Ok(tip.ok_or_else(|| StoreError::Corrupt("blocks: the cursor is gone".into()))?)
    }

    async fn knows(&self, header: &BlockHeader) -> Result<bool, ObserverError> {
        let mut reader = self.store.read().await?;
        let stored = blocks::below(&mut reader, header.number + 1).await?;
        Ok(stored.is_none_or(|stored| stored.number != header.number || stored.hash == header.hash))
    }

    async fn take_block(&mut self, block: &BlockView) -> Result<Step, ObserverError> {
        let (escrows, open) = self.interests().await?;
        let logs = if block.transactions.is_empty() {
            Vec::new()
        } else {
            self.chain.logs_of_block(&escrows, block.header.hash).await?
        };
        let attempts = attempts_of(&open);
        let mut mined = Vec::new();
        for transaction in &block.transactions {
            let Some(batch) = attempts.get(transaction) else { continue };
            let receipt = self.chain.receipt(*transaction).await?;
            let receipt = receipt.filter(|receipt| receipt.block_hash == block.header.hash);
            // Some nodes show a block some milliseconds before its receipts.
            let Some(receipt) = receipt else { return Ok(Step::AtHead) };
            mined.push(self.mined_batch(batch, receipt, &block.header).await?);
        }
        let receipts: Vec<_> = mined.iter().map(|mined| &mined.receipt).collect();
        if !self.chain.agrees_on_block(&escrows, block, &logs, &receipts).await? {
            return Ok(Step::AtHead);
        }
        self.is_awaited = open.len() > mined.len();
        self.write_down(block.header, with_own_logs(logs, &mined), mined).await
    }

    /// Takes in many blocks at once that are too deep to be reorganized.
    async fn take_range(&self, tip: Block, last: u64, head: &BlockHeader) -> Result<Step, ObserverError> {
        let known = self.chain.block_at(tip.number).await?;
        if known.is_none_or(|known| known.header.hash != tip.hash) {
            return self.go_back(tip, head).await;
        }
        let (escrows, open) = self.interests().await?;
        let mut by_block: BTreeMap<u64, BlockContents> = BTreeMap::new();
        let logs = self.chain.logs_of_range(&escrows, tip.number + 1, last).await?;
        for (number, log) in &logs {
            by_block.entry(*number).or_default().logs.push(log.clone());
        }
        for batch in open {
            for attempt in &batch.attempts {
                let receipt = self.chain.receipt(attempt.hash).await?;
                if let Some(receipt) =
                    receipt.filter(|receipt| receipt.block > tip.number && receipt.block <= last)
                {
                    by_block.entry(receipt.block).or_default().mined.push((batch.clone(), receipt));
                    break;
                }
            }
        }
        by_block.entry(last).or_default();
        let mut headers = Vec::with_capacity(by_block.len());
        for number in by_block.keys() {
            headers.push(block_at(&self.chain, *number).await?.header);
        }
        let receipts: Vec<_> =
            by_block.values().flat_map(|block| block.mined.iter().map(|(_, receipt)| receipt)).collect();
        let range = (tip.number + 1, last);
        if !self.chain.agrees_on_range(&escrows, range, &headers, &logs, &receipts).await? {
            return Ok(Step::AtHead);
        }
        for (header, BlockContents { logs, mined: receipts }) in
            headers.into_iter().zip(by_block.into_values())
        {
            let mut mined = Vec::with_capacity(receipts.len());
            for (batch, receipt) in receipts {
                mined.push(self.mined_batch(&batch, receipt, &header).await?);
            }
            self.write_down(header, with_own_logs(logs, &mined), mined).await?;
        }
        tracing::info!(block = last, "catching up");
        Ok(Step::Moved)
    }

    async fn interests(&self) -> Result<(Vec<Address>, Vec<OpenBatch>), ObserverError> {
        let mut reader = self.store.read().await?;
        let escrows = instance::escrows(&mut reader).await?.into_iter().map(|(address, _)| address).collect();
        Ok((escrows, batches::open(&mut reader, None).await?))
    }

    async fn mined_batch(
        &self,
        batch: &OpenBatch,
        receipt: Receipt,
        header: &BlockHeader,
    ) -> Result<MinedBatch, ObserverError> {
        let failure = if receipt.succeeded || receipt.gas_used >= batch.gas_limit {
            // A whole transaction that ran out of gas says nothing about the operation in it.
            None
        } else {
            self.failure_of_single(batch, header).await?
        };
        Ok(MinedBatch { batch: batch.id, receipt, failure })
    }

    /// A transaction of a single call leaves no log of its failure; running it again on the state before tells.
    async fn failure_of_single(
        &self,
        batch: &OpenBatch,
        header: &BlockHeader,
    ) -> Result<Option<CallFailure>, ObserverError> {
        let call = {
            let mut reader = self.store.read().await?;
            match operations::of_batch(&mut reader, batch.id).await?.as_slice() {
                [Ok(only)] => {
                    let preauths = preauths::by_keys(&mut reader, &[only.preauth]).await?;
                    // What is damaged is left out when the block is taken in.
                    let Some(Ok(preauth)) = preauths.get(&only.preauth) else { return Ok(None) };
                    EscrowCall {
                        kind: only.kind,
                        terms: preauth.terms(),
                        amount: only.amount.map(|(units, _)| units).unwrap_or_default(),
                        consent: preauth.consent.clone(),
                    }
                }
                _ => return Ok(None),
            }
        };
        match self.chain.replay(batch.operator, batch.escrow, &call, batch.gas_limit, header).await {
            Ok(failure) => Ok(failure),
            Err(error) => {
                // Without a reason the operation is due again, and its dry run will tell.
                tracing::warn!(%error, batch = %batch.id, "a failed transaction could not be run again");
                Ok(None)
            }
        }
    }

    async fn write_down(
        &self,
        header: BlockHeader,
        logs: Vec<EscrowLog>,
        mined: Vec<MinedBatch>,
    ) -> Result<Step, ObserverError> {
        for batch in &mined {
            let receipt = &batch.receipt;
            tracing::info!(batch = %batch.batch, block = header.number, gas = receipt.gas_used,
                succeeded = receipt.succeeded, transaction = %receipt.transaction, "batch mined");
        }
        let forget_below = header.number.saturating_sub(self.settings.reorg_depth);
        let changes = Arc::new(BlockChanges { header, logs, mined, forget_below });
        let mut taken_in = self.take_in(changes.clone(), Steps::together()).await;
        if matches!(taken_in, Err(StoreError::Unreadable(_))) {
            taken_in = self.take_in(changes.clone(), Steps::apart()).await;
        }
        let changed = taken_in?;
        for batch in &changes.mined {
            traces::mined(&self.store, &self.clock, batch.batch, &batch.receipt).await;
        }
        self.clock.advance(&header);
        show_block(header.number);
        self.announce(changed);
        Ok(Step::Moved)
    }

    /// Takes a block in, in one change.
    async fn take_in(
        &self,
        changes: Arc<BlockChanges>,
        mut steps: Steps,
    ) -> Result<Vec<PreauthKey>, StoreError> {
        let now = self.clock.wall();
        let (changed, unreadable) = self
            .store
            .write::<_, StoreError, _>(move |tx| {
                async move {
                    let changed = take_in(tx, &changes, now, &mut steps).await?;
                    Ok((changed, steps.unreadable()))
                }
                .boxed()
            })
            .await?;
        unreadable.into_iter().for_each(|row| self.standing.note_unreadable(row));
        Ok(changed)
    }

    /// Walks the stored blocks down to the newest one that is still in the chain, and takes back what is above it.
    async fn go_back(&self, tip: Block, head: &BlockHeader) -> Result<Step, ObserverError> {
        let (mut stored, mut undone) = (tip, tip);
        let common = loop {
            let block = self.chain.block_at(stored.number).await?;
            match block {
                Some(block) if block.header.hash == stored.hash => break stored,
                // A node that lags behind must not be taken for a chain that lost its blocks.
                None if stored.number <= head.number => {
                    return Err(
                        ChainError::Nonsense(format!("the node lacks block {}", stored.number)).into()
                    );
                }
                _ => {}
            }
            undone = stored;
            let below = {
                let mut reader = self.store.read().await?;
                blocks::below(&mut reader, stored.number).await?
            };
            stored = match below {
                Some(below) => below,
                None if self.chain.agrees_on_reorg(None, (undone.number, undone.hash)).await? => {
                    return Err(ObserverError::TooDeep(self.settings.reorg_depth));
                }
                None => return Ok(Step::AtHead),
            };
        };
        let shared = Some((common.number, common.hash));
        if common == tip || !self.chain.agrees_on_reorg(shared, (undone.number, undone.hash)).await? {
            return Ok(Step::AtHead);
        }
        tracing::warn!(from = tip.number, to = common.number, "the chain was reorganized");
        let now = self.clock.wall();
        let (changed, unreadable) = self
            .store
            .write::<_, StoreError, _>(move |tx| {
                async move {
                    let mut steps = Steps::apart();
                    let changed = roll_back_to(tx, common.number, now, &mut steps).await?;
                    Ok((changed, steps.unreadable()))
                }
                .boxed()
            })
            .await?;
        unreadable.into_iter().for_each(|row| self.standing.note_unreadable(row));
        // Whoever sees it counted finds the database gone back.
        metrics::counter!("preauthd_reorgs_total").increment(1);
        self.clock.go_back(common.number, common.timestamp);
        show_block(common.number);
        self.announce(changed);
        Ok(Step::WentBack)
    }

    fn announce(&self, changed: Vec<PreauthKey>) {
        self.signals.changed(changed);
        self.signals.block_taken_in();
        self.signals.work_arrived();
    }
}

/// For those who compare it with the chain's height.
fn show_block(number: u64) {
    metrics::gauge!("preauthd_block").set(f64::from(u32::try_from(number).unwrap_or(u32::MAX)));
}

async fn block_at(chain: &Chain, number: u64) -> Result<BlockView, ChainError> {
    let block = chain.block_at(number).await?;
    block.ok_or_else(|| ChainError::Nonsense(format!("the node has no block {number}")))
}

/// What our own transactions did is told by their receipts: a node may answer for logs before it has indexed them.
fn with_own_logs(mut logs: Vec<EscrowLog>, mined: &[MinedBatch]) -> Vec<EscrowLog> {
    logs.retain(|log| mined.iter().all(|mined| mined.receipt.transaction != log.transaction));
    logs.extend(mined.iter().flat_map(|mined| mined.receipt.logs.iter().cloned()));
    logs.sort_by_key(|log| log.index);
    logs
}

fn attempts_of(open: &[OpenBatch]) -> HashMap<B256, &OpenBatch> {
    open.iter().flat_map(|batch| batch.attempts.iter().map(move |attempt| (attempt.hash, batch))).collect()
}
