//! `DELETE /onchain-preauth/{invoiceId}/settle`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::HttpState;
use super::caller::Writer;
use super::error::ApiError;
use super::invoice_path::InvoicePath;
use super::patience::Patience;
use super::refusals::Verb;
use super::view::Preauthorization;
use crate::preauth::Wait;

/// Withdraw a scheduled settlement
///
/// The preauthorization stays `AUTHORIZED`, and is neither settled nor cancelled by this. 409 when nothing is scheduled,
/// and when its time has come and the settlement is under way.
#[utoipa::path(
    delete, path = "/onchain-preauth/{invoiceId}/settle", operation_id = "withdrawScheduledSettlement",
    tag = "Preauthorizations",
    params(("invoiceId" = String, Path, description = "The invoice, percent-encoded", example = "INV-1001")),
    responses(
        (status = 200, description = "Withdrawn", body = Preauthorization),
    ),
)]
pub async fn withdraw(
    Writer(caller): Writer,
    State(state): State<HttpState>,
    InvoicePath(invoice): InvoicePath,
) -> Result<Response, ApiError> {
    let ending = state.preauths.withdraw_settlement(&caller.tenant, &invoice).await?;
    let show = |snapshot: &_| Preauthorization::from(snapshot);
    Patience(Wait::ForOutcome).answer(Verb::Settle, ending, StatusCode::OK, show)
}
