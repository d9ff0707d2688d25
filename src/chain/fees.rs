//! What a transaction should offer per gas.

use alloy::eips::BlockNumberOrTag;
use alloy::providers::Provider;

use super::{Chain, ChainError};

/// Percentile of the tips paid in recent blocks that is asked for.
const TIP_PERCENTILE: f64 = 50.0;
/// Blocks that are looked at.
const HISTORY_BLOCKS: u64 = 5;

/// The fees of the moment, in wei per gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeeQuote {
    /// Base fee of the next block.
    pub base_fee: u128,
    /// Median of the tips paid lately; a node may say zero.
    pub tip: u128,
}

impl Chain {
    /// Asks for the next block's base fee and the tips of the last few blocks.
    pub async fn fee_quote(&self) -> Result<FeeQuote, ChainError> {
        let history = self
            .provider
            .get_fee_history(HISTORY_BLOCKS, BlockNumberOrTag::Latest, &[TIP_PERCENTILE])
            .await?;
        let base_fee = history
            .next_block_base_fee()
            .ok_or_else(|| ChainError::Nonsense("no base fee: the chain must know EIP-1559".into()))?;
        let mut tips: Vec<u128> =
            history.reward.unwrap_or_default().iter().filter_map(|block| block.first().copied()).collect();
        tips.sort_unstable();
        Ok(FeeQuote { base_fee, tip: tips.get(tips.len() / 2).copied().unwrap_or_default() })
    }
}
