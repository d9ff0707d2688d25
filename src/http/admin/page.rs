//! `GET /dashboard`: the page, one document with its style and script in it. It knows nothing; it asks with the key it is given.
//!
//! The key stays in the page's memory. So there is no cookie that another site could have sent, and nothing to be found after the
//! window was closed.

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::IntoResponse;

const PAGE: &str = include_str!("built/dashboard.html");
/// Names the hashes of the page's style and script.
const POLICY: &str = include_str!("built/policy.txt");

pub(super) async fn page() -> impl IntoResponse {
    let headers: [(HeaderName, HeaderValue); 6] = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex, nofollow")),
    ];
    (headers, PAGE)
}
