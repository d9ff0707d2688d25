//! Where a tenant wants to be told of events, and what became of telling it.

use std::fmt;

use uuid::Uuid;

use super::{EventKind, Millis, TenantId};

/// How an endpoint's messages are signed, by the names of the Standard Webhooks specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SigningScheme {
    /// HMAC-SHA256 with a secret that both sides know: `v1`.
    Symmetric,
    /// Ed25519, where the receiver knows the public key only: `v1a`.
    Asymmetric,
}

impl SigningScheme {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Symmetric => "v1",
            Self::Asymmetric => "v1a",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Symmetric, Self::Asymmetric].into_iter().find(|scheme| scheme.as_str() == text)
    }
}

/// A signing key as the vault keeps it. It may be readable, so it is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptKey(pub Vec<u8>);

impl fmt::Debug for KeptKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KeptKey")
    }
}

/// An endpoint.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The row.
    pub key: i64,
    pub id: Uuid,
    pub tenant: TenantId,
    pub url: String,
    /// The kinds of events it wants; empty: all.
    pub kinds: Vec<EventKind>,
    pub scheme: SigningScheme,
    /// The key it is signed with.
    pub secret: KeptKey,
    /// The key before, and until when it signs, too.
    pub old_secret: Option<(KeptKey, Millis)>,
    /// Why nothing is sent; `None`: it is.
    pub disabled: Option<String>,
    /// Since when every attempt failed.
    pub failing_since: Option<Millis>,
    pub created_at: Millis,
}

/// How far a delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// To be tried at its time.
    Pending,
    /// Answered with 2xx.
    Delivered,
    /// Given up.
    Failed,
}

impl DeliveryState {
    pub const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Failed];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// An event on its way to an endpoint.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The row.
    pub key: i64,
    /// The event's position in the feed.
    pub event: i64,
    pub event_id: Uuid,
    pub event_kind: EventKind,
    pub state: DeliveryState,
    /// Attempts since it was last asked for.
    pub tries: u32,
    /// When it is tried next, while it is pending.
    pub next_at: Millis,
    pub created_at: Millis,
    pub attempts: Vec<DeliveryAttempt>,
}

/// One attempt to deliver.
#[derive(Debug, Clone)]
pub struct DeliveryAttempt {
    pub at: Millis,
    pub duration_ms: u64,
    /// The answer's status; `None`: there was no answer.
    pub status: Option<u16>,
    /// Why it counts as failed.
    pub error: Option<String>,
    /// The beginning of the answer's body.
    pub response: Option<String>,
}
