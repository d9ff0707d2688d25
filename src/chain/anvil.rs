//! What only anvil can do: a chain for development obeys.

use alloy::primitives::{Address, U256};
use alloy::providers::Provider;

use super::{Chain, ChainError};

/// Native coins of an account that has to pay for gas: 10,000.
const FUNDS: u128 = 10_000 * 1_000_000_000_000_000_000;

impl Chain {
    /// Whether the node is anvil. Keys that everyone knows are used on no other.
    pub(crate) async fn is_anvil(&self) -> Result<bool, ChainError> {
        Ok(self.provider.get_client_version().await?.starts_with("anvil/"))
    }

    /// Mines a block, whatever the node's mining mode.
    pub(crate) async fn mine_block(&self) -> Result<(), ChainError> {
        let _: serde_json::Value = self.provider.client().request_noparams("evm_mine").await?;
        Ok(())
    }

    /// Gives an account native coins.
    pub(crate) async fn fund(&self, account: Address) -> Result<(), ChainError> {
        let _: serde_json::Value =
            self.provider.client().request("anvil_setBalance", (account, U256::from(FUNDS))).await?;
        Ok(())
    }
}
