//! Signatures. A key that is elsewhere (a KMS) may not give one at present: that delays what the lane does and fails none of it.

use alloy::primitives::Bytes;
use tokio::time::Instant;

use super::fees::Fees;
use super::worker::{Lane, LaneError};
use crate::chain::TransactionPlan;
use crate::keys::KeyFault;
use crate::store::batches::{Attempt, NewBatch};

impl Lane {
    /// Tries a key that did not sign when it was last asked, before operations are kept from the other lanes for it.
    pub(super) async fn find_voice(&mut self) -> Result<(), LaneError> {
        if self.is_mute {
            let tried = self.key.try_out().await;
            self.hear(&tried);
            tried?;
        }
        Ok(())
    }

    /// The signed bytes of a batch at these fees.
    pub(super) async fn sign_attempt(
        &mut self,
        batch: &NewBatch,
        input: Bytes,
        fees: Fees,
    ) -> Result<Attempt, LaneError> {
        let plan = TransactionPlan {
            chain_id: self.chain.chain_id(),
            to: batch.escrow,
            nonce: batch.nonce,
            gas_limit: batch.gas_limit,
            max_fee: fees.max_fee,
            max_priority_fee: fees.max_priority_fee,
            input,
        };
        let asked = Instant::now();
        let signature = self.key.sign(&plan.digest()).await;
        metrics::histogram!("preauthd_signature_seconds").record(asked.elapsed().as_secs_f64());
        self.hear(&signature);
        let signed = plan.signed(signature?);
        Ok(Attempt {
            hash: signed.hash,
            raw: signed.raw,
            max_fee: fees.max_fee,
            max_priority_fee: fees.max_priority_fee,
            created_at: self.clock.wall(),
        })
    }

    fn hear<T>(&mut self, answer: &Result<T, KeyFault>) {
        self.is_mute = answer.is_err();
        if self.is_mute {
            let operator = self.operator().to_string();
            metrics::counter!("preauthd_signature_failures_total", "operator" => operator).increment(1);
        }
    }
}
