//! What a party must do or show before it is verified.

use super::DocumentPurpose;

/// What is required.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequirementKind {
    PhoneNumber,
    Email,
    Identity,
    Terms,
    DateOfBirth,
    MainAddress,
    PostalAddress,
    /// A document that shows who somebody is.
    IdentityDocuments,
    ProofOfAddress,
    /// A document that shows that a business exists.
    CompanyDocuments,
    /// Who owns or controls a business.
    BeneficialOwners,
}

/// Where a requirement stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequirementStatus {
    Open,
    /// Something is under way that will tell.
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
    /// A document that is to show this was accepted.
    pub documented: bool,
    /// One is being checked.
    pub checked: bool,
    /// A link was sent that confirms it when it is followed.
    pub asked: bool,
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
    pub const ALL: [Self; 11] = [
        Self::PhoneNumber,
        Self::Email,
        Self::Identity,
        Self::Terms,
        Self::DateOfBirth,
        Self::MainAddress,
        Self::PostalAddress,
        Self::IdentityDocuments,
        Self::ProofOfAddress,
        Self::CompanyDocuments,
        Self::BeneficialOwners,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PhoneNumber => "phone_number",
            Self::Email => "email",
            Self::Identity => "identity",
            Self::Terms => "terms",
            Self::DateOfBirth => "date_of_birth",
            Self::MainAddress => "main_address",
            Self::PostalAddress => "postal_address",
            Self::IdentityDocuments => DocumentPurpose::Identity.as_str(),
            Self::ProofOfAddress => DocumentPurpose::ProofOfAddress.as_str(),
            Self::CompanyDocuments => DocumentPurpose::Company.as_str(),
            Self::BeneficialOwners => "beneficial_owners",
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
            Self::DateOfBirth => "The date of birth must be told.",
            Self::MainAddress => "The address must be told.",
            Self::PostalAddress => "The address for letters must be told.",
            Self::IdentityDocuments => "A document that shows the identity must be accepted.",
            Self::ProofOfAddress => "A document that shows the address must be accepted.",
            Self::CompanyDocuments => "A document that shows that the business exists must be accepted.",
            Self::BeneficialOwners => "Who owns or controls the business must be told.",
        }
    }

    /// The statuses it can come to.
    #[must_use]
    pub fn allowed(self) -> &'static [RequirementStatus] {
        match self {
            Self::PhoneNumber
            | Self::Terms
            | Self::DateOfBirth
            | Self::MainAddress
            | Self::PostalAddress
            | Self::BeneficialOwners => &[RequirementStatus::Fulfilled],
            Self::Email
            | Self::Identity
            | Self::IdentityDocuments
            | Self::ProofOfAddress
            | Self::CompanyDocuments => &[RequirementStatus::Fulfilled, RequirementStatus::InProgress],
        }
    }

    /// Where it stands, by the facts.
    #[must_use]
    pub fn status(self, facts: Facts) -> RequirementStatus {
        let (fulfilled, in_progress) = match self {
            Self::PhoneNumber
            | Self::DateOfBirth
            | Self::MainAddress
            | Self::PostalAddress
            | Self::BeneficialOwners => (facts.met, false),
            Self::Email => (facts.met, facts.asked),
            Self::Identity => (facts.verified, facts.examined),
            Self::Terms => (facts.accepted_newest, false),
            Self::IdentityDocuments | Self::ProofOfAddress | Self::CompanyDocuments => {
                (facts.documented, facts.checked)
            }
        };
        match (fulfilled, in_progress) {
            (true, _) => RequirementStatus::Fulfilled,
            (false, true) => RequirementStatus::InProgress,
            (false, false) => RequirementStatus::Open,
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
        let none = Facts::default();
        let all = Facts {
            met: true,
            accepted_newest: true,
            verified: true,
            examined: true,
            documented: true,
            checked: true,
            asked: true,
        };
        for kind in RequirementKind::ALL {
            let (own, others, under_way) = match kind {
                RequirementKind::Identity => (
                    Facts { verified: true, ..none },
                    Facts { verified: false, examined: false, ..all },
                    Some(Facts { examined: true, ..none }),
                ),
                RequirementKind::Email => (
                    Facts { met: true, ..none },
                    Facts { met: false, asked: false, ..all },
                    Some(Facts { asked: true, ..none }),
                ),
                RequirementKind::Terms => {
                    (Facts { accepted_newest: true, ..none }, Facts { accepted_newest: false, ..all }, None)
                }
                RequirementKind::IdentityDocuments
                | RequirementKind::ProofOfAddress
                | RequirementKind::CompanyDocuments => (
                    Facts { documented: true, ..none },
                    Facts { documented: false, checked: false, ..all },
                    Some(Facts { checked: true, ..none }),
                ),
                _ => (Facts { met: true, ..none }, Facts { met: false, ..all }, None),
            };
            assert_eq!(kind.status(own), RequirementStatus::Fulfilled, "{kind:?}");
            assert_eq!(kind.status(others), RequirementStatus::Open, "{kind:?}");
            let in_progress = RequirementStatus::InProgress;
            assert_eq!(under_way.map(|facts| kind.status(facts)), under_way.map(|_| in_progress), "{kind:?}");
            assert_eq!(kind.allowed().contains(&in_progress), under_way.is_some(), "{kind:?}");
            assert_eq!(RequirementKind::parse(kind.as_str()), Some(kind));
        }
    }
}
