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
const AUTHORIZE: Gas = Gas { cap: 150_000, usual: 60_000 };
const SETTLE: Gas = Gas { cap: 210_000, usual: 55_000 };
/// Cancel or expire.
const RELEASE: Gas = Gas { cap: 150_000, usual: 45_000 };
/// ERC-2612's `permit`: a nonce and an allowance.
const PERMIT: Gas = Gas { cap: 60_000, usual: 45_000 };
/// ERC-3009's nonce.
const AUTHORIZATION: Gas = Gas { cap: 30_000, usual: 30_000 };
/// Permit2's nonce, and its way between escrow and token.
const PERMIT2_TRANSFER: Gas = Gas { cap: 60_000, usual: 45_000 };
/// The check of a signature of 65 bytes: of a key, or of a contract wallet with one.
const KEY_CHECK: Gas = Gas { cap: 50_000, usual: 12_000 };
/// The check of any other signature: several owners, or a passkey, whose curve takes 350,000 where the chain has no
/// precompile for it.
const WALLET_CHECK: u64 = 450_000;
/// The deployment of a wallet (ERC-6492): a proxy and its setup take 100,000 to 400,000.
const WALLET_DEPLOYMENT: u64 = 800_000;

/// Any operation alone needs less.
pub(super) const DEAREST: u64 = 2_500_000;

/// Gas of a call, or of a part of one.
#[derive(Debug, Clone, Copy)]
struct Gas {
    /// What it may use at most. A refund needs the contract's fixed 100,000 and a reserve for what follows it.
    cap: u64,
    /// More than what it uses where token and wallet are of the usual kind; `npm run gas` prints that.
    usual: u64,
}

impl Gas {
    const NONE: Self = Self::all(0);

    /// What may as well use all it is given.
    const fn all(gas: u64) -> Self {
        Self { cap: gas, usual: gas }
    }

    fn and(self, other: Self) -> Self {
        Self { cap: self.cap + other.cap, usual: self.usual + other.usual }
    }
}

/// What a call takes of a transaction.
///
/// The contract offers each call the cap of all, and fails the whole transaction where it no longer could. So what is set
/// aside for a call may be less than its cap: should the calls use more than was set aside for them, nothing happens to any
/// of them, and they are tried again with their caps.
#[derive(Debug, Clone, Copy)]
pub struct CallNeed {
    cap: u64,
    aside: u64,
    bytes: u64,
}

impl CallNeed {
    /// As much as it may use.
    #[must_use]
    pub fn at_most(call: &EscrowCall) -> Self {
        let cap = gas_of(call).cap;
        Self { cap, aside: offered(cap), bytes: encoded_bytes(call) }
    }

    /// As much as calls of its kind use.
    #[must_use]
    pub fn usually(call: &EscrowCall) -> Self {
        let Gas { cap, usual } = gas_of(call);
        Self { cap, aside: usual, bytes: encoded_bytes(call) }
    }
}

/// Gas a call may use at most.
#[must_use]
pub fn call_gas(call: &EscrowCall) -> u64 {
    gas_of(call).cap
}

fn gas_of(call: &EscrowCall) -> Gas {
    match call.kind {
        OperationKind::Authorize => AUTHORIZE.and(consent_gas(&call.consent)),
        OperationKind::Settle => SETTLE,
        OperationKind::Cancel | OperationKind::Expire => RELEASE,
    }
}

/// Gas of a consent, beside the lock itself.
fn consent_gas(consent: &Bytes) -> Gas {
    if consent.is_empty() {
        return Gas::NONE;
    }
    let Some(consent) = Consent::decode(consent) else { return Gas::all(WALLET_CHECK) };
    let method = match consent.kind() {
        ConsentKind::Eip712 => Gas::NONE,
        ConsentKind::Erc2612 => PERMIT,
        ConsentKind::Erc3009 => AUTHORIZATION,
        ConsentKind::Permit2 => PERMIT2_TRANSFER,
    };
    let checks = consent.signatures().map(|signature| check_gas(signature)).fold(method, Gas::and);
    // The first of two deploys, and the second finds it deployed.
    let deploys = consent.signatures().any(|signature| unwrap_undeployed(signature).is_some());
    if deploys { checks.and(Gas::all(WALLET_DEPLOYMENT)) } else { checks }
}

fn check_gas(signature: &[u8]) -> Gas {
    if signature.len() == ECDSA_BYTES { KEY_CHECK } else { Gas::all(WALLET_CHECK) }
}

/// What must be left of a transaction's gas for a call to be offered its cap: only 63/64 can be handed on.
fn offered(cap: u64) -> u64 {
    cap.saturating_mul(64) / 63 + PER_CALL
}

/// The gas limit of a transaction for these calls, and the cap each of them gets.
#[must_use]
pub fn transaction_gas(needs: &[CallNeed]) -> (u64, u64) {
    let mut transaction = Transaction::default();
    needs.iter().for_each(|need| transaction.add(need));
    (transaction.gas(), transaction.cap)
}

/// How many of these calls, from the first on, fit into one transaction: by gas, and by the bytes nodes relay. Zero where
/// not even one does.
#[must_use]
pub fn fitting(needs: &[CallNeed], max_gas: u64) -> usize {
    let mut transaction = Transaction::default();
    let fits = |need: &&CallNeed| {
        transaction.add(need);
        transaction.gas() <= max_gas && transaction.bytes <= MAX_INPUT_BYTES
    };
    needs.iter().take_while(fits).count()
}

/// The calls of a transaction, counted together.
#[derive(Default)]
struct Transaction {
    cap: u64,
    bytes: u64,
    /// Set aside for all calls but the last.
    before_last: u64,
    last: u64,
}

impl Transaction {
    fn add(&mut self, need: &CallNeed) {
        self.cap = self.cap.max(need.cap);
        self.bytes += need.bytes;
        self.before_last = self.before_last.saturating_add(self.last);
        self.last = need.aside;
    }

    /// The last call, too, is offered the cap.
    fn gas(&self) -> u64 {
        let last = if self.cap == 0 { 0 } else { self.last.max(offered(self.cap)) };
        let around = TRANSACTION + PER_BATCH + self.bytes * INPUT_BYTE;
        around.saturating_add(self.before_last).saturating_add(last)
    }
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
        for (need, least) in
            [(CallNeed::usually as fn(&EscrowCall) -> CallNeed, 240), (CallNeed::at_most as fn(&_) -> _, 70)]
        {
            for kind in OperationKind::ALL {
                let needs = vec![need(&call(kind, 0)); 400];
                let count = fitting(&needs, 16_777_216);
                assert!(transaction_gas(&needs[..count]).0 <= 16_777_216);
                assert!(transaction_gas(&needs[..=count]).0 > 16_777_216);
                assert!(count >= least, "{kind:?}: {count}");
            }
        }
    }

    #[test]
    fn the_last_call_is_offered_the_dearest_cap_whatever_the_others_use() {
        let calls = [OperationKind::Authorize, OperationKind::Settle, OperationKind::Expire]
            .map(|kind| call(kind, 0));
        for (first, last) in [(0, 1), (1, 2), (2, 0)] {
            let needs = [CallNeed::usually(&calls[first]), CallNeed::usually(&calls[last])];
            let (gas, cap) = transaction_gas(&needs);
            let used =
                TRANSACTION + needs.iter().map(|need| need.bytes * INPUT_BYTE).sum::<u64>() + needs[0].aside;
            assert_eq!(cap, call_gas(&calls[first]).max(call_gas(&calls[last])));
            assert!((gas - used) / 64 * 63 >= cap + 5_000);
        }
        let alone = |need| transaction_gas(&[need]).0;
        assert_eq!(alone(CallNeed::usually(&calls[0])), alone(CallNeed::at_most(&calls[0])));
    }

    #[test]
    fn the_dearest_operation_is_one_whose_consent_deploys_a_wallet() {
        let undeployed =
            B256::from(alloy::hex!("6492649264926492649264926492649264926492649264926492649264926492"));
        // As long as the API takes them.
        let signature = Bytes::from([&[1; 4_064][..], undeployed.as_slice()].concat());
        let consent = Consent::Erc2612 { permit_signature: signature.clone(), signature }.encode();
        let gas = transaction_gas(&[CallNeed::at_most(&EscrowCall {
            consent,
            ..call(OperationKind::Authorize, 0)
        })])
        .0;
        assert!((DEAREST / 10 * 9..DEAREST).contains(&gas), "{gas}");
        for consent in [0, 66, 4_096] {
            assert!(transaction_gas(&[CallNeed::at_most(&call(OperationKind::Authorize, consent))]).0 < gas);
        }
    }

    #[test]
    fn nothing_fits_where_not_even_one_does() {
        assert_eq!(fitting(&[CallNeed::usually(&call(OperationKind::Settle, 0))], 1), 0);
        assert_eq!(fitting(&[], u64::MAX), 0);
    }

    #[test]
    fn long_consents_are_bounded_by_bytes() {
        let count = fitting(&vec![CallNeed::at_most(&call(OperationKind::Authorize, 2_048)); 400], u64::MAX);
        assert_eq!(count, 55);
    }
}
