//! The REST room: turns bytes into typed commands of a tenant, and endings into answers. Nothing after it checks shapes
//! again, and nothing before it knows what they mean.
//!
//! One file per endpoint. What they share: [`gate`], [`rate_limit`] and [`idempotency`] stand before those that take an
//! API key; [`caller`] says who calls, [`json`] and [`shape`] read what was sent,
//! [`refusals`] is the one table from refusals to answers, [`error`] the envelope, [`edge`] what surrounds every request.

mod admin;
pub mod api_key;
mod approvals;
mod approvers;
mod caller;
mod cancel;
mod claims;
mod consent;
mod create;
mod cursor;
mod dev;
mod docs;
mod edge;
mod error;
mod event_stream;
mod event_view;
mod events;
mod gate;
mod get;
mod health;
mod idempotency;
mod invoice_path;
mod json;
mod list;
mod manner;
mod metrics;
mod offers;
mod onboarding;
mod openapi;
mod parameters;
mod patience;
mod pay;
mod problems;
mod rate_limit;
mod refusals;
mod report_view;
mod reports;
mod settle;
mod shape;
mod terms;
#[cfg(test)]
pub(crate) mod testing;
mod tokens;
mod typed_data;
mod view;
mod wallets;
mod webhooks;
mod withdraw;
mod words;

use std::ops::Deref;
use std::sync::Arc;

use alloy::primitives::Address;
use axum::middleware::from_fn_with_state;
use axum::{Extension, Router};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::approvers::Approvers;
use crate::chain::ChainClock;
use crate::lane::{Signals, Standing};
use crate::onboarding::Onboarding;
use crate::preauth::Preauths;
use crate::store::Store;
use crate::webhooks::Webhooks;

pub use admin::{AdminState, admin_router};
pub use create::CreateRequest;
pub use dev::DevPowers;
pub use edge::MAX_BODY_BYTES;
pub use error::{ApiError, ErrorEnvelope, ErrorItem};
pub use event_stream::MOST_STREAMS;
pub use event_view::webhook_body;
pub use idempotency::Running;
pub use pay::{PayLinkRequest, PaySettings};
pub use rate_limit::{Rate, RateLimits, RateSettings};
pub use report_view::{AccountsLine, accounts_headings, accounts_rows};

/// What the endpoints need. Clones share everything; there are several of each request.
#[derive(Clone)]
pub struct HttpState {
    parts: Arc<HttpParts>,
}

impl HttpState {
    #[must_use]
    pub fn new(parts: HttpParts) -> Self {
        Self { parts: Arc::new(parts) }
    }
}

impl Deref for HttpState {
    type Target = HttpParts;

    fn deref(&self) -> &HttpParts {
        &self.parts
    }
}

/// The parts of [`HttpState`].
pub struct HttpParts {
    pub preauths: Preauths,
    pub webhooks: Webhooks,
    pub approvers: Approvers,
    /// `None`: there is no key for personal data, and nobody is onboarded.
    pub onboarding: Option<Onboarding>,
    /// For API keys only; everything else goes through `preauths`.
    pub store: Store,
    pub standing: Standing,
    pub signals: Signals,
    /// The door is closed: answers that would go on for ever end.
    pub closing: CancellationToken,
    /// A place for each stream of events.
    pub streams: Arc<Semaphore>,
    pub clock: ChainClock,
    pub chain_id: u64,
    /// The escrow that new preauthorizations use.
    pub escrow: Address,
    /// `None`: `/metrics` is off.
    pub metrics: Option<PrometheusHandle>,
    pub pay: PaySettings,
    /// How often API keys may be used.
    pub limits: RateLimits,
    /// Which requests with an idempotency key are running.
    pub running: Running,
    /// Only in `dev`.
    pub dev: Option<DevPowers>,
}

/// The whole API, its layers included.
pub fn router(state: HttpState) -> Router {
    let mut keyed = OpenApiRouter::with_openapi(openapi::skeleton())
        .routes(routes!(create::create, list::list))
        .routes(routes!(get::get))
        .routes(routes!(settle::settle, withdraw::withdraw))
        .routes(routes!(cancel::cancel))
        .routes(routes!(terms::offer_terms))
        .routes(routes!(pay::make::make))
        .routes(routes!(pay::show::show, pay::withdraw::withdraw))
        .routes(routes!(wallets::register::register, wallets::list::list))
        .routes(routes!(wallets::remove::remove))
        .routes(routes!(tokens::list))
        .routes(routes!(events::feed))
        .routes(routes!(events::timeline))
        .routes(routes!(event_stream::stream))
        .routes(routes!(webhooks::manage::add, webhooks::manage::list))
        .routes(routes!(webhooks::manage::get, webhooks::manage::remove, webhooks::change::change))
        .routes(routes!(webhooks::rotate::rotate))
        .routes(routes!(webhooks::deliveries::list))
        .routes(routes!(webhooks::resend::resend))
        .routes(routes!(approvers::manage::add, approvers::manage::list))
        .routes(routes!(approvers::manage::get, approvers::manage::remove, approvers::change::change))
        .routes(routes!(approvers::rotate::rotate))
        .routes(routes!(approvers::test::test))
        .routes(routes!(approvals::list))
        .routes(routes!(reports::settlements))
        .routes(routes!(claims::list));
    if state.onboarding.is_some() {
        keyed = keyed
            .routes(routes!(onboarding::terms::publish, onboarding::terms::get))
            .routes(routes!(onboarding::consumers::create))
            .routes(routes!(onboarding::consumers::get, onboarding::consumers::update))
            .routes(routes!(onboarding::consumer_steps::send_code))
            .routes(routes!(onboarding::consumer_steps::verify_code))
            .routes(routes!(onboarding::consumer_steps::send_link))
            .routes(routes!(onboarding::consumer_steps::make_kyc_link))
            .routes(routes!(onboarding::users::create))
            .routes(routes!(onboarding::users::add_kyc_file))
            .routes(routes!(onboarding::users::add_poa_file))
            .routes(routes!(onboarding::users::verify))
            .routes(routes!(onboarding::users::status))
            .routes(routes!(onboarding::user_onboarding::create))
            .routes(routes!(onboarding::user_onboarding::update))
            .routes(routes!(onboarding::business_users::create))
            .routes(routes!(onboarding::customers::get))
            .routes(routes!(onboarding::justifications::list, onboarding::justifications::create))
            .routes(routes!(onboarding::justifications::create_justification))
            .routes(routes!(
                onboarding::justifications::retrieve,
                onboarding::justifications::update,
                onboarding::justifications::partial_update,
                onboarding::justifications::destroy
            ))
            .routes(routes!(onboarding::justifications::approve))
            .routes(routes!(onboarding::justifications::reject))
            .routes(routes!(onboarding::justifications::attach_document))
            .routes(routes!(onboarding::documents::add, onboarding::documents::list))
            .routes(routes!(onboarding::documents::get))
            .routes(routes!(onboarding::parties::list))
            .routes(routes!(onboarding::parties::get, onboarding::parties::delete))
            .routes(routes!(onboarding::parties::suspend))
            .routes(routes!(onboarding::parties::resume))
            .routes(routes!(onboarding::parties::reject))
            .routes(routes!(onboarding::wallets::tie))
            .routes(routes!(onboarding::wallets::untie));
    }
    if state.dev.is_some() {
        keyed = keyed.routes(routes!(dev::advance));
    }
    let described = keyed
        .route_layer(from_fn_with_state(state.clone(), idempotency::once))
        .route_layer(from_fn_with_state(state.clone(), gate::gate))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(metrics::metrics))
        .routes(routes!(openapi::openapi))
        .routes(routes!(docs::docs));
    let (router, mut api) = described.split_for_parts();
    problems::add_errors(&mut api);
    parameters::never_null(&mut api);
    let document = api.to_json().unwrap_or_else(|error| {
        tracing::error!(%error, "the OpenAPI document cannot be written");
        "{}".to_owned()
    });
    let mut router = router.merge(pay::payer_routes());
    if state.onboarding.is_some() {
        router = router.merge(onboarding::links::routes()).merge(onboarding::provider::routes());
    }
    let router = router.layer(Extension(openapi::Document(Arc::from(document)))).with_state(state);
    edge::surround(router)
}
