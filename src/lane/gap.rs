//! A nonce that nobody uses, below one that we have signed for: nothing above it can be mined until somebody does.
//!
//! Our own transactions never leave one, because what a reorg undoes is sent again at its nonce. A stranger's transaction
//! with our key can: a batch is signed behind it, and then a reorg takes the stranger's away for good.

use super::fees::{Fees, quote};
use super::flight::Flight;
use super::gas;
use super::worker::{Lane, LaneError};
use crate::chain::EscrowCall;
use crate::store::batches::{self, NewBatch, OpenBatch};

impl Lane {
    /// The nonce that is missing before `batch`, where the chain counts `count` transactions of the key.
    pub(super) async fn gap_before(&self, batch: &OpenBatch, count: u64) -> Result<Option<u64>, LaneError> {
        if count >= batch.nonce {
            return Ok(None);
        }
        let mut reader = self.store.read().await?;
        let mined = batches::last_mined_nonce(&mut reader, self.operator()).await?;
        // A node that does not know what was mined already lags behind.
        let lags = mined.is_some_and(|mined| count <= mined);
        let open = batches::open(&mut reader, Some(self.operator())).await?;
        let is_ours = open.iter().any(|batch| batch.nonce == count);
        Ok((!lags && !is_ours).then_some(count))
    }

    /// Uses the missing nonce for a batch of nothing.
    pub(super) async fn fill_gap(&mut self, nonce: u64, behind: &OpenBatch) -> Result<(), LaneError> {
        let fees = Fees::first(quote(&self.chain, &self.store).await?, &self.settings);
        let (gas_limit, gas_per_call) = gas::transaction_gas(&[]);
        let (operator, escrow) = (self.operator(), behind.escrow);
        let filler = NewBatch { operator, nonce, escrow, gas_limit, gas_per_call };
        let attempt =
            self.sign_attempt(&filler, EscrowCall::encode_all(&[], gas_per_call, false), fees).await?;
        let id = self.write_batch(filler, &[], attempt.clone()).await?;
        tracing::warn!(batch = %id, nonce, %operator, transaction = %attempt.hash,
            "nobody uses a nonce before ours any more: it is used for nothing");
        metrics::counter!("preauthd_filled_nonces_total").increment(1);
        self.flights.insert(id, Flight::new(0));
        self.broadcast(id, &attempt).await;
        Ok(())
    }
}
