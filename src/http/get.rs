//! `GET /onchain-preauth/{invoiceId}`.

use axum::Json;
use axum::extract::State;

use super::HttpState;
use super::caller::Reader;
use super::error::ApiError;
use super::invoice_path::InvoicePath;
use super::refusals::{Verb, refused};
use super::view::Preauthorization;
use crate::preauth::Refusal;

/// Get preauthorization details
///
/// The current state and details of a preauthorization, its settlement and its transactions included.
#[utoipa::path(
    get, path = "/onchain-preauth/{invoiceId}", operation_id = "getPreauthorization", tag = "Preauthorizations",
    params(("invoiceId" = String, Path, description = "The invoice, percent-encoded", example = "INV-1001")),
    responses(
        (status = 200, description = "Preauthorization details", body = Preauthorization),
    ),
)]
pub async fn get(
    Reader(caller): Reader,
    State(state): State<HttpState>,
    InvoicePath(invoice): InvoicePath,
) -> Result<Json<Preauthorization>, ApiError> {
    match state.preauths.find(&caller.tenant, &invoice).await? {
        Some(snapshot) => Ok(Json(Preauthorization::from(&snapshot))),
        None => Err(refused(Verb::Settle, &Refusal::NotFound)),
    }
}

#[cfg(test)]
mod tests {
    use crate::http::testing::House;
    use crate::model::Scope;

    #[tokio::test]
    async fn a_preauthorization_is_shown_to_its_tenant_only() {
        let house = House::open().await;
        let key = house.key(&[Scope::Read]).await;
        house.store_preauth("Rechnung 7:ü").await;
        let path = "/onchain-preauth/Rechnung%207%3A%C3%BC";
        let answer = house.get(path).header("x-api-key", &key).send().await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body["invoiceId"], "Rechnung 7:ü");
        assert_eq!(answer.body["status"], "PENDING");
        let stranger = house.key_of_another_tenant(&[Scope::Read]).await;
        let answer = house.get(path).header("x-api-key", &stranger).send().await;
        assert_eq!(answer.error().2, "Preauthorization not found");
    }
}
