//! Pay links. The merchant's endpoints, `/pay-links`, take an API key and are part of the described API. The payer's,
//! `/pay/{token}`, take none: the token in the path is the right to use them. They belong to the page they serve and
//! change with it, so they are not described.

mod consent;
mod link;
pub mod make;
mod page;
mod rate;
pub mod show;
mod state;
mod terms;
pub mod withdraw;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use serde::Serialize;
use utoipa::ToSchema;

use super::HttpState;
use crate::model::{ChainTime, PayLink, PayLinkState};
pub use make::PayLinkRequest;
use rate::Rate;

/// What pay links need to know about their surroundings. Clones share it.
#[derive(Debug, Clone)]
pub struct PaySettings {
    /// What payers see before `/pay/…`, without a slash at its end.
    pub public_url: Arc<str>,
    /// A node that is named to a payer's wallet which does not know the chain; `None`: none is.
    pub wallet_rpc_url: Option<Arc<str>>,
    rate: Rate,
}

impl PaySettings {
    #[must_use]
    pub fn new(public_url: &str, wallet_rpc_url: Option<&str>) -> Self {
        Self {
            public_url: public_url.trim_end_matches('/').into(),
            wallet_rpc_url: wallet_rpc_url.map(Into::into),
            rate: Rate::default(),
        }
    }
}

/// The payer's routes.
pub(super) fn payer_routes() -> Router<HttpState> {
    Router::new()
        .route("/pay/{token}", get(page::page))
        .route("/pay/{token}/state", get(state::state))
        .route("/pay/{token}/terms", post(terms::offer_terms))
        .route("/pay/{token}/consent", post(consent::consent))
}

/// Where a pay link stands.
///
/// - `open`: it can be paid.
/// - `used`: there is a preauthorization of its invoice; look at that.
/// - `withdrawn`: you took it back, and nobody sees it any more.
/// - `lapsed`: nobody paid it in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = PayLinkState)]
pub enum LinkState {
    Open,
    Used,
    Withdrawn,
    Lapsed,
}

impl From<PayLinkState> for LinkState {
    fn from(state: PayLinkState) -> Self {
        match state {
            PayLinkState::Open => Self::Open,
            PayLinkState::Used => Self::Used,
            PayLinkState::Withdrawn => Self::Withdrawn,
            PayLinkState::Lapsed => Self::Lapsed,
        }
    }
}

/// A pay link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PayLink, example = json!({
    "invoiceId": "INV-2026-0001",
    "state": "open",
    "linkExpiresAt": "2026-03-26T10:15:30.000Z",
    "sender": null,
    "receiver": "0xaec528683845350e9bfc937e0f6c72bc999b5123",
    "amount": "150.75",
    "contractAddress": "0x9f8f72aa9304c8b593d555f12ef6589cc3a579a2",
    "expiresAt": null,
    "settleAt": null,
    "description": "Two nights, room 12",
    "returnUrl": "https://shop.example/orders/2026-0001",
    "createdAt": "2026-03-25T10:15:30.000Z"
}))]
pub struct PayLinkBody {
    pub invoice_id: String,
    pub state: LinkState,
    /// From when on it can no longer be paid, by the chain's clock.
    #[schema(format = "date-time")]
    pub link_expires_at: String,
    /// The only wallet that may pay; null: any.
    #[schema(required)]
    pub sender: Option<String>,
    pub receiver: String,
    /// The amount, as it was written.
    pub amount: String,
    /// The token.
    pub contract_address: String,
    /// When the hold expires; null: your default time to live after the payer signed.
    #[schema(required, format = "date-time")]
    pub expires_at: Option<String>,
    #[schema(required, format = "date-time")]
    pub settle_at: Option<String>,
    #[schema(required)]
    pub description: Option<String>,
    #[schema(required)]
    pub return_url: Option<String>,
    #[schema(format = "date-time")]
    pub created_at: String,
}

impl PayLinkBody {
    fn new(link: &PayLink, state: PayLinkState) -> Self {
        Self {
            invoice_id: link.invoice.to_string(),
            state: state.into(),
            link_expires_at: link.lapses.to_rfc3339(),
            sender: link.sender.as_ref().map(|sender| sender.written().to_owned()),
            receiver: link.receiver.written().to_owned(),
            amount: link.amount.to_string(),
            contract_address: link.token.written().to_owned(),
            expires_at: link.expires_at.map(ChainTime::to_rfc3339),
            settle_at: link.settle_at.map(ChainTime::to_rfc3339),
            description: link.description.clone(),
            return_url: link.return_url.clone(),
            created_at: link.created_at.to_rfc3339(),
        }
    }
}
