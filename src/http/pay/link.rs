//! The link that a path opens.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use crate::http::HttpState;
use crate::http::error::ApiError;
use crate::http::refusals::{Verb, refused};
use crate::model::PayToken;
use crate::preauth::{OpenedPayLink, Refusal};

/// The link of the token in the path. What is no token, and the token of no link, is 404 alike.
pub(super) struct OpenedLink(pub OpenedPayLink);

impl FromRequestParts<HttpState> for OpenedLink {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, ApiError> {
        let segment = Path::<String>::from_request_parts(parts, state).await.ok();
        let token = segment.and_then(|Path(text)| PayToken::parse(&text));
        let token = token.ok_or_else(|| refused(Verb::Create, &Refusal::PayLinkNotFound))?;
        let opened = state.preauths.open_pay_link(token.hash()).await?;
        let opened = opened.map_err(|refusal| refused(Verb::Create, &refusal))?;
        tracing::Span::current().record("tenant", tracing::field::display(opened.tenant.id));
        Ok(Self(opened))
    }
}
