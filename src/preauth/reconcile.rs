//! Compare the whole database with the chain. Nothing is changed.
//!
//! Both move on meanwhile, so each step reads the rows and the observer's cursor in one snapshot, and then the chain at
//! exactly that block: what the observer has not taken in yet is no difference.

use std::collections::BTreeMap;
use std::time::Duration;

use alloy::primitives::{Address, B256, U256};
use backon::{ConstantBuilder, Retryable};

use crate::chain::{Chain, ChainError};
use crate::model::{Balance, Drift, Preauth, PreauthKey, Reconciliation, Record, Terms, UnknownHold};
use crate::store::blocks::Block;
use crate::store::{Connection, StoreError, StoreReader, blocks, instance, preauths, tokens};

/// Rows that are compared at once.
const PAGE: u32 = 500;
/// Blocks whose logs are fetched by one request.
const RANGE: u64 = 1_000;
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

/// Compares every preauthorization, every escrow's balances and every lock on chain.
///
/// # Errors
/// [`ReconcileError`] when it cannot be found out.
pub async fn reconcile(database: &StoreReader, chain: &Chain) -> Result<Reconciliation, ReconcileError> {
    let mut audit = Audit { database, chain, found: Reconciliation::default() };
    let escrows = audit.identify().await?;
    audit.found.blocks.0 = audit.cursor().await?.number;
    audit.walk().await?;
    audit.weigh(&escrows).await?;
    for (escrow, deployed) in escrows {
        audit.look_for_unknown(escrow, deployed).await?;
    }
    audit.found.blocks.1 = audit.cursor().await?.number;
    Ok(audit.found)
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
    found: Reconciliation,
}

impl Audit<'_> {
    /// The escrows of the database, which must belong to the node's chain.
    async fn identify(&self) -> Result<Vec<(Address, u64)>, ReconcileError> {
        let mut snapshot = self.database.snapshot().await?;
        let bound = instance::chain_id(&mut snapshot).await?.ok_or(ReconcileError::NoCursor)?;
        let asked = self.chain.chain_id();
        if bound != asked {
            return Err(ReconcileError::OtherChain { bound, asked });
        }
        Ok(instance::escrows(&mut snapshot).await?)
    }

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
        look.retry(RETRY).when(may_pass).await
    }

    /// Every row, against the contract's word about it.
    async fn walk(&mut self) -> Result<(), ReconcileError> {
        let mut after = PreauthKey(0);
        loop {
            let mut page = self.rows(&Rows::After(after)).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = last.key;
            for _ in 1..LOOKS {
                let (equal, doubtful): (Vec<_>, Vec<_>) =
                    page.into_iter().partition(|(preauth, word)| Drift::between(preauth, *word).is_none());
                equal.iter().for_each(|(preauth, word)| self.found.check(preauth, *word));
                if doubtful.is_empty() {
                    page = Vec::new();
                    break;
                }
                tokio::time::sleep(PAUSE).await;
                let keys = doubtful.iter().map(|(preauth, _)| preauth.key).collect();
                page = self.rows(&Rows::These(keys)).await?;
            }
            page.iter().for_each(|(preauth, word)| self.found.check(preauth, *word));
        }
    }

    /// Rows with the contract's words about them.
    async fn rows(&self, wanted: &Rows) -> Result<Vec<(Preauth, B256)>, ReconcileError> {
        (|| self.try_rows(wanted)).retry(RETRY).when(may_pass).await
    }

    async fn try_rows(&self, wanted: &Rows) -> Result<Vec<(Preauth, B256)>, ReconcileError> {
        let mut snapshot = self.database.snapshot().await?;
        let tip = tip(&mut snapshot).await?;
        let rows = match wanted {
            Rows::After(key) => {
                let page = preauths::page_of_all(&mut snapshot, *key, PAGE).await?;
                page.into_iter()
                    .collect::<Result<_, _>>()
                    .map_err(|row| StoreError::Unreadable(Box::new(row)))?
            }
            Rows::These(keys) => {
                let mut rows = Vec::with_capacity(keys.len());
                for key in keys {
                    rows.push(preauths::by_key(&mut snapshot, *key).await?);
                }
                rows
            }
        };
        drop(snapshot);
        let asked: Vec<_> = rows.iter().map(|preauth| (preauth.escrow, preauth.preauth_id)).collect();
        let words = self.chain.preauth_words(&asked, tip.hash).await.map_err(at(&tip))?;
        Ok(rows.into_iter().zip(words).collect())
    }

    /// What each escrow has of each token, against what it owes of it.
    async fn weigh(&mut self, escrows: &[(Address, u64)]) -> Result<(), ReconcileError> {
        for look in 0..LOOKS {
            if look > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            self.found.balances = (|| self.balances(escrows)).retry(RETRY).when(may_pass).await?;
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
                preauths::open_totals(&mut snapshot).await?,
                preauths::claims(&mut snapshot).await?,
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

    /// Locks on chain for which there is no row.
    async fn look_for_unknown(&mut self, escrow: Address, deployed: u64) -> Result<(), ReconcileError> {
        let last = self.cursor().await?;
        let mut first = deployed;
        while first <= last.number {
            let end = last.number.min(first.saturating_add(RANGE - 1));
            let look = || async { self.chain.locks_of_range(escrow, first, end).await.map_err(at(&last)) };
            let locked = look.retry(RETRY).when(may_pass).await?;
            let unknown = self.without_a_row(escrow, locked).await?;
            if !unknown.is_empty() {
                let open = (|| self.still_open(escrow, &unknown)).retry(RETRY).when(may_pass).await?;
                open.into_iter().for_each(|terms| self.found.unknown.add(UnknownHold { escrow, terms }));
            }
            first = end.saturating_add(1);
        }
        Ok(())
    }

    /// A row is written before its lock is sent, so what has none now has never had one, or has lost it.
    async fn without_a_row(&self, escrow: Address, locked: Vec<Terms>) -> Result<Vec<Terms>, StoreError> {
        let mut snapshot = self.database.snapshot().await?;
        let mut unknown = Vec::new();
        for terms in locked {
            if preauths::by_preauth_id(&mut snapshot, escrow, terms.preauth_id).await?.is_none() {
                unknown.push(terms);
            }
        }
        Ok(unknown)
    }

    async fn still_open(&self, escrow: Address, unknown: &[Terms]) -> Result<Vec<Terms>, ReconcileError> {
        let tip = tip(&mut *self.database.snapshot().await?).await?;
        let asked: Vec<_> = unknown.iter().map(|terms| (escrow, terms.preauth_id)).collect();
        let words = self.chain.preauth_words(&asked, tip.hash).await.map_err(at(&tip))?;
        let open =
            unknown.iter().zip(words).filter(|(_, word)| matches!(Record::from_word(*word), Record::Open(_)));
        Ok(open.map(|(terms, _)| *terms).collect())
    }
}

async fn tip(connection: &mut Connection) -> Result<Block, ReconcileError> {
    blocks::tip(connection).await?.ok_or(ReconcileError::NoCursor)
}

/// Says of a node's fault at which block it came up.
fn at(block: &Block) -> impl FnOnce(ChainError) -> ReconcileError + use<> {
    let block = block.number;
    move |source| ReconcileError::Chain { block, source }
}

/// Whether another try can end better.
fn may_pass(error: &ReconcileError) -> bool {
    matches!(error, ReconcileError::Chain { .. } | ReconcileError::NoBlock(_))
}
