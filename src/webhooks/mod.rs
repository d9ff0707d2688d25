//! Telling merchants' systems of events, by the Standard Webhooks specification.
//!
//! An event is written by whoever brings it about, and knows nobody. The [`Courier`] finds the endpoints that want it,
//! writes down what is to be sent to whom, and only then sends; what was answered is written down, too. Nothing is kept in
//! memory but what is on its way at the moment, so a daemon that dies sends once more what it does not know to have
//! arrived, under the same id.
//!
//! How an event is shown is the business of the room above: it gives the courier the function.

mod attempt;
mod courier;
mod endpoints;
mod forward;
mod retry;

use std::sync::Arc;
use std::time::Duration;

use crate::outbound::Outbound;

pub use courier::{Courier, Render};
pub use endpoints::{EndpointFault, EndpointRefusal, EndpointWish, NewEndpoint, Resend, Webhooks};
pub use forward::{Forwarder, ForwarderFault};
pub use retry::DEFAULT_RETRY_SCHEDULE;

/// Where and how messages are sent.
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    pub outbound: Outbound,
    /// How long after each attempt's failure the next one follows; the first is the pause before the first attempt.
    pub retry_schedule: Arc<[Duration]>,
    /// How long an attempt may take.
    pub time_limit: Duration,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self {
            outbound: Outbound::default(),
            retry_schedule: Arc::from(DEFAULT_RETRY_SCHEDULE),
            time_limit: Duration::from_secs(15),
        }
    }
}
