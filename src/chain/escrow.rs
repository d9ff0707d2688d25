//! The escrow's language: calls out, logs and reverts in.

use alloy::primitives::{Address, B256, Bytes, U256, Uint};
use alloy::rpc::types::Log;
use alloy::sol_types::{Panic, Revert, SolCall, SolError, SolEventInterface, SolInterface};

use super::bindings::{Erc20, IPreauthEscrow, Pausable, Permit2, PreauthEscrow};
use crate::model::{BaseUnits, CallFailure, ChainTime, OperationKind, Terms};
use PreauthEscrow::{PreauthEscrowErrors, PreauthEscrowEvents};

/// The longest hold the contract is deployed with: 90 days.
pub const CONTRACT_MAX_HOLD_SECONDS: u64 = 90 * 24 * 60 * 60;

/// One call of one of the four methods.
#[derive(Debug, Clone)]
pub struct EscrowCall {
    pub kind: OperationKind,
    pub terms: Terms,
    /// What a settlement pays; ignored by the other kinds.
    pub amount: BaseUnits,
    /// The consent of an authorization; ignored by the other kinds.
    pub consent: Bytes,
}

impl EscrowCall {
    /// The ABI encoding of the call.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let terms = abi_terms(&self.terms);
        match self.kind {
            OperationKind::Authorize => {
                PreauthEscrow::authorizeCall { terms, consent: self.consent.clone() }.abi_encode()
            }
            OperationKind::Settle => {
                PreauthEscrow::settleCall { terms, amount: uint96(self.amount) }.abi_encode()
            }
            OperationKind::Cancel => PreauthEscrow::cancelCall { terms }.abi_encode(),
            OperationKind::Expire => PreauthEscrow::expireCall { terms }.abi_encode(),
        }
        .into()
    }

    /// One transaction's input for several calls. `bare`: a single call needs no batch around it.
    #[must_use]
    pub fn encode_all(calls: &[Self], gas_per_call: u64, bare: bool) -> Bytes {
        match calls {
            [only] if bare => only.encode(),
            _ => Self::encode_batch(calls, gas_per_call),
        }
    }

    /// The `batch` method's input, which answers for each call apart.
    #[must_use]
    pub fn encode_batch(calls: &[Self], gas_per_call: u64) -> Bytes {
        let calls = calls.iter().map(Self::encode).collect();
        PreauthEscrow::batchCall { calls, gasPerCall: U256::from(gas_per_call) }.abi_encode().into()
    }
}

pub(super) fn abi_terms(terms: &Terms) -> IPreauthEscrow::Terms {
    IPreauthEscrow::Terms {
        sender: terms.sender,
        receiver: terms.receiver,
        token: terms.token,
        hold: uint96(terms.hold),
        expiresAt: Uint::<40, 1>::saturating_from(terms.expires_at.0),
        preauthId: terms.preauth_id,
    }
}

fn uint96(units: BaseUnits) -> Uint<96, 2> {
    Uint::saturating_from(units.get())
}

/// Input of the transaction by which a payer allows `spender` to take an amount of a token, in base units.
#[must_use]
pub fn approve_input(spender: Address, amount: U256) -> Bytes {
    Erc20::approveCall { spender, amount }.abi_encode().into()
}

/// What a log of the escrow says about a preauth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EscrowEvent {
    /// With the terms that were locked.
    Locked {
        terms: Terms,
    },
    Settled {
        amount: BaseUnits,
    },
    Cancelled,
    Expired,
    RefundDeferred {
        amount: BaseUnits,
    },
    /// Counts only in a transaction of our own: anyone may send a batch that fails.
    CallFailed {
        kind: OperationKind,
        failure: CallFailure,
    },
}

/// A log of an escrow that is about a preauth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EscrowLog {
    pub escrow: Address,
    pub preauth_id: B256,
    pub event: EscrowEvent,
    pub transaction: B256,
    pub index: u64,
}

impl EscrowLog {
    /// `None` for logs that are about no preauth (roles, registrations, claims) or lack their place in the chain.
    pub(super) fn decode(log: &Log) -> Option<Self> {
        let (preauth_id, event) = match PreauthEscrowEvents::decode_log(&log.inner).ok()?.data {
            PreauthEscrowEvents::Authorized(event) => {
                let terms = Terms {
                    sender: event.sender,
                    receiver: event.receiver,
                    token: event.token,
                    hold: base_units(event.hold),
                    expires_at: ChainTime(event.expiresAt.to::<u64>()),
                    preauth_id: event.preauthId,
                };
                (event.preauthId, EscrowEvent::Locked { terms })
            }
            PreauthEscrowEvents::Settled(event) => {
                (event.preauthId, EscrowEvent::Settled { amount: base_units(event.amount) })
            }
            PreauthEscrowEvents::Cancelled(event) => (event.preauthId, EscrowEvent::Cancelled),
            PreauthEscrowEvents::Expired(event) => (event.preauthId, EscrowEvent::Expired),
            PreauthEscrowEvents::RefundDeferred(event) => {
                (event.preauthId, EscrowEvent::RefundDeferred { amount: base_units(event.amount) })
            }
            PreauthEscrowEvents::CallFailed(event) => {
                let kind = kind_of_selector(event.selector.0)?;
                (event.preauthId, EscrowEvent::CallFailed { kind, failure: decode_failure(&event.reason) })
            }
            _ => return None,
        };
        Some(Self {
            escrow: log.address(),
            preauth_id,
            event,
            transaction: log.transaction_hash?,
            index: log.log_index?,
        })
    }
}

fn base_units(units: Uint<96, 2>) -> BaseUnits {
    BaseUnits::new(units.to::<u128>()).unwrap_or_default()
}

fn kind_of_selector(selector: [u8; 4]) -> Option<OperationKind> {
    match selector {
        PreauthEscrow::authorizeCall::SELECTOR => Some(OperationKind::Authorize),
        PreauthEscrow::settleCall::SELECTOR => Some(OperationKind::Settle),
        PreauthEscrow::cancelCall::SELECTOR => Some(OperationKind::Cancel),
        PreauthEscrow::expireCall::SELECTOR => Some(OperationKind::Expire),
        _ => None,
    }
}

/// Reads revert data of the escrow or of a token behind it.
#[must_use]
pub fn decode_failure(data: &[u8]) -> CallFailure {
    if let Ok(error) = PreauthEscrowErrors::abi_decode(data) {
        return match error {
            PreauthEscrowErrors::AlreadyUsed(_) => CallFailure::AlreadyUsed,
            PreauthEscrowErrors::NotOpen(_) => CallFailure::NotOpen,
            PreauthEscrowErrors::TermsMismatch(_) => CallFailure::TermsMismatch,
            PreauthEscrowErrors::PreauthExpired(_) => CallFailure::PreauthExpired,
            PreauthEscrowErrors::NotExpired(_) => CallFailure::NotExpired,
            PreauthEscrowErrors::InvalidExpiry(_) => CallFailure::InvalidExpiry,
            PreauthEscrowErrors::NotOperator(_) => CallFailure::NotOperator,
            PreauthEscrowErrors::ReceiverNotRegistered(_) => CallFailure::ReceiverNotRegistered,
            PreauthEscrowErrors::ConsentRequired(_) => CallFailure::ConsentRequired,
            PreauthEscrowErrors::InvalidConsent(_) => CallFailure::InvalidConsent,
            PreauthEscrowErrors::EnforcedPause(_) => CallFailure::Paused,
            PreauthEscrowErrors::SafeERC20FailedOperation(_) => {
                CallFailure::Other("the token refused the transfer".into())
            }
            other => CallFailure::Other(format!("the escrow refused: {other:?}")),
        };
    }
    if data.starts_with(&Pausable::EnforcedPause::SELECTOR) {
        return CallFailure::Paused;
    }
    match Permit2::Permit2Errors::abi_decode(data) {
        Ok(Permit2::Permit2Errors::InvalidNonce(_)) => return CallFailure::ConsentUsed,
        Ok(_) => return CallFailure::InvalidConsent,
        Err(_) => {}
    }
    match Erc20::Erc20Errors::abi_decode(data) {
        Ok(Erc20::Erc20Errors::ERC20InsufficientAllowance(_)) => return CallFailure::InsufficientAllowance,
        Ok(Erc20::Erc20Errors::ERC20InsufficientBalance(_)) => return CallFailure::InsufficientBalance,
        Err(_) => {}
    }
    if let Ok(revert) = Revert::abi_decode(data) {
        return CallFailure::Other(format!("the token says: {}", printable(&revert.reason)));
    }
    if let Ok(panic) = Panic::abi_decode(data) {
        return CallFailure::Other(format!("the token panicked: {panic}"));
    }
    CallFailure::Other(match data.get(..4) {
        Some(selector) => format!("the token refused with error {}", alloy::hex::encode_prefixed(selector)),
        None => "the call failed without a reason, or ran out of its gas".into(),
    })
}

/// A token's text, made fit for logs and answers: a hostile token may send anything.
fn printable(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reverts_are_read_by_name() {
        let used = PreauthEscrow::AlreadyUsed { preauthId: B256::ZERO, status: 1 }.abi_encode();
        assert_eq!(decode_failure(&used), CallFailure::AlreadyUsed);
        let small = Erc20::ERC20InsufficientAllowance {
            spender: Address::ZERO,
            allowance: U256::ZERO,
            needed: U256::ONE,
        };
        assert_eq!(decode_failure(&small.abi_encode()), CallFailure::InsufficientAllowance);
        let text = Revert::from("no\u{0}pe").abi_encode();
        assert_eq!(decode_failure(&text), CallFailure::Other("the token says: nope".into()));
        assert_eq!(decode_failure(&Permit2::InvalidNonce {}.abi_encode()), CallFailure::ConsentUsed);
        assert_eq!(decode_failure(&Permit2::InvalidSigner {}.abi_encode()), CallFailure::InvalidConsent);
        let refused = PreauthEscrow::SafeERC20FailedOperation { token: Address::ZERO }.abi_encode();
        assert_eq!(decode_failure(&refused), CallFailure::Other("the token refused the transfer".into()));
        assert!(matches!(decode_failure(&[]), CallFailure::Other(_)));
        assert!(matches!(decode_failure(&[0xff; 40]), CallFailure::Other(_)));
    }
}
