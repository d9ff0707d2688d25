//! The ways to consent, as they are offered.

use std::borrow::Cow;

use alloy::primitives::Bytes;
use serde::Serialize;
use utoipa::openapi::schema::{RefBuilder, Schema, Type};
use utoipa::openapi::{ObjectBuilder, OneOfBuilder, Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::consent::{Form, one_form_of};
use super::typed_data::TypedData;
use crate::model::ConsentKind;
use crate::preauth::ConsentOffer;

/// A call of the token's `approve`, to be sent by the payer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Approval)]
pub struct ApprovalView {
    /// The token.
    pub to: String,
    /// The call's input.
    pub data: String,
}

/// A way to consent: what the payer signs with `eth_signTypedData_v4`, what goes into the creation's `consent` beside
/// the signatures, and what has to be allowed first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase", rename_all_fields = "camelCase")]
pub enum ConsentOfferView {
    Eip712 { typed_data: TypedData, approval: Option<ApprovalView> },
    Erc2612 { typed_data: TypedData, permit_typed_data: TypedData, approval: Option<ApprovalView> },
    Erc3009 { typed_data: TypedData, approval: Option<ApprovalView> },
    Permit2 { typed_data: TypedData, nonce: String, approval: Option<ApprovalView> },
}

impl ApprovalView {
    /// `token` as the client wrote it.
    pub fn new(token: &str, input: &Bytes) -> Self {
        Self { to: token.to_owned(), data: input.to_string() }
    }
}

impl ConsentOfferView {
    /// `token` as the client wrote it.
    pub fn new(offer: ConsentOffer, token: &str) -> Self {
        let approval = |input: Option<Bytes>| input.map(|input| ApprovalView::new(token, &input));
        match offer {
            ConsentOffer::Eip712 { terms, approve_input } => {
                Self::Eip712 { typed_data: TypedData(terms), approval: approval(approve_input) }
            }
            ConsentOffer::Erc2612 { terms, permit } => Self::Erc2612 {
                typed_data: TypedData(terms),
                permit_typed_data: TypedData(permit),
                approval: None,
            },
            ConsentOffer::Erc3009 { authorization } => {
                Self::Erc3009 { typed_data: TypedData(authorization), approval: None }
            }
            ConsentOffer::Permit2 { transfer, nonce, approve_input } => Self::Permit2 {
                typed_data: TypedData(transfer),
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
        let reference = RefBuilder::new().ref_location_from_schema_name(TypedData::name());
        reference.description(Some(of)).build()
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use alloy::primitives::B256;
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_is_shown_in_its_form() {
        let offered = vec![
            ConsentOffer::Eip712 { terms: json!(1), approve_input: Some(vec![7].into()) },
            ConsentOffer::Erc2612 { terms: json!(1), permit: json!(2) },
            ConsentOffer::Erc3009 { authorization: json!(3) },
            ConsentOffer::Permit2 { transfer: json!(4), nonce: B256::repeat_byte(7), approve_input: None },
        ];
        let shown: Vec<_> = offered.into_iter().map(|offer| ConsentOfferView::new(offer, "0xcc")).collect();
        let shown = serde_json::to_value(shown).unwrap();
        assert_eq!(
            shown,
            json!([
                {"type": "eip712", "typedData": 1, "approval": {"to": "0xcc", "data": "0x07"}},
                {"type": "erc2612", "typedData": 1, "permitTypedData": 2, "approval": null},
                {"type": "erc3009", "typedData": 3, "approval": null},
                {"type": "permit2", "typedData": 4, "nonce": format!("0x{}", "07".repeat(32)), "approval": null},
            ])
        );
        for (offer, form) in shown.as_array().unwrap().iter().zip(offers()) {
            let (_, form) = form.named("");
            let form = serde_json::to_value(form).unwrap();
            let shown: BTreeSet<_> = offer.as_object().unwrap().keys().collect();
            assert_eq!(shown, form["properties"].as_object().unwrap().keys().collect::<BTreeSet<_>>());
            assert_eq!(offer["type"], form["properties"]["type"]["enum"][0]);
        }
    }
}
