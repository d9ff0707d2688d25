//! Who says whether a party is who it says it is, and whether a document is good.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::gateway::{Answered, Gateway};
use crate::model::{
    CheckVerdict, DocumentId, DocumentLabel, DocumentPurpose, FailureReason, MediaType, PartyId, PartyKind,
    Profile,
};

/// How long a provider may take to take a question: a document is long.
const TIME_LIMIT: Duration = Duration::from_secs(20);

/// A provider of verifications.
#[derive(Debug)]
pub enum Verifier {
    /// Nobody can be verified, and no document checked.
    None,
    /// The outcome follows test values: docs/onboarding.md.
    Sandbox,
    /// A system that is asked over HTTP, and answers at once or later.
    Provider(Box<Gateway>),
}

/// What a provider is asked.
pub(super) enum Question {
    Identity {
        verification: Uuid,
        party: PartyId,
        kind: PartyKind,
        profile: Box<Profile>,
        /// The party's documents, which are asked about one by one.
        documents: Vec<(DocumentId, DocumentPurpose)>,
    },
    Document {
        id: DocumentId,
        party: PartyId,
        purpose: DocumentPurpose,
        label: DocumentLabel,
        media_type: MediaType,
        content: Vec<u8>,
    },
}

/// What it said to that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Ends(CheckVerdict),
    /// It will answer later, or never.
    Awaited,
    /// It did not take the question.
    NotTaken,
}

/// How a provider words a verdict.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub(super) enum SaidVerdict {
    Passed,
    Failed { reason: Option<String> },
}

impl From<SaidVerdict> for CheckVerdict {
    fn from(said: SaidVerdict) -> Self {
        match said {
            SaidVerdict::Passed => Self::Passed,
            // Words that are not known here could be about a person.
            SaidVerdict::Failed { reason } => Self::Failed(
                reason.and_then(|word| FailureReason::parse(&word)).unwrap_or(FailureReason::Refused),
            ),
        }
    }
}

impl Verifier {
    /// How a phone number ends, and what comes of verifying its owner. With every other number it passes.
    pub(super) const SANDBOX_NUMBERS: [(&'static str, Outcome); 5] = [
        ("9001", Outcome::Ends(CheckVerdict::Failed(FailureReason::DocumentExpired))),
        ("9002", Outcome::Ends(CheckVerdict::Failed(FailureReason::DocumentNotReadable))),
        ("9003", Outcome::Ends(CheckVerdict::Failed(FailureReason::PersonMismatch))),
        ("9004", Outcome::Ends(CheckVerdict::Failed(FailureReason::Refused))),
        ("9009", Outcome::Awaited),
    ];

    /// What a file's name holds, and what comes of checking it. With every other name it is accepted.
    pub(super) const SANDBOX_FILES: [(&'static str, Outcome); 4] = [
        ("expired", Outcome::Ends(CheckVerdict::Failed(FailureReason::DocumentExpired))),
        ("unreadable", Outcome::Ends(CheckVerdict::Failed(FailureReason::DocumentNotReadable))),
        ("refused", Outcome::Ends(CheckVerdict::Failed(FailureReason::Refused))),
        ("silent", Outcome::Awaited),
    ];

    #[must_use]
    pub fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Asks; what it takes for an answer is waited for elsewhere.
    pub(super) async fn ask(&self, question: &Question) -> Outcome {
        match self {
            Self::None => Outcome::Awaited,
            Self::Sandbox => play(question),
            Self::Provider(gateway) => ask_provider(gateway, question).await,
        }
    }
}

fn play(question: &Question) -> Outcome {
    let passed = Outcome::Ends(CheckVerdict::Passed);
    match question {
        Question::Identity { profile, .. } => {
            let digits = profile.phone.as_ref().map_or("", |phone| phone.e164());
            let value = Verifier::SANDBOX_NUMBERS.into_iter().find(|(end, _)| digits.ends_with(end));
            value.map_or(passed, |(_, outcome)| outcome)
        }
        Question::Document { label, .. } => {
            let value = Verifier::SANDBOX_FILES.into_iter().find(|(part, _)| label.file_name.contains(part));
            value.map_or(passed, |(_, outcome)| outcome)
        }
    }
}

async fn ask_provider(gateway: &Gateway, question: &Question) -> Outcome {
    let (id, kind, data) = match question {
        Question::Identity { verification, party, kind, profile, documents } => (
            *verification,
            "verification.requested",
            identity(*verification, *party, *kind, profile, documents),
        ),
        Question::Document { id, party, purpose, label, media_type, content } => {
            let data = json!({
                "documentId": id.0,
                "partyId": party.0,
                "purpose": purpose.as_str(),
                "type": label.kind,
                "side": label.side,
                "country": label.country,
                "fileName": label.file_name,
                "validFrom": label.valid_from,
                "validUntil": label.valid_until,
                "mediaType": media_type.as_str(),
                "content": STANDARD.encode(content),
            });
            (id.0, "document.requested", data)
        }
    };
    match gateway.tell(&id.to_string(), kind, &data, TIME_LIMIT).await {
        Answered::Taken(said) => {
            let said: Option<SaidVerdict> = serde_json::from_slice(&said).ok();
            said.map_or(Outcome::Awaited, |verdict| Outcome::Ends(verdict.into()))
        }
        // It may be mended before the time is over.
        Answered::Refused | Answered::Missed => Outcome::NotTaken,
    }
}

fn identity(
    verification: Uuid,
    party: PartyId,
    kind: PartyKind,
    profile: &Profile,
    documents: &[(DocumentId, DocumentPurpose)],
) -> Value {
    let documents: Vec<Value> = documents
        .iter()
        .map(|(id, purpose)| json!({ "documentId": id.0, "purpose": purpose.as_str() }))
        .collect();
    json!({
        "verificationId": verification,
        "partyId": party.0,
        "partyType": kind.as_str(),
        "phone": profile.phone.as_ref().map(|phone| phone.e164()),
        "email": profile.email.as_ref().map(|email| email.as_str()),
        "legalName": profile.legal_name,
        "legalIdentifier": profile.legal_identifier,
        "dateOfBirth": profile.date_of_birth,
        "mainAddress": profile.main_address,
        "particulars": profile.particulars,
        "documents": documents,
    })
}
