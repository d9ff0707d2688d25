//! A token that was admitted.

use alloy::sol_types::Eip712Domain;
use serde::{Deserialize, Serialize};

use super::{Account, ConsentKind};

/// An ERC-20 token the operator admitted after a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub contract: Account,
    pub symbol: String,
    /// At most 28, the scale a decimal amount can carry.
    pub decimals: u8,
    /// An inactive token stops new preauthorizations only.
    pub active: bool,
    /// What its holders can sign. `None`: it was not asked yet.
    pub signing: Option<TokenSigning>,
}

/// What the holders of a token can sign so that it moves, as it was probed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenSigning {
    /// ERC-2612's `permit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permit: Option<SignedMethod>,
    /// ERC-3009's `receiveWithAuthorization`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization: Option<SignedMethod>,
}

/// A method of a token that takes a signature of its holder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignedMethod {
    /// The domain in which it is signed.
    pub domain: Eip712Domain,
    /// Whether it also takes signatures that are not ECDSA, as contract wallets make them.
    pub by_contracts: bool,
}

impl TokenSigning {
    /// The kinds of consent that the token itself takes.
    pub fn kinds(&self) -> impl Iterator<Item = ConsentKind> {
        ConsentKind::ALL.into_iter().filter(|kind| self.method(*kind).is_some())
    }

    /// The method that consents of a kind call on the token. `None`: it has none, or the kind needs none of it.
    #[must_use]
    pub fn method(&self, kind: ConsentKind) -> Option<&SignedMethod> {
        match kind {
            ConsentKind::Erc2612 => self.permit.as_ref(),
            ConsentKind::Erc3009 => self.authorization.as_ref(),
            ConsentKind::Eip712 | ConsentKind::Permit2 => None,
        }
    }
}
