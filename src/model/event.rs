//! What merchants are told of: a step of a preauthorization or of a party, and what it was after it.

use std::fmt;

use alloy::primitives::B256;
use uuid::Uuid;

use super::{
    BaseUnits, CallFailure, DocumentId, Millis, OperationKind, PartyId, PartyStatus, Preauth, PreauthKey,
    PreauthStatus, Schedule, Settlement, TenantId,
};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    Authorized,
    Rejected,
    Settled,
    /// A settlement failed for good; the hold stays.
    SettlementFailed,
    Cancelled,
    Expired,
    /// The hold expires soon.
    Expiring,
    /// What was told before is no longer so: the chain took it back.
    Reorged,
    /// Nothing that is asked of a party is open any more.
    PartyVerified,
    PartyRejected,
    PartySuspended,
    /// A verification of a party's identity has ended, well or not.
    VerificationCompleted,
    /// A document of a party was accepted or refused.
    DocumentChecked,
}

impl EventKind {
    pub const ALL: [Self; 13] = [
        Self::Authorized,
        Self::Rejected,
        Self::Settled,
        Self::SettlementFailed,
        Self::Cancelled,
        Self::Expired,
        Self::Expiring,
        Self::Reorged,
        Self::PartyVerified,
        Self::PartyRejected,
        Self::PartySuspended,
        Self::VerificationCompleted,
        Self::DocumentChecked,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authorized => "authorized",
            Self::Rejected => "rejected",
            Self::Settled => "settled",
            Self::SettlementFailed => "settlement_failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Expiring => "expiring",
            Self::Reorged => "reorged",
            Self::PartyVerified => "party_verified",
            Self::PartyRejected => "party_rejected",
            Self::PartySuspended => "party_suspended",
            Self::VerificationCompleted => "verification_completed",
            Self::DocumentChecked => "document_checked",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// The name by which merchants know it, such as `preauth.settled`.
    #[must_use]
    pub fn public_name(self) -> String {
        match self {
            Self::Authorized
            | Self::Rejected
            | Self::Settled
            | Self::SettlementFailed
            | Self::Cancelled
            | Self::Expired
            | Self::Expiring
            | Self::Reorged => format!("preauth.{}", self.as_str()),
            Self::PartyVerified
            | Self::PartyRejected
            | Self::PartySuspended
            | Self::VerificationCompleted
            | Self::DocumentChecked => self.as_str().replacen('_', ".", 1),
        }
    }

    /// Reads [`Self::public_name`].
    #[must_use]
    pub fn parse_public(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.public_name() == text)
    }

    /// What tells that a preauthorization has come into a status, however it came there.
    #[must_use]
    pub fn of_status(status: PreauthStatus) -> Self {
        match status {
            PreauthStatus::Pending => Self::Reorged,
            PreauthStatus::Authorized => Self::Authorized,
            PreauthStatus::Settled => Self::Settled,
            PreauthStatus::Cancelled => Self::Cancelled,
            PreauthStatus::Expired => Self::Expired,
            PreauthStatus::Rejected => Self::Rejected,
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.public_name())
    }
}

/// One event of the feed.
#[derive(Debug, Clone)]
pub enum FeedEvent {
    Preauth(Box<Event>),
    Party(PartyEvent),
}

impl FeedEvent {
    /// Its position in the feed.
    #[must_use]
    pub fn position(&self) -> i64 {
        match self {
            Self::Preauth(event) => event.position,
            Self::Party(event) => event.position,
        }
    }
}

/// What an event of a party is about beside the party itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    TheParty,
    /// The verification that was completed.
    Verification(Uuid),
    /// The document that was checked.
    Document(DocumentId),
}

/// An event of a party as it is stored.
#[derive(Debug, Clone)]
pub struct PartyEvent {
    /// Its position in the feed.
    pub position: i64,
    /// Its name for merchants.
    pub id: Uuid,
    pub tenant: TenantId,
    pub party: PartyId,
    /// Counts the events of its party from 1.
    pub sequence: u64,
    pub kind: EventKind,
    /// Where the party stood after it.
    pub status: PartyStatus,
    pub about: About,
    pub created_at: Millis,
}

/// One event of a preauthorization as it is stored.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its position in the feed.
    pub position: i64,
    /// Its name for merchants: the same in the feed and in every attempt to deliver it.
    pub id: Uuid,
    pub tenant: TenantId,
    pub preauth: PreauthKey,
    /// Counts the events of its preauthorization from 1.
    pub sequence: u64,
    pub kind: EventKind,
    /// What was told before, where this corrects it.
    pub status_before: Option<PreauthStatus>,
    pub pending: Option<OperationKind>,
    pub state: EventState,
    pub created_at: Millis,
}

/// What can change about a preauthorization, as it was after the event.
#[derive(Debug, Clone)]
pub struct EventState {
    pub status: PreauthStatus,
    pub schedule: Option<Schedule>,
    pub settlement: Option<Settlement>,
    pub lock_transaction: Option<B256>,
    pub close_transaction: Option<B256>,
    pub deferred_refund: Option<BaseUnits>,
    pub failure: Option<CallFailure>,
}

impl Event {
    /// The preauthorization as it was after the event, from what it is now.
    #[must_use]
    pub fn preauth_then(&self, now: Preauth) -> Preauth {
        let EventState {
            status,
            schedule,
            settlement,
            lock_transaction,
            close_transaction,
            deferred_refund,
            failure,
        } = self.state.clone();
        Preauth {
            status,
            schedule,
            settlement,
            lock_transaction,
            close_transaction,
            deferred_refund,
            failure,
            updated_at: self.created_at,
            ..now
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_kinds() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::parse(kind.as_str()), Some(kind));
            assert_eq!(EventKind::parse_public(&kind.public_name()), Some(kind));
        }
        assert_eq!(EventKind::parse_public("settled"), None);
        assert_eq!(EventKind::parse_public("preauth.sold"), None);
        assert_eq!(EventKind::PartyVerified.public_name(), "party.verified");
        assert_eq!(EventKind::VerificationCompleted.public_name(), "verification.completed");
        assert_eq!(EventKind::parse_public("preauth.party_verified"), None);
    }
}
