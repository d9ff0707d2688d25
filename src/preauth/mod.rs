//! What the system does, one verb per file: authorize, settle, cancel, schedule, and what leads up to them.
//!
//! A verb checks the rules, asks the chain what it must know, and writes its decision in one change. What the chain
//! makes of it is seen by the observer alone; a verb that waits is woken by it and reads the outcome from the database.
//! Expected endings are an [`Ending`]; a [`Fault`] means that something is broken.

mod approvals;
mod authorize;
mod cancel;
mod check;
mod claims;
mod consents;
mod events;
mod once;
mod participants;
mod past;
mod patrol;
mod pay;
mod pay_link;
mod payer;
mod progress;
mod query;
mod reconcile;
mod refusal;
mod repair;
mod report;
mod rulebooks;
mod schedule;
mod settle;
mod signing;
mod terms;
mod unclaimed;
mod wait;
mod wallets;

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::Address;

use crate::approvers::Approvers;
use crate::chain::{Chain, ChainClock, ChainError};
use crate::lane::{Signals, Standing};
use crate::model::{Account, ChainTime, Consent, InvoiceId, Once, OperationKind, Preauth, TokenAmount};
use crate::store::{Store, StoreError};
use rulebooks::Rulebooks;

pub use check::Checker;
pub use claims::Claims;
pub use consents::ConsentOffer;
pub use events::Told;
pub use once::KEY_DAYS;
pub use patrol::Patrol;
pub use pay::{OpenedPayLink, Signed};
pub use pay_link::{MadePayLink, NewPayLink, PayLinkView};
pub use progress::{Progress, Step};
pub use reconcile::{ReconcileError, Scope, reconcile};
pub use refusal::{ConsentFlaw, Demand, Refusal};
pub use repair::{RepairError, repair};
pub use report::{DayReport, ReportError, ReportLine, ReportScope, next_day};
pub use schedule::Sweeper;
pub use terms::OfferedTerms;
pub use unclaimed::{Cancellation, cancel_unclaimed};
pub use wallets::{
    ProofChallenge, RegisterWallet, Registration, RegistrationRefusal, WalletProof, WalletView,
};

/// Shortest time from creation to expiry, in seconds.
pub const MIN_TTL_SECONDS: u64 = 60;
/// Longest time from creation to expiry, in seconds: 30 days.
pub const MAX_TTL_SECONDS: u64 = 30 * 24 * 60 * 60;
/// A tenant's time to live where nobody chose one: 24 hours, in seconds.
pub const DEFAULT_TTL_SECONDS: u64 = 24 * 60 * 60;
/// A pay link's time where nobody chose one: 24 hours, in seconds.
pub const DEFAULT_LINK_SECONDS: u64 = 24 * 60 * 60;
/// How old terms may be when the signature over them arrives through a pay link, in seconds: 15 minutes.
pub const OFFER_SECONDS: u64 = 15 * 60;
/// Largest tip a tenant may allow, in basis points.
pub const MAX_TIP_BPS: u16 = 5_000;

/// What the verbs need to know about their surroundings.
#[derive(Debug, Clone)]
pub struct PreauthSettings {
    /// The escrow that new preauthorizations use.
    pub escrow: Address,
    /// The Permit2 that this escrow uses, where it is on this chain.
    pub permit2: Option<Address>,
    /// The operator keys' addresses, for dry runs of creations.
    pub operators: Vec<Address>,
    /// How long a request waits for its outcome before it is answered with 202.
    pub request_timeout: Duration,
}

/// The verbs. Clones share everything.
#[derive(Clone)]
pub struct Preauths {
    inner: Arc<Inner>,
    /// The request they act for, where it came with a key.
    once: Option<Once>,
}

struct Inner {
    store: Store,
    chain: Chain,
    clock: ChainClock,
    signals: Signals,
    standing: Standing,
    checker: Checker,
    rulebooks: Rulebooks,
    approvers: Approvers,
    settings: PreauthSettings,
}

impl Preauths {
    #[must_use]
    pub fn new(
        store: Store,
        chain: Chain,
        clock: ChainClock,
        signals: Signals,
        standing: Standing,
        approvers: Approvers,
        settings: PreauthSettings,
    ) -> Self {
        let checker = Checker::spawn(chain.clone(), settings.operators.clone());
        let rulebooks = Rulebooks::default();
        let inner = Inner { store, chain, clock, signals, standing, checker, rulebooks, approvers, settings };
        Self { inner: Arc::new(inner), once: None }
    }

    /// Refuses new work while the daemon must not promise anything.
    fn accepts_work(&self) -> Result<(), Refusal> {
        self.inner.standing.must_refuse().map_or(Ok(()), |why| Err(Refusal::NotReady(why)))
    }

    /// Turns an early stop back into what it is for the caller.
    fn told<T>(&self, result: Result<T, Stop>) -> Result<Result<T, Refusal>, Fault> {
        match result {
            Ok(value) => Ok(Ok(value)),
            Err(Stop::Refused(refusal)) => Ok(Err(refusal)),
            Err(Stop::Fault(fault)) => Err(self.noted(fault)),
        }
    }

    /// The same for a verb that has endings of its own.
    fn ended(&self, result: Result<Ending, Stop>) -> Result<Ending, Fault> {
        Ok(self.told(result)?.unwrap_or_else(Ending::Refused))
    }

    /// A fault of the database may be everybody's business.
    fn noted(&self, fault: impl Into<Fault>) -> Fault {
        let fault = fault.into();
        if let Fault::Store(error) = &fault {
            self.inner.standing.note(&self.inner.store, error);
        }
        fault
    }
}

/// A creation, its shape checked.
#[derive(Debug, Clone)]
pub struct NewAuthorization {
    pub invoice: InvoiceId,
    pub sender: Account,
    pub receiver: Account,
    pub token: Account,
    pub amount: TokenAmount,
    pub expires_at: RequestedTime,
    /// When to settle the full amount, if the payer's system said so at creation.
    pub settle_at: RequestedTime,
    /// The payer's signed consent to the offered terms.
    pub consent: Option<Consent>,
}

/// A time as the client asked for it. Its form is judged after other rules (the order of the checks is fixed), so a
/// malformed one travels on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestedTime {
    Absent,
    At(ChainTime),
    Malformed,
}

/// Whether a caller waits for the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    ForOutcome,
    /// `Prefer: respond-async`.
    No,
}

/// A preauthorization and what is being done about it.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub preauth: Preauth,
    pub pending_operation: Option<OperationKind>,
}

/// How a verb ended.
#[derive(Debug)]
pub enum Ending {
    /// The outcome is on chain (or needed none).
    Done(Box<Snapshot>),
    /// Durably accepted; the outcome is still to come.
    Accepted(Box<Snapshot>),
    Refused(Refusal),
}

/// Something is broken: a fault of ours or of the machine, never an expected ending.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Chain(#[from] ChainError),
}

/// Why a verb stops early; keeps `?` readable inside the verbs.
#[derive(Debug)]
enum Stop {
    Refused(Refusal),
    Fault(Fault),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Fault(error.into())
    }
}

impl From<ChainError> for Stop {
    fn from(error: ChainError) -> Self {
        Self::Fault(error.into())
    }
}
