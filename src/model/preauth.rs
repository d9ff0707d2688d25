//! One hold on a sender's tokens, and the only transitions it can take.

use std::fmt;

use alloy::primitives::{Address, B256, Bytes};
use uuid::Uuid;

use super::{
    Account, BaseUnits, CallFailure, ChainTime, InvoiceId, Millis, OperationKind, PreauthKey, TenantId,
    Terms, TokenAmount,
};

/// The public status. It moves only on outcomes seen on chain, and on the two decisions that need no chain:
/// a lock that was refused before anything was signed, and a cancel that came before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PreauthStatus {
    Pending,
    Authorized,
    Settled,
    Cancelled,
    Expired,
    Rejected,
}

impl PreauthStatus {
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Authorized, Self::Settled, Self::Cancelled, Self::Expired, Self::Rejected];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Authorized => "AUTHORIZED",
            Self::Settled => "SETTLED",
            Self::Cancelled => "CANCELLED",
            Self::Expired => "EXPIRED",
            Self::Rejected => "REJECTED",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// The status after `event`.
    ///
    /// # Errors
    /// [`ForbiddenTransition`] when the event cannot happen to a preauthorization in this status: the projection and
    /// the chain then disagree, which is a fault and never a reason to guess.
    pub fn after(self, event: PreauthEvent) -> Result<Self, ForbiddenTransition> {
        use PreauthEvent as Event;
        match (self, event) {
            // What was rejected or dropped can still land where signed bytes were about; the chain decides.
            (Self::Pending | Self::Rejected | Self::Cancelled, Event::Locked) => Ok(Self::Authorized),
            (Self::Pending, Event::LockFailed) => Ok(Self::Rejected),
            (Self::Pending, Event::Dropped) => Ok(Self::Cancelled),
            (Self::Authorized, Event::Settled) => Ok(Self::Settled),
            (Self::Authorized, Event::Cancelled) => Ok(Self::Cancelled),
            (Self::Authorized, Event::Expired) => Ok(Self::Expired),
            (Self::Authorized, Event::LockUndone) | (Self::Rejected, Event::LockFailureUndone) => {
                Ok(Self::Pending)
            }
            (Self::Settled | Self::Cancelled | Self::Expired, Event::CloseUndone) => Ok(Self::Authorized),
            (
                Self::Pending
                | Self::Authorized
                | Self::Settled
                | Self::Cancelled
                | Self::Expired
                | Self::Rejected,
                _,
            ) => Err(ForbiddenTransition { status: self, event }),
        }
    }
}

impl fmt::Display for PreauthStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What can happen to a preauthorization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PreauthEvent {
    Locked,
    LockFailed,
    /// Cancelled before anything was signed.
    Dropped,
    Settled,
    Cancelled,
    Expired,
    /// A reorg removed the lock.
    LockUndone,
    /// A reorg removed the failure of the lock.
    LockFailureUndone,
    /// A reorg removed the settlement, cancellation or expiry.
    CloseUndone,
}

/// An event that cannot follow a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{event:?} cannot happen to a preauthorization that is {status}")]
pub struct ForbiddenTransition {
    pub status: PreauthStatus,
    pub event: PreauthEvent,
}

/// A settlement that waits for its time. Part of the preauth, not an operation, until it is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    pub settle_at: ChainTime,
    pub amount: BaseUnits,
    pub written: TokenAmount,
}

/// What a settlement paid to the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settlement {
    pub amount: BaseUnits,
    pub written: TokenAmount,
}

/// One preauthorization as it is stored.
#[derive(Debug, Clone)]
pub struct Preauth {
    pub key: PreauthKey,
    /// The API's `transactionId`.
    pub transaction_id: Uuid,
    pub tenant: TenantId,
    pub invoice: InvoiceId,
    pub preauth_id: B256,
    /// The escrow that holds it; an old one is served until it is empty.
    pub escrow: Address,
    pub sender: Account,
    pub receiver: Account,
    pub token: Account,
    pub decimals: u8,
    /// The authorized amount as it was written.
    pub amount: TokenAmount,
    pub hold: BaseUnits,
    pub expires_at: ChainTime,
    /// The contract's `consent` bytes; empty where the allowance is the consent.
    pub consent: Bytes,
    pub status: PreauthStatus,
    /// Cancelled while PENDING and already signed: to be cancelled as soon as it is locked.
    pub cancel_requested: bool,
    pub schedule: Option<Schedule>,
    pub settlement: Option<Settlement>,
    /// The transaction that locked the hold.
    pub lock_transaction: Option<B256>,
    /// The transaction that settled, cancelled or expired it.
    pub close_transaction: Option<B256>,
    /// The part of the refund that the token refused and the sender can claim.
    pub deferred_refund: Option<BaseUnits>,
    /// Why the last operation failed.
    pub failure: Option<CallFailure>,
    pub created_at: Millis,
    pub updated_at: Millis,
}

impl Preauth {
    /// Whether an operation can still do anything to it.
    #[must_use]
    pub fn admits(&self, kind: OperationKind) -> bool {
        match kind {
            OperationKind::Authorize => self.status == PreauthStatus::Pending,
            OperationKind::Settle | OperationKind::Cancel | OperationKind::Expire => {
                matches!(self.status, PreauthStatus::Pending | PreauthStatus::Authorized)
            }
        }
    }

    /// The settlement that waits for its time; none once the hold is closed.
    #[must_use]
    pub fn open_schedule(&self) -> Option<Schedule> {
        self.schedule.filter(|_| matches!(self.status, PreauthStatus::Pending | PreauthStatus::Authorized))
    }

    /// What went back to the sender when the hold was closed, a part that waits for his claim included. `None`: nothing
    /// was held, or it still is.
    #[must_use]
    pub fn returned(&self) -> Option<BaseUnits> {
        let settled = self.settlement.map_or(0, |settlement| settlement.amount.get());
        match self.status {
            PreauthStatus::Settled | PreauthStatus::Cancelled | PreauthStatus::Expired => {
                self.lock_transaction.and(BaseUnits::new(self.hold.get().saturating_sub(settled)))
            }
            PreauthStatus::Pending | PreauthStatus::Authorized | PreauthStatus::Rejected => None,
        }
    }

    /// The terms the contract knows it by.
    #[must_use]
    pub fn terms(&self) -> Terms {
        Terms {
            sender: self.sender.address(),
            receiver: self.receiver.address(),
            token: self.token.address(),
            hold: self.hold,
            expires_at: self.expires_at,
            preauth_id: self.preauth_id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PreauthEvent as Event;
    use PreauthStatus as Status;

    const EVENTS: [Event; 9] = [
        Event::Locked,
        Event::LockFailed,
        Event::Dropped,
        Event::Settled,
        Event::Cancelled,
        Event::Expired,
        Event::LockUndone,
        Event::LockFailureUndone,
        Event::CloseUndone,
    ];

    #[test]
    fn exactly_thirteen_arrows_exist() {
        let allowed = Status::ALL
            .into_iter()
            .flat_map(|status| EVENTS.into_iter().map(move |event| status.after(event)))
            .filter(Result::is_ok)
            .count();
        assert_eq!(allowed, 13);
    }

    #[test]
    fn nothing_follows_a_terminal_state_but_its_undoing() {
        for status in [Status::Settled, Status::Expired] {
            for event in EVENTS.into_iter().filter(|event| *event != Event::CloseUndone) {
                assert!(status.after(event).is_err(), "{status} {event:?}");
            }
        }
    }

    #[test]
    fn a_reorg_walks_each_arrow_back() {
        for close in [Event::Settled, Event::Cancelled, Event::Expired] {
            let closed = Status::Authorized.after(close).unwrap();
            assert_eq!(closed.after(Event::CloseUndone), Ok(Status::Authorized));
        }
        assert_eq!(Status::Authorized.after(Event::LockUndone), Ok(Status::Pending));
        assert_eq!(Status::Rejected.after(Event::LockFailureUndone), Ok(Status::Pending));
    }
}
