//! Rebuild the projection from the chain, where it is not as the chain says. No daemon may run meanwhile.
//!
//! An empty database is one in which every row is missing: it gets a cursor at the head, and then what any other gets. The
//! observer's cursor is brought to the head before rows are judged, so that what happened after an old backup counts too.
//! Rows are written in bounded changes, each durable and each the same when it is made twice: a repair that dies is begun
//! again.

mod plan;

use std::collections::{BTreeSet, HashMap};

use alloy::primitives::Address;
use backon::{ConstantBuilder, Retryable};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};

use super::past::{Past, Reading};
use super::progress::Progress;
use super::reconcile::{self, ReconcileError};
use crate::chain::{Chain, ChainError, WallClock, wall_now};
use crate::lane::{LaneSettings, Observer, ObserverError, Signals, Standing, rebuild};
use crate::model::{
    History, Mended, Mending, Millis, OperationId, OperationState, Preauth, PreauthKey, Record, Repairs,
};
use crate::store::blocks::Block;
use crate::store::histories::Place;
use crate::store::{
    Connection, Store, StoreError, blocks, comparison, instance, operations, recovery, tenants,
};

/// Rows that are read at once.
const PAGE: u32 = 500;
/// Rows that are written by one change.
const CHUNK: usize = 50;
/// Headers that are asked for at once.
const CONCURRENCY: usize = 32;
/// The chain moves on, and back, while it is read.
const RETRY: ConstantBuilder =
    ConstantBuilder::new().with_delay(std::time::Duration::from_millis(500)).with_max_times(4);

/// Why a repair could not be carried through. What it did so far stays.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Compare(#[from] ReconcileError),
    #[error("following the chain: {0}")]
    Follow(#[from] ObserverError),
    #[error("the chain changed while its newest blocks were read, or too few endpoints show them yet")]
    Moved,
}

/// Rewrites every row that is not as the chain says, and gives every hold a row that has none.
///
/// The database must be bound to the node's chain and know its escrows.
///
/// # Errors
/// [`RepairError`]; what was repaired until then is durable, and the repair can be begun again.
pub async fn repair(
    store: &Store,
    chain: &Chain,
    settings: &LaneSettings,
    progress: &Progress,
) -> Result<Repairs, RepairError> {
    progress.at("taking in blocks", 0, 0);
    let (decimals, done) = (HashMap::new(), Repairs::default());
    let mut repair = Repair { store, chain, settings, progress, decimals, done };
    (|| repair.place_cursor()).retry(RETRY).when(|error| !matches!(error, RepairError::Store(_))).await?;
    let orphans = store.write::<_, StoreError, _>(|tx| recovery::end_orphans(tx, wall_now()).boxed()).await?;
    if orphans > 0 {
        tracing::warn!(orphans, "operations and outcomes of rows that are gone were ended");
    }
    // The observer leaves out what it cannot read; the pass tells all of it.
    repair.catch_up().await?;
    repair.pass().await?;
    Ok(repair.done)
}

/// A row as it is to be rebuilt.
struct Plan {
    told: Preauth,
    history: History,
    /// It has no row yet; its key is chosen when it is written.
    is_new: bool,
    /// Its terms are not to be relied on: whatever is under way for it ends.
    is_doubtful: bool,
    mended: Mended,
}

struct Repair<'a> {
    store: &'a Store,
    chain: &'a Chain,
    settings: &'a LaneSettings,
    progress: &'a Progress,
    /// By token, as far as they were asked for.
    decimals: HashMap<Address, u8>,
    done: Repairs,
}

impl Repair<'_> {
    /// Gives a database that never followed the chain its place at the head, with the blocks below it that a reorg may
    /// still take back. Everything up to there is recovered from logs, everything after it the observer takes in.
    async fn place_cursor(&self) -> Result<(), RepairError> {
        let (tip, escrows) = {
            let mut reader = self.store.read().await?;
            (blocks::tip(&mut reader).await?, instance::escrows(&mut reader).await?)
        };
        if tip.is_some() {
            return Ok(());
        }
        let head = self.chain.head().await?.number;
        let top = head.saturating_sub(self.settings.confirmations.saturating_sub(1));
        let oldest = escrows.iter().map(|(_, block)| *block).min().unwrap_or(top);
        let lowest = top.saturating_sub(self.settings.reorg_depth).max(oldest.saturating_sub(1)).min(top);
        let asked = (lowest..=top).map(|number| self.chain.block_at(number));
        let found: Vec<_> = stream::iter(asked).buffered(CONCURRENCY).try_collect().await?;
        let found: Vec<_> = found.into_iter().flatten().collect();
        let newest = found.last().filter(|block| block.header.number == top).ok_or(RepairError::Moved)?;
        let served: Vec<_> = escrows.iter().map(|(escrow, _)| *escrow).collect();
        let logs = self.chain.logs_of_block(&served, newest.header.hash).await?;
        if !self.chain.agrees_on_block(&served, newest, &logs, &[]).await? {
            return Err(RepairError::Moved);
        }
        let headers: Vec<_> = found.iter().map(|block| block.header).collect();
        let is_linked = headers.iter().zip(headers.iter().skip(1)).all(|(one, next)| next.parent == one.hash);
        if !is_linked {
            return Err(RepairError::Moved);
        }
        self.store
            .write::<_, StoreError, _>(move |tx| {
                async move {
                    for header in headers {
                        let (number, hash, timestamp) = (header.number, header.hash, header.timestamp);
                        blocks::insert(tx, &Block { number, hash, timestamp }).await?;
                    }
                    Ok(())
                }
                .boxed()
            })
            .await?;
        Ok(())
    }

    async fn catch_up(&self) -> Result<(), ObserverError> {
        let observer = Observer::prepare(
            self.store.clone(),
            self.chain.clone(),
            Signals::default(),
            Standing::default(),
            self.settings.clone(),
            WallClock::system(),
        );
        observer.await?.catch_up().await
    }

    /// Every row, then every lock without one, as of the cursor.
    async fn pass(&mut self) -> Result<(), RepairError> {
        let escrows = instance::escrows(&mut *self.store.read().await?).await?;
        let depth = self.settings.reorg_depth;
        let past =
            Past::open(self.chain, escrows, depth, Reading::WholeAgreed, self.progress.clone()).await?;
        let follow = || async {
            let tip = reconcile::tip(&mut *self.store.read().await?).await?;
            past.follow(&tip).await
        };
        follow.retry(RETRY).when(reconcile::may_pass).await?;
        let tip = reconcile::tip(&mut *self.store.read().await?).await?;
        self.mend_rows(&past, &tip).await?;
        self.recover_holds(&past, &tip).await
    }

    /// The preauths of operations that cannot be read.
    async fn lost_operations(&self) -> Result<BTreeSet<PreauthKey>, RepairError> {
        let mut found = BTreeSet::new();
        let mut after = OperationId(0);
        loop {
            let mut reader = self.store.read().await?;
            let (unreadable, last) = operations::unreadable_after(&mut reader, after, PAGE).await?;
            found.extend(unreadable);
            let Some(last) = last else { return Ok(found) };
            after = last;
        }
    }

    async fn mend_rows(&mut self, past: &Past<'_>, tip: &Block) -> Result<(), RepairError> {
        let has_lost = self.lost_operations().await?;
        let (mut after, mut looked_at) = (PreauthKey(0), 0);
        loop {
            let page = comparison::page_of_all(&mut *self.store.read().await?, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = comparison::key_of(last);
            looked_at += page.len() as u64;
            self.progress.at("comparing rows with the chain", looked_at, 0);
            let mut plans = Vec::new();
            for row in page {
                let has_lost = has_lost.contains(&comparison::key_of(&row));
                plans.extend(match row {
                    Ok(preauth) => self.plan_readable(preauth, has_lost, past).await?,
                    Err(row) => self.plan_damaged(&row, past).await?,
                });
            }
            let plans = self.confirmed(plans, tip).await?;
            self.carry_out(plans).await?;
        }
    }

    async fn recover_holds(&mut self, past: &Past<'_>, tip: &Block) -> Result<(), RepairError> {
        let (mut place, mut looked_at) = (Place::START, 0);
        loop {
            let page = past.locks_after(place, PAGE).await?;
            let Some((last, ..)) = page.last() else { return Ok(()) };
            place = *last;
            looked_at += page.len() as u64;
            self.progress.at("looking for holds without a row", looked_at, 0);
            let mut plans = Vec::new();
            for (_, escrow, preauth_id) in page {
                plans.extend(self.plan_recovery(escrow, preauth_id, past).await?);
            }
            let plans = self.confirmed(plans, tip).await?;
            self.carry_out(plans).await?;
        }
    }

    /// Leaves out what the contract does not confirm: a node that has forgotten old logs must not have holds given up.
    async fn confirmed(&mut self, plans: Vec<Plan>, tip: &Block) -> Result<Vec<Plan>, RepairError> {
        let asked: Vec<_> = plans.iter().map(|plan| (plan.told.escrow, plan.told.preauth_id)).collect();
        let words = self.chain.preauth_words(&asked, tip.hash, CONCURRENCY).await?;
        let mut confirmed = Vec::with_capacity(plans.len());
        for (plan, word) in plans.into_iter().zip(words) {
            let stored = Record::from_word(word);
            if plan.history.record() == stored {
                confirmed.push(plan);
                continue;
            }
            let why = format!(
                "the node's logs make it {}, and the contract stores {}: it may lack the logs of old blocks",
                plan.history.record().word(),
                stored.word()
            );
            self.leave(Mended { why, ..plan.mended });
        }
        Ok(confirmed)
    }

    async fn carry_out(&mut self, mut plans: Vec<Plan>) -> Result<(), RepairError> {
        while !plans.is_empty() {
            let rest = plans.split_off(plans.len().min(CHUNK));
            let chunk = std::mem::replace(&mut plans, rest);
            let done = self
                .store
                .write::<_, StoreError, _>(move |tx| write_down(tx, chunk, wall_now()).boxed())
                .await?;
            for mended in done {
                tracing::info!(what = mended.mending.as_str(), invoice = mended.invoice,
                    preauth_id = ?mended.preauth_id, status = ?mended.is, why = mended.why, "repaired");
                self.done.note(mended);
            }
        }
        Ok(())
    }

    fn leave(&mut self, mended: Mended) {
        // The pass that comes after a catch-up meets the same rows again.
        let names = |row: &Mended| (row.preauth_id, row.invoice.clone(), row.why.clone());
        let is_known = |row: &Mended| row.mending == Mending::Left && names(row) == names(&mended);
        if !self.done.rows.kept.iter().any(is_known) {
            self.done.note(Mended { mending: Mending::Left, ..mended });
        }
    }
}

async fn write_down(tx: &mut Connection, chunk: Vec<Plan>, now: Millis) -> Result<Vec<Mended>, StoreError> {
    tenants::insert_unclaimed(tx, now).await?;
    let mut done = Vec::with_capacity(chunk.len());
    for Plan { mut told, history, is_new, is_doubtful, mended } in chunk {
        if is_new {
            told.key = recovery::free_key(tx).await?;
        }
        if is_doubtful {
            operations::end_unreadable(tx, told.key, now).await?;
            if let Some(open) = operations::open_of(tx, told.key).await? {
                operations::set_state(tx, open.id, OperationState::Superseded, None, now).await?;
            }
        }
        let rebuilt = rebuild(tx, &told, &history, now).await?;
        done.push(Mended { is: Some(rebuilt.status), ..mended });
    }
    Ok(done)
}
