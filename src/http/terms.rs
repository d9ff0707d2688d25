//! `POST /preauth-terms`.

use std::borrow::Cow;

use alloy::primitives::Bytes;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::openapi::schema::{Schema, Type};
use utoipa::openapi::{ObjectBuilder, OneOfBuilder, Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::HttpState;
use super::caller::Opener;
use super::consent::{Form, one_form_of};
use super::create::CreateRequest;
use super::error::ApiError;
use super::json::JsonBody;
use super::refusals::{Verb, refused};
use crate::model::ConsentKind;
use crate::preauth::{ConsentOffer, OfferedTerms};

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
    #[schema(value_type = Object)]
    pub typed_data: Value,
    /// The transaction by which the payer lets the escrow take the hold: the consent itself, where none is signed.
    pub approval: ApprovalView,
    /// Every way to consent that there is for this token. The payer chooses one.
    pub consents: Vec<ConsentOfferView>,
}

/// A call of the token's `approve`, to be sent by the payer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Approval)]
pub struct ApprovalView {
    /// The token.
    pub to: String,
    /// The call's input.
    pub data: String,
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
            typed_data,
        }
    }
}

/// A way to consent: what the payer signs with `eth_signTypedData_v4`, what goes into the creation's `consent` beside
/// the signatures, and what has to be allowed first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase", rename_all_fields = "camelCase")]
pub enum ConsentOfferView {
    Eip712 { typed_data: Value, approval: Option<ApprovalView> },
    Erc2612 { typed_data: Value, permit_typed_data: Value, approval: Option<ApprovalView> },
    Erc3009 { typed_data: Value, approval: Option<ApprovalView> },
    Permit2 { typed_data: Value, nonce: String, approval: Option<ApprovalView> },
}

impl ApprovalView {
    fn new(token: &str, input: &Bytes) -> Self {
        Self { to: token.to_owned(), data: input.to_string() }
    }
}

impl ConsentOfferView {
    /// `token` as the client wrote it.
    fn new(offer: ConsentOffer, token: &str) -> Self {
        let approval = |input: Option<Bytes>| input.map(|input| ApprovalView::new(token, &input));
        match offer {
            ConsentOffer::Eip712 { terms, approve_input } => {
                Self::Eip712 { typed_data: terms, approval: approval(approve_input) }
            }
            ConsentOffer::Erc2612 { terms, permit } => {
                Self::Erc2612 { typed_data: terms, permit_typed_data: permit, approval: None }
            }
            ConsentOffer::Erc3009 { authorization } => {
                Self::Erc3009 { typed_data: authorization, approval: None }
            }
            ConsentOffer::Permit2 { transfer, nonce, approve_input } => Self::Permit2 {
                typed_data: transfer,
                nonce: nonce.to_string(),
                approval: approval(approve_input),
            },
        }
    }
}

impl ToSchema for ConsentOfferView {
    fn name() -> Cow<'static, str> {
        OFFER.into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.extend(offers().map(|form| form.named(OFFER)));
    }
}

impl PartialSchema for ConsentOfferView {
    fn schema() -> RefOr<Schema> {
        one_form_of(OFFER, "A way to consent. Its `type` is that of the creation's `consent`.")
    }
}

/// What the names of the offers' schemas end with.
const OFFER: &str = "ConsentOffer";

fn offers() -> impl Iterator<Item = Form> {
    let typed_data = |of: &str| {
        let description = format!("{of}. For `eth_signTypedData_v4`.");
        ObjectBuilder::new().schema_type(Type::Object).description(Some(description))
    };
    let approval = |what: &str| {
        OneOfBuilder::new()
            .description(Some(what))
            .item(ObjectBuilder::new().schema_type(Type::Null))
            .item(Ref::from_schema_name(ApprovalView::name()))
    };
    let none = "Always null: nothing has to be allowed first.";
    ConsentKind::ALL.into_iter().map(move |kind| match kind {
        ConsentKind::Eip712 => Form::new(kind, "The terms are signed, and the escrow is allowed to take the hold.")
            .field("typedData", typed_data("The terms"))
            .field("approval", approval("The transaction that has to come first. Null where the allowance suffices.")),
        ConsentKind::Erc2612 => Form::new(kind, "The terms and a permit of the token are signed.")
            .field("typedData", typed_data("The terms, for `signature`"))
            .field("permitTypedData", typed_data("The permit, for `permitSignature`"))
            .field("approval", approval(none)),
        ConsentKind::Erc3009 => Form::new(kind, "One signature: a transfer to the escrow, bound to the terms by its nonce.")
            .field("typedData", typed_data("The transfer"))
            .field("approval", approval(none)),
        ConsentKind::Permit2 => {
            let nonce = ObjectBuilder::new()
                .schema_type(Type::String)
                .description(Some("For `nonce` of the creation's `consent`: 32 bytes."));
            Form::new(kind, "One signature: a transfer by Permit2, with the terms as its witness.")
                .field("typedData", typed_data("The transfer"))
                .field("nonce", nonce)
                .field(
                    "approval",
                    approval("The transaction that allows Permit2, once for all. Null where its allowance suffices."),
                )
        }
    })
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
    use std::collections::BTreeSet;

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
            consents: vec![
                ConsentOffer::Eip712 { terms: json!(1), approve_input: Some(vec![7].into()) },
                ConsentOffer::Erc2612 { terms: json!(1), permit: json!(2) },
                ConsentOffer::Erc3009 { authorization: json!(3) },
                ConsentOffer::Permit2 {
                    transfer: json!(4),
                    nonce: B256::repeat_byte(7),
                    approve_input: None,
                },
            ],
        };
        let view =
            OfferedTermsView::new(serde_json::from_value::<CreateRequest>(request).unwrap().into(), offered);
        let shown = serde_json::to_value(view).unwrap();
        assert_eq!((&shown["amount"], &shown["holdAmount"]), (&"100.0".into(), &"110".into()));
        assert_eq!(shown["holdBaseUnits"], "110000000");
        assert_eq!(shown["expiresAt"], "2026-03-30T12:00:00.000Z");
        assert_eq!(shown["approval"], json!({"to": "0xcc", "data": "0x0908"}));
        assert_eq!(shown["typedData"]["primaryType"], "Terms");
        assert_eq!(
            shown["consents"],
            json!([
                {"type": "eip712", "typedData": 1, "approval": {"to": "0xcc", "data": "0x07"}},
                {"type": "erc2612", "typedData": 1, "permitTypedData": 2, "approval": null},
                {"type": "erc3009", "typedData": 3, "approval": null},
                {"type": "permit2", "typedData": 4, "nonce": format!("0x{}", "07".repeat(32)), "approval": null},
            ])
        );
        for (offer, form) in shown["consents"].as_array().unwrap().iter().zip(offers()) {
            let (_, form) = form.named("");
            let form = serde_json::to_value(form).unwrap();
            let shown: BTreeSet<_> = offer.as_object().unwrap().keys().collect();
            assert_eq!(shown, form["properties"].as_object().unwrap().keys().collect::<BTreeSet<_>>());
            assert_eq!(offer["type"], form["properties"]["type"]["enum"][0]);
        }
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
