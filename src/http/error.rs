//! The error envelope: every error of any kind leaves as `{"errors":[{"type":…,"message":…}]}`.
//!
//! An [`ApiError`] travels as an extension of an empty response; the outermost layer writes its body (see
//! [`super::edge`]), because only that layer knows the request's id. An error that some other layer answered (an unknown
//! route, a wrong method, a body that is too large) is put into the same envelope there.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Object;

use super::words::one_of;
use crate::chain::without_urls;
use crate::preauth::Fault;
use crate::store::StoreError;

/// `type` of every error but the two of access.
const ONCHAIN: &str = "onchain";
/// `type` and `message` of 401 and 403.
const ACCESS_DENIED: &str = "Access Denied";
/// Seconds a client should wait when the daemon is not ready.
const RETRY_AFTER_SECONDS: &str = "5";

/// The body of every answer that is an error.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorEnvelope {
    /// At least one. Several only where several fields of one request are malformed, or several parts not ready.
    pub errors: Vec<ErrorItem>,
}

/// One error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorItem {
    /// `Access Denied` for 401 and 403, `onchain` for everything else.
    #[serde(rename = "type")]
    #[schema(schema_with = error_types)]
    pub kind: &'static str,
    /// For people, and stable.
    #[schema(examples("Amount must be greater than zero"))]
    pub message: String,
    /// For machines: finer than the message, and stable.
    #[schema(value_type = String, examples("amount_not_positive"))]
    pub code: &'static str,
    /// The field or query parameter it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, examples("amount"))]
    pub field: Option<String>,
    /// What exactly went wrong; not stable.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub detail: Option<String>,
    /// The `x-request-id` of the request, to be quoted to the operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, examples("019d1f7e-6c1e-7a53-b6f7-3f6d1a2b3c4d"))]
    pub request_id: Option<String>,
}

fn error_types() -> Object {
    one_of("`Access Denied` for 401 and 403, `onchain` for everything else.", [ONCHAIN, ACCESS_DENIED])
}

/// An error on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    status: StatusCode,
    items: Vec<ErrorItem>,
    header: Option<(HeaderName, HeaderValue)>,
}

impl ApiError {
    /// The code of faults, which say nothing about what was asked for.
    pub const INTERNAL: &str = "internal_error";

    /// An error of type `onchain`.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let item = ErrorItem {
            kind: ONCHAIN,
            message: message.into(),
            code,
            field: None,
            detail: None,
            request_id: None,
        };
        Self { status, items: vec![item], header: None }
    }

    /// Names the field it is about.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        let field = field.into();
        for item in &mut self.items {
            item.field = Some(field.clone());
        }
        self
    }

    /// Adds what exactly went wrong.
    #[must_use]
    pub fn detail(mut self, detail: &str) -> Self {
        for item in &mut self.items {
            item.detail = Some(without_urls(detail));
        }
        self
    }

    /// Several errors of one request, all with the same status.
    #[must_use]
    pub fn several(status: StatusCode, errors: impl IntoIterator<Item = Self>) -> Self {
        let mut several = Self { status, items: Vec::new(), header: None };
        for error in errors {
            several.items.extend(error.items);
            several.header = several.header.or(error.header);
        }
        several
    }

    /// 401: no key, or none that is good.
    #[must_use]
    pub fn unauthenticated() -> Self {
        let header = (header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        Self { header: Some(header), ..Self::access_denied(StatusCode::UNAUTHORIZED, "unauthenticated") }
    }

    /// 403: the key is good, but not for this.
    #[must_use]
    pub fn forbidden(code: &'static str) -> Self {
        Self::access_denied(StatusCode::FORBIDDEN, code)
    }

    fn access_denied(status: StatusCode, code: &'static str) -> Self {
        let mut error = Self::new(status, code, ACCESS_DENIED);
        for item in &mut error.items {
            item.kind = ACCESS_DENIED;
        }
        error
    }

    /// 429: this is asked too often.
    #[must_use]
    pub fn too_often(seconds: u64) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "Too many requests")
            .retry_after(seconds)
    }

    /// Says after how many seconds the same may be asked again.
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        Self { header: Some((header::RETRY_AFTER, HeaderValue::from(seconds))), ..self }
    }

    /// 503: the daemon may be ready soon.
    #[must_use]
    pub fn not_ready(detail: &str) -> Self {
        let header = (header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", "Service not ready");
        Self { header: Some(header), ..error.detail(detail) }
    }

    /// 500 for faults of ours. What broke is in the log, under the request's id.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, Self::INTERNAL, "Internal error")
    }

    /// The error for an answer that has a status and nothing else.
    #[must_use]
    pub fn of_status(status: StatusCode) -> Self {
        let (code, message) = match status {
            StatusCode::NOT_FOUND => ("unknown_route", "There is no such route"),
            StatusCode::METHOD_NOT_ALLOWED => {
                ("method_not_allowed", "The route does not know this method; see the header Allow")
            }
            StatusCode::PAYLOAD_TOO_LARGE => {
                ("body_too_large", "The body is too large: at most 64 KiB are taken, with documents 16 MiB")
            }
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                ("unsupported_media_type", "The body must be JSON, with content-type application/json")
            }
            status if status.is_client_error() => {
                ("bad_request", status.canonical_reason().unwrap_or("Bad request"))
            }
            _ => return Self { status, ..Self::internal() },
        };
        Self::new(status, code, message)
    }

    /// The status it is answered with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The code of the first error.
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        self.items.first().map(|item| item.code)
    }

    /// What is wrong, one by one.
    #[must_use]
    pub fn items(&self) -> &[ErrorItem] {
        &self.items
    }

    /// The body, with the request's id in each error.
    #[must_use]
    pub fn into_envelope(self, request_id: Option<&str>) -> ErrorEnvelope {
        let mut errors = self.items;
        for item in &mut errors {
            item.request_id = request_id.map(str::to_owned);
        }
        ErrorEnvelope { errors }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if let Some((name, value)) = self.header.clone() {
            response.headers_mut().insert(name, value);
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Fault> for ApiError {
    fn from(fault: Fault) -> Self {
        tracing::error!(error = %fault, "a request met a fault");
        match fault {
            // Nothing was begun, so that this can be said.
            Fault::Store(StoreError::Refused(why)) => Self::not_ready(&format!("database: {why}")),
            _ => Self::internal(),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Fault::from(error).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(error: ApiError) -> serde_json::Value {
        serde_json::to_value(error.into_envelope(Some("r-1"))).unwrap()
    }

    #[test]
    fn the_envelope_has_the_seeds_fields_and_more() {
        let error =
            ApiError::new(StatusCode::BAD_REQUEST, "some_code", "Some message").field("amount").detail("why");
        assert_eq!(
            json(error),
            serde_json::json!({"errors": [{
                "type": "onchain", "message": "Some message", "code": "some_code", "field": "amount", "detail": "why",
                "requestId": "r-1",
            }]})
        );
    }

    #[test]
    fn access_errors_say_access_denied_and_nothing_else() {
        for error in [ApiError::unauthenticated(), ApiError::forbidden("missing_scope")] {
            let item = &json(error)["errors"][0];
            assert_eq!((&item["type"], &item["message"]), (&"Access Denied".into(), &"Access Denied".into()));
        }
    }

    #[test]
    fn urls_stay_inside() {
        let error =
            ApiError::not_ready("error sending request for url (https://node.example/v3/secret) again");
        let detail = error.items()[0].detail.clone().unwrap();
        assert_eq!(detail, "error sending request for url (URL) again");
    }

    #[test]
    fn a_fault_shows_nothing_of_itself() {
        let error = ApiError::from(Fault::Store(StoreError::Corrupt("preauths.status".into())));
        assert_eq!(error, ApiError::internal());
    }
}
