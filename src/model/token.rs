//! A token that was admitted.

use super::Account;

/// An ERC-20 token the operator admitted after a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub contract: Account,
    pub symbol: String,
    /// At most 28, the scale a decimal amount can carry.
    pub decimals: u8,
    /// An inactive token stops new preauthorizations only.
    pub active: bool,
}
