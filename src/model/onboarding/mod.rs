//! Who may pay and be paid: people and businesses that were onboarded, whatever dialect they came in by.
//!
//! What is stored are facts (a number was confirmed, a version of the terms was accepted, a verification passed, somebody was
//! suspended); whether a party is verified follows from them, here and nowhere else.

mod challenge;
mod claim;
mod document;
mod email;
mod party;
mod phone;
mod postal_address;
mod profile;
mod requirement;
mod review;
mod terms_version;
mod verification;

pub use challenge::{Answered, Challenge, ChallengeKind, ChallengeState, SecretTag};
pub use claim::{Claim, ClaimKind};
pub use document::{
    DocumentFlaw, DocumentId, DocumentLabel, DocumentPurpose, DocumentSide, DocumentState,
    MAX_DOCUMENT_BYTES, MediaType, inspect,
};
pub use email::Email;
pub use party::{
    Bar, BarEvent, ExternalId, ForbiddenBar, Participation, Party, PartyId, PartyKey, PartyKind, PartyStatus,
    is_invisible,
};
pub use phone::Phone;
pub use postal_address::{Country, PostalAddress};
pub use profile::Profile;
pub use requirement::{Facts, Requirement, RequirementKind, RequirementStatus};
pub use review::{Review, ReviewDecision, ReviewId};
pub use terms_version::{Language, TermsName, TermsText, TermsVersion};
pub use verification::{CheckVerdict, FailureReason, ForbiddenVerdict, Verification, VerificationState};
