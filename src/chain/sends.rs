//! What is signed, and sending it. What is sent was written down before.

use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::Encodable2718;
use alloy::primitives::{Address, B256, Bytes, Signature, TxKind, U256};
use alloy::providers::Provider;

use super::Chain;

/// Everything a transaction says: an EIP-1559 one.
#[derive(Debug, Clone)]
pub struct TransactionPlan {
    pub chain_id: u64,
    pub to: Address,
    pub nonce: u64,
    pub gas_limit: u64,
    /// Wei per gas.
    pub max_fee: u128,
    /// Wei per gas.
    pub max_priority_fee: u128,
    pub input: Bytes,
}

/// Bytes that a node can mine.
#[derive(Debug, Clone)]
pub struct SignedTransaction {
    pub hash: B256,
    pub raw: Bytes,
}

impl TransactionPlan {
    /// What its key signs.
    #[must_use]
    pub fn digest(&self) -> B256 {
        self.transaction().signature_hash()
    }

    /// The transaction with its key's signature of [`Self::digest`].
    #[must_use]
    pub fn signed(&self, signature: Signature) -> SignedTransaction {
        let envelope = TxEnvelope::from(self.transaction().into_signed(signature));
        SignedTransaction { hash: *envelope.tx_hash(), raw: envelope.encoded_2718().into() }
    }

    fn transaction(&self) -> TxEip1559 {
        TxEip1559 {
            chain_id: self.chain_id,
            nonce: self.nonce,
            gas_limit: self.gas_limit,
            max_fee_per_gas: self.max_fee,
            max_priority_fee_per_gas: self.max_priority_fee,
            to: TxKind::Call(self.to),
            value: U256::ZERO,
            access_list: Default::default(),
            input: self.input.clone(),
        }
    }
}

/// What a node said about bytes it was sent. Advice: the outcome is what the chain shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendAdvice {
    /// Taken, or known already.
    Accepted,
    /// The nonce is used: look at the chain.
    NonceUsed,
    /// The fee is below what the node or a replacement demands.
    Underpriced,
    /// The key cannot pay for the gas.
    InsufficientFunds,
    /// Anything else, an unreachable node included: it may or may not have been taken.
    Unknown(String),
}

impl Chain {
    /// Sends stored bytes.
    pub async fn send(&self, raw: &Bytes) -> SendAdvice {
        match self.provider.send_raw_transaction(raw).await {
            Ok(_) => SendAdvice::Accepted,
            Err(error) => advice(error.as_error_resp().map(|response| response.message.as_ref()), &error),
        }
    }
}

/// Whether a node's error only says that it has the transaction already.
pub(super) fn is_known(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["already known", "already imported", "known transaction", "alreadyknown"]
        .iter()
        .any(|text| message.contains(text))
}

const UNDERPRICED: [&str; 7] = [
    "underpriced",
    "less than block base fee",
    "fee too low",
    "fee cap",
    "too low for the next block",
    "feetoolow",
    "replacementnotallowed",
];

/// Clients word the same answers differently: geth and its like, anvil, Hardhat's node, Nethermind.
fn advice(message: Option<&str>, error: &dyn std::fmt::Display) -> SendAdvice {
    let Some(message) = message else { return SendAdvice::Unknown(error.to_string()) };
    let message = message.to_ascii_lowercase();
    let says = |texts: &[&str]| texts.iter().any(|text| message.contains(text));
    if is_known(&message) {
        SendAdvice::Accepted
    } else if says(&["nonce too low", "nonce is too low", "oldnonce"]) {
        SendAdvice::NonceUsed
    } else if says(&UNDERPRICED) {
        SendAdvice::Underpriced
    } else if says(&[
        "insufficient funds",
        "insufficient balance",
        "insufficientfunds",
        "doesn't have enough funds",
    ]) {
        SendAdvice::InsufficientFunds
    } else {
        SendAdvice::Unknown(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nodes_say_is_read_as_advice() {
        let cases = [
            ("already known", SendAdvice::Accepted),
            ("transaction already imported", SendAdvice::Accepted),
            ("nonce too low: next nonce 5, tx nonce 4", SendAdvice::NonceUsed),
            ("replacement transaction underpriced", SendAdvice::Underpriced),
            ("max fee per gas less than block base fee: address", SendAdvice::Underpriced),
            ("insufficient funds for gas * price + value", SendAdvice::InsufficientFunds),
            ("internal error", SendAdvice::Unknown("internal error".into())),
            ("Known transaction: 0x04c13e826bc06dcad1e29cfecaaaa0c0", SendAdvice::Accepted),
            ("Transaction nonce too low. Expected nonce to be at least 1 but got 0.", SendAdvice::NonceUsed),
            (
                "Replacement transaction underpriced. A gasPrice/maxFeePerGas of at least 5500000000 is necessary",
                SendAdvice::Underpriced,
            ),
            (
                "Transaction maxFeePerGas (1) is too low for the next block, which has a baseFeePerGas of 875000000",
                SendAdvice::Underpriced,
            ),
            (
                "Sender doesn't have enough funds to send tx. The max upfront cost is: 1",
                SendAdvice::InsufficientFunds,
            ),
            ("AlreadyKnown", SendAdvice::Accepted),
            ("OldNonce, Current nonce: 5, nonce of rejected tx: 4", SendAdvice::NonceUsed),
            ("FeeTooLow, MaxFeePerGas too low", SendAdvice::Underpriced),
            ("InsufficientFunds, Account balance: 0", SendAdvice::InsufficientFunds),
        ];
        for (message, expected) in cases {
            assert_eq!(advice(Some(message), &message), expected, "{message}");
        }
        assert_eq!(advice(None, &"timed out"), SendAdvice::Unknown("timed out".into()));
    }
}
