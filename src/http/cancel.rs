//! `POST /onchain-preauth/{invoiceId}/cancel`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::HttpState;
use super::caller::Writer;
use super::error::ApiError;
use super::idempotency::UnderKey;
use super::invoice_path::InvoicePath;
use super::patience::Patience;
use super::refusals::Verb;
use super::view::Preauthorization;

/// Cancel preauthorization
///
/// Returns the whole hold to the sender. There is no body.
///
/// The answer is 200 with `CANCELLED` once that is on chain, and the same when it is repeated. It is 202 while the
/// outcome is still to come: past the daemon's time-out, or at once with `Prefer: respond-async`. A `PENDING`
/// preauthorization can be cancelled too: it is dropped if nothing was sent yet, else cancelled as soon as it is locked.
#[utoipa::path(
    post, path = "/onchain-preauth/{invoiceId}/cancel", operation_id = "cancelPreauthorization",
    tag = "Preauthorizations",
    params(
        ("invoiceId" = String, Path, description = "The invoice, percent-encoded", example = "INV-1001"),
        ("Prefer" = Option<String>, Header, description = "`respond-async`: do not wait for the chain"),
    ),
    responses(
        (status = 200, description = "Cancelled", body = Preauthorization),
        (status = 202, description = "Accepted; the outcome is still to come", body = Preauthorization),
    ),
)]
pub async fn cancel(
    Writer(caller): Writer,
    State(state): State<HttpState>,
    InvoicePath(invoice): InvoicePath,
    UnderKey(once): UnderKey,
    patience: Patience,
) -> Result<Response, ApiError> {
    let ending = state.preauths.under(once).cancel(&caller.tenant, &invoice, patience.0).await?;
    patience.answer(Verb::Cancel, ending, StatusCode::OK, |snapshot| Preauthorization::from(snapshot))
}
