//! Whether a party is who it says it is: asked of a provider, answered later.

use uuid::Uuid;

use super::PartyKey;
use crate::model::Millis;

/// Where a verification stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerificationState {
    Pending,
    Verified,
    Failed,
}

/// Why a verification failed. Words of the provider's that could be about a person are not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureReason {
    /// A document is not valid any more.
    DocumentExpired,
    /// A document cannot be read, or is none.
    DocumentNotReadable,
    /// The person is not the one of the document.
    PersonMismatch,
    /// The provider says no more than that.
    Refused,
    /// The provider gave no answer in time.
    TimedOut,
}

/// What ends a verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckVerdict {
    Passed,
    Failed(FailureReason),
}

/// A verdict that comes too late, or twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the verification has ended")]
pub struct ForbiddenVerdict;

/// A verification of a party's identity.
#[derive(Debug, Clone)]
pub struct Verification {
    pub key: i64,
    pub id: Uuid,
    pub party: PartyKey,
    pub state: VerificationState,
    pub reason: Option<FailureReason>,
    /// Until when the provider may answer.
    pub deadline: Millis,
    pub created_at: Millis,
}

impl Verification {
    /// Verifications of a party at most, so that nobody tries until one slips through.
    pub const MOST: u32 = 5;

    /// State and reason after a verdict.
    ///
    /// # Errors
    /// [`ForbiddenVerdict`].
    pub fn after(
        state: VerificationState,
        verdict: CheckVerdict,
    ) -> Result<(VerificationState, Option<FailureReason>), ForbiddenVerdict> {
        match (state, verdict) {
            (VerificationState::Pending, CheckVerdict::Passed) => Ok((VerificationState::Verified, None)),
            (VerificationState::Pending, CheckVerdict::Failed(reason)) => {
                Ok((VerificationState::Failed, Some(reason)))
            }
            (
                VerificationState::Verified | VerificationState::Failed,
                CheckVerdict::Passed | CheckVerdict::Failed(_),
            ) => Err(ForbiddenVerdict),
        }
    }
}

impl VerificationState {
    /// Whether people can still decide otherwise.
    #[must_use]
    pub fn can_be_reviewed(self) -> bool {
        self == Self::Failed
    }

    pub const ALL: [Self; 3] = [Self::Pending, Self::Verified, Self::Failed];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Verified => "verified",
            Self::Failed => "failed",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

impl FailureReason {
    pub const ALL: [Self; 5] = [
        Self::DocumentExpired,
        Self::DocumentNotReadable,
        Self::PersonMismatch,
        Self::Refused,
        Self::TimedOut,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DocumentExpired => "document_expired",
            Self::DocumentNotReadable => "document_not_readable",
            Self::PersonMismatch => "person_mismatch",
            Self::Refused => "refused",
            Self::TimedOut => "timed_out",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_verdict_is_the_last() {
        let refused = CheckVerdict::Failed(FailureReason::Refused);
        let pending = VerificationState::Pending;
        assert_eq!(
            Verification::after(pending, CheckVerdict::Passed),
            Ok((VerificationState::Verified, None))
        );
        let failed = Ok((VerificationState::Failed, Some(FailureReason::Refused)));
        assert_eq!(Verification::after(pending, refused), failed);
        for state in [VerificationState::Verified, VerificationState::Failed] {
            for verdict in [CheckVerdict::Passed, refused] {
                assert_eq!(Verification::after(state, verdict), Err(ForbiddenVerdict));
            }
        }
    }
}
