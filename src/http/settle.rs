//! `POST /onchain-preauth/{invoiceId}/settle`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;

use super::HttpState;
use super::caller::Writer;
use super::error::ApiError;
use super::idempotency::UnderKey;
use super::invoice_path::InvoicePath;
use super::json::JsonBody;
use super::patience::Patience;
use super::refusals::Verb;
use super::shape::{self, Shape};
use super::view::Preauthorization;
use crate::model::TokenAmount;

/// A settlement.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({ "amount": "120.50" }))]
pub struct SettleRequest {
    /// What goes to the receiver, in whole tokens: up to the authorized amount plus your allowed tip.
    #[schema(pattern = r"^[0-9]+(\.[0-9]+)?$")]
    pub amount: String,
    /// Settles at this time instead of now; before the expiry. RFC 3339 with a zone.
    #[schema(format = "date-time")]
    pub settle_at: Option<String>,
}

impl SettleRequest {
    fn amount(&self) -> Result<TokenAmount, ApiError> {
        let mut shape = Shape::of_body();
        shape.read("amount", shape::amount(&self.amount)).ok_or_else(|| shape.refused())
    }
}

/// Settle preauthorization
///
/// Pays the amount to the receiver and returns the rest of the hold to the sender, in one transaction, and so closes
/// the preauthorization.
///
/// The answer is 200 with `SETTLED` once that is on chain. It is 202 while the outcome is still to come: past the
/// daemon's time-out, or at once with `Prefer: respond-async`; the status is then still `AUTHORIZED`, and
/// `pendingOperation` says `settle`.
///
/// With `settleAt` nothing moves yet: 202 with `scheduledSettlement`, executed at that time by the chain's clock. A
/// schedule can be replaced by another call with `settleAt`, and withdrawn with DELETE; a call without `settleAt`
/// settles now and drops it.
///
/// At and after the expiry the answer is `Pre-authorization expired`, whether the sender was refunded already or not.
/// Of a settlement, a cancellation and the expiry at the same moment the chain takes one; the others are answered with
/// 409 and what won.
#[utoipa::path(
    post, path = "/onchain-preauth/{invoiceId}/settle", operation_id = "settlePreauthorization",
    tag = "Preauthorizations",
    params(
        ("invoiceId" = String, Path, description = "The invoice, percent-encoded", example = "INV-1001"),
        ("Prefer" = Option<String>, Header, description = "`respond-async`: do not wait for the chain"),
    ),
    request_body = SettleRequest,
    responses(
        (status = 200, description = "Settlement successful", body = Preauthorization),
        (status = 202, description = "Accepted or scheduled; the outcome is still to come", body = Preauthorization),
    ),
)]
pub async fn settle(
    Writer(caller): Writer,
    State(state): State<HttpState>,
    InvoicePath(invoice): InvoicePath,
    UnderKey(once): UnderKey,
    patience: Patience,
    JsonBody(request): JsonBody<SettleRequest>,
) -> Result<Response, ApiError> {
    let amount = request.amount()?;
    let settle_at = shape::requested_time(request.settle_at.as_deref());
    let ending =
        state.preauths.under(once).settle(&caller.tenant, &invoice, amount, settle_at, patience.0).await?;
    patience.answer(Verb::Settle, ending, StatusCode::OK, |snapshot| Preauthorization::from(snapshot))
}

#[cfg(test)]
mod tests {
    use crate::http::testing::House;
    use crate::model::Scope;

    #[tokio::test]
    async fn the_shape_of_a_settlement_is_checked() {
        let house = House::open().await;
        let key = house.key(&Scope::ALL).await;
        for (body, message) in [
            ("{}", "amount is missing"),
            (r#"{"amount":120.5}"#, "amount must be a string"),
            (r#"{"amount":"1e3"}"#, r#"amount must be a string of plain decimal digits, such as "150.75""#),
            (r#"{"amount":"1","settleAt":1}"#, "settleAt must be a string"),
            (r#"{"amount":"1","tip":"1"}"#, "tip is not known here"),
        ] {
            let answer =
                house.post("/onchain-preauth/INV-1/settle", body).header("x-api-key", &key).send().await;
            assert_eq!(answer.error(), (400, "onchain", message, "invalid_field"));
        }
    }
}
