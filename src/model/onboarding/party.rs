//! A party: who it is to the tenant, and where it stands.

use std::fmt;

use uuid::Uuid;

use super::{Requirement, RequirementStatus};
use crate::model::{Millis, TenantId};

/// A party's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartyKey(pub i64);

/// A party's name for everybody outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PartyId(pub Uuid);

impl fmt::Display for PartyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// What a party is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartyKind {
    Consumer,
    Business,
}

impl PartyKind {
    pub const ALL: [Self; 2] = [Self::Consumer, Self::Business];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Business => "business",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// The tenant's own name for a party, unique within the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ExternalId(String);

impl ExternalId {
    /// Characters at most.
    pub const MAX_CHARS: usize = 511;

    /// # Errors
    /// Completes the sentence that begins with the field's name.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("must not be empty");
        }
        if text.chars().count() > Self::MAX_CHARS {
            return Err("must have at most 511 characters");
        }
        // Two names that look alike must not be two names.
        if text.chars().any(|char| char.is_control() || is_invisible(char)) || text.trim() != text {
            return Err("must have no invisible characters, and no spaces around it");
        }
        Ok(Self(text.to_owned()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Characters that change how text looks, or nothing at all: joiners, marks of direction, the byte order mark.
#[must_use]
pub fn is_invisible(char: char) -> bool {
    matches!(char, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// What people decided about a party, whatever its requirements say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bar {
    Rejected,
    Suspended,
}

/// What people do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BarEvent {
    Reject,
    Suspend,
    /// Takes back what was decided: where the party stands follows from its requirements again.
    Resume,
}

/// A step that the party's standing forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a party that is rejected cannot be suspended")]
pub struct ForbiddenBar;

impl Bar {
    pub const ALL: [Self; 2] = [Self::Rejected, Self::Suspended];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Suspended => "suspended",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|bar| bar.as_str() == text)
    }

    /// What is so after a step. Taking one twice changes nothing.
    ///
    /// # Errors
    /// [`ForbiddenBar`].
    pub fn after(bar: Option<Self>, event: BarEvent) -> Result<Option<Self>, ForbiddenBar> {
        match (bar, event) {
            (None | Some(Self::Suspended | Self::Rejected), BarEvent::Resume) => Ok(None),
            (None | Some(Self::Suspended | Self::Rejected), BarEvent::Reject) => Ok(Some(Self::Rejected)),
            (None | Some(Self::Suspended), BarEvent::Suspend) => Ok(Some(Self::Suspended)),
            (Some(Self::Rejected), BarEvent::Suspend) => Err(ForbiddenBar),
        }
    }
}

/// Where a party stands. Never stored: it follows from the facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartyStatus {
    /// Something that is required is open.
    Onboarding,
    Verified,
    Rejected,
    Suspended,
}

impl PartyStatus {
    pub const ALL: [Self; 4] = [Self::Onboarding, Self::Verified, Self::Rejected, Self::Suspended];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Onboarding => "onboarding",
            Self::Verified => "verified",
            Self::Rejected => "rejected",
            Self::Suspended => "suspended",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// A consumer or a business of one tenant. Personal data is not here: see [`super::Profile`].
#[derive(Debug, Clone)]
pub struct Party {
    pub key: PartyKey,
    pub id: PartyId,
    pub tenant: TenantId,
    pub kind: PartyKind,
    pub external_id: Option<ExternalId>,
    pub bar: Option<Bar>,
    /// At least one that is mandatory.
    pub requirements: Vec<Requirement>,
    pub created_at: Millis,
}

impl Party {
    #[must_use]
    pub fn status(&self) -> PartyStatus {
        match self.bar {
            Some(Bar::Suspended) => PartyStatus::Suspended,
            Some(Bar::Rejected) => PartyStatus::Rejected,
            None if self.open().next().is_none() => PartyStatus::Verified,
            None => PartyStatus::Onboarding,
        }
    }

    /// What keeps it from being verified.
    pub fn open(&self) -> impl Iterator<Item = &Requirement> {
        let is_open = |one: &&Requirement| one.mandatory && one.status != RequirementStatus::Fulfilled;
        self.requirements.iter().filter(is_open)
    }
}

/// Whether a wallet of a tenant may take part in a role: the one thing that is told to those who lock tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Participation {
    Admitted,
    /// Nobody's wallet, or one of somebody who is not verified.
    NotVerified,
    Suspended,
}

impl From<PartyStatus> for Participation {
    fn from(status: PartyStatus) -> Self {
        match status {
            PartyStatus::Verified => Self::Admitted,
            PartyStatus::Suspended => Self::Suspended,
            PartyStatus::Onboarding | PartyStatus::Rejected => Self::NotVerified,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Facts, RequirementKind};
    use super::*;

    fn party(bar: Option<Bar>, requirements: Vec<Requirement>) -> Party {
        Party {
            key: PartyKey(1),
            id: PartyId(Uuid::from_u128(1)),
            tenant: TenantId(Uuid::from_u128(2)),
            kind: PartyKind::Consumer,
            external_id: None,
            bar,
            requirements,
            created_at: Millis(0),
        }
    }

    fn facts() -> impl Strategy<Value = Facts> {
        any::<[bool; 7]>().prop_map(
            |[met, accepted_newest, verified, examined, documented, checked, asked]| Facts {
                met,
                accepted_newest,
                verified,
                examined,
                documented,
                checked,
                asked,
            },
        )
    }

    fn requirements() -> impl Strategy<Value = Vec<Requirement>> {
        let one = (prop::sample::select(RequirementKind::ALL.to_vec()), any::<bool>(), facts());
        prop::collection::vec(one, 1..8).prop_map(|all| {
            all.into_iter().map(|(kind, mandatory, facts)| Requirement::of(kind, mandatory, facts)).collect()
        })
    }

    proptest! {
        #[test]
        fn verified_means_that_no_requirement_is_open(
            requirements in requirements(),
            bar in prop::sample::select(vec![None, Some(Bar::Rejected), Some(Bar::Suspended)]),
        ) {
            let party = party(bar, requirements);
            let is_open = |one: &Requirement| one.mandatory && one.status != RequirementStatus::Fulfilled;
            let nothing_is_open = !party.requirements.iter().any(is_open);
            prop_assert_eq!(party.status() == PartyStatus::Verified, bar.is_none() && nothing_is_open);
            prop_assert_eq!(party.status() == PartyStatus::Onboarding, bar.is_none() && !nothing_is_open);
            let admitted = Participation::from(party.status()) == Participation::Admitted;
            prop_assert_eq!(admitted, bar.is_none() && nothing_is_open);
        }

        #[test]
        fn whatever_was_decided_is_taken_back_by_resuming(
            events in prop::collection::vec(
                prop::sample::select(vec![BarEvent::Reject, BarEvent::Suspend, BarEvent::Resume]), 0..12),
        ) {
            let mut bar = None;
            for event in events {
                if let Ok(after) = Bar::after(bar, event) {
                    prop_assert_eq!(Bar::after(after, event), Ok(after), "twice is as once");
                    bar = after;
                }
            }
            prop_assert_eq!(Bar::after(bar, BarEvent::Resume), Ok(None));
        }
    }

    #[test]
    fn names_that_look_alike_are_not_taken() {
        assert!(ExternalId::parse("user 7").is_ok() && ExternalId::parse("Zoë").is_ok());
        assert!(ExternalId::parse(&"x".repeat(511)).is_ok());
        for text in ["", " a", "a ", "a\u{200b}b", "a\u{202e}b", "a\nb", "\u{feff}a", &"x".repeat(512)] {
            assert!(ExternalId::parse(text).is_err(), "{text:?}");
        }
    }
}
