//! `GET` and `POST /onboarding/links/{token}`: where the links lead that parties are sent.
//!
//! Opening one shows a page and does nothing: mail is opened by machines, too. The button on it follows the link. The page belongs
//! to these routes and changes with them, so they are not described.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::http::HttpState;
use crate::http::edge::Written;
use crate::http::error::ApiError;
use crate::model::{ChallengeKind, ChallengeState};
use crate::onboarding::{FollowedLink, OnboardingRefusal};

/// Nothing is loaded and nothing runs; a form may be sent to where it came from.
const POLICY: &str = "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The routes of those who were sent a link.
pub(in crate::http) fn routes() -> Router<HttpState> {
    Router::new().route("/onboarding/links/{token}", get(show).post(follow))
}

async fn show(State(state): State<HttpState>, Path(token): Path<String>) -> Result<Response, ApiError> {
    let Some(link) = state.onboarding()?.show_link(&token).await? else { return Ok(gone()) };
    Ok(match (link.state, link.kind) {
        (ChallengeState::Open, ChallengeKind::EmailLink) => {
            question("Is this your e-mail address?", "Yes, confirm it")
        }
        (ChallengeState::Open, ChallengeKind::IdentityLink) => {
            question("Please let your identity be verified.", "Begin")
        }
        (ChallengeState::Answered, ChallengeKind::EmailLink) => {
            page(StatusCode::OK, "Your e-mail address is confirmed.")
        }
        (ChallengeState::Answered, ChallengeKind::IdentityLink) => page(StatusCode::OK, UNDER_WAY),
        _ => gone(),
    })
}

async fn follow(State(state): State<HttpState>, Path(token): Path<String>) -> Result<Response, ApiError> {
    let onboarding = state.onboarding()?;
    // Strangers keep nobody from writing.
    if onboarding.show_link(&token).await?.is_none() {
        return Ok(gone());
    }
    Ok(match onboarding.follow_link(&token).await? {
        Ok(FollowedLink::EmailConfirmed) => {
            page(StatusCode::OK, "Your e-mail address is confirmed. Thank you.")
        }
        Ok(FollowedLink::VerificationBegun) => page(StatusCode::OK, UNDER_WAY),
        Err(
            OnboardingRefusal::AlreadyVerified
            | OnboardingRefusal::VerificationPending
            | OnboardingRefusal::TooManyVerifications(_),
        ) => page(StatusCode::CONFLICT, "There is nothing to verify. Ask the merchant where it stands."),
        Err(_) => gone(),
    })
}

const UNDER_WAY: &str = "Your identity is being verified. You can close this page.";

fn gone() -> Response {
    page(StatusCode::NOT_FOUND, "This link is not good any more. Ask the merchant for another one.")
}

fn question(text: &str, button: &str) -> Response {
    let form = format!("<form method=\"post\"><button type=\"submit\">{button}</button></form>");
    document(StatusCode::OK, text, &form)
}

fn page(status: StatusCode, text: &str) -> Response {
    document(status, text, "")
}

fn document(status: StatusCode, text: &str, rest: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{text}</title></head><body><main><h1>{text}</h1>{rest}</main></body></html>\n"
    );
    let headers: [(HeaderName, HeaderValue); 6] = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        // The address holds the token: nobody may be told of it.
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex, nofollow")),
    ];
    let mut response = (status, headers, html).into_response();
    response.extensions_mut().insert(Written);
    response
}
