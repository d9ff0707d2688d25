//! `GET /pay/{token}`: the page, one document with its style and script in it.
//!
//! Both documents are built from `web/` by `npm run page` and committed, so that a build of the daemon needs no Node; the
//! policy beside them names the hash of every script and style they hold, and admits nothing else.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::link::OpenedLink;
use crate::http::edge::Written;
use crate::http::error::ApiError;

const PAGE: &str = include_str!("built/page.html");
const GONE: &str = include_str!("built/gone.html");
const POLICY: &str = include_str!("built/policy.txt");

pub(super) async fn page(opened: Result<OpenedLink, ApiError>) -> Result<Response, ApiError> {
    match opened {
        Ok(OpenedLink(_)) => Ok(document(StatusCode::OK, PAGE)),
        Err(error) if error.status() == StatusCode::NOT_FOUND => Ok(document(StatusCode::NOT_FOUND, GONE)),
        Err(error) => Err(error),
    }
}

fn document(status: StatusCode, html: &'static str) -> Response {
    let headers: [(HeaderName, HeaderValue); 7] = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        // The address holds the token: nobody the page links to may see it.
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex, nofollow")),
        (
            HeaderName::from_static("permissions-policy"),
            HeaderValue::from_static("camera=(), geolocation=(), microphone=(), payment=()"),
        ),
    ];
    let mut response = (status, headers, html).into_response();
    response.extensions_mut().insert(Written);
    response
}
