//! The worker that delivers: finds what is due, sends it, writes down what came of it.
//!
//! Level-triggered: a bell only wakes it, and it asks the database. Each endpoint has few places of its own, one while
//! everything to it fails, so that one that does not answer keeps nobody else's messages waiting.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::WebhookSettings;
use super::attempt::{Verdict, attempt};
use super::retry::next_attempt;
use crate::chain::wall_now;
use crate::lane::{Signals, Standing};
use crate::model::{Delivery, DeliveryAttempt, DeliveryState, Endpoint, Millis};
use crate::outbound::{Keys, Message, Post, UnusableKey};
use crate::preauth::Told;
use crate::store::{Store, StoreError, deliveries, endpoints, events};

/// Messages on their way at once, in all.
const ALL_PLACES: usize = 256;
/// To one endpoint.
const PLACES: usize = 8;
/// To one endpoint to which everything fails.
const PLACES_IN_TROUBLE: usize = 1;
/// Events that are fanned out to an endpoint in one change.
const PAGE: u32 = 500;
/// Endpoints that are looked at in one change.
const ENDPOINTS: u32 = 100;
/// Changes of one round; what is left waits for the next.
const CHANGES: usize = 20;
/// How long to wait for a bell: what is due by its time rings none.
const UNASKED: Duration = Duration::from_secs(1);
/// How long what is on its way may take to arrive when the daemon stops.
const GRACE: Duration = Duration::from_secs(1);
/// When a message that could not even be made is tried again, in milliseconds.
const UNMADE_PAUSE_MS: i64 = 3_600_000;

/// How an event is shown.
pub type Render = fn(&Told) -> serde_json::Result<Vec<u8>>;

/// Delivers.
pub struct Courier {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    signals: Signals,
    standing: Standing,
    settings: WebhookSettings,
    render: Render,
    post: Post,
}

/// What is on its way.
#[derive(Default)]
struct Flights {
    tasks: JoinSet<(i64, i64)>,
    deliveries: HashSet<i64>,
    by_endpoint: HashMap<i64, usize>,
    rounds: usize,
}

/// Why a message could not be made.
#[derive(Debug, thiserror::Error)]
enum Unmade {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Unsigned(#[from] UnusableKey),
    #[error("the event cannot be shown: {0}")]
    Shown(#[from] serde_json::Error),
}

impl Courier {
    #[must_use]
    pub fn new(
        store: Store,
        signals: Signals,
        standing: Standing,
        settings: WebhookSettings,
        render: Render,
        post: Post,
    ) -> Self {
        Self { inner: Arc::new(Inner { store, signals, standing, settings, render, post }) }
    }

    /// Delivers until told to stop. Faults are logged and outlived.
    pub async fn run(self, stop: CancellationToken) {
        let mut news = self.inner.signals.news();
        let mut flights = Flights::default();
        loop {
            news.mark_unchanged();
            if let Err(error) = self.inner.round(&mut flights).await {
                self.inner.standing.note(&self.inner.store, &error);
                tracing::error!(%error, "webhooks are not delivered");
            }
            tokio::select! {
                () = stop.cancelled() => break,
                _ = news.changed() => {}
                Some(landed) = flights.tasks.join_next() => flights.land(landed.ok()),
                () = tokio::time::sleep(UNASKED) => {}
            }
            while let Some(landed) = flights.tasks.try_join_next() {
                flights.land(landed.ok());
            }
        }
        // Whatever does not arrive in time is sent again at the next start.
        let landing = async { while flights.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(GRACE, landing).await;
    }
}

impl Flights {
    fn land(&mut self, landed: Option<(i64, i64)>) {
        let Some((delivery, endpoint)) = landed else { return };
        self.deliveries.remove(&delivery);
        if let Some(count) = self.by_endpoint.get_mut(&endpoint) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_endpoint.remove(&endpoint);
            }
        }
    }
}

impl Inner {
    async fn round(self: &Arc<Self>, flights: &mut Flights) -> Result<(), StoreError> {
        self.fan_out().await?;
        let now = wall_now();
        let mut reader = self.store.read().await?;
        let mut due = endpoints::with_due(&mut reader, now).await?;
        // Where there are more than places, another is first each time.
        if !due.is_empty() {
            let first = flights.rounds % due.len();
            due.rotate_left(first);
        }
        flights.rounds = flights.rounds.wrapping_add(1);
        for endpoint in due {
            let places = if endpoint.failing_since.is_some() { PLACES_IN_TROUBLE } else { PLACES };
            let taken = flights.by_endpoint.get(&endpoint.key).copied().unwrap_or_default();
            let free = places.saturating_sub(taken).min(ALL_PLACES.saturating_sub(flights.deliveries.len()));
            if free == 0 {
                continue;
            }
            let limit = u32::try_from(free + taken).unwrap_or(u32::MAX);
            let mut waiting = deliveries::due(&mut reader, endpoint.key, now, limit).await?;
            let endpoint = Arc::new(endpoint);
            waiting.retain(|delivery| !flights.deliveries.contains(&delivery.key));
            for delivery in waiting.into_iter().take(free) {
                flights.deliveries.insert(delivery.key);
                *flights.by_endpoint.entry(endpoint.key).or_default() += 1;
                let (inner, endpoint) = (Arc::clone(self), Arc::clone(&endpoint));
                flights.tasks.spawn(async move {
                    inner.deliver(&endpoint, &delivery).await;
                    (delivery.key, endpoint.key)
                });
            }
        }
        let oldest = deliveries::oldest_pending(&mut reader).await?;
        let age = oldest.map_or(0, |oldest| wall_now().0.saturating_sub(oldest.0) / 1_000);
        metrics::gauge!("preauthd_webhook_oldest_pending_seconds")
            .set(f64::from(u32::try_from(age).unwrap_or_default()));
        Ok(())
    }

    /// Writes down what is to be sent to whom.
    async fn fan_out(&self) -> Result<(), StoreError> {
        for _ in 0..CHANGES {
            let behind = {
                let mut reader = self.store.read().await?;
                endpoints::behind(&mut reader, ENDPOINTS).await?
            };
            if behind.is_empty() {
                return Ok(());
            }
            let now = wall_now();
            let first = next_attempt(&self.settings.retry_schedule, 0, None, now).unwrap_or(now);
            self.store
                .write::<_, StoreError, _>(move |tx| {
                    async move {
                        for (endpoint, cursor) in behind {
                            deliveries::fan_out(tx, &endpoint, cursor, PAGE, first, now).await?;
                        }
                        Ok(())
                    }
                    .boxed()
                })
                .await?;
        }
        Ok(())
    }

    /// One attempt, from the database to the database.
    async fn deliver(&self, endpoint: &Endpoint, delivery: &Delivery) {
        let (attempt, verdict) = match self.message(endpoint, delivery).await {
            Ok(message) => {
                let (attempt, verdict) = attempt(&self.post, message, self.settings.time_limit).await;
                (attempt, Some(verdict))
            }
            Err(why) => {
                if let Unmade::Store(error) = &why {
                    self.standing.note(&self.store, error);
                }
                tracing::error!(endpoint = %endpoint.id, event = %delivery.event_id, %why, "a webhook cannot be made");
                let error = Some("the message could not be made; the daemon's log says why".to_owned());
                let at = wall_now();
                (DeliveryAttempt { at, duration_ms: 0, status: None, error, response: None }, None)
            }
        };
        count(verdict, attempt.duration_ms);
        if let Err(error) = self.write_down(endpoint, delivery, attempt, verdict).await {
            // It is sent once more: that it arrived is not known.
            self.standing.note(&self.store, &error);
            tracing::error!(endpoint = %endpoint.id, %error, "what became of a webhook could not be written down");
        }
    }

    async fn message(&self, endpoint: &Endpoint, delivery: &Delivery) -> Result<Message, Unmade> {
        let mut reader = self.store.read().await?;
        let event = events::by_position(&mut reader, delivery.event).await?;
        let told = Told::of(&mut reader, vec![event]).await?;
        drop(reader);
        let body = told.first().map(self.render).transpose()?.unwrap_or_default();
        let (id, now) = (delivery.event_id.to_string(), wall_now());
        let keys = Keys {
            owner: endpoint.id,
            scheme: endpoint.scheme,
            secret: &endpoint.secret,
            old_secret: endpoint.old_secret.as_ref(),
        };
        let signature = keys.sign(&self.settings.outbound.vault, &id, now, &body)?;
        let timestamp = now.0 / 1_000;
        Ok(Message { url: endpoint.url.clone(), id, timestamp, signature, body })
    }

    async fn write_down(
        &self,
        endpoint: &Endpoint,
        delivery: &Delivery,
        attempt: DeliveryAttempt,
        verdict: Option<Verdict>,
    ) -> Result<(), StoreError> {
        let now = wall_now();
        let mut disabled = None;
        let (state, next_at) = match verdict {
            Some(Verdict::Delivered) => (DeliveryState::Delivered, now),
            Some(Verdict::Gone) => {
                tracing::warn!(endpoint = %endpoint.id, "a webhook endpoint is gone (410): it is disabled");
                disabled = Some("the endpoint answered 410 Gone");
                (DeliveryState::Failed, now)
            }
            Some(Verdict::Failed(pause)) => self.after_failure(endpoint, delivery, pause, now),
            None => (DeliveryState::Pending, now.saturating_add(UNMADE_PAUSE_MS)),
        };
        let failed = state != DeliveryState::Delivered;
        let (key, delivery) = (endpoint.key, delivery.clone());
        self.store
            .write::<_, StoreError, _>(move |tx| {
                async move {
                    deliveries::note_attempt(tx, &delivery, &attempt, state, next_at, now).await?;
                    endpoints::note_attempt(tx, key, failed, disabled, now).await
                }
                .boxed()
            })
            .await
    }

    fn after_failure(
        &self,
        endpoint: &Endpoint,
        delivery: &Delivery,
        pause: Option<Duration>,
        now: Millis,
    ) -> (DeliveryState, Millis) {
        match next_attempt(&self.settings.retry_schedule, delivery.tries.saturating_add(1), pause, now) {
            Some(next_at) => (DeliveryState::Pending, next_at),
            None => {
                tracing::warn!(endpoint = %endpoint.id, event = %delivery.event_id, "a webhook is given up");
                (DeliveryState::Failed, now)
            }
        }
    }
}

fn count(verdict: Option<Verdict>, duration_ms: u64) {
    let result = match verdict {
        Some(Verdict::Delivered) => "delivered",
        Some(Verdict::Gone) => "gone",
        Some(Verdict::Failed(_)) => "failed",
        None => "unmade",
    };
    metrics::counter!("preauthd_webhook_attempts_total", "result" => result).increment(1);
    metrics::histogram!("preauthd_webhook_attempt_seconds")
        .record(Duration::from_millis(duration_ms).as_secs_f64());
}
