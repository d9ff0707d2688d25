//! Where a tenant is told of events: `/webhooks`.

pub mod change;
pub mod deliveries;
pub mod manage;
pub mod resend;
pub mod rotate;

use axum::extract::{FromRequestParts, Path};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::HttpState;
use super::error::ApiError;
use super::event_view::{EventType, event_kind};
use crate::model::{Endpoint, EventKind};
use crate::webhooks::{EndpointFault, EndpointRefusal};

/// How messages are signed.
///
/// - `v1`: HMAC-SHA256 with a secret that you are shown once.
/// - `v1a`: Ed25519; you verify with a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Signing {
    #[default]
    V1,
    V1a,
}

/// A webhook endpoint.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Webhook)]
pub struct WebhookBody {
    #[schema(format = "uuid")]
    pub id: String,
    #[schema(format = "uri")]
    pub url: String,
    /// The types of events it is told of; empty: all.
    pub events: Vec<EventType>,
    #[schema(value_type = Signing)]
    pub signing: &'static str,
    /// What to verify with, where that is no secret: `whpk_…`; else null.
    #[schema(required)]
    pub public_key: Option<String>,
    /// Until when the key before signs, too; null where there is none.
    #[schema(required, format = "date-time")]
    pub old_key_until: Option<String>,
    /// Why nothing is sent; null where it is.
    #[schema(required)]
    pub disabled: Option<String>,
    /// Since when every attempt failed; null where the last one did not.
    #[schema(required, format = "date-time")]
    pub failing_since: Option<String>,
    #[schema(format = "date-time")]
    pub created_at: String,
}

/// A webhook endpoint with its key.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookWithSecret {
    #[serde(flatten)]
    pub webhook: WebhookBody,
    /// `whsec_…`, shown this once; null where the messages are verified with `publicKey`.
    #[schema(required)]
    pub secret: Option<String>,
}

impl WebhookBody {
    fn new(state: &HttpState, endpoint: &Endpoint) -> Self {
        Self {
            id: endpoint.id.to_string(),
            url: endpoint.url.clone(),
            events: endpoint.kinds.iter().copied().map(Into::into).collect(),
            signing: endpoint.scheme.as_str(),
            public_key: state.webhooks.public_key(endpoint),
            old_key_until: endpoint.old_secret.as_ref().map(|(_, until)| until.to_rfc3339()),
            disabled: endpoint.disabled.clone(),
            failing_since: endpoint.failing_since.map(|since| since.to_rfc3339()),
            created_at: endpoint.created_at.to_rfc3339(),
        }
    }
}

/// The endpoint that a path names. What cannot be a name names none: 404.
pub struct EndpointPath(pub Uuid);

impl FromRequestParts<HttpState> for EndpointPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, ApiError> {
        let segment = Path::<String>::from_request_parts(parts, state).await.ok();
        let id = segment.and_then(|Path(text)| Uuid::try_parse(&text).ok());
        id.map(Self).ok_or_else(|| refused(EndpointRefusal::Unknown))
    }
}

/// The answer to a refused wish.
pub fn refused(refusal: EndpointRefusal) -> ApiError {
    match refusal {
        EndpointRefusal::Url(why) => {
            ApiError::new(StatusCode::BAD_REQUEST, "invalid_field", format!("url {why}")).field("url")
        }
        EndpointRefusal::TooMany(most) => {
            let message = format!("A tenant has at most {most} webhooks");
            ApiError::new(StatusCode::CONFLICT, "too_many_webhooks", message)
        }
        EndpointRefusal::Unknown => {
            ApiError::new(StatusCode::NOT_FOUND, "webhook_not_found", "Webhook not found")
        }
        EndpointRefusal::UnknownEvent => {
            ApiError::new(StatusCode::NOT_FOUND, "event_not_found", "Event not found").field("eventId")
        }
        EndpointRefusal::Disabled => {
            ApiError::new(StatusCode::CONFLICT, "webhook_disabled", "The webhook is disabled")
        }
    }
}

impl From<EndpointFault> for ApiError {
    fn from(fault: EndpointFault) -> Self {
        match fault {
            EndpointFault::Store(error) => error.into(),
            other => {
                tracing::error!(error = %other, "a request about webhooks failed");
                Self::internal()
            }
        }
    }
}

/// Reads a list of types.
fn kinds(names: Vec<String>) -> Result<Vec<EventKind>, &'static str> {
    names
        .iter()
        .map(|name| event_kind(name))
        .collect::<Result<_, _>>()
        .map_err(|_| "must be a list of types of events, such as preauth.settled")
}
