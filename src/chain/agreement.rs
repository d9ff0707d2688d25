//! How many endpoints must show the same before it is believed.
//!
//! What one endpoint says of a block is money: a hold that was locked, a settlement that was paid. Where several are
//! configured, so many as the operator demands are asked anew for the block, each for itself, and compared with what the
//! observer is about to write down. A node that lags or is silent is waited for; one that says something else is too, and
//! reads begin with another one meanwhile.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use alloy::primitives::{Address, B256};
use alloy::providers::RootProvider;
use alloy::rpc::client::RpcClient;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::time::Instant;

use super::endpoint::Endpoint;
use super::endpoints::Endpoints;
use super::{BlockHeader, BlockView, Chain, ChainError, EscrowLog, Receipt};
use crate::model::HoldLog;

/// How long a witness may take to say what it sees.
const HEARING: Duration = Duration::from_secs(5);
/// How long a missing agreement is nothing to speak of: nodes hear of a block one after the other.
const QUIET: Duration = Duration::from_secs(5);
/// How long the endpoint that is read may show no new block before another one is asked whether there is one.
const STANDSTILL: Duration = Duration::from_secs(15);

/// Every endpoint for itself, and how many of them must agree.
pub(super) struct Witnesses {
    endpoints: Endpoints,
    /// The chain as each endpoint alone shows it, by its position; empty where one suffices.
    each: Vec<(usize, Chain)>,
    needed: usize,
    /// Since when agreement about a block is missing.
    missing: Mutex<Option<(u64, Instant)>>,
    /// The newest block that was shown, and since when.
    head: Mutex<Option<(u64, Instant)>>,
}

/// What one witness says to a claim.
enum Word {
    /// It sees the same.
    Same,
    /// It does not see it yet.
    NotYet,
    /// It sees something else.
    Other,
    Silent(ChainError),
}

impl Witnesses {
    pub fn new(endpoints: Endpoints, chain_id: u64, needed: usize) -> Self {
        let alone = |endpoint: &Endpoint| {
            let provider = RootProvider::new(RpcClient::new(endpoint.clone(), false));
            let witnesses = Self::new(endpoints.clone(), chain_id, 1).into();
            (endpoint.position(), Chain { provider, chain_id, witnesses })
        };
        let each = if needed > 1 { endpoints.each().iter().map(alone).collect() } else { Vec::new() };
        Self { endpoints, each, needed, missing: Mutex::default(), head: Mutex::default() }
    }

    /// Tells of the newest block that a read showed. An endpoint that lost touch with its peers answers well and stands
    /// still, which no failure tells.
    pub fn saw_head(&self, block: u64) {
        if since(&self.head, block).elapsed() >= STANDSTILL {
            self.endpoints.turn_away();
            *self.head.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// Asks all of them at once, until enough see the same. `false`: not yet.
    async fn agree<F>(&self, block: u64, ask: impl Fn(Chain) -> F) -> Result<bool, ChainError>
    where
        F: Future<Output = Result<Word, ChainError>>,
    {
        if self.needed <= 1 {
            return Ok(true);
        }
        let hearing = self.each.iter().map(|(position, witness)| {
            let asked = tokio::time::timeout(HEARING, ask(witness.clone()));
            async move {
                let word = asked.await.unwrap_or_else(|_| {
                    Err(ChainError::Rpc(format!("no answer within {} seconds", HEARING.as_secs())))
                });
                (*position, word.unwrap_or_else(Word::Silent))
            }
        });
        let mut hearing: FuturesUnordered<_> = hearing.collect();
        let (mut same, mut doubts) = (0, Vec::new());
        while let Some((position, word)) = hearing.next().await {
            match word {
                Word::Same => same += 1,
                doubt => doubts.push((position, doubt)),
            }
            if same >= self.needed {
                *self.missing.lock().unwrap_or_else(PoisonError::into_inner) = None;
                return Ok(true);
            }
        }
        doubts.sort_by_key(|(position, _)| *position);
        if doubts.iter().any(|(_, word)| matches!(word, Word::Other)) {
            self.endpoints.turn_away();
            return Err(ChainError::NoAgreement(format!("the endpoints disagree about block {block}")));
        }
        match doubts.first() {
            Some((position, word)) if since(&self.missing, block).elapsed() >= QUIET => {
                Err(ChainError::NoAgreement(match word {
                    Word::Silent(error) => {
                        format!("block {block} waits for endpoint {position}: {error}")
                    }
                    _ => format!("endpoint {position} does not show block {block} yet"),
                }))
            }
            _ => Ok(false),
        }
    }
}

/// Since when this block is what is looked at.
fn since(looked_at: &Mutex<Option<(u64, Instant)>>, block: u64) -> Instant {
    let mut looked_at = looked_at.lock().unwrap_or_else(PoisonError::into_inner);
    match *looked_at {
        Some((of, since)) if of == block => since,
        _ => looked_at.insert((block, Instant::now())).1,
    }
}

impl Chain {
    /// Whether enough endpoints show this block with these logs of the escrows and these receipts. `false`: not yet.
    ///
    /// # Errors
    /// [`ChainError::NoAgreement`] where endpoints disagree, or have not shown it for several seconds.
    pub async fn agrees_on_block(
        &self,
        escrows: &[Address],
        block: &BlockView,
        logs: &[EscrowLog],
        receipts: &[&Receipt],
    ) -> Result<bool, ChainError> {
        let expected = of_others(logs.to_vec(), receipts);
        let expected = &expected;
        self.witnesses
            .agree(block.header.number, |witness| async move {
                match witness.block_at(block.header.number).await? {
                    None => return Ok(Word::NotYet),
                    Some(other) if other != *block => return Ok(Word::Other),
                    Some(_) => {}
                }
                if block.transactions.is_empty() {
                    return Ok(Word::Same);
                }
                let logs = witness.logs_of_block(escrows, block.header.hash).await?;
                if of_others(logs, receipts) != *expected {
                    return Ok(Word::Other);
                }
                witness.attests(receipts).await
            })
            .await
    }

    /// The same for a range of blocks: those named by their headers, and all logs from `first` to `last`.
    ///
    /// # Errors
    /// As of [`Self::agrees_on_block`].
    pub async fn agrees_on_range(
        &self,
        escrows: &[Address],
        (first, last): (u64, u64),
        headers: &[BlockHeader],
        logs: &[(u64, EscrowLog)],
        receipts: &[&Receipt],
    ) -> Result<bool, ChainError> {
        self.witnesses
            .agree(last, |witness| async move {
                for header in headers {
                    match witness.block_at(header.number).await? {
                        None => return Ok(Word::NotYet),
                        Some(other) if other.header != *header => return Ok(Word::Other),
                        Some(_) => {}
                    }
                }
                if witness.logs_of_range(escrows, first, last).await? != *logs {
                    return Ok(Word::Other);
                }
                witness.attests(receipts).await
            })
            .await
    }

    /// Whether enough endpoints tell the same of an escrow's holds from one height to another. `false`: not yet.
    ///
    /// # Errors
    /// As of [`Self::agrees_on_block`].
    pub async fn agrees_on_hold_logs(
        &self,
        escrow: Address,
        (first, last): (u64, u64),
        logs: &[HoldLog],
    ) -> Result<bool, ChainError> {
        // Not every node tells a block's time with its logs.
        let timeless =
            |logs: &[HoldLog]| logs.iter().map(|log| HoldLog { time: None, ..*log }).collect::<Vec<_>>();
        let expected = &timeless(logs);
        self.witnesses
            .agree(last, |witness| async move {
                let told = witness.hold_logs(escrow, first, last).await?;
                Ok(if timeless(&told) == *expected { Word::Same } else { Word::Other })
            })
            .await
    }

    /// Whether enough endpoints show that the chain left the block `undone` (number and hash) and goes on from `common`;
    /// `None`: from none that is known. `false`: not yet.
    ///
    /// # Errors
    /// As of [`Self::agrees_on_block`].
    pub async fn agrees_on_reorg(
        &self,
        common: Option<(u64, B256)>,
        undone: (u64, B256),
    ) -> Result<bool, ChainError> {
        self.witnesses
            .agree(undone.0, |witness| async move {
                match witness.block_at(undone.0).await? {
                    None => return Ok(Word::NotYet),
                    Some(block) if block.header.hash == undone.1 => return Ok(Word::Other),
                    Some(_) => {}
                }
                let Some((number, hash)) = common else { return Ok(Word::Same) };
                Ok(match witness.block_at(number).await? {
                    None => Word::NotYet,
                    Some(block) if block.header.hash == hash => Word::Same,
                    Some(_) => Word::Other,
                })
            })
            .await
    }

    async fn attests(&self, receipts: &[&Receipt]) -> Result<Word, ChainError> {
        for receipt in receipts {
            match self.receipt(receipt.transaction).await? {
                None => return Ok(Word::NotYet),
                Some(other) if other != **receipt => return Ok(Word::Other),
                Some(_) => {}
            }
        }
        Ok(Word::Same)
    }
}

/// Logs without those of our own transactions, which the receipts tell: a node may answer for logs before it has indexed
/// them.
fn of_others(mut logs: Vec<EscrowLog>, receipts: &[&Receipt]) -> Vec<EscrowLog> {
    logs.retain(|log| receipts.iter().all(|receipt| receipt.transaction != log.transaction));
    logs.sort_by_key(|log| log.index);
    logs
}
