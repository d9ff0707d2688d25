//! `POST /pay-links`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use reqwest::Url;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::PayLinkBody;
use crate::http::HttpState;
use crate::http::caller::Opener;
use crate::http::error::ApiError;
use crate::http::idempotency::UnderKey;
use crate::http::json::JsonBody;
use crate::http::refusals::{Verb, refused};
use crate::http::shape::{self, Shape};
use crate::model::{Account, InvoiceId, PayLinkState};
use crate::preauth::NewPayLink;

/// The longest description, in characters: it has to be read on a phone.
const MAX_DESCRIPTION_CHARS: usize = 200;
/// The longest return address, in bytes.
const MAX_URL_BYTES: usize = 2_048;

/// A pay link to be made: a creation without `consent`, which the payer gives.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({
    "invoiceId": "INV-2026-0001",
    "receiver": "0xaec528683845350e9bfc937e0f6c72bc999b5123",
    "amount": "150.75",
    "contractAddress": "0x9f8f72aa9304c8b593d555f12ef6589cc3a579a2",
    "description": "Two nights, room 12",
    "returnUrl": "https://shop.example/orders/2026-0001"
}))]
pub struct PayLinkRequest {
    /// As in a creation.
    #[schema(
        min_length = 1,
        max_length = 128,
        pattern = r"^(?!\.{1,2}$)(?!\s)[^/\\%?#\x00-\x1f\x7f-\x9f]+(?<!\s)$"
    )]
    pub invoice_id: String,
    /// The only wallet that may pay. Default: any. It need not be registered.
    #[schema(format = "address", pattern = "^0x(?!0{40}$)[0-9a-fA-F]{40}$")]
    pub sender: Option<String>,
    /// The wallet that is paid at settlement. It must be registered, as always.
    #[schema(format = "address", pattern = "^0x(?!0{40}$)[0-9a-fA-F]{40}$")]
    pub receiver: String,
    /// The most that is to be settled, in whole tokens.
    #[schema(pattern = r"^[0-9]+(\.[0-9]+)?$")]
    pub amount: String,
    /// The token, an ERC-20 contract.
    #[schema(format = "address", pattern = "^0x(?!0{40}$)[0-9a-fA-F]{40}$")]
    pub contract_address: String,
    /// When the hold expires. Default: your default time to live, counted from the moment the payer signs.
    #[schema(format = "date-time")]
    pub expires_at: Option<String>,
    /// Settles the full amount at this time.
    #[schema(format = "date-time")]
    pub settle_at: Option<String>,
    /// What is paid for, shown to the payer. At most 200 characters in one line.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
    )]
    pub description: Option<String>,
    /// Where the payer can go on to afterwards: an `https://` address, shown as a link.
    #[schema(format = "uri", pattern = "^https://[^/@]+(/|$)", max_length = 2048)]
    pub return_url: Option<String>,
    /// From when on the link can no longer be paid: up to 30 days ahead, and early enough for its own terms. Default: 24
    /// hours from now, or earlier where the terms demand it.
    #[schema(format = "date-time")]
    pub link_expires_at: Option<String>,
}

impl PayLinkRequest {
    /// Checks the shape of every field.
    ///
    /// # Errors
    /// An error for each field that is malformed.
    pub fn wish(self) -> Result<NewPayLink, ApiError> {
        let mut shape = Shape::of_body();
        let invoice = shape.read("invoiceId", InvoiceId::parse(&self.invoice_id));
        let sender = shape.read_optional("sender", self.sender.as_deref().map(Account::parse));
        let receiver = shape.read("receiver", Account::parse(&self.receiver));
        let token = shape.read("contractAddress", Account::parse(&self.contract_address));
        let amount = shape.read("amount", shape::amount(&self.amount));
        let description = shape.read_optional("description", self.description.map(description));
        let return_url = shape.read_optional("returnUrl", self.return_url.map(return_url));
        match (invoice, sender, receiver, token, amount, description, return_url) {
            (
                Some(invoice),
                Some(sender),
                Some(receiver),
                Some(token),
                Some(amount),
                Some(description),
                Some(return_url),
            ) => Ok(NewPayLink {
                invoice,
                sender,
                receiver,
                token,
                amount,
                expires_at: shape::requested_time(self.expires_at.as_deref()),
                settle_at: shape::requested_time(self.settle_at.as_deref()),
                description,
                return_url,
                lapses: shape::requested_time(self.link_expires_at.as_deref()),
            }),
            _ => Err(shape.refused()),
        }
    }
}

fn description(text: String) -> Result<String, &'static str> {
    let is_line = !text.trim().is_empty() && !text.chars().any(char::is_control);
    if is_line && text.chars().count() <= MAX_DESCRIPTION_CHARS {
        Ok(text)
    } else {
        Err("must be one line of 1 to 200 characters")
    }
}

fn return_url(text: String) -> Result<String, &'static str> {
    let is_plain = text.len() <= MAX_URL_BYTES
        && !text.chars().any(|char| char.is_control() || char.is_whitespace())
        && text.parse().is_ok_and(|url: Url| {
            url.scheme() == "https" && url.username().is_empty() && url.password().is_none()
        });
    if is_plain {
        Ok(text)
    } else {
        Err("must be an https:// address of at most 2048 bytes, without a name or password in it")
    }
}

/// A pay link that was just made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MadePayLinkBody {
    /// To be given to the payer. It is shown this once; who has it can see the link, pay it and follow it.
    #[schema(
        format = "uri",
        examples("https://pay.example/pay/5e0b1c6d3f7a49b2885c1d0e6f3a7b92c4d5e6f708192a3b4c5d6e7f80910a1b")
    )]
    pub url: String,
    #[serde(flatten)]
    pub link: PayLinkBody,
}

/// Make a pay link
///
/// Makes a page on which a payer locks the amount by himself: it shows him what is held, for whom and until when, lets
/// his wallet sign, and shows what becomes of it. He needs neither an account nor a registered wallet, because his
/// signature over exactly these terms is what counts; an allowance alone never does.
///
/// The body is that of a creation without `consent`; `sender` is optional. The checks are those of a creation, in the same
/// order, as far as they can be made before anybody pays. Once it is paid, the preauthorization is one like any other:
/// `GET /onchain-preauth/{invoiceId}` shows it, and you settle or cancel it as always.
///
/// A link of an invoice that was withdrawn, or that lapsed, makes room for a new one of the same invoice.
#[utoipa::path(
    post, path = "/pay-links", operation_id = "makePayLink", tag = "Pay links",
    request_body = PayLinkRequest,
    responses((status = 201, description = "Made", body = MadePayLinkBody)),
)]
pub async fn make(
    Opener(caller): Opener,
    State(state): State<HttpState>,
    UnderKey(once): UnderKey,
    JsonBody(request): JsonBody<PayLinkRequest>,
) -> Result<(StatusCode, Json<MadePayLinkBody>), ApiError> {
    let made = state.preauths.under(once).make_pay_link(&caller.tenant, request.wish()?).await?;
    let made = made.map_err(|refusal| refused(Verb::Create, &refusal))?;
    let url = format!("{}/pay/{}", state.pay.public_url, made.token.reveal());
    let link = PayLinkBody::new(&made.link, PayLinkState::Open);
    Ok((StatusCode::CREATED, Json(MadePayLinkBody { url, link })))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::http::testing::House;
    use crate::model::Scope;

    fn with(field: &str, value: Value) -> String {
        let mut body = json!({
            "invoiceId": "INV-1",
            "receiver": "0xaec528683845350e9bfc937e0f6c72bc999b5123",
            "amount": "150.75",
            "contractAddress": "0x9f8f72aa9304c8b593d555f12ef6589cc3a579a2",
        });
        body[field] = value;
        body.to_string()
    }

    #[tokio::test]
    async fn each_malformed_field_is_named() {
        let house = House::open().await;
        let key = house.key(&Scope::ALL).await;
        let cases = [
            ("invoiceId", json!("a/b")),
            ("sender", json!("0x12")),
            ("receiver", json!("0x12")),
            ("amount", json!("1e3")),
            ("description", json!("")),
            ("description", json!("one\ntwo")),
            ("description", json!("x".repeat(201))),
            ("returnUrl", json!("http://shop.example")),
            ("returnUrl", json!("javascript:alert(1)")),
            ("returnUrl", json!("https://name@shop.example")),
            ("returnUrl", json!("https://shop.example/ü b")),
            ("consent", json!({"type": "eip712", "signature": "0x00"})),
        ];
        for (field, value) in cases {
            let body = with(field, value);
            let answer = house.post("/pay-links", &body).header("x-api-key", &key).send().await;
            assert_eq!((answer.status, answer.code()), (400, "invalid_field"), "{body}");
            assert_eq!(answer.body["errors"][0]["field"], field, "{body}");
        }
    }

    #[tokio::test]
    async fn times_are_judged_in_the_order_of_a_creation() {
        let house = House::open().await;
        let key = house.key(&Scope::ALL).await;
        let post = async |body: String| {
            let answer = house.post("/pay-links", &body).header("x-api-key", &key).send().await;
            (answer.status, answer.code().to_owned())
        };
        assert_eq!(post(with("expiresAt", json!("tomorrow"))).await, (400, "invalid_expires_at".into()));
        // The receiver is no registered wallet of this tenant.
        assert_eq!(
            post(with("linkExpiresAt", json!("tomorrow"))).await,
            (404, "wallet_not_registered".into())
        );
    }
}
