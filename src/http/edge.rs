//! What surrounds every request: its id, its log line and numbers, the error envelope, the limits.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, Limited};
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;
use uuid::Uuid;

use super::error::ApiError;
use super::manner::Manner;
use super::onboarding;
use crate::trace;

/// The largest body of a request, in bytes.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
/// The same where documents come with it.
pub const MAX_DOCUMENTS_BYTES: usize = 16 * 1024 * 1024;
/// So many requests with documents are read at once: each is in memory as a whole.
const DOCUMENTS_AT_ONCE: usize = 4;
/// Of a body that is too large, so much is read, and for so long, that its sender may see the answer.
const MOST_DISCARDED_BYTES: usize = 2 * MAX_DOCUMENTS_BYTES;
const DISCARDING_LIMIT: Duration = Duration::from_secs(10);
/// The longest request id that is taken over from a client.
const MAX_REQUEST_ID_CHARS: usize = 128;

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Puts the layers around a router, the outermost last.
pub fn surround(router: Router) -> Router {
    let places = Arc::new(Semaphore::new(DOCUMENTS_AT_ONCE));
    router
        // What is read is limited below, and not by what extractors think.
        .layer(DefaultBodyLimit::disable())
        .layer(axum::middleware::from_fn_with_state(places, bounded))
        .layer(CatchPanicLayer::custom(caught))
        .layer(axum::middleware::from_fn(edge))
}

/// Lets as much of a body in as its route takes.
async fn bounded(State(places): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    let takes_documents = onboarding::takes_documents(request.method(), route);
    let most = if takes_documents { MAX_DOCUMENTS_BYTES } else { MAX_BODY_BYTES };
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let announced = announced.and_then(|text| text.parse::<u64>().ok());
    if announced.is_some_and(|bytes| u64::try_from(most).is_ok_and(|most| bytes > most)) {
        discard(request.into_body()).await;
        return ApiError::of_status(StatusCode::PAYLOAD_TOO_LARGE).into_response();
    }
    let _place = match takes_documents.then(|| places.try_acquire()).transpose() {
        Ok(place) => place,
        Err(_) => return ApiError::not_ready("other documents are being read").into_response(),
    };
    next.run(request.map(|body| Body::new(Limited::new(body, most)))).await
}

/// Reads what nobody wants: a client that is still sending when the connection is closed never sees why.
async fn discard(body: Body) {
    let mut body = Limited::new(body, MOST_DISCARDED_BYTES);
    let read = async { while let Some(Ok(_)) = body.frame().await {} };
    // Whoever takes longer has to live without the answer.
    let _ = tokio::time::timeout(DISCARDING_LIMIT, read).await;
}

/// Names the request, runs it inside a span that carries the name, and writes the envelope of an error.
///
/// Neither bodies nor headers are logged: they hold keys and signatures.
async fn edge(mut request: Request, next: Next) -> Response {
    let request_id = request_id(&request);
    request.extensions_mut().insert(RequestId(Arc::from(request_id.as_str())));
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    let span = tracing::info_span!("request", request_id, %method, route, tenant = tracing::field::Empty);
    if let Some(parent) = request.headers().get(trace::TRACEPARENT).and_then(|value| value.to_str().ok()) {
        trace::adopt(&span, parent);
    }
    // Measures the machine, decides nothing: the one place where a clock is no parameter.
    let started = tokio::time::Instant::now();

    let response = next.run(request).instrument(span.clone()).await;

    let seconds = started.elapsed().as_secs_f64();
    // As it is here, whatever a dialect makes of it: a fault is counted as one.
    let status = response.status().as_u16();
    span.in_scope(|| tracing::info!(status, seconds, "answered"));
    let labels = [
        ("method", known_method(&method).to_owned()),
        ("route", route.to_owned()),
        ("status", status.to_string()),
    ];
    metrics::counter!("preauthd_http_requests_total", &labels).increment(1);
    metrics::histogram!("preauthd_http_request_seconds", &labels).record(seconds);

    let mut response = worded(response, Manner::of(route), &request_id);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == 413 {
        // The rest of the body is never read, so the connection carries no other request: the client must know.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        headers.insert(REQUEST_ID.clone(), value);
    }
    response
}

/// The client's id where it is fit for a log line, else a new one.
fn request_id(request: &Request) -> String {
    let is_sane = |id: &&str| {
        (1..=MAX_REQUEST_ID_CHARS).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
    };
    request
        .headers()
        .get(&REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(is_sane)
        .map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

/// The name of a request, for those inside.
#[derive(Debug, Clone)]
pub struct RequestId(pub Arc<str>);

/// Marks an answer whose body is as it is to be, even if it is an error: no envelope is put around it.
#[derive(Debug, Clone, Copy)]
pub struct Written;

/// Writes the body of an error, whoever answered it.
fn worded(mut response: Response, manner: Manner, request_id: &str) -> Response {
    let status = response.status();
    if response.extensions().get::<Written>().is_some() {
        return response;
    }
    let error = match response.extensions_mut().remove::<ApiError>() {
        Some(error) => error,
        None if status.is_client_error() || status.is_server_error() => ApiError::of_status(status),
        None => return response,
    };
    let (status, body) = manner.word(&error, Some(request_id));
    let (mut parts, _) = response.into_parts();
    let (body_parts, body) = axum::Json(body).into_response().into_parts();
    parts.status = status;
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.extend(body_parts.headers);
    Response::from_parts(parts, body)
}

/// A panic is a fault of ours: it costs this request, and shows nothing.
fn caught(panic: Box<dyn Any + Send>) -> Response<Body> {
    let what = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("(no message)");
    tracing::error!(panic = what, "a request panicked");
    ApiError::internal().into_response()
}

/// A client may send any word as a method; each would be a series of its own, for ever.
fn known_method(method: &axum::http::Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "PATCH"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use axum::routing::{get, post};
    use tower::ServiceExt;

    use super::*;
    use crate::http::testing::{Answer, read};

    async fn ask(request: axum::http::request::Builder, body: impl Into<Body>) -> Answer {
        async fn boom() -> StatusCode {
            panic!("a secret of the house")
        }
        let router = Router::new()
            .route("/boom", get(boom))
            .route("/echo", post(|body: String| async { body }))
            .route("/v1/user/kyc-file", post(|body: String| async move { body.len().to_string() }))
            .route("/fault", get(|| async { StatusCode::BAD_GATEWAY }));
        read(surround(router).oneshot(request.body(body.into()).unwrap()).await.unwrap()).await
    }

    #[tokio::test]
    async fn a_panic_is_answered_and_shows_nothing() {
        let answer = ask(Request::get("/boom"), "").await;
        assert_eq!(answer.error(), (500, "onchain", "Internal error", "internal_error"));
        assert!(!answer.body.to_string().contains("secret"));
    }

    #[tokio::test]
    async fn unknown_routes_and_methods_are_answered_in_the_envelope() {
        let answer = ask(Request::get("/nowhere"), "").await;
        assert_eq!(answer.error(), (404, "onchain", "There is no such route", "unknown_route"));
        let answer = ask(Request::get("/echo"), "").await;
        assert_eq!(answer.status, 405);
        assert_eq!(answer.code(), "method_not_allowed");
        assert_eq!(answer.header("allow"), "POST");
        assert_eq!(ask(Request::get("/fault"), "").await.error().3, "internal_error");
    }

    #[tokio::test]
    async fn a_body_may_have_64_kib_and_not_a_byte_more() {
        assert_eq!(ask(Request::post("/echo"), "x".repeat(MAX_BODY_BYTES)).await.status, 200);
        let larger = "x".repeat(MAX_BODY_BYTES + 1);
        let announced = Request::post("/echo").header("content-length", larger.len());
        assert_eq!(ask(announced, larger.clone()).await.error().3, "body_too_large");
        let chunks = futures::stream::iter([Ok::<_, std::io::Error>(larger)]);
        assert_eq!(ask(Request::post("/echo"), Body::from_stream(chunks)).await.status, 413);
    }

    #[tokio::test]
    async fn a_body_with_documents_may_have_16_mib_and_not_a_byte_more() {
        let route = "/v1/user/kyc-file";
        assert_eq!(ask(Request::post(route), "x".repeat(MAX_DOCUMENTS_BYTES)).await.status, 200);
        let larger = "x".repeat(MAX_DOCUMENTS_BYTES + 1);
        let announced = Request::post(route).header("content-length", larger.len());
        assert_eq!(ask(announced, larger.clone()).await.status, 413);
        assert_eq!(ask(Request::post(route), larger).await.status, 413);
        assert_eq!(ask(Request::put(route), "x".repeat(MAX_BODY_BYTES + 1)).await.status, 405);
    }

    #[tokio::test]
    async fn every_answer_carries_a_request_id() {
        let answer = ask(Request::post("/echo").header("x-request-id", "shop-7:a.b_c"), "").await;
        assert_eq!(answer.header("x-request-id"), "shop-7:a.b_c");
        let answer = ask(Request::get("/nowhere").header("x-request-id", "shop-8"), "").await;
        assert_eq!(answer.body["errors"][0]["requestId"], "shop-8");
        for insane in ["", "a b", "a\"b", &"x".repeat(129)] {
            let answer = ask(Request::get("/nowhere").header("x-request-id", insane), "").await;
            let id = answer.header("x-request-id").to_owned();
            assert_eq!(Uuid::parse_str(&id).unwrap().get_version_num(), 7, "{insane}");
            assert_eq!(answer.body["errors"][0]["requestId"], id);
        }
    }
}
