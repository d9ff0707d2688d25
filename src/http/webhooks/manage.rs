//! `POST /webhooks`, `GET /webhooks`, `GET /webhooks/{id}`, `DELETE /webhooks/{id}`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{EndpointPath, Signing, WebhookBody, WebhookWithSecret, kinds, refused};
use crate::http::HttpState;
use crate::http::caller::{Opener, Reader, Writer};
use crate::http::error::ApiError;
use crate::http::event_view::EventType;
use crate::http::idempotency::UnderKey;
use crate::http::json::JsonBody;
use crate::http::shape::Shape;
use crate::model::{Endpoint, SigningScheme};
use crate::outbound::ShownKey;
use crate::webhooks::NewEndpoint;

/// A new webhook endpoint.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewWebhook {
    /// https, at an address of the public Internet unless the operator allows others.
    #[schema(format = "uri", examples("https://shop.example/hooks/preauth"))]
    url: String,
    /// The types of events it is told of. Default: all.
    #[serde(default)]
    #[schema(value_type = Option<Vec<EventType>>)]
    events: Option<Vec<String>>,
    #[serde(default)]
    #[schema(value_type = Option<Signing>)]
    signing: Option<String>,
}

/// The endpoints of a tenant.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookList {
    pub data: Vec<WebhookBody>,
}

/// Add a webhook
///
/// You are told there of what happens from now on, by the Standard Webhooks specification: `webhook-id` (the event's id, the
/// same in every attempt), `webhook-timestamp`, `webhook-signature`; the body is the event. Answer 2xx within 15 seconds. What
/// fails is tried again for about three days; 410 disables the webhook.
#[utoipa::path(
    post, path = "/webhooks", operation_id = "addWebhook", tag = "Webhooks", request_body = NewWebhook,
    responses((status = 201, description = "Added", body = WebhookWithSecret)),
)]
pub async fn add(
    Opener(caller): Opener,
    State(state): State<HttpState>,
    UnderKey(once): UnderKey,
    JsonBody(body): JsonBody<NewWebhook>,
) -> Result<(StatusCode, Json<WebhookWithSecret>), ApiError> {
    let mut shape = Shape::of_body();
    let events = shape.read("events", kinds(body.events.unwrap_or_default()));
    let signing = body.signing.as_deref().unwrap_or(SigningScheme::Symmetric.as_str());
    let signing = shape.read("signing", SigningScheme::parse(signing).ok_or("must be \"v1\" or \"v1a\""));
    let (Some(kinds), Some(scheme)) = (events, signing) else { return Err(shape.refused()) };
    let new = NewEndpoint { url: body.url, kinds, scheme };
    let (endpoint, key) = state.webhooks.under(once).add(caller.tenant.id, new).await?.map_err(refused)?;
    Ok((StatusCode::CREATED, Json(with_key(&state, &endpoint, key))))
}

/// An endpoint with what was made for it just now.
pub(super) fn with_key(state: &HttpState, endpoint: &Endpoint, key: ShownKey) -> WebhookWithSecret {
    let secret = match key {
        ShownKey::Secret(secret) => Some(secret.expose_secret().to_owned()),
        ShownKey::Public(_) => None,
    };
    WebhookWithSecret { webhook: WebhookBody::new(state, endpoint), secret }
}

/// List webhooks
///
/// Your endpoints, oldest first.
#[utoipa::path(
    get, path = "/webhooks", operation_id = "listWebhooks", tag = "Webhooks",
    responses((status = 200, description = "All of them", body = WebhookList)),
)]
pub async fn list(
    Reader(caller): Reader,
    State(state): State<HttpState>,
) -> Result<Json<WebhookList>, ApiError> {
    let endpoints = state.webhooks.list(caller.tenant.id).await?;
    Ok(Json(WebhookList { data: endpoints.iter().map(|one| WebhookBody::new(&state, one)).collect() }))
}

/// Get a webhook
#[utoipa::path(
    get, path = "/webhooks/{id}", operation_id = "getWebhook", tag = "Webhooks",
    params(("id" = String, Path, description = "The webhook")),
    responses((status = 200, description = "The webhook", body = WebhookBody)),
)]
pub async fn get(
    Reader(caller): Reader,
    State(state): State<HttpState>,
    EndpointPath(id): EndpointPath,
) -> Result<Json<WebhookBody>, ApiError> {
    let endpoint = state.webhooks.find(caller.tenant.id, id).await?.map_err(refused)?;
    Ok(Json(WebhookBody::new(&state, &endpoint)))
}

/// Remove a webhook
///
/// Nothing more is sent to it.
#[utoipa::path(
    delete, path = "/webhooks/{id}", operation_id = "removeWebhook", tag = "Webhooks",
    params(("id" = String, Path, description = "The webhook")),
    responses((status = 204, description = "Removed")),
)]
pub async fn remove(
    Writer(caller): Writer,
    State(state): State<HttpState>,
    EndpointPath(id): EndpointPath,
) -> Result<StatusCode, ApiError> {
    state.webhooks.remove(caller.tenant.id, id).await?.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}
