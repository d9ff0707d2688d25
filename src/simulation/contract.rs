//! The escrow and its tokens as the chain of the simulation runs them: the rules of `PreauthEscrow.sol`, in its own ABI.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, B256, Bytes, LogData, U256};
use alloy::sol_types::{Revert, SolCall, SolError, SolEvent};

use crate::chain::IPreauthEscrow::Failure;
use crate::chain::{CONTRACT_MAX_HOLD_SECONDS, DemoToken, EscrowCall, PreauthEscrow, RawInput};
use crate::model::{ChainTime, OperationKind, Terms};

pub const ESCROW: Address = Address::repeat_byte(0xe5);
/// Numbers of the contract's statuses; an open preauth stores the hash of its terms instead.
const SETTLED: u8 = 2;
const CANCELLED: u8 = 3;
const EXPIRED: u8 = 4;

/// What happened, or the revert data.
pub type Ran = Result<Vec<LogData>, Bytes>;

/// One token: who has what, and its moods.
#[derive(Debug, Clone, Default)]
pub struct TokenState {
    pub balances: BTreeMap<Address, u128>,
    /// What senders allow the escrow to take.
    pub allowances: BTreeMap<Address, u128>,
    pub blocked: BTreeSet<Address>,
    pub paused: bool,
}

impl TokenState {
    fn refuse_moods(&self, from: Address, to: Address) -> Result<(), Bytes> {
        if self.paused || self.blocked.contains(&from) || self.blocked.contains(&to) {
            return Err(Revert::from("not in the mood").abi_encode().into());
        }
        Ok(())
    }

    fn transfer(&mut self, from: Address, to: Address, units: u128) -> Result<(), Bytes> {
        self.refuse_moods(from, to)?;
        let balance = self.balances.get(&from).copied().unwrap_or_default();
        let Some(rest) = balance.checked_sub(units) else {
            return Err(DemoToken::ERC20InsufficientBalance {
                sender: from,
                balance: U256::from(balance),
                needed: U256::from(units),
            }
            .abi_encode()
            .into());
        };
        self.balances.insert(from, rest);
        *self.balances.entry(to).or_default() += units;
        Ok(())
    }

    fn take(&mut self, from: Address, units: u128) -> Result<(), Bytes> {
        let allowance = self.allowances.get(&from).copied().unwrap_or_default();
        let Some(rest) = allowance.checked_sub(units) else {
            return Err(DemoToken::ERC20InsufficientAllowance {
                spender: ESCROW,
                allowance: U256::from(allowance),
                needed: U256::from(units),
            }
            .abi_encode()
            .into());
        };
        self.transfer(from, ESCROW, units)?;
        self.allowances.insert(from, rest);
        Ok(())
    }
}

/// Everything the contracts store.
#[derive(Debug, Clone, Default)]
pub struct Contracts {
    pub operators: BTreeSet<Address>,
    pub paused: bool,
    /// The contract's word about each preauth id.
    pub words: BTreeMap<B256, B256>,
    /// What settlements have paid.
    pub settled: BTreeMap<B256, u128>,
    pub claimable: BTreeMap<(Address, Address), u128>,
    pub tokens: BTreeMap<Address, TokenState>,
}

impl Contracts {
    /// Runs an input of the escrow as `caller` in a block of `time`; a revert changes nothing. `Err` holds the revert data.
    pub fn run(&mut self, caller: Address, time: ChainTime, input: &[u8]) -> Ran {
        let calls = match RawInput::read(input) {
            Some(RawInput::Alone(call)) => return self.run_alone(caller, time, &call),
            Some(RawInput::Batch(calls)) => calls,
            None => return self.claim(input),
        };
        let mut logs = Vec::new();
        for (index, call) in calls.iter().enumerate() {
            match self.run_alone(caller, time, call) {
                Ok(happened) => logs.extend(happened),
                Err(reason) => logs.push(call_failed(call, index, reason)),
            }
        }
        Ok(logs)
    }

    /// What a dry run of a batch answers.
    pub fn dry_run(&self, caller: Address, time: ChainTime, calls: &[EscrowCall]) -> Bytes {
        let mut after = self.clone();
        let failures = calls.iter().enumerate().filter_map(|(index, call)| {
            let reason = after.run_alone(caller, time, call).err()?;
            Some(Failure { index: U256::from(index), reason })
        });
        PreauthEscrow::batchCall::abi_encode_returns(&failures.collect::<Vec<_>>()).into()
    }

    pub fn word(&self, preauth_id: B256) -> B256 {
        self.words.get(&preauth_id).copied().unwrap_or_default()
    }

    /// What the escrow owes of a token that the sender could not be paid.
    pub fn claimable_of(&self, token: Address) -> u128 {
        self.claimable.iter().filter(|((_, of), _)| *of == token).map(|(_, units)| units).sum()
    }

    fn run_alone(&mut self, caller: Address, time: ChainTime, call: &EscrowCall) -> Ran {
        let before = self.clone();
        let ran = match call.kind {
            OperationKind::Authorize => self.authorize(caller, time, &call.terms),
            OperationKind::Settle => self.settle(caller, time, &call.terms, call.amount.get()),
            OperationKind::Cancel => self.cancel(caller, &call.terms),
            OperationKind::Expire => self.expire(time, &call.terms),
        };
        if ran.is_err() {
            *self = before;
        }
        ran
    }

    fn authorize(&mut self, caller: Address, time: ChainTime, terms: &Terms) -> Ran {
        self.only_operator(caller)?;
        let preauth_id = terms.preauth_id;
        let expires = Uint40::saturating_from(terms.expires_at.0);
        if !self.word(preauth_id).is_zero() {
            return Err(PreauthEscrow::AlreadyUsed { preauthId: preauth_id, status: 1 }.abi_encode().into());
        }
        if self.paused {
            return Err(PreauthEscrow::EnforcedPause {}.abi_encode().into());
        }
        if terms.expires_at <= time || terms.expires_at.seconds_since(time) > CONTRACT_MAX_HOLD_SECONDS {
            return Err(PreauthEscrow::InvalidExpiry { expiresAt: expires }.abi_encode().into());
        }
        self.words.insert(preauth_id, terms.hash());
        self.token(terms.token)?.take(terms.sender, terms.hold.get())?;
        let authorized = PreauthEscrow::Authorized {
            preauthId: preauth_id,
            sender: terms.sender,
            receiver: terms.receiver,
            token: terms.token,
            hold: Uint96::saturating_from(terms.hold.get()),
            expiresAt: expires,
        };
        Ok(vec![authorized.encode_log_data()])
    }

    fn settle(&mut self, caller: Address, time: ChainTime, terms: &Terms, amount: u128) -> Ran {
        self.only_operator(caller)?;
        let preauth_id = self.open(terms)?;
        if time >= terms.expires_at {
            let expires = Uint40::saturating_from(terms.expires_at.0);
            return Err(PreauthEscrow::PreauthExpired { preauthId: preauth_id, expiresAt: expires }
                .abi_encode()
                .into());
        }
        let refund = terms.hold.get() - amount;
        self.close(preauth_id, SETTLED);
        self.settled.insert(preauth_id, amount);
        self.token(terms.token)?.transfer(ESCROW, terms.receiver, amount)?;
        let settled =
            PreauthEscrow::Settled { preauthId: preauth_id, amount: Uint96::saturating_from(amount) };
        let mut logs = vec![settled.encode_log_data()];
        logs.extend(self.refund(terms, refund)?);
        Ok(logs)
    }

    fn cancel(&mut self, caller: Address, terms: &Terms) -> Ran {
        if caller != terms.receiver {
            self.only_operator(caller)?;
        }
        let preauth_id = self.open(terms)?;
        self.close(preauth_id, CANCELLED);
        let mut logs = vec![PreauthEscrow::Cancelled { preauthId: preauth_id }.encode_log_data()];
        logs.extend(self.refund(terms, terms.hold.get())?);
        Ok(logs)
    }

    fn expire(&mut self, time: ChainTime, terms: &Terms) -> Ran {
        let preauth_id = self.open(terms)?;
        if time < terms.expires_at {
            let expires = Uint40::saturating_from(terms.expires_at.0);
            return Err(PreauthEscrow::NotExpired { preauthId: preauth_id, expiresAt: expires }
                .abi_encode()
                .into());
        }
        self.close(preauth_id, EXPIRED);
        let mut logs = vec![PreauthEscrow::Expired { preauthId: preauth_id }.encode_log_data()];
        logs.extend(self.refund(terms, terms.hold.get())?);
        Ok(logs)
    }

    /// Pays a sender what could not be pushed to him; anyone may ask for it.
    fn claim(&mut self, input: &[u8]) -> Ran {
        let PreauthEscrow::claimCall { sender, token } =
            PreauthEscrow::claimCall::abi_decode(input).map_err(|_| Bytes::new())?;
        let units = self.claimable.get(&(sender, token)).copied().unwrap_or_default();
        if units == 0 {
            return Err(PreauthEscrow::NothingToClaim { sender, token }.abi_encode().into());
        }
        self.token(token)?.transfer(ESCROW, sender, units)?;
        self.claimable.remove(&(sender, token));
        Ok(vec![PreauthEscrow::Claimed { sender, token, amount: U256::from(units) }.encode_log_data()])
    }

    /// Pushes a refund, or credits it where the token refuses.
    fn refund(&mut self, terms: &Terms, units: u128) -> Ran {
        if units == 0 || self.token(terms.token)?.transfer(ESCROW, terms.sender, units).is_ok() {
            return Ok(Vec::new());
        }
        *self.claimable.entry((terms.sender, terms.token)).or_default() += units;
        let deferred = PreauthEscrow::RefundDeferred {
            preauthId: terms.preauth_id,
            sender: terms.sender,
            token: terms.token,
            amount: Uint96::saturating_from(units),
        };
        Ok(vec![deferred.encode_log_data()])
    }

    fn only_operator(&self, caller: Address) -> Result<(), Bytes> {
        if self.operators.contains(&caller) {
            return Ok(());
        }
        Err(PreauthEscrow::NotOperator { caller }.abi_encode().into())
    }

    fn open(&self, terms: &Terms) -> Result<B256, Bytes> {
        let (preauth_id, word) = (terms.preauth_id, self.word(terms.preauth_id));
        if word == terms.hash() {
            return Ok(preauth_id);
        }
        let status = if word.0[..31].iter().all(|byte| *byte == 0) { word.0[31] } else { 1 };
        if status == 1 {
            return Err(PreauthEscrow::TermsMismatch { preauthId: preauth_id }.abi_encode().into());
        }
        Err(PreauthEscrow::NotOpen { preauthId: preauth_id, status }.abi_encode().into())
    }

    fn close(&mut self, preauth_id: B256, status: u8) {
        self.words.insert(preauth_id, B256::with_last_byte(status));
    }

    fn token(&mut self, token: Address) -> Result<&mut TokenState, Bytes> {
        self.tokens.get_mut(&token).ok_or_else(Bytes::new)
    }
}

type Uint40 = alloy::primitives::Uint<40, 1>;
type Uint96 = alloy::primitives::Uint<96, 2>;

fn call_failed(call: &EscrowCall, index: usize, reason: Bytes) -> LogData {
    PreauthEscrow::CallFailed {
        preauthId: call.terms.preauth_id,
        index: U256::from(index),
        operation: call.encode()[4],
        reason,
    }
    .encode_log_data()
}
