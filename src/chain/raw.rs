//! The escrow's raw calls: an operation and its terms in as few bytes as they take, alone or in a batch.

use alloy::primitives::{Bytes, U256, Uint};
use alloy::sol_types::SolCall;

use super::bindings::PreauthEscrow;
use crate::model::{BaseUnits, ChainTime, OperationKind, Terms};

/// One call of one of the four operations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EscrowCall {
    pub kind: OperationKind,
    pub terms: Terms,
    /// What a settlement pays; ignored by the other kinds.
    pub amount: BaseUnits,
    /// The consent of an authorization; ignored by the other kinds. What comes by REST is bounded there.
    pub consent: Bytes,
}

impl EscrowCall {
    /// One transaction's input for the call alone.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut input = PreauthEscrow::performRawCall {}.abi_encode();
        self.write(&mut input);
        input.into()
    }

    /// One transaction's input for several calls. `bare`: a single call needs no batch around it.
    #[must_use]
    pub fn encode_all(calls: &[Self], gas_per_call: u64, bare: bool) -> Bytes {
        match calls {
            [only] if bare => only.encode(),
            _ => Self::encode_batch(calls, gas_per_call),
        }
    }

    /// The `batch` method's input, which answers which of the calls failed.
    #[must_use]
    pub fn encode_batch(calls: &[Self], gas_per_call: u64) -> Bytes {
        let mut written = Vec::new();
        for call in calls {
            let mut raw = Vec::with_capacity(160);
            call.write(&mut raw);
            let length = u16::try_from(raw.len()).unwrap_or(u16::MAX);
            written.extend_from_slice(&length.to_be_bytes());
            written.extend_from_slice(&raw);
        }
        PreauthEscrow::batchCall { calls: written.into(), gasPerCall: U256::from(gas_per_call) }
            .abi_encode()
            .into()
    }

    fn write(&self, input: &mut Vec<u8>) {
        let terms = &self.terms;
        input.push(number(self.kind));
        for account in [terms.sender, terms.receiver, terms.token] {
            input.extend_from_slice(account.as_slice());
        }
        input.extend_from_slice(&uint96(terms.hold));
        input.extend_from_slice(&uint40(terms.expires_at));
        input.extend_from_slice(terms.preauth_id.as_slice());
        match self.kind {
            OperationKind::Authorize => input.extend_from_slice(&self.consent),
            OperationKind::Settle => input.extend_from_slice(&uint96(self.amount)),
            OperationKind::Cancel | OperationKind::Expire => {}
        }
    }
}

/// The byte a raw call begins with.
const fn number(kind: OperationKind) -> u8 {
    match kind {
        OperationKind::Authorize => 1,
        OperationKind::Settle => 2,
        OperationKind::Cancel => 3,
        OperationKind::Expire => 4,
    }
}

/// The operation a raw call was, by its first byte; `None` for a byte that is none.
pub(super) fn kind_of(operation: u8) -> Option<OperationKind> {
    OperationKind::ALL.into_iter().find(|kind| number(*kind) == operation)
}

/// As the contract keeps amounts.
fn uint96(units: BaseUnits) -> [u8; 12] {
    Uint::<96, 2>::saturating_from(units.get()).to_be_bytes()
}

/// As the contract keeps times.
fn uint40(time: ChainTime) -> [u8; 5] {
    Uint::<40, 1>::saturating_from(time.0).to_be_bytes()
}

#[cfg(test)]
pub(crate) use reading::RawInput;

/// How the simulation's contract, and the tests, read what is written above.
#[cfg(test)]
mod reading {
    use alloy::primitives::{Address, B256};
    use alloy::sol_types::SolCall;

    use super::{EscrowCall, PreauthEscrow, kind_of};
    use crate::model::{BaseUnits, ChainTime, OperationKind, Terms};

    /// A transaction's input.
    #[derive(Debug, PartialEq, Eq)]
    pub(crate) enum RawInput {
        Alone(EscrowCall),
        Batch(Vec<EscrowCall>),
    }

    impl RawInput {
        /// `None`: neither a raw call nor a batch of them.
        pub(crate) fn read(input: &[u8]) -> Option<Self> {
            if let Some(raw) = input.strip_prefix(&PreauthEscrow::performRawCall::SELECTOR) {
                return Some(Self::Alone(call(raw)?));
            }
            let batch = PreauthEscrow::batchCall::abi_decode(input).ok()?;
            let (mut rest, mut calls) = (batch.calls.as_ref(), Vec::new());
            while let Some((length, after)) = rest.split_first_chunk::<2>() {
                let (raw, after) = after.split_at_checked(u16::from_be_bytes(*length).into())?;
                calls.push(call(raw)?);
                rest = after;
            }
            rest.is_empty().then_some(Self::Batch(calls))
        }
    }

    fn call(raw: &[u8]) -> Option<EscrowCall> {
        let (terms, rest) = raw.split_at_checked(110)?;
        let kind = kind_of(terms[0])?;
        let amount = if kind == OperationKind::Settle { number(rest) } else { 0 };
        Some(EscrowCall {
            kind,
            terms: Terms {
                sender: Address::from_slice(&terms[1..21]),
                receiver: Address::from_slice(&terms[21..41]),
                token: Address::from_slice(&terms[41..61]),
                hold: BaseUnits::new(number(&terms[61..73]))?,
                expires_at: ChainTime(u64::try_from(number(&terms[73..78])).ok()?),
                preauth_id: B256::from_slice(&terms[78..]),
            },
            amount: BaseUnits::new(amount)?,
            consent: if kind == OperationKind::Authorize { rest.to_vec().into() } else { Default::default() },
        })
    }

    fn number(bytes: &[u8]) -> u128 {
        bytes.iter().fold(0, |number, byte| number << 8 | u128::from(*byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::{Address, B256, hex};

    fn call(kind: OperationKind) -> EscrowCall {
        let terms = Terms {
            sender: Address::repeat_byte(0x11),
            receiver: Address::repeat_byte(0x22),
            token: Address::repeat_byte(0x33),
            hold: BaseUnits::new(u128::MAX >> 32).unwrap(),
            expires_at: ChainTime(0x68_e7_78_00),
            preauth_id: B256::repeat_byte(0x44),
        };
        let amount = BaseUnits::new(if kind == OperationKind::Settle { 0x0102 } else { 0 }).unwrap();
        let consent = if kind == OperationKind::Authorize { vec![1; 66] } else { Vec::new() };
        EscrowCall { kind, terms, amount, consent: consent.into() }
    }

    #[test]
    fn a_settlement_is_written_as_the_contract_reads_it() {
        let expected = hex!(
            "02c7caae"
            "02"
            "1111111111111111111111111111111111111111"
            "2222222222222222222222222222222222222222"
            "3333333333333333333333333333333333333333"
            "ffffffffffffffffffffffff"
            "0068e77800"
            "4444444444444444444444444444444444444444444444444444444444444444"
            "000000000000000000000102"
        );
        assert_eq!(call(OperationKind::Settle).encode().as_ref(), expected);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let calls: Vec<_> = OperationKind::ALL.into_iter().map(call).collect();
        for call in &calls {
            assert_eq!(RawInput::read(&call.encode()), Some(RawInput::Alone(call.clone())));
            let all = EscrowCall::encode_all(std::slice::from_ref(call), 1, true);
            assert_eq!(all, call.encode());
        }
        assert_eq!(RawInput::read(&EscrowCall::encode_batch(&calls, 7)), Some(RawInput::Batch(calls)));
        assert_eq!(RawInput::read(&EscrowCall::encode_batch(&[], 7)), Some(RawInput::Batch(Vec::new())));
    }
}
