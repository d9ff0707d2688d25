//! `POST /preauth-terms`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::HttpState;
use super::caller::Opener;
use super::create::CreateRequest;
use super::error::ApiError;
use super::json::JsonBody;
use super::offers::{ApprovalView, ConsentOfferView};
use super::refusals::{Verb, refused};
use super::typed_data::TypedData;
use crate::preauth::OfferedTerms;

/// Terms as they would be locked, and the ways to consent to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OfferedTerms)]
pub struct OfferedTermsView {
    pub invoice_id: String,
    pub sender: String,
    pub receiver: String,
    /// The token.
    pub contract_address: String,
    /// The amount, as it was written.
    pub amount: String,
    /// What would be locked: the amount and your allowed tip, rounded down.
    pub hold_amount: String,
    /// The same in base units of the token, as the contract counts.
    pub hold_base_units: String,
    /// To be repeated as `expiresAt` in the creation.
    #[schema(format = "date-time")]
    pub expires_at: String,
    /// The name on chain, 32 bytes.
    pub preauth_id: String,
    /// The contract that would hold it.
    pub escrow: String,
    pub chain_id: u64,
    /// The same as in the consent of type `eip712`.
    pub typed_data: TypedData,
    /// The transaction by which the payer lets the escrow take the hold: the consent itself, where none is signed.
    pub approval: ApprovalView,
    /// Every way to consent that there is for this token. The payer chooses one.
    pub consents: Vec<ConsentOfferView>,
}

/// What the terms are about, as it was written.
pub(super) struct Written {
    pub invoice_id: String,
    pub sender: String,
    pub receiver: String,
    pub contract_address: String,
    pub amount: String,
}

impl From<CreateRequest> for Written {
    fn from(request: CreateRequest) -> Self {
        let CreateRequest { invoice_id, sender, receiver, contract_address, amount, .. } = request;
        Self { invoice_id, sender, receiver, contract_address, amount }
    }
}

impl OfferedTermsView {
    pub(super) fn new(written: Written, offered: OfferedTerms) -> Self {
        let OfferedTerms { terms, escrow, chain_id, decimals, typed_data, approve_input, consents } = offered;
        Self {
            invoice_id: written.invoice_id,
            sender: written.sender,
            receiver: written.receiver,
            consents: consents
                .into_iter()
                .map(|offer| ConsentOfferView::new(offer, &written.contract_address))
                .collect(),
            approval: ApprovalView::new(&written.contract_address, &approve_input),
            contract_address: written.contract_address,
            amount: written.amount,
            hold_amount: terms.hold.in_tokens(decimals).to_string(),
            hold_base_units: terms.hold.to_string(),
            expires_at: terms.expires_at.to_rfc3339(),
            preauth_id: terms.preauth_id.to_string(),
            escrow: escrow.to_checksum(None),
            chain_id,
            typed_data: TypedData(typed_data),
        }
    }
}

/// Offer terms
///
/// Fixes the terms of a creation without storing anything, so that the payer can sign them.
///
/// The body is that of a creation; `consent` and `settleAt` play no part. `consents` lists the ways in which the payer can
/// consent: those that this token was seen to support. He chooses one, allows what its `approval` says, and signs its
/// typed data; the creation then repeats the same fields with the `expiresAt` of this answer, and `consent` with the same
/// `type` and the signatures. A signature covers the hold, the expiry and the invoice, and is good for that one lock.
#[utoipa::path(
    post, path = "/preauth-terms", operation_id = "offerTerms", tag = "Preauthorizations",
    request_body = CreateRequest,
    responses(
        (status = 200, description = "The terms", body = OfferedTermsView),
    ),
)]
pub async fn offer_terms(
    Opener(caller): Opener,
    State(state): State<HttpState>,
    JsonBody(request): JsonBody<CreateRequest>,
) -> Result<Json<OfferedTermsView>, ApiError> {
    let creation = request.creation()?;
    match state.preauths.offer_terms(&caller.tenant, creation).await? {
        Ok(offered) => Ok(Json(OfferedTermsView::new(request.into(), offered))),
        Err(refusal) => Err(refused(Verb::Create, &refusal)),
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, B256};
    use serde_json::json;

    use super::*;
    use crate::http::testing::House;
    use crate::model::{BaseUnits, ChainTime, Scope, Terms};

    #[test]
    fn terms_are_shown_as_they_were_asked_for() {
        let request = json!({
            "invoiceId": "INV-1", "sender": "0xaa", "receiver": "0xbb", "amount": "100.0", "contractAddress": "0xcc",
        });
        let terms = Terms {
            sender: Address::repeat_byte(1),
            receiver: Address::repeat_byte(2),
            token: Address::repeat_byte(3),
            hold: BaseUnits::new(110_000_000).unwrap(),
            expires_at: ChainTime(1_774_872_000),
            preauth_id: B256::repeat_byte(7),
        };
        let escrow = Address::repeat_byte(9);
        let offered = OfferedTerms {
            terms,
            escrow,
            chain_id: 31_337,
            decimals: 6,
            typed_data: terms.typed_data(31_337, escrow),
            approve_input: vec![9, 8].into(),
            consents: Vec::new(),
        };
        let view =
            OfferedTermsView::new(serde_json::from_value::<CreateRequest>(request).unwrap().into(), offered);
        let shown = serde_json::to_value(view).unwrap();
        assert_eq!((&shown["amount"], &shown["holdAmount"]), (&"100.0".into(), &"110".into()));
        assert_eq!(shown["holdBaseUnits"], "110000000");
        assert_eq!(shown["expiresAt"], "2026-03-30T12:00:00.000Z");
        assert_eq!(shown["approval"], json!({"to": "0xcc", "data": "0x0908"}));
        assert_eq!(shown["typedData"]["primaryType"], "Terms");
        assert_eq!(shown["consents"], json!([]));
    }

    #[tokio::test]
    async fn the_body_is_checked_as_that_of_a_creation() {
        let house = House::open().await;
        let key = house.key(&Scope::ALL).await;
        let answer =
            house.post("/preauth-terms", r#"{"invoiceId":7}"#).header("x-api-key", &key).send().await;
        assert_eq!(answer.error(), (400, "onchain", "invoiceId must be a string", "invalid_field"));
    }
}
