//! Whether the database and the contract say the same, judged from values alone.

use alloy::primitives::{Address, B256, U256};

use super::{History, InvoiceId, Preauth, PreauthStatus, TenantId, Terms, derive_preauth_id};

/// Findings of one kind that are kept; beyond that they are only counted, so that a database that is wrong throughout
/// does not fill the memory.
const KEPT: usize = 1_000;

/// What the contract stores about a preauth id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// Never used.
    Unused,
    /// Open, with the hash of its terms.
    Open(B256),
    Settled,
    Cancelled,
    Expired,
}

impl Record {
    /// Reads the contract's storage word: zero, a small constant, or the hash of the terms.
    #[must_use]
    pub fn from_word(word: B256) -> Self {
        match u8::try_from(U256::from_be_bytes(word.0)) {
            Ok(0) => Self::Unused,
            Ok(2) => Self::Settled,
            Ok(3) => Self::Cancelled,
            Ok(4) => Self::Expired,
            _ => Self::Open(word),
        }
    }

    /// In one word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Unused => "NONE",
            Self::Open(_) => "OPEN",
            Self::Settled => "SETTLED",
            Self::Cancelled => "CANCELLED",
            Self::Expired => "EXPIRED",
        }
    }

    /// What the contract must store about a preauthorization that the database shows so.
    #[must_use]
    pub fn expected(preauth: &Preauth) -> Self {
        match preauth.status {
            PreauthStatus::Pending | PreauthStatus::Rejected => Self::Unused,
            // Dropped before anything was signed: the chain never heard of it.
            PreauthStatus::Cancelled if preauth.close_transaction.is_none() => Self::Unused,
            PreauthStatus::Authorized => Self::Open(preauth.terms().hash()),
            PreauthStatus::Settled => Self::Settled,
            PreauthStatus::Cancelled => Self::Cancelled,
            PreauthStatus::Expired => Self::Expired,
        }
    }
}

/// A preauthorization about which database and chain disagree.
#[derive(Debug, Clone)]
pub struct Drift {
    pub tenant: TenantId,
    pub invoice: InvoiceId,
    pub preauth_id: B256,
    pub escrow: Address,
    /// What the database says.
    pub status: PreauthStatus,
    /// What the contract would store if the database were right.
    pub expected: Record,
    /// What it stores.
    pub found: Record,
    /// The hash of the terms in the database.
    pub terms_hash: B256,
    /// What differs beside the record.
    pub differences: Vec<Difference>,
}

/// One value that the database has otherwise than the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub field: &'static str,
    pub database: String,
    pub chain: String,
}

impl Drift {
    /// Compares a preauthorization with the contract's word about it; `None`: they agree.
    #[must_use]
    pub fn between(preauth: &Preauth, word: B256) -> Option<Self> {
        Self::with_history(preauth, Record::from_word(word), &History::default(), false)
    }

    /// Compares a preauthorization with what the contract stores about it (`found`) and with its logs; `None`: they agree.
    ///
    /// `is_whole`: the history holds every log there is, so what it lacks did not happen.
    #[must_use]
    pub fn with_history(preauth: &Preauth, found: Record, history: &History, is_whole: bool) -> Option<Self> {
        let expected = Record::expected(preauth);
        let differences = differences(preauth, history, is_whole);
        (expected != found || !differences.is_empty()).then(|| Self {
            tenant: preauth.tenant,
            invoice: preauth.invoice.clone(),
            preauth_id: preauth.preauth_id,
            escrow: preauth.escrow,
            status: preauth.status,
            expected,
            found,
            terms_hash: preauth.terms().hash(),
            differences,
        })
    }

    /// A record in one word, told apart from an open one with other terms than the database has.
    #[must_use]
    pub fn word_of(&self, record: Record) -> &'static str {
        match record {
            Record::Open(hash) if hash != self.terms_hash => "OPEN_OTHER_TERMS",
            other => other.word(),
        }
    }
}

fn differences(preauth: &Preauth, history: &History, is_whole: bool) -> Vec<Difference> {
    let mut found = Differences { is_whole, found: Vec::new() };
    let settled = preauth.settlement.map(|settlement| settlement.amount);
    let closed_by = history.close().map(|(log, _)| log.transaction);
    let locked_by = history.lock().map(|(log, _)| log.transaction);
    found.compare("lockTransaction", preauth.lock_transaction, locked_by);
    found.compare("closeTransaction", preauth.close_transaction, closed_by);
    found.compare("settledAmount", settled, history.settled());
    found.compare("deferredRefund", preauth.deferred_refund, history.deferred_refund());
    if is_whole && preauth.tenant != TenantId::UNCLAIMED {
        let derived = derive_preauth_id(preauth.tenant, &preauth.invoice);
        found.compare("preauthId", Some(preauth.preauth_id), Some(derived));
    }
    found.found
}

struct Differences {
    is_whole: bool,
    found: Vec<Difference>,
}

impl Differences {
    /// What the chain does not tell is a difference only where all of it is known.
    fn compare<T: PartialEq + ToString>(
        &mut self,
        field: &'static str,
        database: Option<T>,
        chain: Option<T>,
    ) {
        if database == chain || (chain.is_none() && !self.is_whole) {
            return;
        }
        let shown = |value: Option<T>| value.map_or_else(|| "none".to_owned(), |value| value.to_string());
        self.found.push(Difference { field, database: shown(database), chain: shown(chain) });
    }
}

/// A row that says nothing that can be trusted.
#[derive(Debug, Clone)]
pub struct Unreadable {
    /// As far as it can be read.
    pub invoice: Option<String>,
    pub preauth_id: Option<B256>,
    /// What the contract stores, where the preauth id can be read.
    pub found: Option<Record>,
    pub why: String,
}

/// An open hold on chain that the database has no row for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownHold {
    pub escrow: Address,
    pub terms: Terms,
}

/// What an escrow has of a token, and what it owes of it, in base units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balance {
    pub escrow: Address,
    pub token: Address,
    /// `None`: the token does not say.
    pub held: Option<U256>,
    /// Sum of the holds that are open by the database.
    pub open: U256,
    /// What the contract owes to the senders whose refunds were deferred.
    pub claimable: U256,
}

impl Balance {
    /// What the escrow must have at least.
    #[must_use]
    pub fn owed(&self) -> U256 {
        self.open.saturating_add(self.claimable)
    }

    /// What it has beyond that: anyone may send tokens to the escrow.
    #[must_use]
    pub fn surplus(&self) -> U256 {
        self.held.unwrap_or_default().saturating_sub(self.owed())
    }

    /// What is missing; everything that is owed where the token does not say.
    #[must_use]
    pub fn missing(&self) -> U256 {
        self.owed().saturating_sub(self.held.unwrap_or_default())
    }
}

/// What was found about one row.
#[derive(Debug)]
pub enum Verdict {
    Equal,
    Drifted(Box<Drift>),
    Unreadable(Unreadable),
}

impl From<Option<Drift>> for Verdict {
    fn from(drift: Option<Drift>) -> Self {
        drift.map_or(Self::Equal, |drift| Self::Drifted(Box::new(drift)))
    }
}

/// Findings, the first of which are kept.
#[derive(Debug)]
pub struct Findings<T> {
    pub count: u64,
    pub kept: Vec<T>,
}

impl<T> Findings<T> {
    /// One more.
    pub fn add(&mut self, finding: T) {
        self.count += 1;
        if self.kept.len() < KEPT {
            self.kept.push(finding);
        }
    }
}

impl<T> Default for Findings<T> {
    fn default() -> Self {
        Self { count: 0, kept: Vec::new() }
    }
}

/// What a comparison of the whole database with the chain has found.
#[derive(Debug, Default)]
pub struct Reconciliation {
    /// The observer's cursor when it began and when it ended.
    pub blocks: (u64, u64),
    pub checked: u64,
    pub drifts: Findings<Drift>,
    pub unreadable: Findings<Unreadable>,
    pub unknown: Findings<UnknownHold>,
    pub balances: Vec<Balance>,
}

impl Reconciliation {
    /// Takes in what was found about one row.
    pub fn note(&mut self, verdict: Verdict) {
        self.checked += 1;
        match verdict {
            Verdict::Equal => {}
            Verdict::Drifted(drift) => self.drifts.add(*drift),
            Verdict::Unreadable(row) => self.unreadable.add(row),
        }
    }

    /// Rows that are not as the chain says, unreadable ones included.
    #[must_use]
    pub fn drifted(&self) -> u64 {
        self.drifts.count + self.unreadable.count
    }

    /// Whether database and chain agree about everything. A surplus is no disagreement.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        let covered = self.balances.iter().all(|balance| balance.missing().is_zero());
        self.drifted() == 0 && self.unknown.count == 0 && covered
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        Account, BaseUnits, ChainTime, HoldEvent, HoldLog, Millis, PreauthKey, Settlement, TokenAmount,
    };
    use alloy::primitives::Bytes;
    use uuid::Uuid;

    fn preauth(status: PreauthStatus, closed_on_chain: bool) -> Preauth {
        let account = |byte| Account::from_address(Address::repeat_byte(byte));
        Preauth {
            key: PreauthKey(1),
            transaction_id: Uuid::nil(),
            tenant: TenantId(Uuid::nil()),
            invoice: InvoiceId::parse("INV-1").unwrap(),
            preauth_id: B256::repeat_byte(7),
            escrow: Address::repeat_byte(9),
            sender: account(1),
            receiver: account(2),
            token: account(3),
            decimals: 6,
            amount: TokenAmount::parse("1").unwrap(),
            hold: BaseUnits::new(1_000_000).unwrap(),
            expires_at: ChainTime(1_774_872_000),
            consent: Bytes::new(),
            status,
            cancel_requested: false,
            schedule: None,
            settlement: None,
            lock_transaction: None,
            close_transaction: closed_on_chain.then_some(B256::repeat_byte(8)),
            deferred_refund: None,
            failure: None,
            created_at: Millis(0),
            updated_at: Millis(0),
        }
    }

    /// One is the number of the contract's `Open`, but is never stored.
    fn words() -> Vec<(B256, &'static str)> {
        let terms_hash = preauth(PreauthStatus::Authorized, false).terms().hash();
        let mut small = [B256::ZERO; 6];
        for (number, word) in small.iter_mut().enumerate() {
            word.0[31] = u8::try_from(number).unwrap();
        }
        let mut high = B256::ZERO;
        high.0[0] = 2;
        vec![
            (small[0], "NONE"),
            (small[1], "OPEN_OTHER_TERMS"),
            (small[2], "SETTLED"),
            (small[3], "CANCELLED"),
            (small[4], "EXPIRED"),
            (small[5], "OPEN_OTHER_TERMS"),
            (high, "OPEN_OTHER_TERMS"),
            (terms_hash, "OPEN"),
            (B256::repeat_byte(0xee), "OPEN_OTHER_TERMS"),
        ]
    }

    #[test]
    fn each_status_agrees_with_exactly_one_word() {
        let agreeing = [
            (preauth(PreauthStatus::Pending, false), "NONE"),
            (preauth(PreauthStatus::Rejected, false), "NONE"),
            (preauth(PreauthStatus::Cancelled, false), "NONE"),
            (preauth(PreauthStatus::Authorized, false), "OPEN"),
            (preauth(PreauthStatus::Settled, true), "SETTLED"),
            (preauth(PreauthStatus::Cancelled, true), "CANCELLED"),
            (preauth(PreauthStatus::Expired, true), "EXPIRED"),
        ];
        for (preauth, expected) in &agreeing {
            for (word, name) in words() {
                let drift = Drift::between(preauth, word);
                assert_eq!(drift.is_none(), name == *expected, "{} and {word}", preauth.status);
                if let Some(drift) = drift {
                    assert_eq!(
                        (drift.word_of(drift.expected), drift.word_of(drift.found)),
                        (*expected, name)
                    );
                }
            }
        }
        for status in PreauthStatus::ALL {
            assert!(agreeing.iter().any(|(preauth, _)| preauth.status == status), "{status} is tried");
        }
    }

    #[test]
    fn amounts_and_transactions_that_differ_are_drift() {
        let transaction = B256::repeat_byte(8);
        let mut row = preauth(PreauthStatus::Settled, true);
        row.lock_transaction = Some(B256::repeat_byte(6));
        let (amount, rest) = (BaseUnits::new(400_000).unwrap(), BaseUnits::new(600_000).unwrap());
        row.settlement = Some(Settlement { amount, written: TokenAmount::parse("0.4").unwrap() });
        row.deferred_refund = Some(rest);
        let log = |index, transaction, event| HoldLog {
            preauth_id: row.preauth_id,
            block: 1,
            index,
            transaction,
            time: None,
            event,
        };
        let history = History::new(vec![
            log(0, B256::repeat_byte(6), HoldEvent::Locked(row.terms())),
            log(1, transaction, HoldEvent::Settled(amount)),
            log(2, transaction, HoldEvent::RefundDeferred(rest)),
        ]);
        assert!(Drift::with_history(&row, history.record(), &history, true).is_none());
        type Change = fn(&mut Preauth);
        let changes: [(Change, &str); 5] = [
            (|row| row.lock_transaction = None, "lockTransaction"),
            (|row| row.close_transaction = Some(B256::ZERO), "closeTransaction"),
            (|row| row.settlement.as_mut().unwrap().amount = BaseUnits::new(1).unwrap(), "settledAmount"),
            (|row| row.deferred_refund = None, "deferredRefund"),
            (|row| row.tenant = TenantId(Uuid::from_u128(1)), "preauthId"),
        ];
        for (change, field) in changes {
            let mut changed = row.clone();
            change(&mut changed);
            let drift = Drift::with_history(&changed, history.record(), &history, true).unwrap();
            assert_eq!(drift.differences.iter().map(|it| it.field).collect::<Vec<_>>(), [field]);
            let few = History::new(history.logs()[..1].to_vec());
            let told = Drift::with_history(&changed, Record::Settled, &few, false);
            assert_eq!(told.is_some(), field == "lockTransaction", "{field}");
        }
    }

    #[test]
    fn terms_that_differ_are_drift() {
        let mut other = preauth(PreauthStatus::Authorized, false);
        let word = other.terms().hash();
        other.hold = BaseUnits::new(2_000_000).unwrap();
        let drift = Drift::between(&other, word).unwrap();
        assert_eq!(drift.word_of(drift.found), "OPEN_OTHER_TERMS");
    }

    #[test]
    fn more_than_is_owed_is_a_surplus_and_less_is_drift() {
        let balance = |held: Option<u64>| Balance {
            escrow: Address::ZERO,
            token: Address::ZERO,
            held: held.map(U256::from),
            open: U256::from(7),
            claimable: U256::from(3),
        };
        for (held, surplus, missing) in
            [(Some(10), 0, 0), (Some(12), 2, 0), (Some(9), 0, 1), (Some(0), 0, 10), (None, 0, 10)]
        {
            let balance = balance(held);
            assert_eq!((balance.surplus(), balance.missing()), (U256::from(surplus), U256::from(missing)));
            let found = Reconciliation { balances: vec![balance], ..Default::default() };
            assert_eq!(found.is_equal(), missing == 0);
        }
    }

    #[test]
    fn findings_are_counted_beyond_those_that_are_kept() {
        let mut found = Reconciliation::default();
        assert!(found.is_equal());
        let row = preauth(PreauthStatus::Authorized, false);
        for _ in 0..KEPT + 5 {
            found.note(Drift::between(&row, B256::ZERO).into());
        }
        found.note(Drift::between(&row, row.terms().hash()).into());
        assert_eq!((found.checked, found.drifts.count), (1_006, 1_005));
        assert_eq!(found.drifts.kept.len(), KEPT);
        assert!(!found.is_equal());
    }
}
