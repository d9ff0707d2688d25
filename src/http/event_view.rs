//! How an event is shown: alike in a timeline, in the feed, in the stream and in a webhook.

use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Object;

use super::view::{Preauthorization, Status};
use super::words::one_of;
use crate::model::{self, About, PartyStatus};
use crate::preauth::Told;

/// What happened.
///
/// - `preauth.authorized`: the hold is locked.
/// - `preauth.rejected`: the lock failed on chain; nothing was locked.
/// - `preauth.settled`: the receiver was paid and the rest went back.
/// - `preauth.settlement_failed`: a settlement failed for good; the hold stays. `failure` says why.
/// - `preauth.cancelled`, `preauth.expired`: everything went back to the sender.
/// - `preauth.expiring`: the hold expires soon. Sent once.
/// - `preauth.reorged`: the chain took back what was told before. `data` is what is so now, `previousStatus` what was told.
///   What comes of it is told by a further event.
/// - `party.verified`: nothing that is asked of a party is open any more.
/// - `party.rejected`, `party.suspended`: you decided so.
/// - `verification.completed`: a verification of a party's identity has ended, well or not.
/// - `document.checked`: a document of a party was accepted or refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub enum EventType {
    #[serde(rename = "preauth.authorized")]
    Authorized,
    #[serde(rename = "preauth.rejected")]
    Rejected,
    #[serde(rename = "preauth.settled")]
    Settled,
    #[serde(rename = "preauth.settlement_failed")]
    SettlementFailed,
    #[serde(rename = "preauth.cancelled")]
    Cancelled,
    #[serde(rename = "preauth.expired")]
    Expired,
    #[serde(rename = "preauth.expiring")]
    Expiring,
    #[serde(rename = "preauth.reorged")]
    Reorged,
    #[serde(rename = "party.verified")]
    PartyVerified,
    #[serde(rename = "party.rejected")]
    PartyRejected,
    #[serde(rename = "party.suspended")]
    PartySuspended,
    #[serde(rename = "verification.completed")]
    VerificationCompleted,
    #[serde(rename = "document.checked")]
    DocumentChecked,
}

impl From<model::EventKind> for EventType {
    fn from(kind: model::EventKind) -> Self {
        use model::EventKind as Kind;
        match kind {
            Kind::Authorized => Self::Authorized,
            Kind::Rejected => Self::Rejected,
            Kind::Settled => Self::Settled,
            Kind::SettlementFailed => Self::SettlementFailed,
            Kind::Cancelled => Self::Cancelled,
            Kind::Expired => Self::Expired,
            Kind::Expiring => Self::Expiring,
            Kind::Reorged => Self::Reorged,
            Kind::PartyVerified => Self::PartyVerified,
            Kind::PartyRejected => Self::PartyRejected,
            Kind::PartySuspended => Self::PartySuspended,
            Kind::VerificationCompleted => Self::VerificationCompleted,
            Kind::DocumentChecked => Self::DocumentChecked,
        }
    }
}

/// An event: what happened, and the preauthorization or party as it was then.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Event {
    /// The same wherever it is shown: the `webhook-id` of its webhooks.
    #[schema(format = "uuid")]
    pub id: String,
    #[serde(rename = "type")]
    pub kind: EventType,
    #[schema(format = "date-time")]
    pub timestamp: String,
    pub data: EventData,
}

/// What an event is about.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(untagged)]
pub enum EventData {
    Preauthorization(Box<PreauthorizationThen>),
    Party(PartyThen),
}

/// A party as it was after an event. Nothing personal is in it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartyThen {
    #[schema(format = "uuid")]
    pub party_id: String,
    #[schema(schema_with = party_statuses)]
    pub party_status: &'static str,
    /// The verification that was completed; else null.
    #[schema(required, format = "uuid")]
    pub verification_id: Option<String>,
    /// The document that was checked; else null.
    #[schema(required, format = "uuid")]
    pub document_id: Option<String>,
    /// Counts the events of this party from 1, without a gap: webhooks may arrive in another order, and twice.
    pub sequence: u64,
}

/// A preauthorization as it was after an event.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreauthorizationThen {
    #[serde(flatten)]
    pub preauthorization: Preauthorization,
    /// Counts the events of this preauthorization from 1, without a gap: webhooks may arrive in another order, and twice.
    pub sequence: u64,
    /// The status that this event corrects; else null.
    #[schema(required)]
    pub previous_status: Option<Status>,
}

impl From<&Told> for Event {
    fn from(told: &Told) -> Self {
        let data = match told {
            Told::Preauth { event, then } => EventData::Preauthorization(Box::new(PreauthorizationThen {
                preauthorization: then.as_ref().into(),
                sequence: event.sequence,
                previous_status: event.status_before.map(Into::into),
            })),
            Told::Party(event) => EventData::Party(PartyThen {
                party_id: event.party.to_string(),
                party_status: event.status.as_str(),
                verification_id: match event.about {
                    About::Verification(id) => Some(id.to_string()),
                    About::TheParty | About::Document(_) => None,
                },
                document_id: match event.about {
                    About::Document(id) => Some(id.to_string()),
                    About::TheParty | About::Verification(_) => None,
                },
                sequence: event.sequence,
            }),
        };
        Self {
            id: told.id().to_string(),
            kind: told.kind().into(),
            timestamp: told.created_at().to_rfc3339(),
            data,
        }
    }
}

/// The words for where a party stands, in the document.
pub(super) fn party_statuses() -> Object {
    let meaning = "`onboarding`: something that is required is open. `verified`: nothing is. `rejected`, `suspended`: it was \
        decided so.";
    one_of(meaning, PartyStatus::ALL.map(PartyStatus::as_str))
}

/// The body of an event's webhook.
///
/// # Errors
/// Where it cannot be written as JSON.
pub fn webhook_body(told: &Told) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&Event::from(told))
}

/// Reads the name of a kind.
pub(super) fn event_kind(text: &str) -> Result<model::EventKind, &'static str> {
    model::EventKind::parse_public(text).ok_or("must be the type of an event, such as preauth.settled")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EventKind;

    #[test]
    fn types_are_spelled_as_in_the_model() {
        for kind in EventKind::ALL {
            assert_eq!(serde_json::to_value(EventType::from(kind)).unwrap(), kind.public_name());
        }
    }
}
