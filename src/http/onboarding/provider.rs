//! `POST /onboarding/provider`: where the provider of verifications says what came of what it was asked. It has no API key: its
//! signature is who it is. The message belongs to the seam between the two (docs/onboarding.md), so it is not described.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;

use crate::http::HttpState;
use crate::http::error::ApiError;
use crate::onboarding::{Heard, SignedMessage};

/// The route of the provider.
pub(in crate::http) fn routes() -> Router<HttpState> {
    Router::new().route("/onboarding/provider", post(hear))
}

async fn hear(
    State(state): State<HttpState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let message = signed(&headers, body).ok_or_else(ApiError::unauthenticated)?;
    match state.onboarding()?.hear(&message).await? {
        Heard::Noted => Ok(StatusCode::NO_CONTENT),
        Heard::Unsigned => Err(ApiError::unauthenticated()),
        Heard::Malformed => {
            let message = "The body is no verdict";
            Err(ApiError::new(StatusCode::BAD_REQUEST, "malformed_verdict", message))
        }
        Heard::Unknown => {
            let message = "Nothing of this id was asked";
            Err(ApiError::new(StatusCode::NOT_FOUND, "verification_not_found", message))
        }
    }
}

fn signed(headers: &HeaderMap, body: Bytes) -> Option<SignedMessage> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    Some(SignedMessage {
        id: text("webhook-id")?,
        timestamp: text("webhook-timestamp")?.parse().ok()?,
        signatures: text("webhook-signature")?,
        body: body.to_vec(),
    })
}
