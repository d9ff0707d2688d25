//! The room of those who run the daemon: a listener of its own, keys of its own, and a page. Tenants' keys open nothing here, and
//! admin keys nothing elsewhere.
//!
//! What is shown is read from the database, and from the node where only that knows; a node that does not answer leaves a gap and
//! holds nothing up. Every act is written down before it has an effect, and so is every look at what is known of a party.

mod audit;
mod deliveries;
mod holds;
mod keys;
mod live;
mod operator;
mod overview;
mod page;
mod parties;
#[cfg(test)]
mod party_tests;
mod reviews;
mod series;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use alloy::primitives::Address;
use axum::Router;
use axum::routing::{delete, get, post};

use super::HttpState;
use super::edge;
use crate::chain::Chain;

/// What the admin's endpoints need beside what the others have. Clones share everything.
#[derive(Clone)]
pub struct AdminState {
    api: HttpState,
    chain: Chain,
    operators: Arc<[Address]>,
    explorer_url: Option<Arc<str>>,
}

impl AdminState {
    #[must_use]
    pub fn new(api: HttpState, chain: Chain, operators: Vec<Address>, explorer_url: Option<String>) -> Self {
        Self { api, chain, operators: operators.into(), explorer_url: explorer_url.map(Into::into) }
    }
}

/// The admin's API and the dashboard.
pub fn admin_router(state: AdminState) -> Router {
    let parties = if state.api.onboarding.is_some() { party_routes() } else { Router::new() };
    let router = Router::new()
        .route("/dashboard", get(page::page))
        .route("/admin/overview", get(overview::overview))
        .route("/admin/preauths", get(holds::list))
        .route("/admin/preauths/{id}", get(holds::show))
        .route("/admin/deliveries", get(deliveries::list))
        .route("/admin/deliveries/{id}/resend", post(deliveries::resend))
        .route("/admin/series", get(series::series))
        .route("/admin/live", get(live::live))
        .route("/admin/audit", get(audit::list))
        .route("/admin/keys", get(keys::list).post(keys::make))
        .route("/admin/keys/{prefix}", delete(keys::revoke))
        .merge(parties)
        .with_state(state);
    edge::surround(router)
}

/// Where parties are onboarded.
fn party_routes() -> Router<AdminState> {
    Router::new()
        .route("/admin/parties", get(parties::list))
        .route("/admin/reviews", get(reviews::list))
        .route("/admin/reviews/{id}", get(reviews::show))
        .route("/admin/reviews/{id}/approve", post(reviews::approve))
        .route("/admin/reviews/{id}/reject", post(reviews::reject))
        .route("/admin/reviews/{id}/documents/{documentId}", get(reviews::document))
}
