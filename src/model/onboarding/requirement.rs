//! What a party must do or show before it is verified.

/// What is required.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequirementKind {
    PhoneNumber,
    Email,
    Identity,
    Terms,
}

/// Where a requirement stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequirementStatus {
    Open,
    /// The party has done its part.
    InProgress,
    Fulfilled,
}

/// What is known that bears on one requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// It was met, and nothing has undone that.
    pub met: bool,
    /// The newest version of the tenant's terms was accepted.
    pub accepted_newest: bool,
    /// A verification of the identity passed.
    pub verified: bool,
    /// One is under way.
    pub examined: bool,
}

/// One requirement of one party.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requirement {
    pub kind: RequirementKind,
    /// Whether the party cannot be verified without it.
    pub mandatory: bool,
    pub status: RequirementStatus,
}

impl RequirementKind {
    pub const ALL: [Self; 4] = [Self::PhoneNumber, Self::Email, Self::Identity, Self::Terms];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PhoneNumber => "phone_number",
            Self::Email => "email",
            Self::Identity => "identity",
            Self::Terms => "terms",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Why it is asked for, for people.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::PhoneNumber => "The phone number must be confirmed with the code that is sent to it.",
            Self::Email => "The e-mail address must be confirmed with the link that is sent to it.",
            Self::Identity => "The identity must be verified.",
            Self::Terms => "The newest version of the terms must be accepted.",
        }
    }

    /// The statuses it can come to.
    #[must_use]
    pub fn allowed(self) -> &'static [RequirementStatus] {
        match self {
            Self::PhoneNumber | Self::Email | Self::Terms => &[RequirementStatus::Fulfilled],
            Self::Identity => &[RequirementStatus::Fulfilled, RequirementStatus::InProgress],
        }
    }

    /// Where it stands, by the facts.
    #[must_use]
    pub fn status(self, facts: Facts) -> RequirementStatus {
        let fulfilled = match self {
            Self::PhoneNumber | Self::Email => facts.met,
            Self::Identity => facts.verified,
            Self::Terms => facts.accepted_newest,
        };
        match self {
            _ if fulfilled => RequirementStatus::Fulfilled,
            Self::Identity if facts.examined => RequirementStatus::InProgress,
            Self::PhoneNumber | Self::Email | Self::Identity | Self::Terms => RequirementStatus::Open,
        }
    }
}

impl RequirementStatus {
    pub const ALL: [Self; 3] = [Self::Open, Self::InProgress, Self::Fulfilled];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::InProgress => "in_progress",
            Self::Fulfilled => "fulfilled",
        }
    }
}

impl Requirement {
    #[must_use]
    pub fn of(kind: RequirementKind, mandatory: bool, facts: Facts) -> Self {
        Self { kind, mandatory, status: kind.status(facts) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requirement_is_fulfilled_by_its_own_fact_alone() {
        let (met, accepted_newest, verified, examined) = (true, true, true, true);
        let none = Facts::default();
        for (kind, own, others) in [
            (
                RequirementKind::PhoneNumber,
                Facts { met, ..none },
                Facts { accepted_newest, verified, examined, ..none },
            ),
            (
                RequirementKind::Email,
                Facts { met, ..none },
                Facts { accepted_newest, verified, examined, ..none },
            ),
            (RequirementKind::Identity, Facts { verified, ..none }, Facts { met, accepted_newest, ..none }),
            (
                RequirementKind::Terms,
                Facts { accepted_newest, ..none },
                Facts { met, verified, examined, ..none },
            ),
        ] {
            assert_eq!(kind.status(own), RequirementStatus::Fulfilled, "{kind:?}");
            assert_eq!(kind.status(others), RequirementStatus::Open, "{kind:?}");
        }
        let waits = RequirementKind::Identity.status(Facts { examined, ..none });
        assert_eq!(waits, RequirementStatus::InProgress);
    }

    #[test]
    fn a_requirement_comes_to_allowed_statuses_only() {
        for kind in RequirementKind::ALL {
            for bits in 0..16_u8 {
                let is = |bit: u8| bits & (1 << bit) != 0;
                let facts = Facts { met: is(0), accepted_newest: is(1), verified: is(2), examined: is(3) };
                let status = kind.status(facts);
                assert!(status == RequirementStatus::Open || kind.allowed().contains(&status), "{kind:?}");
            }
        }
    }
}
