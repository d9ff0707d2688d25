//! How much gas a transaction is given. Never asked from the node: `eth_estimateGas` sees the outer call only, and a
//! call inside a batch that runs out of gas fails silently.

use alloy::primitives::Bytes;

use crate::chain::EscrowCall;
use crate::model::{Consent, ConsentKind, ECDSA_BYTES, OperationKind, unwrap_undeployed};

/// What every transaction costs.
const TRANSACTION: u64 = 21_000;
/// Per byte of input; the dearer of the two prices, and above EIP-7623's floor of 40 per non-zero byte.
const INPUT_BYTE: u64 = 40;
/// What a batch spends on a call besides the call: decoding, memory, the event of a failure.
const PER_CALL: u64 = 8_000;
/// Nodes relay transactions of at most 128 KiB.
const MAX_INPUT_BYTES: u64 = 120_000;
/// What a batch spends on itself.
const PER_BATCH: u64 = 30_000;

/// A lock, its consent apart.
const AUTHORIZE: u64 = 150_000;
/// ERC-2612's `permit`: a nonce and an allowance.
const PERMIT: u64 = 60_000;
/// ERC-3009's nonce.
const AUTHORIZATION: u64 = 30_000;
/// Permit2's nonce, and its way between escrow and token.
const PERMIT2_TRANSFER: u64 = 60_000;
/// The check of a signature of 65 bytes: of a key, or of a contract wallet with one.
const KEY_CHECK: u64 = 50_000;
/// The check of any other signature: several owners, or a passkey, whose curve takes 350,000 where the chain has no
/// precompile for it.
const WALLET_CHECK: u64 = 450_000;
/// The deployment of a wallet (ERC-6492): a proxy and its setup take 100,000 to 400,000.
const WALLET_DEPLOYMENT: u64 = 800_000;

/// Any operation alone needs less.
pub(super) const DEAREST: u64 = 2_500_000;

/// Gas a call may use at most. A refund needs the contract's fixed 100,000 and a reserve for what follows it.
#[must_use]
pub fn call_gas(call: &EscrowCall) -> u64 {
    match call.kind {
        OperationKind::Authorize => AUTHORIZE + consent_gas(&call.consent),
        OperationKind::Settle => 210_000,
        OperationKind::Cancel | OperationKind::Expire => 150_000,
    }
}

/// Gas that a consent may take beside the lock itself.
fn consent_gas(consent: &Bytes) -> u64 {
    if consent.is_empty() {
        return 0;
    }
    let Some(consent) = Consent::decode(consent) else { return WALLET_CHECK };
    let method = match consent.kind() {
        ConsentKind::Eip712 => 0,
        ConsentKind::Erc2612 => PERMIT,
        ConsentKind::Erc3009 => AUTHORIZATION,
        ConsentKind::Permit2 => PERMIT2_TRANSFER,
    };
    let checks: u64 = consent.signatures().map(|signature| check_gas(signature)).sum();
    // The first of two deploys, and the second finds it deployed.
    let deploys = consent.signatures().any(|signature| unwrap_undeployed(signature).is_some());
    method + checks + if deploys { WALLET_DEPLOYMENT } else { 0 }
}

fn check_gas(signature: &[u8]) -> u64 {
    if signature.len() == ECDSA_BYTES { KEY_CHECK } else { WALLET_CHECK }
}

/// The gas limit of a transaction for these calls, and the cap each of them gets.
#[must_use]
pub fn transaction_gas(calls: &[EscrowCall]) -> (u64, u64) {
    let per_call = calls.iter().map(call_gas).max().unwrap_or_default();
    let count = u64::try_from(calls.len()).unwrap_or(u64::MAX);
    // Only 63/64 of the gas left can be handed on.
    let handed_on = per_call.saturating_mul(64) / 63 + PER_CALL;
    let input: u64 = calls.iter().map(|call| encoded_bytes(call) * INPUT_BYTE).sum();
    (TRANSACTION + PER_BATCH + input + handed_on.saturating_mul(count), per_call)
}

/// How many of these calls, from the first on, fit into one transaction: by gas, and by the bytes nodes relay. Zero where
/// not even one does.
#[must_use]
pub fn fitting(calls: &[EscrowCall], max_gas: u64) -> usize {
    let fits = |count: &usize| {
        let calls = calls.get(..*count).unwrap_or_default();
        transaction_gas(calls).0 <= max_gas && calls.iter().map(encoded_bytes).sum::<u64>() <= MAX_INPUT_BYTES
    };
    (1..=calls.len()).take_while(fits).last().unwrap_or(0)
}

/// The input bytes a call takes in a batch at most: its length, operation and terms, and an amount or a consent.
fn encoded_bytes(call: &EscrowCall) -> u64 {
    124 + u64::try_from(call.consent.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BaseUnits, ChainTime, Terms};
    use alloy::primitives::{Address, B256, Bytes};

    fn call(kind: OperationKind, consent: usize) -> EscrowCall {
        let terms = Terms {
            sender: Address::ZERO,
            receiver: Address::ZERO,
            token: Address::ZERO,
            hold: BaseUnits::ZERO,
            expires_at: ChainTime(0),
            preauth_id: B256::ZERO,
        };
        EscrowCall { kind, terms, amount: BaseUnits::ZERO, consent: Bytes::from(vec![1; consent]) }
    }

    #[test]
    fn a_full_batch_stays_under_the_limit_and_one_more_would_not() {
        for (kind, consent) in
            [(OperationKind::Authorize, 0), (OperationKind::Authorize, 66), (OperationKind::Settle, 0)]
        {
            let calls = vec![call(kind, consent); 400];
            let count = fitting(&calls, 16_777_216);
            assert!(transaction_gas(&calls[..count]).0 <= 16_777_216);
            assert!(transaction_gas(&calls[..=count]).0 > 16_777_216);
            assert!(count > 50, "{count}");
        }
    }

    #[test]
    fn the_dearest_operation_is_one_whose_consent_deploys_a_wallet() {
        let undeployed =
            B256::from(alloy::hex!("6492649264926492649264926492649264926492649264926492649264926492"));
        // As long as the API takes them.
        let signature = Bytes::from([&[1; 4_064][..], undeployed.as_slice()].concat());
        let consent = Consent::Erc2612 { permit_signature: signature.clone(), signature }.encode();
        let gas = transaction_gas(&[EscrowCall { consent, ..call(OperationKind::Authorize, 0) }]).0;
        assert!((DEAREST / 10 * 9..DEAREST).contains(&gas), "{gas}");
        for consent in [0, 66, 4_096] {
            assert!(transaction_gas(&[call(OperationKind::Authorize, consent)]).0 < gas);
        }
    }

    #[test]
    fn nothing_fits_where_not_even_one_does() {
        assert_eq!(fitting(&[call(OperationKind::Settle, 0)], 1), 0);
        assert_eq!(fitting(&[], u64::MAX), 0);
    }

    #[test]
    fn long_consents_are_bounded_by_bytes() {
        let count = fitting(&vec![call(OperationKind::Authorize, 2_048); 400], u64::MAX);
        assert_eq!(count, 55);
    }
}
