//! The two clocks. The chain's is the timestamp of its newest block, carried on by the wall clock while the chain
//! stands still.
//!
//! Both can be played: the wall clock is a value that is handed over, and what is measured in between is measured by
//! tokio's time. So a seeded simulation can live through hours in a moment, and through the same hours again.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::Instant;

use super::BlockHeader;
use crate::model::{ChainTime, Millis};

/// How long a chain may show no block before the wall clock carries its time on.
const STANDSTILL: Duration = Duration::from_secs(30);
/// How far the carried-on time stays behind, so that it is never ahead of the next block.
const STANDSTILL_MARGIN: Duration = Duration::from_secs(15);

/// The system's clock. The only place that reads it.
#[must_use]
#[allow(clippy::disallowed_methods)]
pub fn wall_now() -> Millis {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

type Rest = BoxFuture<'static, ()>;

/// Where the time of the wall is read and let pass. Clones share it.
#[derive(Clone)]
pub struct WallClock {
    read: Arc<dyn Fn() -> Millis + Send + Sync>,
    rest: Arc<dyn Fn(Duration) -> Rest + Send + Sync>,
}

impl WallClock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self { read: Arc::new(wall_now), rest: Arc::new(|time| tokio::time::sleep(time).boxed()) }
    }

    /// A clock that shows what `read` says, and tells `rest` who waits for it.
    #[cfg(test)]
    pub(crate) fn played(
        read: impl Fn() -> Millis + Send + Sync + 'static,
        rest: impl Fn(Duration) -> Rest + Send + Sync + 'static,
    ) -> Self {
        Self { read: Arc::new(read), rest: Arc::new(rest) }
    }

    /// The time it shows.
    #[must_use]
    pub fn now(&self) -> Millis {
        (self.read)()
    }

    /// Lets so much time pass.
    pub fn rest(&self, time: Duration) -> Rest {
        (self.rest)(time)
    }

    /// [`Self::rest`] for whoever tries again and again.
    pub fn pauses(&self) -> impl Fn(Duration) -> Rest + use<> {
        let rest = Arc::clone(&self.rest);
        move |time| rest(time)
    }
}

impl fmt::Debug for WallClock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("WallClock").field(&self.now()).finish()
    }
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    block: u64,
    timestamp: ChainTime,
    /// Gas a block holds; the largest number until a block was seen.
    gas_limit: u64,
    seen: Instant,
}

/// The chain's clock, as the observer last read it. Clones share it.
#[derive(Debug, Clone)]
pub struct ChainClock {
    reading: Arc<watch::Sender<Reading>>,
    wall: WallClock,
}

impl ChainClock {
    /// A clock that stands at `block`.
    #[must_use]
    pub fn starting_at(block: u64, timestamp: ChainTime, wall: WallClock) -> Self {
        let (reading, _) =
            watch::channel(Reading { block, timestamp, gas_limit: u64::MAX, seen: Instant::now() });
        Self { reading: Arc::new(reading), wall }
    }

    /// The wall's time: when rows were written, when a retry is worth it.
    #[must_use]
    pub fn wall(&self) -> Millis {
        self.wall.now()
    }

    /// Tells of the newest block that was taken in.
    pub fn advance(&self, block: &BlockHeader) {
        let BlockHeader { number, timestamp, gas_limit, .. } = *block;
        self.reading.send_replace(Reading { block: number, timestamp, gas_limit, seen: Instant::now() });
    }

    /// Tells that the chain went back to an older block.
    pub fn go_back(&self, block: u64, timestamp: ChainTime) {
        self.reading.send_modify(|reading| {
            *reading = Reading { block, timestamp, seen: Instant::now(), ..*reading };
        });
    }

    /// Gas a block holds, by the newest one.
    #[must_use]
    pub fn block_gas_limit(&self) -> u64 {
        self.reading.borrow().gas_limit
    }

    /// At start: the newest block may be old. Counts the time since it, by the wall clock, as having been waited.
    pub fn count_age(&self) {
        let wall = self.wall();
        self.reading.send_modify(|reading| {
            let age = wall.0.saturating_sub(reading.timestamp.as_i64().saturating_mul(1_000));
            let age = Duration::from_millis(u64::try_from(age).unwrap_or_default());
            reading.seen = Instant::now().checked_sub(age).unwrap_or(reading.seen);
        });
    }

    /// The chain's time: that of its newest block, or, where none came for 30 s, the time that has passed since, less
    /// a margin of 15 s.
    #[must_use]
    pub fn now(&self) -> ChainTime {
        let reading = *self.reading.borrow();
        let age = reading.seen.elapsed();
        if age < STANDSTILL {
            return reading.timestamp;
        }
        reading.timestamp.saturating_add((age.saturating_sub(STANDSTILL_MARGIN)).as_secs())
    }

    /// The chain's time where it is no longer that of the newest block, for dry runs that must not see the past.
    #[must_use]
    pub fn carried_on(&self) -> Option<ChainTime> {
        let now = self.now();
        (now > self.reading.borrow().timestamp).then_some(now)
    }

    /// The newest block that was taken in.
    #[must_use]
    pub fn block(&self) -> u64 {
        self.reading.borrow().block
    }

    /// Returns once block `number` or a later one was taken in.
    pub async fn reached(&self, number: u64) {
        let mut reading = self.reading.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = reading.wait_for(|reading| reading.block >= number).await;
    }
}
