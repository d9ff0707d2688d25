//! `POST /webhooks/{id}/rotate`.

use axum::Json;
use axum::extract::State;

use super::manage::with_key;
use super::{EndpointPath, WebhookWithSecret, refused};
use crate::http::HttpState;
use crate::http::caller::Writer;
use crate::http::error::ApiError;
use crate::http::idempotency::UnderKey;

/// Rotate a webhook's key
///
/// Makes a new key. For 24 hours every message carries two signatures, of the new and of the old key; then the old one is
/// forgotten.
#[utoipa::path(
    post, path = "/webhooks/{id}/rotate", operation_id = "rotateWebhookKey", tag = "Webhooks",
    params(("id" = String, Path, description = "The webhook")),
    responses((status = 200, description = "With its new key", body = WebhookWithSecret)),
)]
pub async fn rotate(
    Writer(caller): Writer,
    State(state): State<HttpState>,
    UnderKey(once): UnderKey,
    EndpointPath(id): EndpointPath,
) -> Result<Json<WebhookWithSecret>, ApiError> {
    let (endpoint, key) = state.webhooks.under(once).rotate(caller.tenant.id, id).await?.map_err(refused)?;
    Ok(Json(with_key(&state, &endpoint, key)))
}
