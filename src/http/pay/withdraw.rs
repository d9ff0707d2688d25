//! `DELETE /pay-links/{invoiceId}`.

use axum::Json;
use axum::extract::State;

use super::PayLinkBody;
use crate::http::HttpState;
use crate::http::caller::Writer;
use crate::http::error::ApiError;
use crate::http::invoice_path::LinkInvoicePath;
use crate::http::refusals::{Verb, refused};

/// Withdraw a pay link
///
/// From then on nobody can pay it or see it. Repeating it gives the same answer. 409 once it was used: cancel the
/// preauthorization instead; its payer keeps the page, on which he sees what becomes of his tokens.
#[utoipa::path(
    delete, path = "/pay-links/{invoiceId}", operation_id = "withdrawPayLink", tag = "Pay links",
    params(("invoiceId" = String, Path, description = "The invoice, percent-encoded", example = "INV-1001")),
    responses((status = 200, description = "Withdrawn", body = PayLinkBody)),
)]
pub async fn withdraw(
    Writer(caller): Writer,
    State(state): State<HttpState>,
    LinkInvoicePath(invoice): LinkInvoicePath,
) -> Result<Json<PayLinkBody>, ApiError> {
    match state.preauths.withdraw_pay_link(&caller.tenant, &invoice).await? {
        Ok(view) => Ok(Json(PayLinkBody::new(&view.link, view.state))),
        Err(refusal) => Err(refused(Verb::Create, &refusal)),
    }
}
