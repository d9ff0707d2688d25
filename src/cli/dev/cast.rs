//! Who plays which role in `dev`.

use std::ops::Range;

use alloy::primitives::Address;
use alloy::signers::local::PrivateKeySigner;
use anyhow::Context;
use serde::{Deserialize, Serialize};

/// The accounts of the mnemonic "test test test test test test test test test test test junk", in order. Everyone knows
/// them, so wallets and tools can be pointed at them.
const KEYS: [&str; ACCOUNTS] = [
    "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    "7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
    "47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a",
    "8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba",
    "92db14e403b83dfe3df233f83dfa3a0d7096f21ca9b0d6d6b8d88b2b4ec1564e",
    "4bbbf85ce3377467afe5d46f804f221813b2bb87f24d81f60f1fcdbf7cbf4356",
    "dbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97",
    "2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6",
    "f214f2b2cd398c806f84e317254e0f0b801d0643303237d97a22a48e01628897",
    "701b615bbdfb9de65240bc28bd21bbc0d996645a3dd57e7b12bc2bdf6f192c82",
    "a267530f49f8280200edf313ee7af6b827f2a8bce2897751d06a843f644967b1",
    "47c99abed3324a2707c28affff1267e45918ec8c3f20b8aa892e8b065d2942dd",
    "c526ee95bf44d8fc405a158bb884d9d1238d99f0612e9f33d006bb0789009aaa",
    "8166f546bab6da521a8369cab06c5d2b9e46670292d85c875ee9ec20e84ffb61",
    "ea6c44ac03bff858b476bba40716402b03e41b8e97e276d1baec7c37d42484a0",
    "689af8efa8c651a91ad287602527f3af2fe9f6501a7ac4b061667b5a93e037fd",
    "de9be858da4a475276426320d5e9262ecfc3ba460bfac56360bfa6c4c28b4ee0",
    "df57089febbacf7ba0bc227dafbffa9fc08a93fdc68e1e42411a14efcf23656e",
    "eaa861a9a01391ed3d587d8a5a84ca56ee277629a8b02c22093a419bf240e65d",
    "c511b2aa70776d4ff1d376e8537903dae36896132c90b91d52c1dfbae267cd8b",
    "224b7eb7449992aac96d631d9677f7bf5888245eef6d6eeda31e62d2f29a83e4",
];

/// How many accounts anvil is started with.
pub(super) const ACCOUNTS: usize = 23;
const ADMIN: usize = 0;
/// One for each lane. Those behind the first are no account that ever had another role.
const OPERATORS: [usize; 4] = [1, 20, 21, 22];
const GUARDIAN: usize = 2;
const RECEIVERS: Range<usize> = 3..6;
const SENDERS: Range<usize> = 6..20;
/// How many lanes there can be.
pub(in crate::cli) const MOST_LANES: i64 = 4;

/// A wallet that a test may sign with.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct KnownWallet {
    pub address: Address,
    private_key: String,
}

impl KnownWallet {
    pub fn signer(&self) -> anyhow::Result<PrivateKeySigner> {
        self.private_key.parse().context("a key of dev")
    }

    fn of_account(number: usize) -> anyhow::Result<Self> {
        let key = KEYS.get(number).context("dev has no such account")?;
        let signer: PrivateKeySigner = key.parse().context("a key of dev")?;
        Ok(Self { address: signer.address(), private_key: format!("0x{key}") })
    }
}

/// Deploys, and administers the escrow.
pub(in crate::cli) fn admin() -> anyhow::Result<PrivateKeySigner> {
    KnownWallet::of_account(ADMIN)?.signer()
}

/// The key of the first lane.
pub(in crate::cli) fn operator() -> anyhow::Result<PrivateKeySigner> {
    KnownWallet::of_account(OPERATORS[0])?.signer()
}

/// The keys of so many lanes.
pub(super) fn operators(lanes: u8) -> anyhow::Result<Vec<PrivateKeySigner>> {
    let accounts = OPERATORS.into_iter().take(usize::from(lanes));
    accounts.map(|account| KnownWallet::of_account(account)?.signer()).collect()
}

pub(super) fn guardian() -> anyhow::Result<Address> {
    Ok(KnownWallet::of_account(GUARDIAN)?.address)
}

pub(super) fn receivers() -> anyhow::Result<Vec<KnownWallet>> {
    RECEIVERS.map(KnownWallet::of_account).collect()
}

pub(super) fn senders() -> anyhow::Result<Vec<KnownWallet>> {
    SENDERS.map(KnownWallet::of_account).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accounts_are_those_of_the_mnemonic() {
        let first = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
        let last = "0x8626f6940E2eb28930eFb4CeF49B2d1F2C9C1199";
        assert_eq!(admin().unwrap().address().to_string(), first);
        assert_eq!(senders().unwrap().last().unwrap().address.to_string(), last);
        assert!(senders().unwrap().len() >= 10);
        let last = "0x08135Da0A343E492FA2d4282F2AE34c6c5CC1BbE";
        assert_eq!(operators(4).unwrap().last().unwrap().address().to_string(), last);
    }

    #[test]
    fn each_lane_has_a_key_of_its_own() {
        let operators = operators(4).unwrap();
        assert_eq!(i64::try_from(operators.len()), Ok(MOST_LANES));
        let lanes = operators.iter().map(PrivateKeySigner::address);
        let others = senders().unwrap().into_iter().chain(receivers().unwrap()).map(|wallet| wallet.address);
        let others = others.chain([admin().unwrap().address(), guardian().unwrap()]);
        let all: Vec<Address> = lanes.chain(others).collect();
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len());
    }
}
