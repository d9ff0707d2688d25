//! How long many things take that are done by several at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use futures::future::BoxFuture;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Things that were done.
#[derive(Debug, Clone)]
pub(super) struct Lap {
    pub count: u64,
    /// From the beginning of the first to the end of the last.
    pub elapsed: Duration,
    /// What each took, shortest first; empty where they were not told apart.
    latencies: Vec<Duration>,
}

impl Lap {
    /// Things that were done as one.
    pub fn whole(count: u64, elapsed: Duration) -> Self {
        Self { count, elapsed, latencies: Vec::new() }
    }

    pub fn new(elapsed: Duration, mut latencies: Vec<Duration>) -> Self {
        latencies.sort_unstable();
        let count = u64::try_from(latencies.len()).unwrap_or(u64::MAX);
        Self { count, elapsed, latencies }
    }

    pub fn per_second(&self) -> u64 {
        let nanos = self.elapsed.as_nanos().max(1);
        u64::try_from(u128::from(self.count) * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
    }

    /// What each took on average of the whole time, in nanoseconds.
    pub fn nanos_each(&self) -> u128 {
        self.elapsed.as_nanos() / u128::from(self.count.max(1))
    }

    /// So many of a hundred took no longer.
    pub fn percentile(&self, of_hundred: usize) -> Option<Duration> {
        let last = self.latencies.len().checked_sub(1)?;
        self.latencies.get(last * of_hundred.min(100) / 100).copied()
    }
}

/// Does `count` things, `at_once` of them at a time: whoever is done with one begins the next.
///
/// # Errors
/// The first thing that went wrong; what is under way then is given up.
pub(super) async fn lap(
    count: u64,
    at_once: u32,
    one: impl Fn(u64) -> BoxFuture<'static, anyhow::Result<()>> + Send + Sync + 'static,
) -> anyhow::Result<Lap> {
    let (one, next) = (Arc::new(one), Arc::new(AtomicU64::new(0)));
    let begun = Instant::now();
    let mut workers = JoinSet::new();
    for _ in 0..at_once {
        let (one, next) = (Arc::clone(&one), Arc::clone(&next));
        workers.spawn(async move {
            let mut latencies = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return anyhow::Ok(latencies);
                }
                let begun = Instant::now();
                one(number).await?;
                latencies.push(begun.elapsed());
            }
        });
    }
    let mut all = Vec::new();
    while let Some(latencies) = workers.join_next().await {
        all.extend(latencies.context("a worker of the benchmark")??);
    }
    Ok(Lap::new(begun.elapsed(), all))
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn each_thing_is_done_once_and_timed() {
        let done = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&done);
        let lap = lap(100, 7, move |number| {
            count.fetch_add(number, Ordering::Relaxed);
            async { Ok(()) }.boxed()
        });
        let lap = lap.await.unwrap();
        assert_eq!((lap.count, done.load(Ordering::Relaxed)), (100, 4_950));
        assert!(lap.percentile(50) <= lap.percentile(100) && lap.percentile(100).unwrap() <= lap.elapsed);
    }

    #[test]
    fn rates_and_percentiles_are_whole_numbers() {
        let latencies = (1..=101).rev().map(Duration::from_millis).collect();
        let lap = Lap::new(Duration::from_millis(500), latencies);
        assert_eq!(lap.per_second(), 202);
        assert_eq!(lap.percentile(50), Some(Duration::from_millis(51)));
        assert_eq!(lap.percentile(100), Some(Duration::from_millis(101)));
        assert_eq!(Lap::whole(3, Duration::from_secs(2)).per_second(), 1);
        assert_eq!(Lap::whole(3, Duration::ZERO).percentile(50), None);
    }
}
