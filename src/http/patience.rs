//! How long a client waits, and how an ending becomes an answer.

use std::convert::Infallible;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::error::ApiError;
use super::idempotency::StillToCome;
use super::refusals::{Verb, refused};
use crate::model::PreauthStatus;
use crate::preauth::{Ending, Snapshot, Wait};

const RESPOND_ASYNC: &str = "respond-async";

/// What the header `Prefer` (RFC 7240) says about waiting.
pub struct Patience(pub Wait);

impl<S: Sync> FromRequestParts<S> for Patience {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(if prefers_async(&parts.headers) { Wait::No } else { Wait::ForOutcome }))
    }
}

fn prefers_async(headers: &HeaderMap) -> bool {
    headers
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|preference| preference.split(';').next())
        .any(|preference| preference.trim().eq_ignore_ascii_case(RESPOND_ASYNC))
}

impl Patience {
    /// The answer to a verb: `done` when the outcome is known, 202 when it is still to come.
    pub fn answer<T: Serialize>(
        &self,
        verb: Verb,
        ending: Ending,
        done: StatusCode,
        show: impl FnOnce(&Snapshot) -> T,
    ) -> Result<Response, ApiError> {
        match ending {
            Ending::Done(snapshot) => Ok((done, Json(show(&snapshot))).into_response()),
            Ending::Accepted(snapshot) => {
                let mut answer = (StatusCode::ACCEPTED, Json(show(&snapshot))).into_response();
                let is_pending = snapshot.preauth.status == PreauthStatus::Pending;
                if is_pending || snapshot.pending_operation.is_some() {
                    answer.extensions_mut().insert(StillToCome);
                }
                if self.0 == Wait::No {
                    let applied = HeaderValue::from_static(RESPOND_ASYNC);
                    answer.headers_mut().insert("preference-applied", applied);
                }
                Ok(answer)
            }
            Ending::Refused(refusal) => Err(refused(verb, &refusal)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::snapshot;
    use crate::preauth::Refusal;

    fn prefers(values: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("prefer", value.parse().unwrap());
        }
        prefers_async(&headers)
    }

    #[test]
    fn the_preference_is_found_among_others() {
        assert!(prefers(&["respond-async"]) && prefers(&["wait=10, Respond-Async; x=1"]));
        assert!(prefers(&["handling=lenient", "respond-async"]));
        assert!(!prefers(&[]) && !prefers(&["respond-asynchronously"]) && !prefers(&["wait=10"]));
    }

    #[test]
    fn each_ending_has_its_status() {
        let answer =
            |wait, ending| Patience(wait).answer(Verb::Create, ending, StatusCode::CREATED, |_| "shown");
        let done = answer(Wait::No, Ending::Done(Box::new(snapshot()))).unwrap();
        assert_eq!((done.status().as_u16(), done.headers().contains_key("preference-applied")), (201, false));
        let accepted = answer(Wait::No, Ending::Accepted(Box::new(snapshot()))).unwrap();
        assert_eq!(accepted.status(), 202);
        assert_eq!(accepted.headers()["preference-applied"], RESPOND_ASYNC);
        let timed_out = answer(Wait::ForOutcome, Ending::Accepted(Box::new(snapshot()))).unwrap();
        assert!(!timed_out.headers().contains_key("preference-applied"));
        let refused = answer(Wait::No, Ending::Refused(Refusal::InvoiceExists)).unwrap_err();
        assert_eq!(refused.status(), 409);
    }
}
