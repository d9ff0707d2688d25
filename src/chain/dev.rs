//! What only a development node can do, and what only `dev` does: moving the clock, and admitting receivers with a key
//! that a real daemon never holds.

use std::time::Duration;

use alloy::primitives::Address;
use alloy::providers::Provider;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolCall;

use super::bindings::PreauthEscrow;
use super::{BlockHeader, Chain, ChainError, SendAdvice, TransactionPlan, sign};

/// Gas of a registration; it needs about 50,000.
const REGISTRATION_GAS: u64 = 150_000;
/// Tip in wei per gas.
const TIP: u128 = 1_000_000_000;
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Looks for the receipt before giving up: 20 seconds.
const POLLS: usize = 200;

impl Chain {
    /// Moves the node's clock ahead and mines a block that shows it: the newest block then.
    pub async fn advance_clock(&self, seconds: u64) -> Result<BlockHeader, ChainError> {
        let _: serde_json::Value = self.provider.raw_request("evm_increaseTime".into(), (seconds,)).await?;
        let _: serde_json::Value = self.provider.raw_request("evm_mine".into(), ()).await?;
        self.head().await
    }

    /// Lets the escrow's admin register a receiver, and returns once that is mined. Calls must not overlap: they would
    /// take the same nonce.
    pub async fn register_receiver(
        &self,
        admin: &PrivateKeySigner,
        escrow: Address,
        receiver: Address,
    ) -> Result<(), ChainError> {
        let fees = self.fee_quote().await?;
        let plan = TransactionPlan {
            chain_id: self.chain_id(),
            to: escrow,
            nonce: self.provider.get_transaction_count(admin.address()).pending().await?,
            gas_limit: REGISTRATION_GAS,
            max_fee: fees.base_fee.saturating_mul(2).saturating_add(TIP),
            max_priority_fee: TIP,
            input: PreauthEscrow::registerReceiverCall { receiver }.abi_encode().into(),
        };
        let signed = sign(admin, &plan)?;
        let advice = self.send(&signed.raw).await;
        if advice != SendAdvice::Accepted {
            return Err(ChainError::Nonsense(format!("registering a receiver: {advice:?}")));
        }
        for _ in 0..POLLS {
            match self.receipt(signed.hash).await? {
                Some(receipt) if receipt.succeeded => return Ok(()),
                Some(_) => return Err(ChainError::Nonsense("registering a receiver was reverted".into())),
                None => tokio::time::sleep(POLL_INTERVAL).await,
            }
        }
        Err(ChainError::Nonsense("registering a receiver was not mined in time".into()))
    }
}
