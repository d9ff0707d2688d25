//! `POST /approvers/{id}/rotate`.

use axum::Json;
use axum::extract::State;

use super::manage::with_key;
use super::{ApproverPath, ApproverWithSecret, refused};
use crate::http::HttpState;
use crate::http::caller::Writer;
use crate::http::error::ApiError;
use crate::http::idempotency::UnderKey;

/// Rotate an approver's key
///
/// Makes a new key. For 24 hours every question carries two signatures, of the new and of the old key; then the old one is
/// forgotten.
#[utoipa::path(
    post, path = "/approvers/{id}/rotate", operation_id = "rotateApproverKey", tag = "Approvers",
    params(("id" = String, Path, description = "The approver")),
    responses((status = 200, description = "With its new key", body = ApproverWithSecret)),
)]
pub async fn rotate(
    Writer(caller): Writer,
    State(state): State<HttpState>,
    UnderKey(once): UnderKey,
    ApproverPath(id): ApproverPath,
) -> Result<Json<ApproverWithSecret>, ApiError> {
    let (approver, key) = state.approvers.under(once).rotate(caller.tenant.id, id).await?.map_err(refused)?;
    Ok(Json(with_key(&approver, &key)))
}
