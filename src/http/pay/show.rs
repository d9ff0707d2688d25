//! `GET /pay-links/{invoiceId}`.

use axum::Json;
use axum::extract::State;

use super::PayLinkBody;
use crate::http::HttpState;
use crate::http::caller::Reader;
use crate::http::error::ApiError;
use crate::http::invoice_path::LinkInvoicePath;
use crate::http::refusals::{Verb, refused};

/// Get a pay link
///
/// Its terms, and whether it is open, used, withdrawn or lapsed. The address is not shown again: only its hash is kept.
#[utoipa::path(
    get, path = "/pay-links/{invoiceId}", operation_id = "getPayLink", tag = "Pay links",
    params(("invoiceId" = String, Path, description = "The invoice, percent-encoded", example = "INV-1001")),
    responses((status = 200, description = "The link", body = PayLinkBody)),
)]
pub async fn show(
    Reader(caller): Reader,
    State(state): State<HttpState>,
    LinkInvoicePath(invoice): LinkInvoicePath,
) -> Result<Json<PayLinkBody>, ApiError> {
    match state.preauths.pay_link(&caller.tenant, &invoice).await? {
        Ok(view) => Ok(Json(PayLinkBody::new(&view.link, view.state))),
        Err(refusal) => Err(refused(Verb::Create, &refusal)),
    }
}
