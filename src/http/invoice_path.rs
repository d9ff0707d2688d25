//! The invoice that a path names.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use super::error::ApiError;
use super::refusals::{Verb, refused};
use crate::model::InvoiceId;
use crate::preauth::Refusal;

/// An invoice id from the path, percent-decoded once. What cannot be an invoice id names no preauthorization: 404.
pub struct InvoicePath(pub InvoiceId);

impl<S: Send + Sync> FromRequestParts<S> for InvoicePath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let invoice = named_invoice(parts, state).await;
        invoice.map(Self).ok_or_else(|| refused(Verb::Settle, &Refusal::NotFound))
    }
}

/// The same where the invoice is that of a pay link.
pub struct LinkInvoicePath(pub InvoiceId);

impl<S: Send + Sync> FromRequestParts<S> for LinkInvoicePath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let invoice = named_invoice(parts, state).await;
        invoice.map(Self).ok_or_else(|| refused(Verb::Create, &Refusal::PayLinkNotFound))
    }
}

async fn named_invoice<S: Send + Sync>(parts: &mut Parts, state: &S) -> Option<InvoiceId> {
    let Path(text) = Path::<String>::from_request_parts(parts, state).await.ok()?;
    InvoiceId::parse(&text).ok()
}

/// The path of an invoice, percent-encoded.
#[must_use]
pub fn path_of(invoice: &InvoiceId) -> String {
    let mut path = String::from("/onchain-preauth/");
    for byte in invoice.as_str().bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::House;
    use crate::model::Scope;

    #[test]
    fn a_path_leads_back_to_its_invoice() {
        let path = |text| path_of(&InvoiceId::parse(text).unwrap());
        assert_eq!(path("INV-2026_1.a~b"), "/onchain-preauth/INV-2026_1.a~b");
        assert_eq!(path("Rechnung 7:ü"), "/onchain-preauth/Rechnung%207%3A%C3%BC");
    }

    #[tokio::test]
    async fn no_invoice_can_have_these_names() {
        let house = House::open().await;
        let key = house.key(&Scope::ALL).await;
        let long = "x".repeat(129);
        for segment in ["a%2Fb", "a%252Fb", "%00", "%0A", "%ff", "a%20", &long, "INV-unknown"] {
            for (method, rest, body) in [
                ("GET", "", ""),
                ("POST", "/settle", r#"{"amount":"1"}"#),
                ("POST", "/cancel", ""),
                ("DELETE", "/settle", ""),
            ] {
                if segment == "INV-unknown" && method != "GET" {
                    continue;
                }
                let path = format!("/onchain-preauth/{segment}{rest}");
                let answer = house.request(method, &path, body).header("x-api-key", &key).send().await;
                assert_eq!(
                    answer.error(),
                    (404, "onchain", "Preauthorization not found", "preauthorization_not_found"),
                    "{method} {path}"
                );
            }
        }
    }
}
