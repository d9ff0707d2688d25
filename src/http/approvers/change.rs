//! `PATCH /approvers/{id}`.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{ApproverBody, ApproverPath, refused, time_limit};
use crate::approvers::ApproverWish;
use crate::http::HttpState;
use crate::http::caller::Writer;
use crate::http::error::ApiError;
use crate::http::json::{JsonBody, optional_whole_number};
use crate::http::shape::Shape;

/// What to change about an approver; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApproverChange {
    #[serde(default)]
    #[schema(format = "uri")]
    url: Option<String>,
    /// How long its answer may take, in milliseconds.
    #[serde(default, deserialize_with = "optional_whole_number")]
    #[schema(value_type = Option<u32>, minimum = 100, maximum = 10_000)]
    time_limit_ms: Option<u64>,
    /// Whether it is asked. Creations go on without one that is not.
    #[serde(default)]
    enabled: Option<bool>,
}

/// Change an approver
#[utoipa::path(
    patch, path = "/approvers/{id}", operation_id = "changeApprover", tag = "Approvers",
    params(("id" = String, Path, description = "The approver")), request_body = ApproverChange,
    responses((status = 200, description = "As it is now", body = ApproverBody)),
)]
pub async fn change(
    Writer(caller): Writer,
    State(state): State<HttpState>,
    ApproverPath(id): ApproverPath,
    JsonBody(body): JsonBody<ApproverChange>,
) -> Result<Json<ApproverBody>, ApiError> {
    let mut shape = Shape::of_body();
    let time_limit_ms = shape.read_optional("timeLimitMs", body.time_limit_ms.map(time_limit));
    let Some(time_limit_ms) = time_limit_ms else { return Err(shape.refused()) };
    let wish = ApproverWish { url: body.url, time_limit_ms, enabled: body.enabled };
    let approver = state.approvers.change(caller.tenant.id, id, wish).await?.map_err(refused)?;
    Ok(Json((&approver).into()))
}
