//! `POST /onchain-preauth`.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;

use super::HttpState;
use super::caller::Opener;
use super::consent::ConsentBody;
use super::error::ApiError;
use super::idempotency::UnderKey;
use super::invoice_path::path_of;
use super::json::{JsonBody, Object};
use super::patience::Patience;
use super::refusals::Verb;
use super::shape::{self, Shape};
use super::view::CreatedPreauthorization;
use crate::model::{Account, InvoiceId};
use crate::preauth::NewAuthorization;

/// A creation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({
    "invoiceId": "INV-2026",
    "sender": "0x41c528683845350e9bfc937e0f6c72bc999b5cdc",
    "receiver": "0xaec528683845350e9bfc937e0f6c72bc999b5123",
    "amount": "150.75",
    "contractAddress": "0x9f8f72aa9304c8b593d555f12ef6589cc3a579a2",
    "expiresAt": "2026-03-30T12:00:00Z"
}))]
pub struct CreateRequest {
    /// Your own name for it, unique among your preauthorizations for ever. 1 to 128 characters without control
    /// characters, `/`, `\`, `%`, `?`, `#`, spaces at the ends, and neither `.` nor `..`.
    #[schema(
        min_length = 1,
        max_length = 128,
        pattern = r"^(?!\.{1,2}$)(?!\s)[^/\\%?#\x00-\x1f\x7f-\x9f]+(?<!\s)$"
    )]
    pub invoice_id: String,
    /// The wallet whose tokens are locked. Lower case, upper case or with its EIP-55 checksum.
    #[schema(format = "address", pattern = "^0x(?!0{40}$)[0-9a-fA-F]{40}$")]
    pub sender: String,
    /// The wallet that is paid at settlement.
    #[schema(format = "address", pattern = "^0x(?!0{40}$)[0-9a-fA-F]{40}$")]
    pub receiver: String,
    /// The most that is to be settled, in whole tokens: plain decimal digits, no more decimals than the token has.
    #[schema(pattern = r"^[0-9]+(\.[0-9]+)?$")]
    pub amount: String,
    /// The token, an ERC-20 contract.
    #[schema(format = "address", pattern = "^0x(?!0{40}$)[0-9a-fA-F]{40}$")]
    pub contract_address: String,
    /// RFC 3339 with a zone, 60 seconds to 30 days ahead by the chain's clock. Default: your default time to live
    /// (24 hours unless changed) from now.
    #[schema(format = "date-time")]
    pub expires_at: Option<String>,
    /// Settles the full amount at this time, which must be before the expiry. RFC 3339 with a zone.
    #[schema(format = "date-time")]
    pub settle_at: Option<String>,
    /// What the payer signed of the terms of `POST /preauth-terms`. Without it, the payer's ERC-20 allowance is the
    /// consent. With it, `expiresAt` must repeat the terms' expiry.
    #[schema(value_type = Option<ConsentBody>)]
    pub consent: Option<Object<ConsentBody>>,
}

impl CreateRequest {
    /// Checks the shape of every field.
    ///
    /// # Errors
    /// An error for each field that is malformed.
    pub fn creation(&self) -> Result<NewAuthorization, ApiError> {
        let mut shape = Shape::of_body();
        let invoice = shape.read("invoiceId", InvoiceId::parse(&self.invoice_id));
        let sender = shape.read("sender", Account::parse(&self.sender));
        let receiver = shape.read("receiver", Account::parse(&self.receiver));
        let token = shape.read("contractAddress", Account::parse(&self.contract_address));
        let amount = shape.read("amount", shape::amount(&self.amount));
        let consent = match &self.consent {
            Some(Object(consent)) => consent.read(&mut shape).map(Some),
            None => Some(None),
        };
        match (invoice, sender, receiver, token, amount, consent) {
            (Some(invoice), Some(sender), Some(receiver), Some(token), Some(amount), Some(consent)) => {
                Ok(NewAuthorization {
                    invoice,
                    sender,
                    receiver,
                    token,
                    amount,
                    expires_at: shape::requested_time(self.expires_at.as_deref()),
                    settle_at: shape::requested_time(self.settle_at.as_deref()),
                    consent,
                })
            }
            _ => Err(shape.refused()),
        }
    }
}

/// Create preauthorization
///
/// Locks tokens of the sender for a later settlement, and answers when the lock is on chain.
///
/// The answer is 201 with `AUTHORIZED` once the hold is locked. When that takes longer than the daemon's time-out (30
/// seconds unless configured), or at once with the header `Prefer: respond-async`, it is 202 with `PENDING`: the
/// preauthorization is durably accepted, and `GET /onchain-preauth/{invoiceId}` tells its outcome. A time-out is never
/// reported as a failure.
///
/// Checks run in this order: the form of every field, the amount, sender against receiver, the token, the expiry, your
/// rules, the kind of consent (all 400); the wallets (404); the invoice id (409); contract, allowance and balance on
/// chain (500). A consent that is not the sender's is found on chain and answered with 400.
///
/// Every refusal leaves the invoice id free, so the corrected request can be sent again, with one exception: code
/// `lock_failed` means that it was accepted and the lock then failed on chain. It is `REJECTED`, and its invoice id is
/// used up. A request whose answer was lost can be repeated: `Invoice already exists` then says that it arrived.
///
/// A rule that refuses is named by `detail`, and its reason is in the message: limits, and expressions of your operator's own.
///
/// The hold is the amount plus your allowed tip, so the sender's allowance and balance must cover both.
#[utoipa::path(
    post, path = "/onchain-preauth", operation_id = "createPreauthorization", tag = "Preauthorizations",
    params(("Prefer" = Option<String>, Header, description = "`respond-async`: do not wait for the chain")),
    request_body = CreateRequest,
    responses(
        (status = 201, description = "Locked", body = CreatedPreauthorization,
            headers(("Location" = String, description = "The preauthorization's path"))),
        (status = 202, description = "Accepted; the lock is still to come", body = CreatedPreauthorization,
            headers(("Location" = String, description = "The preauthorization's path"))),
    ),
)]
pub async fn create(
    Opener(caller): Opener,
    State(state): State<HttpState>,
    UnderKey(once): UnderKey,
    patience: Patience,
    JsonBody(request): JsonBody<CreateRequest>,
) -> Result<Response, ApiError> {
    let creation = request.creation()?;
    let path = path_of(&creation.invoice);
    let ending = state.preauths.under(once).authorize(&caller.tenant, creation, patience.0).await?;
    let show = |snapshot: &_| CreatedPreauthorization::from(snapshot);
    let mut answer = patience.answer(Verb::Create, ending, StatusCode::CREATED, show)?;
    if let Ok(path) = HeaderValue::from_str(&path) {
        answer.headers_mut().insert(header::LOCATION, path);
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::http::testing::House;
    use crate::model::{Consent, Scope};
    use crate::preauth::RequestedTime;

    fn good() -> Value {
        json!({
            "invoiceId": "INV-2026",
            "sender": "0x41c528683845350e9bfc937e0f6c72bc999b5cdc",
            "receiver": "0xaec528683845350e9bfc937e0f6c72bc999b5123",
            "amount": "150.75",
            "contractAddress": "0x9f8f72aa9304c8b593d555f12ef6589cc3a579a2",
            "expiresAt": "2026-03-30T12:00:00Z",
        })
    }

    fn with(field: &str, value: Value) -> Value {
        let mut body = good();
        body[field] = value;
        body
    }

    fn read(body: Value) -> Result<NewAuthorization, ApiError> {
        serde_json::from_value::<CreateRequest>(body).unwrap().creation()
    }

    #[test]
    fn a_good_body_becomes_a_creation() {
        let creation = read(with("consent", json!({"type": "eip712", "signature": "0x0102"}))).unwrap();
        assert_eq!(creation.invoice.as_str(), "INV-2026");
        assert_eq!(creation.sender.written(), "0x41c528683845350e9bfc937e0f6c72bc999b5cdc");
        assert_eq!(creation.amount.to_string(), "150.75");
        assert!(matches!(creation.expires_at, RequestedTime::At(_)));
        assert_eq!(creation.settle_at, RequestedTime::Absent);
        assert_eq!(creation.consent, Some(Consent::Eip712 { signature: vec![1, 2].into() }));
    }

    #[test]
    fn times_and_negative_amounts_are_judged_later() {
        let creation = read(with("expiresAt", json!("tomorrow"))).unwrap();
        assert_eq!(creation.expires_at, RequestedTime::Malformed);
        let creation = read(with("settleAt", json!("2026-03-28T12:00:00"))).unwrap();
        assert_eq!(creation.settle_at, RequestedTime::Malformed);
        assert!(read(with("amount", json!("-1"))).unwrap().amount.is_zero());
    }

    #[tokio::test]
    async fn each_malformed_field_is_named_and_nothing_is_stored() {
        let house = House::open().await;
        let key = house.key(&Scope::ALL).await;
        let too_large = format!("1{}", "0".repeat(40));
        let mut cases = vec![
            ("expiresAt", json!(1_774_872_000)),
            ("settleAt", json!({})),
            ("consent", json!("0x00")),
            ("consent", json!({"type": "permit", "signature": "0x00"})),
            ("consent", json!({"type": "eip712", "signature": "00"})),
            ("consent", json!({"type": "eip712"})),
            ("consent", json!({"type": "erc2612", "signature": "0x00"})),
            ("consent", json!({"type": "permit2", "signature": "0x00", "nonce": "0x01"})),
            ("consent", json!({"type": "eip712", "signature": "0x00", "kind": 1})),
            ("tip", json!("1")),
        ];
        let amounts = ["", "1e3", "+1", " 1", ".5", "1.", "１", "0x1", "1_000", "NaN", &too_large];
        cases.extend(amounts.map(|text| ("amount", json!(text))));
        cases.extend([json!(150.75), json!(150), json!(null), json!(["1"])].map(|value| ("amount", value)));
        let invoices = ["", "a/b", "a%2Fb", "a\u{0}", "a\n", ".", "..", " a", &"x".repeat(129)];
        cases.extend(invoices.map(|text| ("invoiceId", json!(text))));
        let zero = format!("0x{}", "0".repeat(40));
        let addresses = ["", "0x", "41c528683845350e9bfc937e0f6c72bc999b5cdc", &zero]
            .map(String::from)
            .into_iter()
            .chain(
                ["0x41c528683845350e9bfc937e0f6c72bc999b5cdg", "0x41C528683845350e9bfc937e0f6c72bc999b5cdc"]
                    .map(String::from),
            );
        for address in addresses {
            cases.extend(["sender", "receiver", "contractAddress"].map(|field| (field, json!(address))));
        }
        for (field, value) in cases {
            let body = with(field, value).to_string();
            let answer = house.post("/onchain-preauth", &body).header("x-api-key", &key).send().await;
            assert_eq!(answer.status, 400, "{body}");
            let error = &answer.body["errors"][0];
            assert_eq!(
                (&error["type"], &error["code"]),
                (&"onchain".into(), &"invalid_field".into()),
                "{body}"
            );
            assert!(error["message"].as_str().unwrap().starts_with(field), "{body} {error}");
            assert!(error["field"].as_str().unwrap().starts_with(field), "{body} {error}");
        }
        for field in ["invoiceId", "sender", "receiver", "amount", "contractAddress"] {
            let mut body = good();
            body.as_object_mut().unwrap().remove(field);
            let answer =
                house.post("/onchain-preauth", &body.to_string()).header("x-api-key", &key).send().await;
            assert_eq!(answer.error(), (400, "onchain", &*format!("{field} is missing"), "invalid_field"));
        }
        assert_eq!(
            house.get("/onchain-preauth").header("x-api-key", &key).send().await.body["data"],
            json!([])
        );
    }

    #[test]
    fn all_malformed_fields_are_named_at_once() {
        let mut body = good();
        for field in ["invoiceId", "sender", "receiver", "amount", "contractAddress"] {
            body[field] = json!("%");
        }
        let error = read(body).unwrap_err();
        let fields: Vec<_> = error.items().iter().filter_map(|item| item.field.as_deref()).collect();
        assert_eq!(fields, ["invoiceId", "sender", "receiver", "contractAddress", "amount"]);
    }

    #[tokio::test]
    async fn only_json_is_taken() {
        let house = House::open().await;
        let key = house.key(&Scope::ALL).await;
        let plain = house.post("/onchain-preauth", &good().to_string()).header("x-api-key", &key);
        let answer = plain.header("content-type", "text/plain").send().await;
        assert_eq!((answer.status, answer.code()), (415, "unsupported_media_type"));
        let answer = house.post("/onchain-preauth", "{").header("x-api-key", &key).send().await;
        assert_eq!((answer.status, answer.code()), (400, "malformed_json"));
        let large = format!("{{\"invoiceId\":\"{}\"}}", "x".repeat(70_000));
        let answer = house.post("/onchain-preauth", &large).header("x-api-key", &key).send().await;
        assert_eq!((answer.status, answer.code()), (413, "body_too_large"));
    }
}
