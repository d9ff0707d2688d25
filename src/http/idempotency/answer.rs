//! What is kept of an answer, and which answers are.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::http::edge::{RequestId, Written};
use crate::http::error::ApiError;

/// The headers that are part of an answer; the others are of the moment.
const KEPT_HEADERS: [&str; 3] = ["content-type", "location", "preference-applied"];
/// No answer to a POST is larger, in bytes.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// Marks an answer that is not the last word: accepted, and the outcome is awaited.
#[derive(Debug, Clone, Copy)]
pub struct StillToCome;

/// What an answer says about the work behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was done: the answer is kept.
    Final,
    /// It was refused. Where something had been begun, that is over, and the answer is kept; else nothing was done.
    Verdict,
    /// It is under way: a repetition follows it.
    StillToCome,
    /// It was refused, and nothing is left of it: the key is free.
    Nothing,
    /// The answer says nothing about it. What was begun can be followed by a repetition.
    Unknown,
}

impl Fate {
    #[must_use]
    pub fn of(response: &Response) -> Self {
        let code = response.extensions().get::<ApiError>().and_then(ApiError::code);
        match response.status() {
            status if status.is_success() && response.extensions().get::<StillToCome>().is_some() => {
                Self::StillToCome
            }
            status if status.is_success() => Self::Final,
            StatusCode::BAD_REQUEST
            | StatusCode::NOT_FOUND
            | StatusCode::CONFLICT
            | StatusCode::UNPROCESSABLE_ENTITY => Self::Nothing,
            StatusCode::INTERNAL_SERVER_ERROR if code.is_some_and(|code| code != ApiError::INTERNAL) => {
                Self::Verdict
            }
            _ => Self::Unknown,
        }
    }
}

/// An answer as it is kept and sent, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAnswer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl KeptAnswer {
    /// Reads an answer; the body of an error is written here, because the layer that writes it otherwise is further out.
    ///
    /// # Errors
    /// A fault where it cannot be read.
    pub async fn read(mut response: Response, request_id: Option<RequestId>) -> Result<Self, ApiError> {
        if let Some(error) = response.extensions_mut().remove::<ApiError>() {
            let status = response.status();
            let envelope = error.into_envelope(request_id.as_ref().map(|RequestId(id)| id.as_ref()));
            response = (status, axum::Json(envelope)).into_response();
        }
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, MAX_ANSWER_BYTES).await.ok();
        let body = body.and_then(|bytes| String::from_utf8(bytes.into()).ok()).ok_or_else(|| {
            tracing::error!("an answer is no text and cannot be kept");
            ApiError::internal()
        })?;
        let headers = KEPT_HEADERS.into_iter().filter_map(|name| {
            let value = parts.headers.get(name)?.to_str().ok()?;
            Some((name.to_owned(), value.to_owned()))
        });
        Ok(Self { status: parts.status.as_u16(), headers: headers.collect(), body })
    }
}

impl IntoResponse for KeptAnswer {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or_default();
        for (name, value) in self.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                response.headers_mut().insert(name, value);
            }
        }
        response.extensions_mut().insert(Written);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_has_its_fate() {
        let error = |status: u16, code| {
            ApiError::new(StatusCode::from_u16(status).unwrap(), code, "").into_response()
        };
        let mut awaited = StatusCode::ACCEPTED.into_response();
        awaited.extensions_mut().insert(StillToCome);
        for (response, fate) in [
            (StatusCode::CREATED.into_response(), Fate::Final),
            (StatusCode::ACCEPTED.into_response(), Fate::Final),
            (awaited, Fate::StillToCome),
            (error(400, "invalid_field"), Fate::Nothing),
            (error(404, "preauthorization_not_found"), Fate::Nothing),
            (error(409, "invoice_exists"), Fate::Nothing),
            (error(500, "lock_failed"), Fate::Verdict),
            (ApiError::internal().into_response(), Fate::Unknown),
            (StatusCode::INTERNAL_SERVER_ERROR.into_response(), Fate::Unknown),
            (ApiError::not_ready("starting").into_response(), Fate::Unknown),
            (ApiError::forbidden("tenant_disabled").into_response(), Fate::Unknown),
            (ApiError::too_often(1).into_response(), Fate::Unknown),
        ] {
            assert_eq!(Fate::of(&response), fate, "{response:?}");
        }
    }

    #[tokio::test]
    async fn an_answer_comes_back_as_it_was() {
        let headers = [("content-type", "application/json"), ("location", "/a"), ("x-other", "b")];
        let response = (StatusCode::CREATED, headers, "{\"amount\": \"1.50\"}").into_response();
        let kept = KeptAnswer::read(response, None).await.unwrap();
        let again = kept.clone().into_response();
        assert_eq!(
            (again.status(), &again.headers()["location"]),
            (StatusCode::CREATED, &"/a".parse().unwrap())
        );
        assert!(!again.headers().contains_key("x-other"));
        assert_eq!(KeptAnswer::read(again, None).await.unwrap(), kept);
    }
}
