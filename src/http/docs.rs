//! `GET /docs`: the document as a page, served from the binary; it loads nothing from elsewhere.

use axum::http::header;
use axum::response::IntoResponse;

const PAGE: &str = include_str!("docs.html");
/// The page runs its own script and asks this daemon, nothing else.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; \
     img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// This document, as a page
#[utoipa::path(
    get, path = "/docs", operation_id = "docs", tag = "Operation", security(()),
    responses((status = 200, description = "A page for people", body = String, content_type = "text/html")),
)]
pub(super) async fn docs() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, PAGE)
}

#[cfg(test)]
mod tests {
    use super::PAGE;
    use crate::http::testing::House;

    #[tokio::test]
    async fn the_page_comes_from_the_binary_and_loads_nothing_from_elsewhere() {
        let answer = House::open().await.get("/docs").send().await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(answer.text, PAGE);
        for elsewhere in ["http://", "https://", "src=", "@import", " url("] {
            assert!(!PAGE.contains(elsewhere), "{elsewhere}");
        }
    }
}
