//! Why a call to the escrow failed, and what that means for its operation.

use std::fmt;

/// The reason of one failed call, in a dry run or mined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallFailure {
    /// The preauth id is in use or used up.
    AlreadyUsed,
    /// No hold is open under the preauth id.
    NotOpen,
    /// A hold is open under the preauth id, but under other terms.
    TermsMismatch,
    /// A settlement came at or after expiry.
    PreauthExpired,
    /// An expiry came too early.
    NotExpired,
    /// The lock came at or after expiry, or the expiry is too far away.
    InvalidExpiry,
    /// The key is no operator of the escrow.
    NotOperator,
    /// The escrow takes no new holds at present.
    Paused,
    ReceiverNotRegistered,
    /// The sender demands signed consent.
    ConsentRequired,
    /// The signature is not the sender's over these terms.
    InvalidConsent,
    /// The consent's nonce was used, or withdrawn by the sender.
    ConsentUsed,
    InsufficientAllowance,
    InsufficientBalance,
    /// Anything else, as readable as it can be made.
    Other(String),
}

/// What a failure in a dry run, with nothing signed, means for the operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// The operation can never succeed: it fails.
    Fail,
    /// The chain is ahead of what we have seen, or not yet where we need it: try again soon.
    Retry,
}

impl CallFailure {
    /// What the failure means while nothing signed can still be mined.
    #[must_use]
    pub fn disposition(&self) -> Disposition {
        match self {
            // What closed or used it is in a log the observer has not read yet; it decides, not the dry run.
            Self::AlreadyUsed | Self::NotOpen => Disposition::Retry,
            Self::NotExpired | Self::NotOperator | Self::Paused => Disposition::Retry,
            Self::TermsMismatch
            | Self::PreauthExpired
            | Self::InvalidExpiry
            | Self::ReceiverNotRegistered
            | Self::ConsentRequired
            | Self::InvalidConsent
            | Self::ConsentUsed
            | Self::InsufficientAllowance
            | Self::InsufficientBalance
            | Self::Other(_) => Disposition::Fail,
        }
    }
}

impl CallFailure {
    /// Every reason that is more than a text.
    const NAMED: [Self; 14] = [
        Self::AlreadyUsed,
        Self::NotOpen,
        Self::TermsMismatch,
        Self::PreauthExpired,
        Self::NotExpired,
        Self::InvalidExpiry,
        Self::NotOperator,
        Self::Paused,
        Self::ReceiverNotRegistered,
        Self::ConsentRequired,
        Self::InvalidConsent,
        Self::ConsentUsed,
        Self::InsufficientAllowance,
        Self::InsufficientBalance,
    ];

    /// The form in which it is stored: its sentence. [`Self::from_text`] reads it back.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self::NAMED
            .into_iter()
            .find(|named| named.to_string() == text)
            .unwrap_or_else(|| Self::Other(text.to_owned()))
    }
}

impl fmt::Display for CallFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::AlreadyUsed => "the preauth id was used before",
            Self::NotOpen => "no hold is open",
            Self::TermsMismatch => "a hold is open under other terms",
            Self::PreauthExpired => "the preauthorization has expired",
            Self::NotExpired => "the preauthorization has not expired yet",
            Self::InvalidExpiry => "the expiry is past or too far away",
            Self::NotOperator => "the key is no operator of the escrow",
            Self::Paused => "the escrow is paused",
            Self::ReceiverNotRegistered => "the receiver is not registered on chain, or not yet active",
            Self::ConsentRequired => "the sender demands signed consent",
            Self::InvalidConsent => "the consent is not the sender's signature over these terms",
            Self::ConsentUsed => "the consent was used before, or withdrawn by the sender",
            Self::InsufficientAllowance => "the allowance is too small",
            Self::InsufficientBalance => "the balance is too small",
            Self::Other(text) => text,
        };
        formatter.write_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_survives_being_stored() {
        for failure in CallFailure::NAMED.into_iter().chain([CallFailure::Other("the token says: no".into())])
        {
            assert_eq!(CallFailure::from_text(&failure.to_string()), failure);
        }
    }
}
