//! Registered wallets: `POST /wallets`, `GET /wallets`, `DELETE /wallets/{address}`.

pub mod list;
pub mod register;
pub mod remove;

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::{ChainTime, WalletRole};
use crate::preauth::WalletView;

const NO_ROLE: &str = "must be \"sender\" or \"receiver\"";

/// The side of a preauthorization that a wallet stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Sender,
    Receiver,
}

impl From<WalletRole> for Role {
    fn from(role: WalletRole) -> Self {
        match role {
            WalletRole::Sender => Self::Sender,
            WalletRole::Receiver => Self::Receiver,
        }
    }
}

/// How a receiver's wallet stands on chain.
///
/// - `ACTIVE`: an allowance alone is enough to lock tokens for it.
/// - `WAITING`: allowed, from `activeFrom` on.
/// - `NOT_REGISTERED`: the operator has not allowed it on chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OnChain {
    Active,
    Waiting,
    NotRegistered,
}

/// A registered wallet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Wallet, example = json!({
    "address": "0xaec528683845350e9bfc937e0f6c72bc999b5123",
    "role": "receiver",
    "registeredAt": "2026-03-25T10:15:30.000Z",
    "onChain": "ACTIVE",
    "activeFrom": "2026-03-25T10:15:31.000Z"
}))]
pub struct WalletBody {
    /// As it was written when it was registered.
    pub address: String,
    pub role: Role,
    #[schema(format = "date-time")]
    pub registered_at: String,
    /// Null for senders.
    #[schema(required)]
    pub on_chain: Option<OnChain>,
    /// From when on the contract allows it as a receiver, by the chain's clock; null where it does not, and for senders.
    #[schema(required, format = "date-time")]
    pub active_from: Option<String>,
}

impl WalletBody {
    fn new(view: &WalletView, now: ChainTime) -> Self {
        let (role, on_chain) = match (view.wallet.role, view.active_from) {
            (WalletRole::Sender, _) => (Role::Sender, None),
            (WalletRole::Receiver, None) => (Role::Receiver, Some(OnChain::NotRegistered)),
            (WalletRole::Receiver, Some(from)) if from <= now => (Role::Receiver, Some(OnChain::Active)),
            (WalletRole::Receiver, Some(_)) => (Role::Receiver, Some(OnChain::Waiting)),
        };
        Self {
            address: view.wallet.account.written().to_owned(),
            role,
            registered_at: view.wallet.registered_at.to_rfc3339(),
            on_chain,
            active_from: view.active_from.map(ChainTime::to_rfc3339),
        }
    }
}

pub(super) fn role(text: &str) -> Result<WalletRole, &'static str> {
    WalletRole::parse(text).ok_or(NO_ROLE)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::http::testing::{Answer, House};
    use crate::model::{Account, Millis, Scope};

    /// A merchant's system with one key.
    pub struct Shop {
        pub house: House,
        key: String,
    }

    impl Shop {
        pub async fn open(scopes: &[Scope]) -> Self {
            let house = House::open().await;
            let key = house.key(scopes).await;
            Self { house, key }
        }

        pub async fn register(&self, body: Value) -> Answer {
            self.house.post("/wallets", &body.to_string()).header("x-api-key", &self.key).send().await
        }

        pub async fn get(&self, path: &str) -> Answer {
            self.house.get(path).header("x-api-key", &self.key).send().await
        }

        pub async fn remove(&self, path: &str) -> Answer {
            self.house.request("DELETE", path, "").header("x-api-key", &self.key).send().await
        }
    }

    #[test]
    fn a_receivers_standing_follows_the_chains_clock() {
        let view = |active_from| WalletView {
            wallet: crate::store::wallets::Wallet {
                id: 1,
                account: Account::parse("0xaec528683845350e9bfc937e0f6c72bc999b5123").unwrap(),
                role: WalletRole::Receiver,
                registered_at: Millis(0),
            },
            active_from,
        };
        let standing = |active_from| WalletBody::new(&view(active_from), ChainTime(100)).on_chain;
        assert_eq!(standing(None), Some(OnChain::NotRegistered));
        assert_eq!(standing(Some(ChainTime(100))), Some(OnChain::Active));
        assert_eq!(standing(Some(ChainTime(101))), Some(OnChain::Waiting));
    }
}
