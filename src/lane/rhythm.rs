//! When the next block is likely: how often to look for it while somebody waits for what it brings.
//!
//! A block's time stamp is whole seconds of the chain's clock, so what is learned is when blocks arrive here.

use std::time::Duration;

use tokio::time::Instant;

/// Looks in the time of one block, while somebody waits: what was waited for is late by one part in so many.
const LOOKS_PER_BLOCK: u32 = 32;
/// However fast blocks come, a node is not asked more often.
const FINEST: Duration = Duration::from_millis(10);
/// A block that is late by so many times its interval has no rhythm: the chain stands still, or blocks come when there
/// is something for them.
const MISSED: u32 = 4;

/// How fast blocks have come lately.
#[derive(Debug, Default)]
pub(super) struct Rhythm {
    newest: Option<(u64, Instant)>,
    interval: Option<Duration>,
}

impl Rhythm {
    /// The chain's head was seen to be at this height.
    pub(super) fn saw(&mut self, number: u64, at: Instant) {
        if let Some((before, then)) = self.newest {
            let Some(blocks) = number.checked_sub(before).filter(|blocks| *blocks > 0) else { return };
            let blocks = u32::try_from(blocks).unwrap_or(u32::MAX);
            let gap = at.saturating_duration_since(then) / blocks;
            // A mean of which the newest makes up a quarter: when a look happens to come shifts it little.
            self.interval = Some(self.interval.map_or(gap, |interval| (interval * 3 + gap) / 4));
        }
        self.newest = Some((number, at));
    }

    /// How long to wait between two looks while somebody waits for a block; never longer than `ordinary`.
    pub(super) fn between_looks(&self, now: Instant, ordinary: Duration) -> Duration {
        let (Some((_, seen)), Some(interval)) = (self.newest, self.interval) else { return ordinary };
        if now.saturating_duration_since(seen) > interval * MISSED {
            return ordinary;
        }
        (interval / LOOKS_PER_BLOCK).max(FINEST).min(ordinary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDINARY: Duration = Duration::from_millis(500);

    fn after(blocks: u64, interval: Duration, late: impl Fn(u64) -> Duration) -> (Rhythm, Instant) {
        let begun = Instant::now();
        let mut rhythm = Rhythm::default();
        let mut at = begun;
        for number in 0..blocks {
            at = begun + interval * u32::try_from(number).unwrap() + late(number);
            rhythm.saw(number, at);
        }
        (rhythm, at)
    }

    #[tokio::test(start_paused = true)]
    async fn looks_are_a_fraction_of_the_interval_apart() {
        for (interval, looks) in [(1_000, 31), (2_000, 62), (12_000, 375), (100, 10), (60_000, 500)] {
            let (rhythm, at) = after(20, Duration::from_millis(interval), |_| Duration::ZERO);
            assert_eq!(rhythm.between_looks(at, ORDINARY).as_millis(), looks, "blocks of {interval} ms");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn that_looks_come_late_shifts_it_little() {
        let (rhythm, at) =
            after(40, Duration::from_secs(1), |number| Duration::from_millis(number * 211 % 400));
        let between = rhythm.between_looks(at, ORDINARY);
        assert!((20..45).contains(&between.as_millis()), "{between:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_chain_that_stands_still_is_asked_as_ever() {
        let (rhythm, at) = after(20, Duration::from_secs(1), |_| Duration::ZERO);
        assert_eq!(rhythm.between_looks(at + Duration::from_secs(5), ORDINARY), ORDINARY);
        assert_eq!(Rhythm::default().between_looks(at, ORDINARY), ORDINARY);
    }

    #[tokio::test(start_paused = true)]
    async fn several_blocks_that_are_seen_at_once_are_several_intervals() {
        let begun = Instant::now();
        let mut rhythm = Rhythm::default();
        rhythm.saw(10, begun);
        rhythm.saw(14, begun + Duration::from_secs(8));
        // A node that lags tells nothing.
        rhythm.saw(13, begun + Duration::from_secs(9));
        assert_eq!(rhythm.between_looks(begun + Duration::from_secs(9), ORDINARY).as_millis(), 62);
    }
}
