//! How an event is shown: alike in a timeline, in the feed, in the stream and in a webhook.

use serde::Serialize;
use utoipa::ToSchema;

use super::view::{Preauthorization, Status};
use crate::model;
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
        }
    }
}

/// An event: what happened, and the preauthorization as it was then.
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

/// A preauthorization as it was after an event.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventData {
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
        Self {
            id: told.event.id.to_string(),
            kind: told.event.kind.into(),
            timestamp: told.event.created_at.to_rfc3339(),
            data: EventData {
                preauthorization: (&told.then).into(),
                sequence: told.event.sequence,
                previous_status: told.event.status_before.map(Into::into),
            },
        }
    }
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
