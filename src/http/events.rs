//! `GET /events` and `GET /onchain-preauth/{invoiceId}/events`.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::HttpState;
use super::caller::Reader;
use super::cursor::{self, List};
use super::error::ApiError;
use super::event_view::{Event, EventType, event_kind};
use super::invoice_path::InvoicePath;
use super::json::Parameters;
use super::list::{NO_CURSOR, limit};
use super::refusals::{Verb, refused};
use super::shape::Shape;
use crate::model::TenantId;
use crate::preauth::{Refusal, Told};

/// Where in the feed to go on.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FeedParameters {
    /// Only events of this type.
    #[param(value_type = Option<EventType>)]
    pub kind: Option<String>,
    /// How many at most, 1 to 100.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 20)]
    pub limit: Option<String>,
    /// The `nextCursor` of the page before. Without one the feed begins with the oldest event.
    pub cursor: Option<String>,
}

/// Which events of a preauthorization to show.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TimelineParameters {
    /// How many at most, 1 to 100.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 20)]
    pub limit: Option<String>,
    /// The `nextCursor` of the page before.
    pub cursor: Option<String>,
}

/// A page of events, oldest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventPage {
    pub data: Vec<Event>,
    /// Whether there is more already.
    pub has_more: bool,
    /// Where to go on, now or later; null as long as there was no event.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

/// The position a cursor stands for; 0: the beginning.
pub(super) fn position(tenant: TenantId, cursor: Option<&str>) -> Result<i64, &'static str> {
    cursor.map_or(Ok(0), |cursor| {
        cursor::decode(List::Events, tenant, cursor).and_then(|last| last.parse().ok()).ok_or(NO_CURSOR)
    })
}

/// The cursor that goes on after a position; none at the beginning.
pub(super) fn cursor_at(tenant: TenantId, position: i64) -> Option<String> {
    (position > 0).then(|| cursor::encode(List::Events, tenant, &position.to_string()))
}

fn page(mut told: Vec<Told>, limit: u32, seen: i64, tenant: TenantId) -> EventPage {
    let shown = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = told.len() > shown;
    told.truncate(shown);
    let last = told.last().filter(|_| has_more).map_or(seen, Told::position);
    EventPage { data: told.iter().map(Into::into).collect(), has_more, next_cursor: cursor_at(tenant, last) }
}

/// List events
///
/// What happened to your preauthorizations, oldest first. Keep `nextCursor` and ask again with it: so you miss nothing and
/// see nothing twice. The order is that in which things were written down.
#[utoipa::path(
    get, path = "/events", operation_id = "listEvents", tag = "Events", params(FeedParameters),
    responses((status = 200, description = "A page", body = EventPage)),
)]
pub async fn feed(
    Reader(caller): Reader,
    State(state): State<HttpState>,
    Parameters(parameters): Parameters<FeedParameters>,
) -> Result<Json<EventPage>, ApiError> {
    let tenant = caller.tenant.id;
    let mut shape = Shape::of_query();
    let kind = shape.read_optional("kind", parameters.kind.as_deref().map(event_kind));
    let limit = shape.read("limit", limit(parameters.limit.as_deref()));
    let after = shape.read("cursor", position(tenant, parameters.cursor.as_deref()));
    let (Some(kind), Some(limit), Some(after)) = (kind, limit, after) else { return Err(shape.refused()) };
    let (told, seen) = state.preauths.feed(tenant, kind, after, limit + 1).await?;
    Ok(Json(page(told, limit, seen, tenant)))
}

/// Get a preauthorization's timeline
///
/// What happened to it, oldest first.
#[utoipa::path(
    get, path = "/onchain-preauth/{invoiceId}/events", operation_id = "listPreauthorizationEvents", tag = "Events",
    params(
        ("invoiceId" = String, Path, description = "The invoice, percent-encoded", example = "INV-1001"),
        TimelineParameters,
    ),
    responses((status = 200, description = "A page", body = EventPage)),
)]
pub async fn timeline(
    Reader(caller): Reader,
    State(state): State<HttpState>,
    InvoicePath(invoice): InvoicePath,
    Parameters(parameters): Parameters<TimelineParameters>,
) -> Result<Json<EventPage>, ApiError> {
    let tenant = caller.tenant.id;
    let mut shape = Shape::of_query();
    let limit = shape.read("limit", limit(parameters.limit.as_deref()));
    let after = shape.read("cursor", position(tenant, parameters.cursor.as_deref()));
    let (Some(limit), Some(after)) = (limit, after) else { return Err(shape.refused()) };
    let told = state.preauths.timeline(&caller.tenant, &invoice, after, limit + 1).await?;
    let told = told.ok_or_else(|| refused(Verb::Settle, &Refusal::NotFound))?;
    let seen = told.last().map_or(after, Told::position);
    Ok(Json(page(told, limit, seen, tenant)))
}
