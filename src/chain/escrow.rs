//! What the escrow says: logs and reverts.

use alloy::primitives::{Address, B256, Bytes, U256, Uint};
use alloy::rpc::types::Log;
use alloy::sol_types::{Panic, Revert, SolCall, SolError, SolEventInterface, SolInterface};

use super::bindings::{Erc20, Pausable, Permit2, PreauthEscrow};
use super::raw::kind_of;
use crate::model::{BaseUnits, CallFailure, ChainTime, OperationKind, Terms};
use PreauthEscrow::{PreauthEscrowErrors, PreauthEscrowEvents};

/// The longest hold the contract is deployed with: 90 days.
pub const CONTRACT_MAX_HOLD_SECONDS: u64 = 90 * 24 * 60 * 60;

/// Input of the transaction by which a payer allows `spender` to take an amount of a token, in base units.
#[must_use]
pub fn approve_input(spender: Address, amount: U256) -> Bytes {
    Erc20::approveCall { spender, amount }.abi_encode().into()
}

/// Input of the transaction by which a holder pays an amount of a token, in base units.
#[must_use]
pub fn transfer_input(to: Address, amount: U256) -> Bytes {
    Erc20::transferCall { to, amount }.abi_encode().into()
}

/// Input of the transaction by which anyone has a sender paid what his token refused to take earlier.
#[must_use]
pub fn claim_input(sender: Address, token: Address) -> Bytes {
    PreauthEscrow::claimCall { sender, token }.abi_encode().into()
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
                let kind = kind_of(event.operation)?;
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
