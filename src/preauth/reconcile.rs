//! Compare the database with the chain. Nothing is changed.
//!
//! Both move on meanwhile, so each step reads the rows and the observer's cursor in one snapshot, and then the chain up to
//! exactly that block: what the observer has not taken in yet is no difference. What was closed is judged by the escrows'
//! logs, and what is open by the contract's storage as well.

use std::collections::BTreeMap;
use std::time::Duration;

use alloy::primitives::{Address, B256, U256};
use backon::{ConstantBuilder, Retryable};

use super::past::{Past, Reading};
use super::progress::Progress;
use crate::chain::{Chain, ChainError, WallClock};
use crate::model::{
    Balance, Drift, Millis, Preauth, PreauthKey, PreauthStatus, Reconciliation, Record, UnknownHold,
    Unreadable, Verdict,
};
use crate::store::blocks::Block;
use crate::store::histories::Place;
use crate::store::{
    Connection, StoreError, StoreReader, UnreadableRow, blocks, comparison, instance, recovery, tokens,
};

/// Rows that are compared at once.
const PAGE: u32 = 500;
/// Drift counts when each of so many looks shows it. Some nodes (anvil is one) answer for their newest block from a state
/// that has moved on in the middle of the request.
const LOOKS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(300);
/// A reorg takes the block away that is being asked for; the observer's next cursor is asked for then.
const RETRY: ConstantBuilder =
    ConstantBuilder::new().with_delay(Duration::from_millis(500)).with_max_times(4);

/// Why nothing can be said about database and chain.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("at block {block}, up to which the daemon has read the chain: {source}")]
    Chain { block: u64, source: ChainError },
    #[error("the database belongs to chain {bound}, the node is on chain {asked}")]
    OtherChain { bound: u64, asked: u64 },
    #[error("no daemon has read the chain with this database yet")]
    NoCursor,
    #[error(
        "the node does not have block {0}, up to which the daemon has read the chain: the node lags, or there was a reorg \
         that no running daemon has followed yet"
    )]
    NoBlock(u64),
}

/// How much is compared.
#[derive(Debug, Clone, Copy)]
pub enum Scope {
    /// Every row, and every log since the escrows were deployed.
    Everything,
    /// What is open, what has changed since an earlier comparison, and the logs since then.
    Since {
        block: u64,
        /// Rows written at or after this time count as changed.
        changed: Millis,
    },
}

impl Scope {
    /// Holds that the node is asked about at once: beside a daemon's own work, few.
    fn concurrency(self) -> usize {
        match self {
            Self::Everything => 32,
            Self::Since { .. } => 4,
        }
    }
}

/// Compares preauthorizations, every escrow's balances, and the locks on chain.
///
/// `reorg_depth`: blocks that a reorg may still change. `wall`: what it waits by before it looks again.
/// `progress`: where it says how far it is.
///
/// # Errors
/// [`ReconcileError`] when it cannot be found out.
pub async fn reconcile(
    database: &StoreReader,
    chain: &Chain,
    reorg_depth: u64,
    scope: Scope,
    wall: &WallClock,
    progress: &Progress,
) -> Result<Reconciliation, ReconcileError> {
    let escrows = identify(database, chain).await?;
    let logs = match scope {
        Scope::Everything => Reading::Whole,
        Scope::Since { block, .. } => Reading::Since(block),
    };
    let past = Past::open(chain, escrows.clone(), reorg_depth, logs, progress.clone()).await?;
    let mut audit = Audit { database, chain, past, scope, wall, progress, found: Reconciliation::default() };
    audit.found.blocks.0 = audit.cursor().await?.number;
    audit.walk().await?;
    audit.weigh(&escrows).await?;
    audit.look_for_unknown().await?;
    audit.found.blocks.1 = audit.cursor().await?.number;
    Ok(audit.found)
}

/// The escrows of the database, which must belong to the node's chain.
async fn identify(database: &StoreReader, chain: &Chain) -> Result<Vec<(Address, u64)>, ReconcileError> {
    let mut snapshot = database.snapshot().await?;
    let bound = instance::chain_id(&mut snapshot).await?.ok_or(ReconcileError::NoCursor)?;
    let asked = chain.chain_id();
    if bound != asked {
        return Err(ReconcileError::OtherChain { bound, asked });
    }
    Ok(instance::escrows(&mut snapshot).await?)
}

/// Which rows to read.
enum Rows {
    /// The page after this one.
    After(PreauthKey),
    These(Vec<PreauthKey>),
}

struct Audit<'a> {
    database: &'a StoreReader,
    chain: &'a Chain,
    past: Past<'a>,
    scope: Scope,
    wall: &'a WallClock,
    progress: &'a Progress,
    found: Reconciliation,
}

impl Audit<'_> {
    /// The observer's cursor, as soon as the node has it.
    async fn cursor(&self) -> Result<Block, ReconcileError> {
        let look = || async {
            let tip = tip(&mut *self.database.snapshot().await?).await?;
            let block = self.chain.block_at(tip.number).await.map_err(at(&tip))?;
            match block {
                Some(block) if block.header.hash == tip.hash => Ok(tip),
                _ => Err(ReconcileError::NoBlock(tip.number)),
            }
        };
        look.retry(RETRY).sleep(self.wall.pauses()).when(may_pass).await
    }

    /// Every row in the scope, against what the chain says of it.
    async fn walk(&mut self) -> Result<(), ReconcileError> {
        let mut after = PreauthKey(0);
        loop {
            let mut page = self.verdicts(&Rows::After(after)).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = *last;
            for _ in 1..LOOKS {
                let (equal, doubtful): (Vec<_>, Vec<_>) =
                    page.into_iter().partition(|(_, verdict)| matches!(verdict, Verdict::Equal));
                equal.into_iter().for_each(|(_, verdict)| self.found.note(verdict));
                if doubtful.is_empty() {
                    page = Vec::new();
                    break;
                }
                self.wall.rest(PAUSE).await;
                self.past.doubt().await;
                let keys = doubtful.iter().map(|(key, _)| *key).collect();
                page = self.verdicts(&Rows::These(keys)).await?;
            }
            page.into_iter().for_each(|(_, verdict)| self.found.note(verdict));
            self.progress.at("comparing preauthorizations", self.found.checked, 0);
        }
    }

    async fn verdicts(&self, wanted: &Rows) -> Result<Vec<(PreauthKey, Verdict)>, ReconcileError> {
        (|| self.try_verdicts(wanted)).retry(RETRY).sleep(self.wall.pauses()).when(may_pass).await
    }

    async fn try_verdicts(&self, wanted: &Rows) -> Result<Vec<(PreauthKey, Verdict)>, ReconcileError> {
        let mut snapshot = self.database.snapshot().await?;
        let tip = tip(&mut snapshot).await?;
        let rows = match (wanted, self.scope) {
            (Rows::After(key), Scope::Everything) => {
                comparison::page_of_all(&mut snapshot, *key, PAGE).await?
            }
            (Rows::After(key), Scope::Since { changed, .. }) => {
                comparison::page_of_recent(&mut snapshot, *key, changed, PAGE).await?
            }
            (Rows::These(keys), _) => {
                let mut rows = Vec::with_capacity(keys.len());
                for key in keys {
                    rows.extend(comparison::row(&mut snapshot, *key).await?);
                }
                rows
            }
        };
        drop(snapshot);
        self.past.follow(&tip).await?;
        let asked: Vec<_> = rows
            .iter()
            .filter_map(|row| row.as_ref().ok())
            .filter(|row| self.must_ask(row))
            .map(|row| (row.escrow, row.preauth_id))
            .collect();
        let words =
            self.chain.preauth_words(&asked, tip.hash, self.scope.concurrency()).await.map_err(at(&tip))?;
        let words: BTreeMap<_, _> = asked.into_iter().zip(words).collect();
        let mut verdicts = Vec::with_capacity(rows.len());
        for row in rows {
            verdicts.push((comparison::key_of(&row), self.judge(row, &words).await?));
        }
        Ok(verdicts)
    }

    /// Where not every log is read, the contract's storage tells how a hold stands. What is open is asked for in any case:
    /// it is where tokens are.
    fn must_ask(&self, row: &Preauth) -> bool {
        row.status == PreauthStatus::Authorized || !self.past.is_whole()
    }

    async fn judge(
        &self,
        row: comparison::Reading,
        words: &BTreeMap<(Address, B256), B256>,
    ) -> Result<Verdict, ReconcileError> {
        let preauth = match row {
            Ok(preauth) => preauth,
            Err(row) => return self.unreadable(&row).await,
        };
        let place = (preauth.escrow, preauth.preauth_id);
        let history = self.past.of(place.0, place.1).await?;
        let record = words.get(&place).map_or_else(|| history.record(), |word| Record::from_word(*word));
        let drift = Drift::with_history(&preauth, record, &history, self.past.is_whole());
        Ok(drift.into())
    }

    async fn unreadable(&self, row: &UnreadableRow) -> Result<Verdict, ReconcileError> {
        let key = PreauthKey(row.id);
        let remains = recovery::remains(&mut *self.database.snapshot().await?, key).await?;
        let found = match remains.escrow.zip(remains.preauth_id) {
            Some((escrow, preauth_id)) => Some(self.past.of(escrow, preauth_id).await?.record()),
            None => None,
        };
        Ok(Verdict::Unreadable(Unreadable {
            invoice: remains.invoice.map(|invoice| invoice.to_string()),
            preauth_id: remains.preauth_id,
            found: found.filter(|_| self.past.is_whole()),
            why: row.why.to_string(),
        }))
    }

    /// What each escrow has of each token, against what it owes of it.
    async fn weigh(&mut self, escrows: &[(Address, u64)]) -> Result<(), ReconcileError> {
        for look in 0..LOOKS {
            if look > 0 {
                self.wall.rest(PAUSE).await;
            }
            let weigh = || self.balances(escrows);
            self.found.balances = weigh.retry(RETRY).sleep(self.wall.pauses()).when(may_pass).await?;
            if self.found.balances.iter().all(|balance| balance.missing().is_zero()) {
                break;
            }
        }
        Ok(())
    }

    async fn balances(&self, escrows: &[(Address, u64)]) -> Result<Vec<Balance>, ReconcileError> {
        let (tip, totals, claims, admitted) = {
            let mut snapshot = self.database.snapshot().await?;
            (
                tip(&mut snapshot).await?,
                comparison::open_totals(&mut snapshot).await?,
                comparison::claims(&mut snapshot).await?,
                tokens::all(&mut snapshot).await?,
            )
        };
        let mut owed: BTreeMap<(Address, Address), (U256, U256)> = BTreeMap::new();
        for (escrow, _) in escrows {
            owed.extend(
                admitted.iter().map(|token| ((*escrow, token.contract.address()), Default::default())),
            );
        }
        for (place, open) in totals {
            owed.entry(place).or_default().0 = U256::from(open);
        }
        let claimable = self.chain.claimable(&claims, tip.hash).await.map_err(at(&tip))?;
        for ((escrow, _, token), units) in claims.into_iter().zip(claimable) {
            let claimed = &mut owed.entry((escrow, token)).or_default().1;
            *claimed = claimed.saturating_add(units);
        }
        let accounts: Vec<_> = owed.keys().map(|(escrow, token)| (*token, *escrow)).collect();
        let held = self.chain.token_balances(&accounts, tip.hash).await.map_err(at(&tip))?;
        let balances = owed.into_iter().zip(held).map(|(((escrow, token), (open, claimable)), held)| {
            Balance { escrow, token, held, open, claimable }
        });
        Ok(balances.collect())
    }

    /// Open holds on chain for which there is no row. A row is written before its lock is sent, so what has none now has
    /// never had one, or has lost it.
    async fn look_for_unknown(&mut self) -> Result<(), ReconcileError> {
        (|| self.follow_cursor()).retry(RETRY).sleep(self.wall.pauses()).when(may_pass).await?;
        let mut place = Place::START;
        loop {
            let page = self.past.locks_after(place, PAGE).await?;
            let Some((last, ..)) = page.last() else { return Ok(()) };
            place = *last;
            let mut snapshot = self.database.snapshot().await?;
            for (_, escrow, preauth_id) in page {
                if comparison::exists(&mut snapshot, escrow, preauth_id).await? {
                    continue;
                }
                let history = self.past.of(escrow, preauth_id).await?;
                if let (Record::Open(_), Some((_, terms))) = (history.record(), history.lock()) {
                    self.found.unknown.add(UnknownHold { escrow, terms });
                }
            }
        }
    }

    async fn follow_cursor(&self) -> Result<(), ReconcileError> {
        let tip = tip(&mut *self.database.snapshot().await?).await?;
        self.past.follow(&tip).await
    }
}

pub(super) async fn tip(connection: &mut Connection) -> Result<Block, ReconcileError> {
    blocks::tip(connection).await?.ok_or(ReconcileError::NoCursor)
}

/// Says of a node's fault at which block it came up.
pub(super) fn at(block: &Block) -> impl FnOnce(ChainError) -> ReconcileError + use<> {
    let block = block.number;
    move |source| ReconcileError::Chain { block, source }
}

/// Whether another try can end better.
pub(super) fn may_pass(error: &ReconcileError) -> bool {
    matches!(error, ReconcileError::Chain { .. } | ReconcileError::NoBlock(_))
}
