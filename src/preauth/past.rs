//! What the chain says happened to every hold up to a block: the escrows' logs, put in order by preauth id.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256};
use tokio::sync::Mutex;

use super::progress::Progress;
use super::reconcile::{ReconcileError, at};
use crate::chain::{Chain, ChainError};
use crate::model::{History, HoldLog};
use crate::store::StoreError;
use crate::store::blocks::Block;
use crate::store::histories::{Histories, Place};

/// Blocks whose logs are fetched by one request; halved where the node refuses so many.
const RANGE: u64 = 1_000;

/// Which logs are read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reading {
    /// All there are.
    Whole,
    /// All there are, and none that too few endpoints show.
    WholeAgreed,
    /// Those of this block and later ones.
    Since(u64),
}

/// How far each escrow was read.
#[derive(Default)]
struct Reach {
    /// The newest block whose logs are there, by escrow.
    read: BTreeMap<Address, u64>,
    tip: Option<B256>,
}

/// The holds' past.
pub(super) struct Past<'a> {
    chain: &'a Chain,
    escrows: Vec<(Address, u64)>,
    /// Blocks that a reorg may still change are read again whenever the chain has moved.
    reorg_depth: u64,
    reading: Reading,
    progress: Progress,
    histories: Histories,
    reach: Mutex<Reach>,
}

impl<'a> Past<'a> {
    pub async fn open(
        chain: &'a Chain,
        escrows: Vec<(Address, u64)>,
        reorg_depth: u64,
        reading: Reading,
        progress: Progress,
    ) -> Result<Self, StoreError> {
        let histories = Histories::open().await?;
        Ok(Self { chain, escrows, reorg_depth, reading, progress, histories, reach: Mutex::default() })
    }

    /// Whether what is not told here did not happen.
    pub fn is_whole(&self) -> bool {
        !matches!(self.reading, Reading::Since(_))
    }

    /// Reads again what a reorg may change, even for the tip that it was read for: a node that shows one fork for the logs
    /// and another for the blocks would be believed for as long as no block comes.
    pub async fn doubt(&self) {
        self.reach.lock().await.tip = None;
    }

    /// Brings the past up to exactly `tip`, which must be in the chain.
    pub async fn follow(&self, tip: &Block) -> Result<(), ReconcileError> {
        let mut reach = self.reach.lock().await;
        if reach.tip == Some(tip.hash) {
            return Ok(());
        }
        reach.tip = None;
        for (escrow, deployed) in &self.escrows {
            let oldest = match self.reading {
                Reading::Since(block) => block.max(*deployed),
                Reading::Whole | Reading::WholeAgreed => *deployed,
            };
            let read = reach.read.get(escrow).copied();
            let deep = read.map(|read| read.min(tip.number).saturating_sub(self.reorg_depth));
            let mut next = deep.map_or(oldest, |deep| deep.saturating_add(1).max(oldest));
            self.histories.forget_from(*escrow, next).await?;
            let mut size = RANGE;
            while next <= tip.number {
                let end = tip.number.min(next.saturating_add(size - 1));
                match self.chain.hold_logs(*escrow, next, end).await {
                    Ok(logs) => {
                        self.must_be_agreed(*escrow, (next, end), &logs).await.map_err(at(tip))?;
                        self.histories.keep(*escrow, &logs).await?;
                        reach.read.insert(*escrow, end);
                        let blocks = |to: u64| to.saturating_sub(oldest).saturating_add(1);
                        self.progress.at(
                            "reading the escrow's logs, by blocks",
                            blocks(end),
                            blocks(tip.number),
                        );
                        next = end.saturating_add(1);
                        size = size.saturating_mul(2).min(RANGE);
                    }
                    Err(_) if size > 1 => size /= 2,
                    Err(error) => return Err(at(tip)(error)),
                }
            }
        }
        // What was read by height is of the tip's own chain only if the tip is still in it.
        let block = self.chain.block_at(tip.number).await.map_err(at(tip))?;
        if block.is_none_or(|block| block.header.hash != tip.hash) {
            return Err(ReconcileError::NoBlock(tip.number));
        }
        reach.tip = Some(tip.hash);
        Ok(())
    }

    /// What is written into the database must be shown by as many endpoints as any outcome.
    async fn must_be_agreed(
        &self,
        escrow: Address,
        range: (u64, u64),
        logs: &[HoldLog],
    ) -> Result<(), ChainError> {
        if !matches!(self.reading, Reading::WholeAgreed)
            || self.chain.agrees_on_hold_logs(escrow, range, logs).await?
        {
            return Ok(());
        }
        Err(ChainError::NoAgreement(format!("too few endpoints show the logs up to block {} yet", range.1)))
    }

    pub async fn of(&self, escrow: Address, preauth_id: B256) -> Result<History, StoreError> {
        self.histories.of(escrow, preauth_id).await
    }

    /// What happened to a hold of this name: in the escrow that is expected to hold it, or, where that never did, in another.
    pub async fn found(
        &self,
        expected: Option<Address>,
        preauth_id: B256,
    ) -> Result<Option<(Address, History)>, StoreError> {
        let mut places: Vec<Address> = expected.into_iter().collect();
        places.extend(self.histories.escrow_of(preauth_id).await?);
        for escrow in places {
            let history = self.of(escrow, preauth_id).await?;
            if history.lock().is_some() {
                return Ok(Some((escrow, history)));
            }
        }
        Ok(None)
    }

    /// A page of the locks, oldest first.
    pub async fn locks_after(
        &self,
        place: Place,
        limit: u32,
    ) -> Result<Vec<(Place, Address, B256)>, StoreError> {
        self.histories.locks_after(place, limit).await
    }
}

#[cfg(test)]
mod tests {
    use alloy::consensus::Header as Consensus;
    use alloy::primitives::{address, b256};
    use alloy::rpc::types::{Block as RpcBlock, Header, Log};
    use alloy::sol_types::SolEvent;
    use alloy::transports::BoxTransport;
    use alloy::transports::mock::{Asserter, MockTransport};

    use super::*;
    use crate::chain::PreauthEscrow;
    use crate::model::ChainTime;

    const ESCROW: Address = address!("5000000000000000000000000000000000000005");
    const HOLD: B256 = b256!("0101010101010101010101010101010101010101010101010101010101010101");
    const TIP: Block = Block { number: 10, hash: B256::repeat_byte(0xaa), timestamp: ChainTime(1_000) };

    fn cancelled_in_block(number: u64) -> Log {
        let event = PreauthEscrow::Cancelled { preauthId: HOLD };
        let inner = alloy::primitives::Log { address: ESCROW, data: event.encode_log_data() };
        let (block, transaction) = (B256::repeat_byte(0xbb), B256::repeat_byte(0xcc));
        Log {
            inner,
            block_hash: Some(block),
            block_number: Some(number),
            transaction_hash: Some(transaction),
            transaction_index: Some(0),
            log_index: Some(0),
            ..Log::default()
        }
    }

    #[tokio::test]
    async fn what_was_shown_of_another_fork_is_not_believed_twice() {
        let node = Asserter::new();
        let chain = Chain::over(vec![BoxTransport::new(MockTransport::new(node.clone()))], 1, 1);
        let shows = |logs: Vec<Log>| {
            let header = Header {
                hash: TIP.hash,
                inner: Consensus { number: TIP.number, ..Consensus::default() },
                ..Header::default()
            };
            let block: RpcBlock = RpcBlock { header, ..RpcBlock::default() };
            node.push_success(&logs);
            node.push_success(&block);
        };
        let past =
            Past::open(&chain, vec![(ESCROW, 0)], 6, Reading::Whole, Progress::default()).await.unwrap();
        let told = async || {
            past.follow(&TIP).await.unwrap();
            past.of(ESCROW, HOLD).await.unwrap().logs().len()
        };
        shows(vec![cancelled_in_block(5)]);
        assert_eq!(told().await, 1);
        // For the same tip nobody is asked again...
        assert_eq!(told().await, 1);
        // ...but in doubt.
        shows(Vec::new());
        past.doubt().await;
        assert_eq!(told().await, 0);
    }
}
