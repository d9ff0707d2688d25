//! `GET /onchain-preauth/{invoiceId}/approvals`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::HttpState;
use super::approvers::decisions;
use super::caller::Reader;
use super::cursor::{self, List};
use super::error::ApiError;
use super::events::TimelineParameters;
use super::invoice_path::InvoicePath;
use super::json::Parameters;
use super::list::{NO_CURSOR, limit};
use super::refusals::{Verb, refused};
use super::shape::Shape;
use crate::model::Approval;
use crate::preauth::Refusal;

/// What an approver decided about a creation.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ApproverDecision)]
pub struct ApprovalBody {
    #[schema(format = "uuid")]
    pub approver_id: String,
    #[schema(examples("fraud"))]
    pub approver: String,
    #[schema(schema_with = decisions)]
    pub decision: &'static str,
    /// The approver's words; where it was unavailable, why it counts as that. Null where it gave none.
    #[schema(required)]
    pub reason: Option<String>,
    /// Tells one creation of the invoice from another. The preauthorization has the one that it was created as.
    #[schema(format = "uuid")]
    pub transaction_id: String,
    pub duration_ms: u64,
    /// When it was asked.
    #[schema(format = "date-time")]
    pub at: String,
}

/// A page of decisions, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalPage {
    pub data: Vec<ApprovalBody>,
    /// Whether there is a next page.
    pub has_more: bool,
    /// For the next page; null on the last.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

impl From<&Approval> for ApprovalBody {
    fn from(approval: &Approval) -> Self {
        Self {
            approver_id: approval.approver_id.to_string(),
            approver: approval.approver_name.as_str().to_owned(),
            decision: approval.decision.as_str(),
            reason: approval.reason.clone(),
            transaction_id: approval.transaction_id.to_string(),
            duration_ms: approval.duration_ms,
            at: approval.at.to_rfc3339(),
        }
    }
}

/// List an invoice's approvals
///
/// What approvers decided about creations of this invoice, newest first: also about those that came to nothing, so that there may
/// be approvals where there is no preauthorization.
#[utoipa::path(
    get, path = "/onchain-preauth/{invoiceId}/approvals", operation_id = "listApprovals", tag = "Approvers",
    params(
        ("invoiceId" = String, Path, description = "The invoice, percent-encoded", example = "INV-1001"),
        TimelineParameters,
    ),
    responses((status = 200, description = "A page", body = ApprovalPage)),
)]
pub async fn list(
    Reader(caller): Reader,
    State(state): State<HttpState>,
    InvoicePath(invoice): InvoicePath,
    Parameters(parameters): Parameters<TimelineParameters>,
) -> Result<Json<ApprovalPage>, ApiError> {
    let tenant = caller.tenant.id;
    let mut shape = Shape::of_query();
    let limit = shape.read("limit", limit(parameters.limit.as_deref()));
    let before = parameters.cursor.as_deref().map(|cursor| {
        let last = cursor::decode(List::Approvals, tenant, cursor);
        last.and_then(|last| last.parse::<i64>().ok()).ok_or(NO_CURSOR)
    });
    let before = shape.read_optional("cursor", before);
    let (Some(limit), Some(before)) = (limit, before) else { return Err(shape.refused()) };
    let page = state.preauths.approvals(&caller.tenant, &invoice, before, limit + 1).await?;
    let mut page = page.ok_or_else(|| refused(Verb::Settle, &Refusal::NotFound))?;
    let shown = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = page.len() > shown;
    page.truncate(shown);
    let last = page.last().filter(|_| has_more);
    let next_cursor = last.map(|last| cursor::encode(List::Approvals, tenant, &last.key.to_string()));
    Ok(Json(ApprovalPage { data: page.iter().map(Into::into).collect(), has_more, next_cursor }))
}
