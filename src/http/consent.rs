//! A payer's consent in the body of a creation, and the schemas of what has a form for each kind of consent.

use std::borrow::Cow;

use serde::Deserialize;
use utoipa::openapi::schema::{AdditionalProperties, Discriminator, Schema, Type};
use utoipa::openapi::{ObjectBuilder, OneOfBuilder, Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::shape::{self, Shape};
use crate::model::{Consent, ConsentKind};

/// A consent as it came. Which fields there are depends on `type`; the schema has a form for each.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConsentBody {
    #[serde(rename = "type")]
    pub kind: String,
    pub signature: String,
    pub permit_signature: Option<String>,
    pub nonce: Option<String>,
}

impl ConsentBody {
    /// Reads the form that `type` names; what is wrong with it is noted in `shape`.
    pub fn read(&self, shape: &mut Shape) -> Option<Consent> {
        let kind = ConsentKind::parse(&self.kind).ok_or("must be eip712, erc2612, erc3009 or permit2");
        let kind = shape.read("consent.type", kind);
        let signature = shape.read("consent.signature", shape::signature(&self.signature));
        let mut own = |field: &str, text: Option<&String>, of: ConsentKind| match (text, kind? == of) {
            (None, true) => shape.read(field, Err("is missing")),
            (Some(_), false) => shape.read(field, Err("is not known here")),
            (text, _) => Some(text.cloned()),
        };
        let permit_signature =
            own("consent.permitSignature", self.permit_signature.as_ref(), ConsentKind::Erc2612)?;
        let nonce = own("consent.nonce", self.nonce.as_ref(), ConsentKind::Permit2)?;
        let permit_signature = permit_signature.map(|text| shape::signature(&text));
        let permit_signature = shape.read_optional("consent.permitSignature", permit_signature)?;
        let nonce = shape.read_optional("consent.nonce", nonce.map(|text| shape::word(&text)))?;
        let signature = signature?;
        Some(match kind? {
            ConsentKind::Eip712 => Consent::Eip712 { signature },
            ConsentKind::Erc2612 => Consent::Erc2612 { permit_signature: permit_signature?, signature },
            ConsentKind::Erc3009 => Consent::Erc3009 { signature },
            ConsentKind::Permit2 => Consent::Permit2 { nonce: nonce?, signature },
        })
    }
}

impl ToSchema for ConsentBody {
    fn name() -> Cow<'static, str> {
        "Consent".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.extend(forms().map(|form| form.closed().named("Consent")));
    }
}

impl PartialSchema for ConsentBody {
    fn schema() -> RefOr<Schema> {
        one_form_of("Consent", "A payer's consent, in one of the kinds that `POST /preauth-terms` offers.")
    }
}

fn forms() -> impl Iterator<Item = Form> {
    let signature = |over: &str| {
        let description = format!(
            "Over {over}: what `eth_signTypedData_v4` returned. ECDSA in 65 bytes, what a contract wallet accepts \
             by ERC-1271, or, while that is not deployed yet, the same wrapped by ERC-6492."
        );
        let pattern = Some("^0x([0-9a-fA-F]{2}){1,4096}$");
        ObjectBuilder::new().schema_type(Type::String).pattern(pattern).description(Some(description))
    };
    ConsentKind::ALL.into_iter().map(move |kind| match kind {
        ConsentKind::Eip712 => {
            Form::new(kind, "A signature over the terms. The payer's allowance is needed as well.")
                .field("signature", signature("`typedData`"))
        }
        ConsentKind::Erc2612 => {
            Form::new(kind, "A permit of the token in place of the allowance, and the terms.")
                .field("signature", signature("`typedData`"))
                .field("permitSignature", signature("`permitTypedData`"))
        }
        ConsentKind::Erc3009 => {
            Form::new(kind, "One signature that the token takes. No allowance is needed.")
                .field("signature", signature("`typedData`"))
        }
        ConsentKind::Permit2 => {
            let nonce = ObjectBuilder::new()
                .schema_type(Type::String)
                .pattern(Some("^0x[0-9a-fA-F]{64}$"))
                .description(Some(
                    "The `nonce` that was offered, or another one that is part of what was signed.",
                ));
            Form::new(
                kind,
                "One signature that Permit2 takes. Permit2 needs an allowance of the payer, once.",
            )
            .field("signature", signature("`typedData`"))
            .field("nonce", nonce)
        }
    })
}

/// The form that belongs to one kind of consent: an object whose `type` names the kind.
pub struct Form {
    kind: ConsentKind,
    object: ObjectBuilder,
}

impl Form {
    #[must_use]
    pub fn new(kind: ConsentKind, description: &str) -> Self {
        let tag = ObjectBuilder::new().schema_type(Type::String).enum_values(Some([kind.as_str()])).build();
        let object =
            ObjectBuilder::new().description(Some(description)).property("type", tag).required("type");
        Self { kind, object }
    }

    /// Adds a field that is always there.
    #[must_use]
    pub fn field(self, name: &str, schema: impl Into<RefOr<Schema>>) -> Self {
        Self { kind: self.kind, object: self.object.property(name, schema).required(name) }
    }

    /// Refuses fields that were not added, as a request is read.
    #[must_use]
    pub fn closed(self) -> Self {
        let nothing = AdditionalProperties::FreeForm(false);
        Self { kind: self.kind, object: self.object.additional_properties(Some(nothing)) }
    }

    /// The schema with its name, which ends with `suffix`.
    #[must_use]
    pub fn named(self, suffix: &str) -> (String, RefOr<Schema>) {
        (form_name(self.kind, suffix), self.object.build().into())
    }
}

/// The schema of an object that has the form its `type` names.
#[must_use]
pub fn one_form_of(suffix: &str, description: &str) -> RefOr<Schema> {
    let name = |kind: ConsentKind| form_name(kind, suffix);
    let mapping =
        ConsentKind::ALL.map(|kind| (kind.as_str(), Ref::from_schema_name(name(kind)).ref_location));
    let forms = OneOfBuilder::new()
        .description(Some(description))
        .discriminator(Some(Discriminator::with_mapping("type", mapping)));
    let forms = ConsentKind::ALL
        .into_iter()
        .fold(forms, |forms, kind| forms.item(Ref::from_schema_name(name(kind))))
        .build();
    RefOr::T(Schema::OneOf(forms))
}

fn form_name(kind: ConsentKind, suffix: &str) -> String {
    let kind = match kind {
        ConsentKind::Eip712 => "Eip712",
        ConsentKind::Erc2612 => "Erc2612",
        ConsentKind::Erc3009 => "Erc3009",
        ConsentKind::Permit2 => "Permit2",
    };
    format!("{kind}{suffix}")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The consent, or the messages that name what is wrong.
    fn read(body: Value) -> Result<Consent, Vec<String>> {
        let mut shape = Shape::of_body();
        let body: ConsentBody = serde_json::from_value(body).unwrap();
        body.read(&mut shape)
            .ok_or_else(|| shape.refused().items().iter().map(|item| item.message.clone()).collect())
    }

    #[test]
    fn every_kind_is_read() {
        let nonce = format!("0x{}", "07".repeat(32));
        let signature = alloy::primitives::Bytes::from_static(&[1, 2]);
        let cases = [
            (
                json!({"type": "eip712", "signature": "0x0102"}),
                Consent::Eip712 { signature: signature.clone() },
            ),
            (
                json!({"type": "erc2612", "signature": "0x0102", "permitSignature": "0x03"}),
                Consent::Erc2612 { permit_signature: vec![3].into(), signature: signature.clone() },
            ),
            (
                json!({"type": "erc3009", "signature": "0x0102"}),
                Consent::Erc3009 { signature: signature.clone() },
            ),
            (
                json!({"type": "permit2", "signature": "0x0102", "nonce": nonce}),
                Consent::Permit2 { nonce: nonce.parse().unwrap(), signature },
            ),
        ];
        for (body, consent) in cases {
            assert_eq!(read(body.clone()), Ok(consent), "{body}");
        }
    }

    #[test]
    fn each_field_has_its_kind() {
        let cases = [
            (
                json!({"type": "permit", "signature": "0x00"}),
                "consent.type must be eip712, erc2612, erc3009 or permit2",
            ),
            (json!({"type": "erc2612", "signature": "0x00"}), "consent.permitSignature is missing"),
            (json!({"type": "permit2", "signature": "0x00"}), "consent.nonce is missing"),
            (
                json!({"type": "erc3009", "signature": "0x00", "permitSignature": "0x00"}),
                "consent.permitSignature is not known here",
            ),
            (
                json!({"type": "eip712", "signature": "0x00", "nonce": "0x00"}),
                "consent.nonce is not known here",
            ),
            (
                json!({"type": "permit2", "signature": "0x00", "nonce": "0x00"}),
                "consent.nonce must be 0x followed by 64 hexadecimal digits",
            ),
            (
                json!({"type": "erc2612", "signature": "0x00", "permitSignature": "00"}),
                "consent.permitSignature must be 0x followed by pairs of hexadecimal digits",
            ),
            (json!({"type": "erc3009", "signature": "0x"}), "consent.signature must have 1 to 4096 bytes"),
        ];
        for (body, message) in cases {
            assert_eq!(read(body.clone()), Err(vec![message.to_owned()]), "{body}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_at_once() {
        let wrong = read(json!({"type": "erc2612", "signature": "no"})).unwrap_err();
        assert_eq!(wrong.len(), 2, "{wrong:?}");
    }

    #[test]
    fn the_schema_has_the_form_of_each_kind() {
        let Value::Object(schema) = serde_json::to_value(ConsentBody::schema()).unwrap() else { panic!() };
        assert_eq!(schema["discriminator"]["propertyName"], "type");
        let mut named = Vec::new();
        ConsentBody::schemas(&mut named);
        for kind in ConsentKind::ALL {
            let target = schema["discriminator"]["mapping"][kind.as_str()].as_str().unwrap();
            assert!(schema["oneOf"].as_array().unwrap().contains(&json!({ "$ref": target })));
            let (_, form) = named.iter().find(|(name, _)| target.ends_with(&format!("/{name}"))).unwrap();
            let form = serde_json::to_value(form).unwrap();
            // A body with the form's fields, and with no other, is one of this kind.
            let value = |field: &str| match field {
                "type" => kind.as_str().to_owned(),
                "nonce" => format!("0x{}", "00".repeat(32)),
                _ => "0x00".to_owned(),
            };
            let body: Value = form["required"]
                .as_array()
                .unwrap()
                .iter()
                .map(|field| field.as_str().unwrap())
                .map(|field| (field.to_owned(), json!(value(field))))
                .collect::<serde_json::Map<_, _>>()
                .into();
            assert_eq!(form["properties"]["type"]["enum"], json!([kind.as_str()]));
            assert_eq!(read(body).unwrap().kind(), kind);
        }
    }
}
