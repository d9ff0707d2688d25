//! `POST /pay/{token}/terms`: what a payer would sign.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;

use super::link::OpenedLink;
use crate::http::HttpState;
use crate::http::error::ApiError;
use crate::http::json::JsonBody;
use crate::http::refusals::{Verb, refused};
use crate::http::shape::Shape;
use crate::http::terms::{OfferedTermsView, Written};
use crate::model::Account;

/// Who wants to pay.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PayerRequest {
    sender: String,
}

pub(super) async fn offer_terms(
    OpenedLink(opened): OpenedLink,
    State(state): State<HttpState>,
    JsonBody(request): JsonBody<PayerRequest>,
) -> Result<Json<OfferedTermsView>, ApiError> {
    state.pay.rate.admit(opened.link.token_hash, state.clock.wall())?;
    let mut shape = Shape::of_body();
    let Some(sender) = shape.read("sender", Account::parse(&request.sender)) else {
        return Err(shape.refused());
    };
    let written = Written {
        invoice_id: opened.link.invoice.to_string(),
        sender: request.sender,
        receiver: opened.link.receiver.written().to_owned(),
        contract_address: opened.link.token.written().to_owned(),
        amount: opened.link.amount.to_string(),
    };
    match state.preauths.offer_to_payer(&opened, sender).await? {
        Ok(offered) => Ok(Json(OfferedTermsView::new(written, offered))),
        Err(refusal) => Err(refused(Verb::Create, &refusal)),
    }
}
