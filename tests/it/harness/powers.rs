//! What only a node for development can do, by the names under which both clients know it.

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use alloy::sol_types::SolValue;
use serde_json::{Value, json};

use super::Eyes;

/// Where the demo token, which is OpenZeppelin's, keeps its balances and allowances.
const BALANCES: u64 = 0;
const ALLOWANCES: u64 = 1;
/// Wei for whom a story lets act.
const GAS_MONEY: u128 = 10u128.pow(21);

impl Eyes {
    /// Tells the node to do something, whatever it answers to that.
    pub async fn order(&self, method: &'static str, params: Value) {
        let _: Value = self.rpc(method, params).await;
    }

    /// From now on the node signs for an account, which can pay for its gas.
    pub async fn impersonate(&self, account: Address) {
        self.order("hardhat_impersonateAccount", json!([account])).await;
        self.set_gas_money(account, GAS_MONEY).await;
    }

    /// Takes an account's gas money away, or gives it back.
    pub async fn set_gas_money(&self, account: Address, wei: u128) {
        self.order("hardhat_setBalance", json!([account, U256::from(wei)])).await;
    }

    pub async fn set_code(&self, account: Address, code: Bytes) {
        self.order("hardhat_setCode", json!([account, code])).await;
    }

    pub async fn set_storage(&self, contract: Address, slot: U256, word: B256) {
        self.order("hardhat_setStorageAt", json!([contract, slot, word])).await;
    }

    /// Tokens out of nothing.
    pub async fn give(&self, account: Address, amount: U256) {
        self.set_storage(self.token, entry(account, U256::from(BALANCES)), amount.into()).await;
        assert_eq!(self.balance(account).await, amount, "balances are where the token keeps them");
    }

    /// An allowance for the escrow out of nothing.
    pub async fn allow(&self, owner: Address, amount: U256) {
        self.allow_to(owner, self.escrow, amount).await;
        assert_eq!(self.allowance(owner).await, amount, "allowances are where the token keeps them");
    }

    pub async fn allow_to(&self, owner: Address, spender: Address, amount: U256) {
        let of_owner = entry(owner, U256::from(ALLOWANCES));
        self.set_storage(self.token, entry(spender, of_owner), amount.into()).await;
    }

    /// Many blocks at once.
    pub async fn mine_many(&self, blocks: u64) {
        self.order("hardhat_mine", json!([U256::from(blocks)])).await;
    }

    /// Mines a block that nobody's fee suffices for, so that the next ones are expensive.
    pub async fn spike_base_fee(&self, wei: u128) {
        self.order("hardhat_setNextBlockBaseFeePerGas", json!([U256::from(wei)])).await;
        self.mine().await;
    }
}

/// The slot of a mapping's entry.
pub fn entry(key: impl SolValue, mapping: U256) -> U256 {
    U256::from_be_bytes(keccak256([key.abi_encode(), mapping.abi_encode()].concat()).0)
}
