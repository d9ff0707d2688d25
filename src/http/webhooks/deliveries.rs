//! `GET /webhooks/{id}/deliveries`.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{EndpointPath, refused};
use crate::http::HttpState;
use crate::http::caller::Reader;
use crate::http::cursor::{self, List};
use crate::http::error::ApiError;
use crate::http::event_view::EventType;
use crate::http::json::Parameters;
use crate::http::list::{NO_CURSOR, limit};
use crate::http::shape::Shape;
use crate::model::{Delivery, DeliveryAttempt, DeliveryState};

/// Which deliveries to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeliveryParameters {
    /// Only those in this state.
    #[param(value_type = Option<Progress>)]
    pub state: Option<String>,
    /// How many at most, 1 to 100.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 20)]
    pub limit: Option<String>,
    /// The `nextCursor` of the page before.
    pub cursor: Option<String>,
}

/// How far a delivery is: to be tried, answered with 2xx, or given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = DeliveryState)]
pub enum Progress {
    Pending,
    Delivered,
    Failed,
}

/// An event on its way to a webhook.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Delivery)]
pub struct DeliveryBody {
    #[schema(format = "uuid")]
    pub event_id: String,
    #[serde(rename = "type")]
    pub kind: EventType,
    pub state: Progress,
    /// When it is tried next; null where it is not.
    #[schema(required, format = "date-time")]
    pub next_attempt_at: Option<String>,
    #[schema(format = "date-time")]
    pub created_at: String,
    /// What was tried, newest first; the last 20.
    pub attempts: Vec<AttemptBody>,
}

/// An attempt to deliver.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DeliveryAttempt)]
pub struct AttemptBody {
    #[schema(format = "date-time")]
    pub at: String,
    pub duration_ms: u64,
    /// The status of the answer; null where there was none.
    #[schema(required)]
    pub status: Option<u16>,
    /// Why it counts as failed, for people; null where it does not.
    #[schema(required)]
    pub error: Option<String>,
    /// The first KiB of the answer.
    #[schema(required)]
    pub response: Option<String>,
}

/// A page of deliveries, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryPage {
    pub data: Vec<DeliveryBody>,
    /// Whether there is a next page.
    pub has_more: bool,
    /// For the next page; null on the last.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

impl From<DeliveryState> for Progress {
    fn from(state: DeliveryState) -> Self {
        match state {
            DeliveryState::Pending => Self::Pending,
            DeliveryState::Delivered => Self::Delivered,
            DeliveryState::Failed => Self::Failed,
        }
    }
}

impl From<&Delivery> for DeliveryBody {
    fn from(delivery: &Delivery) -> Self {
        let is_pending = delivery.state == DeliveryState::Pending;
        Self {
            event_id: delivery.event_id.to_string(),
            kind: delivery.event_kind.into(),
            state: delivery.state.into(),
            next_attempt_at: is_pending.then(|| delivery.next_at.to_rfc3339()),
            created_at: delivery.created_at.to_rfc3339(),
            attempts: delivery.attempts.iter().map(Into::into).collect(),
        }
    }
}

impl From<&DeliveryAttempt> for AttemptBody {
    fn from(attempt: &DeliveryAttempt) -> Self {
        Self {
            at: attempt.at.to_rfc3339(),
            duration_ms: attempt.duration_ms,
            status: attempt.status,
            error: attempt.error.clone(),
            response: attempt.response.clone(),
        }
    }
}

/// List a webhook's deliveries
///
/// What was, is and will be sent to it, newest first, with what was answered.
#[utoipa::path(
    get, path = "/webhooks/{id}/deliveries", operation_id = "listDeliveries", tag = "Webhooks",
    params(("id" = String, Path, description = "The webhook"), DeliveryParameters),
    responses((status = 200, description = "A page", body = DeliveryPage)),
)]
pub async fn list(
    Reader(caller): Reader,
    State(state): State<HttpState>,
    EndpointPath(id): EndpointPath,
    Parameters(parameters): Parameters<DeliveryParameters>,
) -> Result<Json<DeliveryPage>, ApiError> {
    let tenant = caller.tenant.id;
    let mut shape = Shape::of_query();
    let wanted = parameters
        .state
        .as_deref()
        .map(|text| DeliveryState::parse(text).ok_or("must be pending, delivered or failed"));
    let wanted = shape.read_optional("state", wanted);
    let limit = shape.read("limit", limit(parameters.limit.as_deref()));
    let before = parameters.cursor.as_deref().map(|cursor| {
        let last = cursor::decode(List::Deliveries, tenant, cursor);
        last.and_then(|last| last.parse::<i64>().ok()).ok_or(NO_CURSOR)
    });
    let before = shape.read_optional("cursor", before);
    let (Some(wanted), Some(limit), Some(before)) = (wanted, limit, before) else {
        return Err(shape.refused());
    };
    let page = state.webhooks.deliveries(tenant, id, wanted, before, limit + 1).await?;
    let mut page = page.map_err(refused)?;
    let shown = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = page.len() > shown;
    page.truncate(shown);
    let last = page.last().filter(|_| has_more);
    let next_cursor = last.map(|last| cursor::encode(List::Deliveries, tenant, &last.key.to_string()));
    Ok(Json(DeliveryPage { data: page.iter().map(Into::into).collect(), has_more, next_cursor }))
}
