//! `POST /webhooks/{id}/resend`.

use std::borrow::Cow;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::openapi::schema::{AdditionalProperties, Schema, SchemaFormat, Type};
use utoipa::openapi::{ObjectBuilder, OneOfBuilder, RefOr};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use super::{EndpointPath, refused};
use crate::http::HttpState;
use crate::http::caller::Writer;
use crate::http::error::ApiError;
use crate::http::idempotency::UnderKey;
use crate::http::json::JsonBody;
use crate::http::shape::{Shape, rfc3339};
use crate::model::Millis;
use crate::webhooks::Resend;

const ONE_OR_RANGE: &str = "must be given, or else since";

/// Which events to send again: one by its id, or those of a span of time.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResendRequest {
    #[serde(default, deserialize_with = "given")]
    event_id: Option<String>,
    #[serde(default, deserialize_with = "given")]
    since: Option<String>,
    #[serde(default, deserialize_with = "given")]
    until: Option<String>,
}

/// Null is not the same as nothing here: it would leave open which of the two forms is meant.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

impl ToSchema for ResendRequest {
    fn name() -> Cow<'static, str> {
        "ResendRequest".into()
    }
}

impl PartialSchema for ResendRequest {
    fn schema() -> RefOr<Schema> {
        let text = |format: &str, description: &str| {
            ObjectBuilder::new()
                .schema_type(Type::String)
                .format(Some(SchemaFormat::Custom(format.to_owned())))
                .description(Some(description))
        };
        let form = || ObjectBuilder::new().additional_properties(Some(AdditionalProperties::FreeForm(false)));
        let one = form().property("eventId", text("uuid", "The event.")).required("eventId");
        let since = text("date-time", "Events from this time on. RFC 3339 with a zone.");
        let until = text("date-time", "Events before this time. Default: until now.");
        let span = form().property("since", since).required("since").property("until", until);
        let either = OneOfBuilder::new()
            .description(Some("Which events to send again: one by its id, or those of a span of time."))
            .item(one)
            .item(span);
        RefOr::T(Schema::OneOf(either.build()))
    }
}

/// How much is sent again.
#[derive(Debug, Serialize, ToSchema)]
pub struct ResendAnswer {
    /// Events that are sent again, at most 10,000 at once, oldest first.
    pub count: u64,
}

/// Send events again
///
/// Under the ids they have. One by its id is sent whatever its type; of a span of time, those of the types that the webhook is
/// told of.
#[utoipa::path(
    post, path = "/webhooks/{id}/resend", operation_id = "resendEvents", tag = "Webhooks",
    params(("id" = String, Path, description = "The webhook")), request_body = ResendRequest,
    responses((status = 202, description = "Written down, to be sent", body = ResendAnswer)),
)]
pub async fn resend(
    Writer(caller): Writer,
    State(state): State<HttpState>,
    UnderKey(once): UnderKey,
    EndpointPath(id): EndpointPath,
    JsonBody(body): JsonBody<ResendRequest>,
) -> Result<(StatusCode, Json<ResendAnswer>), ApiError> {
    let mut shape = Shape::of_body();
    let event = body.event_id.as_deref().map(|text| Uuid::try_parse(text).map_err(|_| "must be a UUID"));
    let event = shape.read_optional("eventId", event);
    let since = shape.read_optional("since", body.since.as_deref().map(time));
    let until = shape.read_optional("until", body.until.as_deref().map(time));
    let (Some(event), Some(since), Some(until)) = (event, since, until) else { return Err(shape.refused()) };
    let what = match (event, since, until) {
        (Some(event), None, None) => Resend::One(event),
        (None, Some(since), until) => Resend::Range { since, until },
        _ => {
            shape.read::<(), _>("eventId", Err(ONE_OR_RANGE));
            return Err(shape.refused());
        }
    };
    let count = state.webhooks.under(once).resend(caller.tenant.id, id, what).await?.map_err(refused)?;
    Ok((StatusCode::ACCEPTED, Json(ResendAnswer { count })))
}

/// Reads a time to the millisecond: events are told apart by it.
fn time(text: &str) -> Result<Millis, &'static str> {
    let parsed = rfc3339(text).and_then(|_| text.parse::<Timestamp>().ok());
    parsed.map(|time| Millis(time.as_millisecond())).ok_or("must be an RFC 3339 time with a zone")
}
