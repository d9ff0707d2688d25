//! `PATCH /webhooks/{id}`.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{EndpointPath, WebhookBody, kinds, refused};
use crate::http::HttpState;
use crate::http::caller::Writer;
use crate::http::error::ApiError;
use crate::http::event_view::EventType;
use crate::http::json::JsonBody;
use crate::http::shape::Shape;
use crate::webhooks::EndpointWish;

/// What to change about a webhook; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebhookChange {
    #[serde(default)]
    #[schema(format = "uri")]
    url: Option<String>,
    /// The types of events it is told of; empty: all.
    #[serde(default)]
    #[schema(value_type = Option<Vec<EventType>>)]
    events: Option<Vec<String>>,
    /// Whether nothing is sent. One that is enabled again is told of what happens from then on, and of what was due already.
    #[serde(default)]
    disabled: Option<bool>,
}

/// Change a webhook
#[utoipa::path(
    patch, path = "/webhooks/{id}", operation_id = "changeWebhook", tag = "Webhooks",
    params(("id" = String, Path, description = "The webhook")), request_body = WebhookChange,
    responses((status = 200, description = "As it is now", body = WebhookBody)),
)]
pub async fn change(
    Writer(caller): Writer,
    State(state): State<HttpState>,
    EndpointPath(id): EndpointPath,
    JsonBody(body): JsonBody<WebhookChange>,
) -> Result<Json<WebhookBody>, ApiError> {
    let mut shape = Shape::of_body();
    let Some(kinds) = shape.read_optional("events", body.events.map(kinds)) else {
        return Err(shape.refused());
    };
    let wish = EndpointWish { url: body.url, kinds, disabled: body.disabled };
    let endpoint = state.webhooks.change(caller.tenant.id, id, wish).await?.map_err(refused)?;
    Ok(Json(WebhookBody::new(&state, &endpoint)))
}
