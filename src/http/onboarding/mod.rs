//! Parties: who may pay and be paid. What every dialect has in common is here, in [`parties`], [`wallets`] and [`links`]; each
//! dialect has a file or two of its own and knows none of the others.

mod business_user;
pub mod business_users;
pub mod consumer_steps;
pub mod consumers;
pub mod customers;
pub mod documents;
mod fields;
pub mod justifications;
pub mod links;
pub mod parties;
pub mod provider;
pub mod terms;
pub mod user_onboarding;
pub mod users;
pub mod wallets;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use uuid::Uuid;

use super::HttpState;
use super::caller::Caller;
use super::error::ApiError;
use crate::model::{ChallengeState, ClaimKind, DocumentFlaw, PartyId};
use crate::onboarding::{Actor, Contact, Onboarding, OnboardingFault, OnboardingRefusal};

/// Where the routes begin that are about parties: what repeats a request there takes the scopes of those.
const BEGINNINGS: [&str; 6] =
    ["/consumers", "/parties", "/terms-and-conditions", users::PREFIX, "/tenant/", justifications::PREFIX];

/// Whether a route is about parties.
pub(super) fn is_about_parties(route: &str) -> bool {
    BEGINNINGS.iter().any(|beginning| route.starts_with(beginning))
}

/// Whether a request may bring documents, and be larger for it.
pub(super) fn takes_documents(method: &Method, route: &str) -> bool {
    const ROUTES: [&str; 5] = [
        "/parties/{partyId}/documents",
        "/v1/user/kyc-file",
        "/v1/user/poa-file",
        "/tenant/business-user",
        "/api/onboarding-justifications/{uuid}/attach_document/",
    ];
    let puts = *method == Method::PUT && route.starts_with(user_onboarding::PREFIX);
    puts || (*method == Method::POST && ROUTES.contains(&route))
}

/// Seconds after which it may be asked again for what was not sent.
const RETRY_SECONDS: u64 = 5;

impl HttpState {
    /// The verbs. Without them there are no routes that ask for them.
    pub(super) fn onboarding(&self) -> Result<&Onboarding, ApiError> {
        self.onboarding.as_ref().ok_or_else(|| ApiError::of_status(StatusCode::NOT_FOUND))
    }
}

/// The caller, as the audit log names him.
fn actor(caller: &Caller) -> Actor {
    Actor::of_key(&caller.prefix)
}

/// The party that a path names. What cannot be a name names none: 404.
pub struct PartyPath(pub PartyId);

impl FromRequestParts<HttpState> for PartyPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, ApiError> {
        let segment = Path::<String>::from_request_parts(parts, state).await.ok();
        let id = segment.and_then(|Path(text)| party_id(&text));
        id.map(Self).ok_or_else(|| refused(OnboardingRefusal::UnknownParty))
    }
}

fn party_id(text: &str) -> Option<PartyId> {
    Uuid::try_parse(text).ok().map(PartyId)
}

/// The answer to a refused wish.
pub(super) fn refused(refusal: OnboardingRefusal) -> ApiError {
    let (status, code, message) = match refusal {
        OnboardingRefusal::UnknownParty => {
            (StatusCode::NOT_FOUND, "party_not_found", "Party not found".to_owned())
        }
        OnboardingRefusal::ExternalIdTaken => {
            let message = "Another party has this externalId".to_owned();
            return ApiError::new(StatusCode::CONFLICT, "external_id_taken", message).field("externalId");
        }
        OnboardingRefusal::UnknownTerms => {
            (StatusCode::NOT_FOUND, "terms_not_found", "There are no such terms in this language".to_owned())
        }
        OnboardingRefusal::OldTerms => {
            let message = "lastTermsAccepted is not the newest version of the terms".to_owned();
            let error = ApiError::new(StatusCode::CONFLICT, "terms_outdated", message);
            return error.field("lastTermsAccepted");
        }
        OnboardingRefusal::TermsExist => {
            let message = "This version of the terms is there in this language".to_owned();
            (StatusCode::CONFLICT, "terms_exist", message)
        }
        OnboardingRefusal::NothingToSendTo(contact) => {
            (StatusCode::CONFLICT, "no_contact", format!("The party has no {}", word(contact)))
        }
        OnboardingRefusal::AlreadyConfirmed(contact) => {
            let message = format!("The {} was confirmed before", word(contact));
            (StatusCode::CONFLICT, "already_confirmed", message)
        }
        OnboardingRefusal::SentTooOften(seconds) => return ApiError::too_often(seconds),
        OnboardingRefusal::NothingSent => {
            (StatusCode::CONFLICT, "nothing_sent", "Nothing was sent that could be answered".to_owned())
        }
        OnboardingRefusal::WrongCode { left } => {
            let error =
                ApiError::new(StatusCode::BAD_REQUEST, "wrong_code", "The code is wrong").field("code");
            return error.detail(&format!("{left} more are taken"));
        }
        OnboardingRefusal::Closed(state) => {
            let error = ApiError::new(
                StatusCode::CONFLICT,
                "challenge_closed",
                "What was sent can be answered no more: ask for another one",
            );
            return error.detail(match state {
                ChallengeState::Answered => "it was answered",
                ChallengeState::Exhausted => "there were too many wrong answers",
                ChallengeState::Lapsed => "its time is over",
                ChallengeState::Void | ChallengeState::Open => "it does not count any more",
            });
        }
        OnboardingRefusal::NotSent => {
            let error = ApiError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "message_not_sent",
                "The message could not be sent",
            );
            return error.retry_after(RETRY_SECONDS);
        }
        OnboardingRefusal::NoVerifier => {
            let message = "Identities cannot be verified here".to_owned();
            (StatusCode::SERVICE_UNAVAILABLE, "no_verifier", message)
        }
        OnboardingRefusal::AlreadyVerified => {
            (StatusCode::CONFLICT, "already_verified", "The identity is verified".to_owned())
        }
        OnboardingRefusal::VerificationPending => {
            (StatusCode::CONFLICT, "verification_pending", "A verification is under way".to_owned())
        }
        OnboardingRefusal::TooManyVerifications(most) => {
            let message = format!("A party has at most {most} verifications");
            (StatusCode::CONFLICT, "too_many_verifications", message)
        }
        OnboardingRefusal::MissingDocuments => {
            let message = "There is no document that shows the identity";
            (StatusCode::CONFLICT, "documents_missing", message.to_owned())
        }
        OnboardingRefusal::BadDocument(flaw) => {
            let message = format!("The document {flaw}");
            (StatusCode::BAD_REQUEST, "invalid_document", message)
        }
        OnboardingRefusal::DocumentExists => {
            (StatusCode::CONFLICT, "document_exists", "The party has this document".to_owned())
        }
        OnboardingRefusal::UnknownDocument => {
            (StatusCode::NOT_FOUND, "document_not_found", "Document not found".to_owned())
        }
        OnboardingRefusal::TooManyDocuments(most) => {
            (StatusCode::CONFLICT, "too_many_documents", format!("A party has at most {most} documents"))
        }
        OnboardingRefusal::Claimed(kind) => {
            let message = format!("Another party has this {}", claim_word(kind));
            (StatusCode::CONFLICT, "claimed", message)
        }
        OnboardingRefusal::UnknownVerification => {
            (StatusCode::NOT_FOUND, "verification_not_found", "Verification not found".to_owned())
        }
        OnboardingRefusal::NotFailed => {
            (StatusCode::CONFLICT, "verification_not_failed", "The verification has not failed".to_owned())
        }
        OnboardingRefusal::UnknownReview => {
            (StatusCode::NOT_FOUND, "review_not_found", "Review not found".to_owned())
        }
        OnboardingRefusal::ReviewExists => {
            (StatusCode::CONFLICT, "review_exists", "The verification has an open review".to_owned())
        }
        OnboardingRefusal::ReviewDecided => {
            (StatusCode::CONFLICT, "review_decided", "The review is decided".to_owned())
        }
        OnboardingRefusal::TooManyReviews(most) => {
            (StatusCode::CONFLICT, "too_many_reviews", format!("A party has at most {most} reviews"))
        }
        OnboardingRefusal::Rejected => {
            (StatusCode::CONFLICT, "party_rejected", "A rejected party cannot be suspended".to_owned())
        }
        OnboardingRefusal::WalletTaken => {
            let message = "The wallet is tied to another party in this role";
            return ApiError::new(StatusCode::CONFLICT, "wallet_taken", message).field("address");
        }
        OnboardingRefusal::WalletNotTied => {
            let message = "The wallet is not tied to this party";
            return ApiError::new(StatusCode::NOT_FOUND, "wallet_not_tied", message).field("address");
        }
        OnboardingRefusal::TooManyWallets(most) => {
            (StatusCode::CONFLICT, "too_many_wallets", format!("A party has at most {most} wallets"))
        }
    };
    ApiError::new(status, code, message)
}

fn claim_word(kind: ClaimKind) -> &'static str {
    match kind {
        ClaimKind::DocumentNumber => "document number",
        ClaimKind::Domain => "domain",
        ClaimKind::BusinessName => "business name",
        ClaimKind::Email => "e-mail address",
        ClaimKind::ControllerEmail => "e-mail address of a control person",
    }
}

fn word(contact: Contact) -> &'static str {
    match contact {
        Contact::Phone => "phone number",
        Contact::Email => "e-mail address",
    }
}

impl From<OnboardingFault> for ApiError {
    fn from(fault: OnboardingFault) -> Self {
        match fault {
            OnboardingFault::Store(error) => error.into(),
            other => {
                tracing::error!(error = %other, "a request about parties failed");
                Self::internal()
            }
        }
    }
}

/// The refusals of an operation, in the order of its checks.
pub(super) fn refusals(operation_id: &str) -> Vec<OnboardingRefusal> {
    use OnboardingRefusal as R;
    let bad = R::BadDocument(DocumentFlaw::UnknownType);
    let sending = [R::SentTooOften(1_800), R::NotSent];
    match operation_id {
        "createConsumer" => vec![R::OldTerms, R::ExternalIdTaken],
        "getConsumer" | "getParty" | "resumeParty" | "rejectParty" | "deleteParty" => vec![R::UnknownParty],
        "updateConsumer" => vec![R::UnknownParty, R::OldTerms],
        "suspendParty" => vec![R::UnknownParty, R::Rejected],
        "sendPhoneCode" => {
            let own =
                [R::UnknownParty, R::NothingToSendTo(Contact::Phone), R::AlreadyConfirmed(Contact::Phone)];
            own.into_iter().chain(sending).collect()
        }
        "verifyPhoneCode" => vec![
            R::UnknownParty,
            R::NothingSent,
            R::WrongCode { left: 4 },
            R::Closed(ChallengeState::Exhausted),
        ],
        "sendEmailLink" => {
            let own =
                [R::UnknownParty, R::NothingToSendTo(Contact::Email), R::AlreadyConfirmed(Contact::Email)];
            own.into_iter().chain(sending).collect()
        }
        "makeKycLink" => vec![
            R::UnknownParty,
            R::AlreadyVerified,
            R::VerificationPending,
            R::SentTooOften(1_800),
            R::NoVerifier,
        ],
        "addDocument" => {
            vec![R::UnknownParty, R::NoVerifier, bad, R::DocumentExists, R::TooManyDocuments(100)]
        }
        "listDocuments" | "getCustomerDetails" => vec![R::UnknownParty],
        "getDocument" => vec![R::UnknownParty, R::UnknownDocument],
        "createUser" => vec![R::ExternalIdTaken],
        "addKycFile" | "addPoaFile" => {
            vec![R::UnknownParty, R::NoVerifier, bad, R::DocumentExists, R::TooManyDocuments(100)]
        }
        "addUserVerification" => vec![
            R::UnknownParty,
            R::NoVerifier,
            R::AlreadyVerified,
            R::VerificationPending,
            R::TooManyVerifications(5),
            R::MissingDocuments,
            R::Claimed(ClaimKind::DocumentNumber),
        ],
        "getKycStatus" => vec![R::UnknownParty],
        "createUserOnboarding" => vec![R::UnknownParty, R::ExternalIdTaken],
        "updateUserOnboarding" => {
            let own = [
                R::UnknownParty,
                R::NothingToSendTo(Contact::Phone),
                R::NothingSent,
                R::WrongCode { left: 4 },
                R::Closed(ChallengeState::Exhausted),
                bad,
                R::DocumentExists,
                R::TooManyDocuments(100),
                R::NoVerifier,
                R::AlreadyVerified,
                R::VerificationPending,
                R::TooManyVerifications(5),
            ];
            own.into_iter().chain(sending).collect()
        }
        "createBusinessUser" => {
            let claims =
                [ClaimKind::Domain, ClaimKind::Email, ClaimKind::BusinessName, ClaimKind::ControllerEmail];
            [R::NoVerifier, bad, R::TooManyDocuments(100)].into_iter().chain(claims.map(R::Claimed)).collect()
        }
        "onboarding_justifications_create" | "onboarding_justifications_create_justification" => {
            vec![R::UnknownVerification, R::NotFailed, R::ReviewExists, R::TooManyReviews(20)]
        }
        "onboarding_justifications_retrieve" => vec![R::UnknownReview],
        "onboarding_justifications_update" | "onboarding_justifications_partial_update" => {
            vec![R::UnknownReview, R::ReviewDecided, R::UnknownVerification, R::NotFailed, R::ReviewExists]
        }
        "onboarding_justifications_destroy" => vec![R::UnknownReview, R::ReviewDecided],
        "onboarding_justifications_approve" | "onboarding_justifications_reject" => {
            vec![R::UnknownReview, R::ReviewDecided, R::NotFailed]
        }
        "onboarding_justifications_attach_document" => {
            vec![R::UnknownReview, R::ReviewDecided, bad, R::TooManyDocuments(100)]
        }
        "publishTerms" => vec![R::TermsExist],
        "getTerms" => vec![R::UnknownTerms],
        "tieWallet" => vec![R::UnknownParty, R::WalletTaken, R::TooManyWallets(64)],
        "untieWallet" => vec![R::UnknownParty, R::WalletNotTied],
        _ => Vec::new(),
    }
}
