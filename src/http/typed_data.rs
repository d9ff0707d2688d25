//! Typed data in answers, for `eth_signTypedData_v4`.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;
use utoipa::openapi::schema::{AdditionalProperties, ArrayBuilder, Schema, Type};
use utoipa::openapi::{ObjectBuilder, RefOr};
use utoipa::{PartialSchema, ToSchema};

/// Typed data as wallets take it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct TypedData(pub Value);

impl ToSchema for TypedData {
    fn name() -> Cow<'static, str> {
        "TypedData".into()
    }
}

impl PartialSchema for TypedData {
    fn schema() -> RefOr<Schema> {
        let free = |description: &str| {
            ObjectBuilder::new()
                .schema_type(Type::Object)
                .additional_properties(Some(AdditionalProperties::FreeForm(true)))
                .description(Some(description))
        };
        let word = || ObjectBuilder::new().schema_type(Type::String);
        let member = ObjectBuilder::new()
            .property("name", word())
            .required("name")
            .property("type", word())
            .required("type");
        let types = ObjectBuilder::new()
            .schema_type(Type::Object)
            .additional_properties(Some(ArrayBuilder::new().items(member)))
            .description(Some("The members of each struct, `EIP712Domain` among them."));
        let typed_data = ObjectBuilder::new()
            .description(Some("EIP-712 typed data, to be handed to `eth_signTypedData_v4` as it is."))
            .property("types", types)
            .required("types")
            .property("primaryType", word())
            .required("primaryType")
            .property("domain", free("Whose signature it is: of the escrow, the token or Permit2."))
            .required("domain")
            .property("message", free("What is signed. Large numbers are decimal strings."))
            .required("message");
        typed_data.build().into()
    }
}
