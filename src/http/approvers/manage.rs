//! `POST /approvers`, `GET /approvers`, `GET /approvers/{id}`, `DELETE /approvers/{id}`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ApproverBody, ApproverPath, ApproverWithSecret, refused, time_limit};
use crate::approvers::NewApprover as Wanted;
use crate::http::HttpState;
use crate::http::caller::{Opener, Reader, Writer};
use crate::http::error::ApiError;
use crate::http::idempotency::UnderKey;
use crate::http::json::{JsonBody, optional_whole_number};
use crate::http::shape::Shape;
use crate::model::{Approver, ApproverName};
use crate::outbound::ShownKey;

/// A new approver.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewApprover {
    /// Your name for it, unique among your approvers; refusals show it.
    #[schema(pattern = "^[A-Za-z0-9._-]{1,40}$", examples("fraud"))]
    name: String,
    /// https, at an address of the public Internet unless the operator allows others.
    #[schema(format = "uri", examples("https://shop.example/approve"))]
    url: String,
    /// How long its answer may take, in milliseconds.
    #[serde(default, deserialize_with = "optional_whole_number")]
    #[schema(value_type = Option<u32>, minimum = 100, maximum = 10_000, default = 2_000)]
    time_limit_ms: Option<u64>,
}

/// The approvers of a tenant.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApproverList {
    pub data: Vec<ApproverBody>,
}

/// Add an approver
///
/// From now on it is asked before a hold is locked, by a POST of JSON that is signed by the Standard Webhooks specification
/// (`webhook-id`, `webhook-timestamp`, `webhook-signature`). It answers 200 with `{"decision":"approve"}` or
/// `{"decision":"refuse"}`, each with a `reason` if it likes. All approvers are asked at once, and all must approve: a refusal is
/// 400 `approval_refused`, no answer in time or any other answer 503 `approval_unavailable`, and nothing is locked.
#[utoipa::path(
    post, path = "/approvers", operation_id = "addApprover", tag = "Approvers", request_body = NewApprover,
    responses((status = 201, description = "Added", body = ApproverWithSecret)),
)]
pub async fn add(
    Opener(caller): Opener,
    State(state): State<HttpState>,
    UnderKey(once): UnderKey,
    JsonBody(body): JsonBody<NewApprover>,
) -> Result<(StatusCode, Json<ApproverWithSecret>), ApiError> {
    let mut shape = Shape::of_body();
    let name = shape.read("name", ApproverName::parse(&body.name));
    let time_limit_ms = shape.read_optional("timeLimitMs", body.time_limit_ms.map(time_limit));
    let (Some(name), Some(time_limit_ms)) = (name, time_limit_ms) else { return Err(shape.refused()) };
    let time_limit_ms = time_limit_ms.unwrap_or(Approver::DEFAULT_TIME_LIMIT_MS);
    let new = Wanted { name, url: body.url, time_limit_ms };
    let (approver, key) = state.approvers.under(once).add(caller.tenant.id, new).await?.map_err(refused)?;
    Ok((StatusCode::CREATED, Json(with_key(&approver, &key))))
}

/// An approver with what was made for it just now.
pub(super) fn with_key(approver: &Approver, key: &ShownKey) -> ApproverWithSecret {
    let secret = match key {
        ShownKey::Secret(secret) => secret.expose_secret(),
        ShownKey::Public(key) => key,
    };
    ApproverWithSecret { approver: approver.into(), secret: secret.to_owned() }
}

/// List approvers
///
/// Your approvers, oldest first.
#[utoipa::path(
    get, path = "/approvers", operation_id = "listApprovers", tag = "Approvers",
    responses((status = 200, description = "All of them", body = ApproverList)),
)]
pub async fn list(
    Reader(caller): Reader,
    State(state): State<HttpState>,
) -> Result<Json<ApproverList>, ApiError> {
    let approvers = state.approvers.list(caller.tenant.id).await?;
    Ok(Json(ApproverList { data: approvers.iter().map(Into::into).collect() }))
}

/// Get an approver
#[utoipa::path(
    get, path = "/approvers/{id}", operation_id = "getApprover", tag = "Approvers",
    params(("id" = String, Path, description = "The approver")),
    responses((status = 200, description = "The approver", body = ApproverBody)),
)]
pub async fn get(
    Reader(caller): Reader,
    State(state): State<HttpState>,
    ApproverPath(id): ApproverPath,
) -> Result<Json<ApproverBody>, ApiError> {
    let approver = state.approvers.find(caller.tenant.id, id).await?.map_err(refused)?;
    Ok(Json((&approver).into()))
}

/// Remove an approver
///
/// It is asked no more: creations go on without it. What it decided stays on record.
#[utoipa::path(
    delete, path = "/approvers/{id}", operation_id = "removeApprover", tag = "Approvers",
    params(("id" = String, Path, description = "The approver")),
    responses((status = 204, description = "Removed")),
)]
pub async fn remove(
    Writer(caller): Writer,
    State(state): State<HttpState>,
    ApproverPath(id): ApproverPath,
) -> Result<StatusCode, ApiError> {
    state.approvers.remove(caller.tenant.id, id).await?.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}
