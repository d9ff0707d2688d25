//! `Idempotency-Key`: a POST that takes effect once, however often it is sent.
//!
//! The order is what makes it hold through a crash: the request is written down under its key before it is begun; a verb
//! notes what it begins in the change that begins it (see [`crate::preauth`]); the answer is written down before it is
//! sent. A request that is found begun and not answered is run again, and its verb follows what is noted.
//!
//! Once begun, a request is run to its end, whether its client still listens or not: the client that gave up is the one
//! that will repeat it.

mod answer;
mod asked;
mod running;
mod seal;

use std::convert::Infallible;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, MatchedPath, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use tracing::Instrument;

use super::HttpState;
use super::caller::Caller;
use super::edge::RequestId;
use super::error::ApiError;
use super::onboarding;
use crate::model::{Once, OnceName, Scope, TenantId};
use crate::store::idempotency::{self, KeptRequest};
use crate::store::{Store, StoreError};

use answer::{Fate, KeptAnswer};
use asked::Asked;
use running::Place;
use seal::Seal;

pub use answer::StillToCome;
pub use running::Running;

/// The header of the IETF's draft of the same name.
pub const KEY_HEADER: &str = "idempotency-key";
/// Says that an answer is not of work that this request began.
static REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The longest key, in characters.
const MAX_KEY_CHARS: usize = 255;
/// Seconds after which a client may ask again for a request that is still running.
const RETRY_AFTER_SECONDS: u64 = 1;

/// The request that a handler's verbs act for, where it came with a key.
pub struct UnderKey(pub Option<Once>);

impl<S: Sync> FromRequestParts<S> for UnderKey {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.extensions.get().copied()))
    }
}

/// The layer around every route that takes an API key. It has something to do with a POST that has a key.
pub async fn once(State(state): State<HttpState>, request: Request, next: Next) -> Response {
    if request.method() != Method::POST || !request.headers().contains_key(KEY_HEADER) {
        return next.run(request).await;
    }
    answer(state, request, next).await.unwrap_or_else(IntoResponse::into_response)
}

async fn answer(state: HttpState, request: Request, next: Next) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    // What is replayed may hold secrets, so that it takes the right to make them.
    let caller = Caller::from_request_parts(&mut parts, &state).await?;
    let route = parts.extensions.get::<MatchedPath>().cloned();
    let scopes: &[Scope] = match &route {
        Some(route) if onboarding::is_about_parties(route.as_str()) => {
            &[Scope::OnboardingWrite, Scope::Staff]
        }
        _ => &[Scope::Write],
    };
    if !scopes.iter().any(|scope| caller.may(*scope)) {
        return Err(ApiError::forbidden("missing_scope"));
    }
    let key = key(&parts.headers)?;
    let path = RawPathParams::from_request_parts(&mut parts, &state).await.ok();
    let (Some(path), Some(route)) = (path, route) else {
        // No such path names anything: the handler says so.
        return Ok(next.run(Request::from_parts(parts, body)).await);
    };
    let body = Bytes::from_request(Request::from_parts(parts.clone(), body), &state)
        .await
        .map_err(|rejection| ApiError::of_status(rejection.status()))?;
    let asked = Asked::new(&path, &body);
    let request = Request::from_parts(parts, body.into());
    let name = seal::name(caller.tenant.id, route.as_str(), &key);
    // Not this task's: it ends with its connection, and the key would be free while its record is being written.
    let run = async move {
        match look(&state, caller.tenant.id, name, &key, &asked).await? {
            Found::Answered(answer) => Ok(replayed(answer.into_response())),
            Found::Begun(run) => run.finish(request, next).await,
        }
    };
    tokio::spawn(run.in_current_span()).await.unwrap_or_else(|error| {
        tracing::error!(%error, "a request with an idempotency key panicked");
        Err(ApiError::internal())
    })
}

/// What became of a request so far.
enum Found {
    Answered(KeptAnswer),
    /// It is on record now, and to be run.
    Begun(Box<Run>),
}

async fn look(
    state: &HttpState,
    tenant: TenantId,
    name: OnceName,
    key: &str,
    asked: &Asked,
) -> Result<Found, ApiError> {
    // Taken before the look: what is seen then is not changed by anybody else.
    let place = state.running.enter(name);
    let kept = {
        let mut reader = state.store.read().await?;
        idempotency::find(&mut reader, name).await?
    };
    if let Some(KeptRequest { salt, request, answer, .. }) = &kept {
        let seal = Seal::new(key, salt);
        let before: Asked = seal.open(seal::REQUEST, request)?;
        if let Some(field) = before.first_difference(asked) {
            return Err(reused(&field));
        }
        if let Some(answer) = answer {
            return Ok(Found::Answered(seal.open(seal::ANSWER, answer)?));
        }
    }
    let place = place.ok_or_else(in_use)?;
    let (salt, is_known, has_effect) = match kept {
        Some(kept) => (kept.salt, true, kept.has_effect),
        None => (rand::random(), false, false),
    };
    let seal = Seal::new(key, &salt);
    if !is_known {
        let (request, now) = (seal.close(seal::REQUEST, asked)?, state.clock.wall());
        let write = state.store.write::<_, StoreError, _>(move |tx| {
            async move { idempotency::insert(tx, tenant, name, salt, &request, now).await }.boxed()
        });
        write.await?;
    }
    Ok(Found::Begun(Box::new(Run { store: state.store.clone(), name, seal, has_effect, _place: place })))
}

/// A request on its way.
struct Run {
    store: Store,
    name: OnceName,
    seal: Seal,
    /// An earlier run of it has begun something.
    has_effect: bool,
    _place: Place,
}

impl Run {
    async fn finish(self, mut request: Request, next: Next) -> Result<Response, ApiError> {
        let request_id = request.extensions().get::<RequestId>().cloned();
        request.extensions_mut().insert(Once { name: self.name, secret: self.seal.secret() });
        let response = next.run(request).await;
        let response = match Fate::of(&response) {
            Fate::Final => self.keep(response, request_id).await?,
            Fate::Verdict if self.free(false).await? => response,
            Fate::Verdict => self.keep(response, request_id).await?,
            Fate::StillToCome => response,
            Fate::Nothing => {
                self.free(true).await?;
                response
            }
            Fate::Unknown => {
                self.free(false).await?;
                response
            }
        };
        Ok(if self.has_effect { replayed(response) } else { response })
    }

    /// Keeps an answer; what is returned is what will be replayed.
    async fn keep(&self, response: Response, request_id: Option<RequestId>) -> Result<Response, ApiError> {
        let answer = KeptAnswer::read(response, request_id).await?;
        let (name, sealed) = (self.name, self.seal.close(seal::ANSWER, &answer)?);
        let write = self.store.write::<_, StoreError, _>(move |tx| {
            async move { idempotency::keep_answer(tx, name, &sealed).await }.boxed()
        });
        write.await?;
        Ok(answer.into_response())
    }

    /// Frees the key; where something was begun only `even_if_begun`. Says whether it is free.
    async fn free(&self, even_if_begun: bool) -> Result<bool, ApiError> {
        let name = self.name;
        let write = self.store.write::<_, StoreError, _>(move |tx| {
            async move {
                if !even_if_begun {
                    return idempotency::free_unless_begun(tx, name).await;
                }
                idempotency::free(tx, name).await?;
                Ok(true)
            }
            .boxed()
        });
        Ok(write.await?)
    }
}

fn key(headers: &HeaderMap) -> Result<String, ApiError> {
    let mut values = headers.get_all(KEY_HEADER).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(malformed_key()) };
    let text = value.to_str().unwrap_or_default();
    let is_key =
        (1..=MAX_KEY_CHARS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_key { Ok(text.to_owned()) } else { Err(malformed_key()) }
}

fn replayed(mut response: Response) -> Response {
    response.headers_mut().insert(REPLAYED.clone(), HeaderValue::from_static("true"));
    response
}

/// The errors that a key can bring, for the description of the API.
pub fn errors() -> [ApiError; 3] {
    [malformed_key(), in_use(), reused("amount")]
}

fn malformed_key() -> ApiError {
    let message = "Idempotency-Key must be 1 to 255 visible ASCII characters";
    ApiError::new(StatusCode::BAD_REQUEST, "invalid_idempotency_key", message)
}

fn in_use() -> ApiError {
    let message = "A request with this Idempotency-Key is still running";
    ApiError::new(StatusCode::CONFLICT, "idempotency_key_in_use", message).retry_after(RETRY_AFTER_SECONDS)
}

fn reused(field: &str) -> ApiError {
    let message = format!("Idempotency-Key was used for another request: {field} differs");
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    let error = ApiError::new(status, "idempotency_key_reused", message);
    if field == asked::WHOLE { error } else { error.field(field) }
}

#[cfg(test)]
mod tests;
