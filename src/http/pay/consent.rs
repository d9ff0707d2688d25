//! `POST /pay/{token}/consent`: locks what the payer has signed.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::link::OpenedLink;
use super::state::PayState;
use crate::http::HttpState;
use crate::http::consent::ConsentBody;
use crate::http::error::ApiError;
use crate::http::json::{JsonBody, Object};
use crate::http::refusals::{Verb, refused};
use crate::http::shape::{self, Shape};
use crate::model::Account;
use crate::preauth::{Ending, Signed, Wait};

/// Terms of this link that were signed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ConsentRequest {
    sender: String,
    expires_at: String,
    consent: Object<ConsentBody>,
}

impl ConsentRequest {
    fn signed(&self) -> Result<Signed, ApiError> {
        let mut shape = Shape::of_body();
        let sender = shape.read("sender", Account::parse(&self.sender));
        let consent = self.consent.0.read(&mut shape);
        match (sender, consent) {
            (Some(sender), Some(consent)) => {
                Ok(Signed { sender, expires_at: shape::requested_time(Some(&self.expires_at)), consent })
            }
            _ => Err(shape.refused()),
        }
    }
}

/// The answer is the page's new state, and does not wait for the chain: the page watches that by itself.
pub(super) async fn consent(
    OpenedLink(opened): OpenedLink,
    State(state): State<HttpState>,
    JsonBody(request): JsonBody<ConsentRequest>,
) -> Result<Response, ApiError> {
    state.pay.rate.admit(opened.link.token_hash, state.clock.wall())?;
    let ending = state.preauths.pay(&opened, request.signed()?, Wait::No).await?;
    if let Ending::Refused(refusal) = ending {
        return Err(refused(Verb::Pay, &refusal));
    }
    let paid = state.preauths.open_pay_link(opened.link.token_hash).await?;
    let paid = paid.map_err(|refusal| refused(Verb::Pay, &refusal))?;
    Ok((StatusCode::ACCEPTED, Json(PayState::new(&paid, &state))).into_response())
}
