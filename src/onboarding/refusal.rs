//! Every way a wish about parties can be refused, and what can break.

use super::VaultError;
use crate::model::{ChallengeState, ClaimKind, DocumentFlaw};
use crate::store::StoreError;

/// Expected ways not to get one's wish. `http` gives each its status, message and code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnboardingRefusal {
    /// There is no such party, or it is another tenant's.
    UnknownParty,
    ExternalIdTaken,
    /// There is no such version of the terms, or not in this language.
    UnknownTerms,
    /// There is a newer version, and that is the one to accept.
    OldTerms,
    /// The version has this language, or a newer version was published.
    TermsExist,
    /// There is no phone number, or no e-mail address, to send anything to.
    NothingToSendTo(Contact),
    /// It was confirmed before.
    AlreadyConfirmed(Contact),
    /// Too many were sent; seconds to wait.
    SentTooOften(u64),
    /// Nothing was sent that could be answered.
    NothingSent,
    WrongCode {
        /// So many more are taken.
        left: u32,
    },
    /// The code or link can be answered no more.
    Closed(ChallengeState),
    /// Nothing is configured that could send, or it did not take the message.
    NotSent,
    /// Nothing is configured that verifies identities.
    NoVerifier,
    AlreadyVerified,
    /// No document that shows the identity is there.
    MissingDocuments,
    /// The file is no document.
    BadDocument(DocumentFlaw),
    /// The party has this document.
    DocumentExists,
    UnknownDocument,
    TooManyDocuments(u32),
    /// Another party has what must be one party's alone.
    Claimed(ClaimKind),
    UnknownVerification,
    /// It has not failed, so that there is nothing to justify.
    NotFailed,
    UnknownReview,
    /// The verification has an open review.
    ReviewExists,
    ReviewDecided,
    TooManyReviews(usize),
    VerificationPending,
    TooManyVerifications(u32),
    /// A rejected party cannot be suspended.
    Rejected,
    /// The wallet is tied to another party in this role.
    WalletTaken,
    WalletNotTied,
    TooManyWallets(u32),
}

/// What a party can be reached by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contact {
    Phone,
    Email,
}

/// Something is broken.
#[derive(Debug, thiserror::Error)]
pub enum OnboardingFault {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error("a profile cannot be read: {0:?}")]
    Profile(serde_json::error::Category),
}

impl From<serde_json::Error> for OnboardingFault {
    fn from(error: serde_json::Error) -> Self {
        // What it says may quote the profile.
        Self::Profile(error.classify())
    }
}

/// Why a verb stops early; keeps `?` readable inside the verbs.
#[derive(Debug)]
pub(super) enum Stop {
    Refused(OnboardingRefusal),
    Fault(OnboardingFault),
}

pub(super) type Done<T> = Result<Result<T, OnboardingRefusal>, OnboardingFault>;

/// Turns an early stop back into what it is for the caller.
pub(super) fn told<T>(result: Result<T, Stop>) -> Done<T> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Stop::Refused(refusal)) => Ok(Err(refusal)),
        Err(Stop::Fault(fault)) => Err(fault),
    }
}

impl From<OnboardingRefusal> for Stop {
    fn from(refusal: OnboardingRefusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Fault(error.into())
    }
}

impl From<VaultError> for Stop {
    fn from(error: VaultError) -> Self {
        Self::Fault(error.into())
    }
}

impl From<OnboardingFault> for Stop {
    fn from(fault: OnboardingFault) -> Self {
        Self::Fault(fault)
    }
}
