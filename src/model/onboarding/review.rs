//! Reviews: a verification that failed is justified by the party, and people decide.

use std::fmt;

use uuid::Uuid;

use super::{DocumentId, PartyKey, Verification, VerificationState};
use crate::model::Millis;

/// A review's name for everybody outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReviewId(pub Uuid);

impl fmt::Display for ReviewId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// What people decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReviewDecision {
    /// The party is who it says it is, whatever the provider said.
    Approved,
    Rejected,
}

impl ReviewDecision {
    pub const ALL: [Self; 2] = [Self::Approved, Self::Rejected];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Rejected => "rejected",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|decision| decision.as_str() == text)
    }

    /// What a failed verification is after the decision.
    #[must_use]
    pub fn outcome(self) -> VerificationState {
        match self {
            Self::Approved => VerificationState::Verified,
            Self::Rejected => VerificationState::Failed,
        }
    }
}

/// A review, without what was said in it.
#[derive(Debug, Clone)]
pub struct Review {
    pub key: i64,
    pub id: ReviewId,
    pub party: PartyKey,
    pub verification: Verification,
    /// What was decided, by whom and when; `None`: it is open.
    pub decided: Option<(ReviewDecision, String, Millis)>,
    /// What was attached to it.
    pub documents: Vec<DocumentId>,
    pub created_at: Millis,
    pub modified_at: Millis,
}
