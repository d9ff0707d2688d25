//! `GET /openapi.json`: generated from the handlers, and from the same table that answers refusals.

use std::sync::Arc;

use axum::Extension;
use axum::http::header;
use axum::response::IntoResponse;
use utoipa::OpenApi;
use utoipa::openapi::SecurityRequirement;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};

use super::error::{ErrorEnvelope, ErrorItem};

/// What holds for every route, for people.
const INTRODUCTION: &str = "\
Card-style preauthorization on ERC-20 tokens: create locks a payer's tokens in an escrow contract, settle pays all or \
part of them to the receiver and returns the rest in the same transaction, and what nobody settles goes back to the \
payer when it expires.

**Access.** Every route but health, metrics and this document takes an API key, as `x-api-key` or as `Authorization: \
Bearer`. GET needs the scope `read`, everything else the scope `write`; what is about consumers, parties and terms has scopes of its own: \
`onboarding:read`, `onboarding:write`, and `onboarding:staff` for decisions about them. You see only what is yours.

**Errors.** Every error of any kind but those of four dialects of onboarding, which have forms of their own, is `{\"errors\":[{\"type\":…,\"message\":…,\"code\":…,\"requestId\":…}]}`. \
`message` is stable and for people, `code` is stable and for machines. There are several errors only where several \
fields are malformed. Every answer carries `x-request-id`: yours where you sent one (1 to 128 of `A-Za-z0-9-_.:`), else \
a new one.

**Amounts** are strings of plain decimal digits in whole tokens, such as `150.75`, and come back as you wrote them. \
**Times** are RFC 3339 with a zone; answers are in UTC with milliseconds. Expiries and schedules go by the chain's \
clock. **Addresses** come back as you wrote them; mixed case must be the EIP-55 checksum.

**Bodies** are JSON objects of at most 64 KiB, where documents come with them 16 MiB. Unknown and repeated fields are refused.

**Waiting.** A change is answered when its outcome is on chain. Past a time-out, or at once with `Prefer: \
respond-async`, the answer is 202: durably accepted, to be followed with GET. A fault (500 `internal_error`) tells \
nothing about the outcome: look with GET before you repeat, or repeat under the same `Idempotency-Key`.

**Repeating.** Every POST takes an `Idempotency-Key`, 1 to 255 visible ASCII characters of your choice that cannot be \
guessed, such as a UUID; it counts for you, the route and at least 31 days. A request that is repeated under its key is \
done once and answered with the first answer, byte for byte and with `Idempotency-Replayed: true`. Another path \
parameter or body under the same key is refused with 422, and the first field that differs is named; spaces and the \
order of fields do not count, headers neither. While the first request is running, the answer is 409 with `Retry-After`. \
A request that was refused with 400, 404, 409, 422 or 429, or for want of an allowance, did nothing and leaves its key \
free. After a 202 whose outcome is still to come, a repetition does not begin anything: it waits as the first request \
did, or not at all with `Prefer: respond-async`, and answers what is known then. So it does after a fault, a crash \
of the daemon included.

**Limits.** An API key may be used so often: `RateLimit-Policy` says how many requests at once (`q`) and the seconds in \
which they grow again (`w`), `RateLimit` how many are left (`r`) and when all of them are there again (`t`); GET is \
counted apart from everything else. Beyond that the answer is 429 with `Retry-After`.";

#[derive(OpenApi)]
#[openapi(
    info(title = "preauthd", description = INTRODUCTION),
    components(schemas(ErrorEnvelope, ErrorItem)),
    tags(
        (name = "Preauthorizations", description = "Lock, settle, release"),
        (name = "Pay links", description = "A page on which a payer locks by himself"),
        (name = "Events", description = "What happened"),
        (name = "Webhooks", description = "Being told of it"),
        (name = "Approvers", description = "Who is asked before a hold is locked"),
        (name = "Reports", description = "The accounts"),
        (name = "Wallets", description = "Who may pay and be paid"),
        (name = "Tokens", description = "What may be locked"),
        (name = "Consumers", description = "People who are onboarded"),
        (name = "Users", description = "People who are onboarded with files"),
        (name = "User onboarding", description = "People who are onboarded step by step"),
        (name = "Business users", description = "Businesses that are onboarded"),
        (name = "Tenant customers", description = "What is known of a party, and how it came to be"),
        (name = "Onboarding justifications", description = "Verifications that failed, and what people decide"),
        (name = "Parties", description = "Who was onboarded, and where he stands"),
        (name = "Terms", description = "What parties accept"),
        (name = "Operation", description = "For those who run the daemon"),
        (name = "Development", description = "Only in `preauthd dev`"),
    ),
)]
struct Skeleton;

/// The document before any route.
pub(super) fn skeleton() -> utoipa::openapi::OpenApi {
    let mut api = Skeleton::openapi();
    let components = api.components.get_or_insert_default();
    let key = ApiKey::Header(ApiKeyValue::new("x-api-key"));
    components.add_security_scheme("apiKey", SecurityScheme::ApiKey(key));
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    let none: [&str; 0] = [];
    api.security =
        Some(vec![SecurityRequirement::new("apiKey", none), SecurityRequirement::new("bearer", none)]);
    api
}

/// The finished document.
#[derive(Clone)]
pub(super) struct Document(pub Arc<str>);

/// This document
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "openapi", tag = "Operation", security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = Object, content_type = "application/json")),
)]
pub(super) async fn openapi(Extension(document): Extension<Document>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], document.0.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use crate::http::manner::Manner;
    use crate::http::testing::{House, routes_of};

    async fn document() -> Value {
        let mut house = House::open().await;
        house.give_onboarding();
        let answer = house.get("/openapi.json").send().await;
        assert_eq!(answer.status, 200);
        answer.body
    }

    #[tokio::test]
    async fn every_route_is_described() {
        let document = document().await;
        assert_eq!(document["openapi"], "3.1.0");
        let routes = [
            "post /onchain-preauth",
            "get /onchain-preauth",
            "get /onchain-preauth/{invoiceId}",
            "post /onchain-preauth/{invoiceId}/settle",
            "delete /onchain-preauth/{invoiceId}/settle",
            "post /onchain-preauth/{invoiceId}/cancel",
            "post /preauth-terms",
            "post /pay-links",
            "get /pay-links/{invoiceId}",
            "delete /pay-links/{invoiceId}",
            "post /wallets",
            "get /wallets",
            "delete /wallets/{address}",
            "get /tokens",
            "get /events",
            "get /events/stream",
            "get /onchain-preauth/{invoiceId}/events",
            "post /webhooks",
            "get /webhooks",
            "get /webhooks/{id}",
            "patch /webhooks/{id}",
            "delete /webhooks/{id}",
            "post /webhooks/{id}/rotate",
            "get /webhooks/{id}/deliveries",
            "post /webhooks/{id}/resend",
            "post /approvers",
            "get /approvers",
            "get /approvers/{id}",
            "patch /approvers/{id}",
            "delete /approvers/{id}",
            "post /approvers/{id}/rotate",
            "post /approvers/{id}/test",
            "get /onchain-preauth/{invoiceId}/approvals",
            "get /reports/settlements",
            "get /claims",
            "post /terms-and-conditions",
            "get /terms-and-conditions",
            "post /consumers",
            "get /consumers/{consumerId}",
            "patch /consumers/{consumerId}",
            "post /consumers/{consumerId}/phone/verification-code",
            "post /consumers/{consumerId}/phone/verification-code/verify",
            "post /consumers/{consumerId}/email/verification-link",
            "post /consumers/{consumerId}/kyc-link",
            "get /parties",
            "get /parties/{partyId}",
            "delete /parties/{partyId}",
            "post /parties/{partyId}/suspend",
            "post /parties/{partyId}/resume",
            "post /parties/{partyId}/reject",
            "post /parties/{partyId}/wallets",
            "delete /parties/{partyId}/wallets/{address}",
            "get /parties/{partyId}/documents",
            "post /parties/{partyId}/documents",
            "get /parties/{partyId}/documents/{documentId}",
            "post /v1/user",
            "post /v1/user/kyc-file",
            "post /v1/user/poa-file",
            "post /v1/user/verification",
            "get /v1/user/{externalUserId}/kyc-status",
            "post /v1/user/{user_api_key_id}/user-onboarding",
            "put /v1/user/{user_api_key_id}/user-onboarding/{user_onboarding_id}",
            "post /tenant/business-user",
            "get /tenant/customer/pii-customer-details/{customerAccountId}",
            "get /api/onboarding-justifications/",
            "post /api/onboarding-justifications/",
            "post /api/onboarding-justifications/create_justification/",
            "get /api/onboarding-justifications/{uuid}/",
            "put /api/onboarding-justifications/{uuid}/",
            "patch /api/onboarding-justifications/{uuid}/",
            "delete /api/onboarding-justifications/{uuid}/",
            "post /api/onboarding-justifications/{uuid}/approve/",
            "post /api/onboarding-justifications/{uuid}/reject/",
            "post /api/onboarding-justifications/{uuid}/attach_document/",
            "get /health/live",
            "get /health/ready",
            "get /metrics",
            "get /openapi.json",
            "get /docs",
        ];
        assert_eq!(routes_of(&document), routes.map(str::to_owned).into());
    }

    #[tokio::test]
    async fn every_reference_leads_somewhere() {
        fn check(value: &Value, document: &Value) {
            match value {
                Value::Object(fields) => {
                    if let Some(Value::String(target)) = fields.get("$ref") {
                        let pointer = target.strip_prefix('#').unwrap();
                        assert!(document.pointer(pointer).is_some(), "{target}");
                    }
                    fields.values().for_each(|value| check(value, document));
                }
                Value::Array(items) => items.iter().for_each(|value| check(value, document)),
                _ => {}
            }
        }
        let document = document().await;
        check(&document, &document);
    }

    #[tokio::test]
    async fn operations_have_unique_names_and_say_how_they_fail() {
        let document = document().await;
        let operations: Vec<(&String, &Value)> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, item)| item.as_object().unwrap().values().map(move |one| (path, one)))
            .collect();
        let mut ids: Vec<_> =
            operations.iter().map(|(_, operation)| operation["operationId"].as_str().unwrap()).collect();
        ids.sort_unstable();
        let count = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), count);
        for (path, operation) in operations.iter().filter(|(_, one)| one.get("security").is_none()) {
            // One dialect tells faults with 400 and a code.
            let fault = if Manner::of(path) == Manner::Users { "400" } else { "500" };
            for status in ["401", "403", fault] {
                assert!(operation["responses"].get(status).is_some(), "{}", operation["operationId"]);
            }
        }
        let posts = document["paths"].as_object().unwrap().values().filter_map(|item| item.get("post"));
        for post in posts {
            let parameters = post["parameters"].as_array().unwrap();
            assert!(parameters.iter().any(|one| one["name"] == "Idempotency-Key"), "{}", post["operationId"]);
            for (status, code) in [
                ("400", "invalid_idempotency_key"),
                ("409", "idempotency_key_in_use"),
                ("422", "idempotency_key_reused"),
                ("429", "too_many_requests"),
            ] {
                let said = post["responses"][status]["description"].as_str().unwrap();
                assert!(said.contains(code), "{} {code}", post["operationId"]);
            }
        }
        let create = &document["paths"]["/onchain-preauth"]["post"]["responses"];
        for (status, message) in [
            ("400", "Amount must be greater than zero"),
            ("400", "Invalid expires_at format"),
            ("404", "Wallet not registered"),
            ("409", "Invoice already exists"),
            ("500", "Preauth contract not available"),
            ("500", "Insufficient Allowance"),
            ("500", "Failed to check preapproval"),
        ] {
            assert!(create[status]["description"].as_str().unwrap().contains(message), "{message}");
        }
        assert_eq!(
            create["409"]["content"]["application/json"]["examples"]["invoice_exists"]["value"]["errors"][0]
                ["message"],
            "Invoice already exists"
        );
    }

    #[tokio::test]
    async fn parameters_are_there_or_not_and_never_null() {
        let document = document().await;
        let operations = document["paths"]
            .as_object()
            .unwrap()
            .values()
            .flat_map(|item| item.as_object().unwrap().values());
        let parameters: Vec<&Value> =
            operations.filter_map(|operation| operation["parameters"].as_array()).flatten().collect();
        assert!(parameters.len() > 10);
        for parameter in parameters {
            assert!(!parameter["schema"].to_string().contains("null"), "{parameter}");
        }
    }

    #[tokio::test]
    async fn the_clock_is_described_in_dev_only() {
        let mut house = House::open().await;
        assert!(house.get("/openapi.json").send().await.body["paths"].get("/dev/advance").is_none());
        house.give_dev_powers();
        assert!(house.get("/openapi.json").send().await.body["paths"].get("/dev/advance").is_some());
    }
}
