//! What only a development node can do, and what only `dev` does: moving the clock, funding accounts, and admitting
//! receivers with a key that a real daemon never holds.

use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::providers::Provider;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolConstructor;
use futures::future::try_join_all;
use serde::Deserialize;

use super::{BlockHeader, Chain, ChainError, Mined, MoodyToken, Step};
use crate::model::ChainTime;

/// Native coins of an account that has to pay for gas: 10,000.
const FUNDS: u128 = 10_000 * 1_000_000_000_000_000_000;
/// How development nodes begin to say who they are. The methods asked for here are Hardhat's; anvil knows them too.
const DEVELOPMENT_NODES: [&str; 2] = ["anvil/", "HardhatNetwork/"];
/// How often a block is mined for steps that are not in one yet.
const MINING_TRIES: usize = 200;
/// How often a reorg is tried.
const TAKE_BACK_TRIES: usize = 10;
const MINING_INTERVAL: Duration = Duration::from_millis(20);

/// Permit2 as its makers publish it.
const PERMIT2: &str = include_str!("../../contracts/artifacts/Permit2.json");

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Permit2Artifact {
    address: Address,
    deployed_bytecode: Bytes,
}

impl Step {
    /// Deploys a token that anybody can mint, and that refuses accounts on request.
    #[must_use]
    pub(crate) fn deploy_moody_token(name: &str, symbol: &str, decimals: u8) -> Self {
        let (name, symbol) = (name.to_owned(), symbol.to_owned());
        let arguments = MoodyToken::constructorCall { name, symbol, decimals_: decimals };
        Self::deploy(&MoodyToken::BYTECODE, &arguments.abi_encode())
    }

    #[must_use]
    pub(crate) fn mint_moody_token(token: Address, to: Address, base_units: U256) -> Self {
        Self::call(token, &MoodyToken::mintCall { to, amount: base_units })
    }

    /// Lets a moody token refuse all transfers from and to an account.
    #[must_use]
    pub(crate) fn block_in_moody_token(token: Address, account: Address) -> Self {
        Self::call(token, &MoodyToken::blockCall { account, isBlocked: true })
    }
}

impl Chain {
    /// Lets the next block, whenever it comes, be of this time.
    pub(crate) async fn next_block_at(&self, time: ChainTime) -> Result<(), ChainError> {
        let _: serde_json::Value =
            self.provider.raw_request("evm_setNextBlockTimestamp".into(), (time.0,)).await?;
        Ok(())
    }

    /// A reorg that undoes the block of a transaction and puts empty blocks in its place.
    pub(crate) async fn take_back(&self, transaction: B256) -> Result<(), ChainError> {
        // A new block may come between the question and the reorg, which then does not reach deep enough.
        for _ in 0..TAKE_BACK_TRIES {
            let Some(mined) = self.mined_now(transaction).await? else { return Ok(()) };
            let head = self.head().await?.number;
            let depth = head.saturating_sub(mined.block) + 1;
            let instead: [serde_json::Value; 0] = [];
            let _: serde_json::Value =
                self.provider.raw_request("anvil_reorg".into(), (depth, instead)).await?;
        }
        Err(ChainError::Unusable("the block of the transaction could not be taken back".into()))
    }

    /// Moves the node's clock ahead and mines a block that shows it: the newest block then.
    pub async fn advance_clock(&self, seconds: u64) -> Result<BlockHeader, ChainError> {
        let _: serde_json::Value = self.provider.raw_request("evm_increaseTime".into(), (seconds,)).await?;
        self.mine_block().await?;
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
        self.transact(admin, Step::register_receiver(escrow, receiver)).await.map(|_| ())
    }

    /// Whether the node is made for development: anvil's or Hardhat's. Keys that everyone knows are used on no other.
    pub(crate) async fn is_for_development(&self) -> Result<bool, ChainError> {
        let client = self.provider.get_client_version().await?;
        Ok(DEVELOPMENT_NODES.iter().any(|name| client.starts_with(name)))
    }

    /// Mines a block, whatever the node's mining mode.
    async fn mine_block(&self) -> Result<(), ChainError> {
        let _: serde_json::Value = self.provider.client().request_noparams("evm_mine").await?;
        Ok(())
    }

    /// Gives an account native coins.
    pub(crate) async fn fund(&self, account: Address) -> Result<(), ChainError> {
        let _: serde_json::Value =
            self.provider.client().request("hardhat_setBalance", (account, U256::from(FUNDS))).await?;
        Ok(())
    }

    /// Makes sure that Permit2 is at its canonical address: it cannot be deployed there by whoever likes.
    pub(crate) async fn put_permit2(&self) -> Result<Address, ChainError> {
        let Permit2Artifact { address, deployed_bytecode } = serde_json::from_str(PERMIT2)
            .map_err(|error| ChainError::Unusable(format!("the embedded Permit2: {error}")))?;
        for _ in 0..MINING_TRIES {
            if !self.provider.get_code_at(address).await?.is_empty() {
                break;
            }
            // A block that is made at the same moment may be without it.
            let code = (address, &deployed_bytecode);
            let _: serde_json::Value = self.provider.client().request("hardhat_setCode", code).await?;
        }
        let put = self.canonical_permit2().await?;
        put.ok_or_else(|| ChainError::Unusable("something else is at the address of Permit2".into()))
    }

    /// Performs steps of several signers, each signer's in order, and returns once all are mined: the first step's
    /// receipt first. Whatever the node's mining mode, none is left lying: anvil may strand some of many.
    pub(crate) async fn perform(
        &self,
        steps: Vec<(&PrivateKeySigner, Step)>,
        gas: u64,
    ) -> Result<Vec<Mined>, ChainError> {
        let hashes = self.send_steps(steps, gas).await?;
        for _ in 0..MINING_TRIES {
            self.mine_block().await?;
            let mined = try_join_all(hashes.iter().map(|hash| self.mined_now(*hash))).await?;
            if let Some(all) = mined.into_iter().collect() {
                return Ok(all);
            }
            tokio::time::sleep(MINING_INTERVAL).await;
        }
        Err(ChainError::Unusable("the node does not mine what it is sent".into()))
    }
}
