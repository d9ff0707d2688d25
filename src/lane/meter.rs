//! Numbers for those who watch, read from the database and the node every few seconds: what is told here was committed, and
//! telling it costs no request anything.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use alloy::primitives::Address;
use tokio_util::sync::CancellationToken;

use super::Standing;
use crate::chain::{Chain, ChainClock};
use crate::model::{Millis, OperationKind, OperationState};
use crate::store::{Connection, Store, StoreError, blocks, figures};

/// How often. Prometheus asks every 15 seconds or so.
const EVERY: Duration = Duration::from_secs(5);
/// Operations whose journeys are told of at a time; beyond that a sample is enough.
const JOURNEYS: u32 = 5_000;
/// The states of an operation that is not ended.
const OPEN: [OperationState; 2] = [OperationState::Due, OperationState::Batched];

/// Reads figures until it is told to stop.
pub struct Meter {
    store: Store,
    chain: Chain,
    clock: ChainClock,
    standing: Standing,
    operators: Vec<Address>,
    /// Blocks below which nothing can be undone any more.
    reorg_depth: u64,
    /// Up to where it has told of things; `None`: what was before its start is told by nobody.
    told: Option<Told>,
}

#[derive(Debug, Clone, Copy)]
struct Told {
    event: i64,
    included: u64,
    final_block: u64,
}

impl Meter {
    #[must_use]
    pub fn new(
        store: Store,
        chain: Chain,
        clock: ChainClock,
        standing: Standing,
        operators: Vec<Address>,
        reorg_depth: u64,
    ) -> Self {
        Self { store, chain, clock, standing, operators, reorg_depth, told: None }
    }

    /// Reads until told to stop. Faults are outlived: whoever they stop has said so.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.turn() => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    async fn turn(&mut self) {
        if let Err(error) = self.read().await {
            self.standing.note(&self.store, &error);
        }
        for operator in &self.operators {
            // A node that does not answer is told of by the observer.
            if let Ok(balance) = self.chain.native_balance(*operator).await {
                metrics::gauge!("preauthd_operator_balance_wei", "operator" => operator.to_string())
                    .set(as_gauge(balance));
            }
        }
    }

    async fn read(&mut self) -> Result<(), StoreError> {
        let mut snapshot = self.store.snapshot().await?;
        let now = self.clock.wall();
        show_open(&mut snapshot, now).await?;
        let Some(tip) = blocks::tip(&mut snapshot).await? else { return Ok(()) };
        let age = now.0.saturating_sub(tip.timestamp.as_i64().saturating_mul(1_000));
        metrics::gauge!("preauthd_block_age_seconds").set(seconds(age));
        let next = figures::next_release(&mut snapshot).await?;
        // Without a hold there is nothing to expire soon.
        let left =
            next.map_or(f64::INFINITY, |next| as_gauge(next.as_i64().saturating_sub(tip.timestamp.as_i64())));
        metrics::gauge!("preauthd_hold_next_expiry_seconds").set(left);
        self.tell(&mut snapshot, tip.number, now).await
    }

    /// Counts events, and measures journeys, each once.
    async fn tell(&mut self, connection: &mut Connection, tip: u64, now: Millis) -> Result<(), StoreError> {
        let newest = Told {
            event: figures::newest_event(connection).await?,
            included: tip,
            final_block: tip.saturating_sub(self.reorg_depth),
        };
        let Some(told) = self.told.replace(newest) else { return Ok(()) };
        for (kind, count) in figures::events_between(connection, told.event, newest.event).await? {
            metrics::counter!("preauthd_events_total", "type" => kind.public_name())
                .increment(count.unsigned_abs());
        }
        // A reorg brings the tip back; what is mined again is told again.
        for journey in figures::journeys(connection, told.included, newest.included, JOURNEYS).await? {
            let kind = journey.kind.as_str();
            metrics::histogram!("preauthd_operation_signed_seconds", "kind" => kind)
                .record(seconds(journey.to_signed));
            metrics::histogram!("preauthd_operation_included_seconds", "kind" => kind)
                .record(seconds(journey.to_included));
        }
        for journey in figures::journeys(connection, told.final_block, newest.final_block, JOURNEYS).await? {
            metrics::histogram!("preauthd_operation_final_seconds", "kind" => journey.kind.as_str())
                .record(seconds(now.0.saturating_sub(journey.accepted.0)));
        }
        Ok(())
    }
}

async fn show_open(connection: &mut Connection, now: Millis) -> Result<(), StoreError> {
    let open = figures::open_operations(connection).await?;
    let by_name: BTreeMap<_, _> =
        open.iter().map(|open| ((open.kind.as_str(), open.state.as_str()), open)).collect();
    for kind in OperationKind::ALL {
        for state in OPEN {
            let found = by_name.get(&(kind.as_str(), state.as_str()));
            let labels = [("kind", kind.as_str()), ("state", state.as_str())];
            metrics::gauge!("preauthd_operations", &labels).set(as_gauge(found.map_or(0, |open| open.count)));
            if state == OperationState::Due {
                let age = found.map_or(0, |open| now.0.saturating_sub(open.oldest.0));
                metrics::gauge!("preauthd_operation_oldest_due_seconds", "kind" => kind.as_str())
                    .set(seconds(age));
            }
        }
    }
    Ok(())
}

/// Milliseconds in seconds, as Prometheus takes them.
fn seconds(millis: i64) -> f64 {
    let millis = u64::try_from(millis).unwrap_or_default();
    Duration::from_millis(millis).as_secs_f64()
}

/// As gauges take it. Whole numbers beyond 2^53 lose their last digits there, and nowhere else.
pub fn as_gauge(whole: impl Display) -> f64 {
    whole.to_string().parse().unwrap_or(f64::INFINITY)
}
