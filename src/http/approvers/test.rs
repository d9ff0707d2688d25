//! `POST /approvers/{id}/test`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::{ApproverPath, decisions, refused};
use crate::http::HttpState;
use crate::http::caller::Writer;
use crate::http::error::ApiError;

/// What came of trying out an approver.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApproverTest {
    #[schema(schema_with = decisions)]
    pub decision: &'static str,
    /// The approver's words; where it is unavailable, why it counts as that. Null where it gave none.
    #[schema(required)]
    pub reason: Option<String>,
    pub duration_ms: u64,
}

/// Try out an approver
///
/// Asks it, enabled or not, about a creation there is not: a question of type `approval.test`. Nothing is kept, nothing follows.
#[utoipa::path(
    post, path = "/approvers/{id}/test", operation_id = "testApprover", tag = "Approvers",
    params(("id" = String, Path, description = "The approver")),
    responses((status = 200, description = "What it answered", body = ApproverTest)),
)]
pub async fn test(
    Writer(caller): Writer,
    State(state): State<HttpState>,
    ApproverPath(id): ApproverPath,
) -> Result<Json<ApproverTest>, ApiError> {
    let tried = state.approvers.test(&caller.tenant, id).await?.map_err(refused)?;
    Ok(Json(ApproverTest {
        decision: tried.decision.as_str(),
        reason: tried.reason,
        duration_ms: tried.duration_ms,
    }))
}
