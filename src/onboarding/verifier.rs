//! Who says whether a party is who it says it is.

use crate::model::{FailureReason, IdentityVerdict, Profile};

/// A provider of verifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verifier {
    /// Nobody can be verified.
    None,
    /// The outcome follows the last digits of the phone number: docs/onboarding.md.
    Sandbox,
}

/// What the sandbox makes of a party.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Ends(IdentityVerdict),
    /// There is no answer, and there will be none.
    Silent,
}

impl Verifier {
    /// How a phone number ends, and what comes of verifying its owner. With every other number it passes.
    pub(super) const SANDBOX_VALUES: [(&'static str, Outcome); 5] = [
        ("9001", Outcome::Ends(IdentityVerdict::Failed(FailureReason::DocumentExpired))),
        ("9002", Outcome::Ends(IdentityVerdict::Failed(FailureReason::DocumentNotReadable))),
        ("9003", Outcome::Ends(IdentityVerdict::Failed(FailureReason::PersonMismatch))),
        ("9004", Outcome::Ends(IdentityVerdict::Failed(FailureReason::Refused))),
        ("9009", Outcome::Silent),
    ];

    /// What is known of a verification at this moment.
    pub(super) fn ask(self, profile: &Profile) -> Outcome {
        let digits = profile.phone.as_ref().map_or("", |phone| phone.e164());
        match self {
            Self::None => Outcome::Silent,
            Self::Sandbox => Self::SANDBOX_VALUES
                .into_iter()
                .find(|(end, _)| digits.ends_with(end))
                .map_or(Outcome::Ends(IdentityVerdict::Passed), |(_, outcome)| outcome),
        }
    }
}
