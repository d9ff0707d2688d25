//! When a delivery is tried again.

use std::time::Duration;

use rand::RngExt;

use crate::model::Millis;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Pauses before each attempt: ten in about three days, closer in the beginning.
pub const DEFAULT_RETRY_SCHEDULE: [Duration; 10] = [
    seconds(0),
    seconds(5),
    seconds(5 * 60),
    seconds(30 * 60),
    seconds(2 * 3_600),
    seconds(5 * 3_600),
    seconds(10 * 3_600),
    seconds(14 * 3_600),
    seconds(20 * 3_600),
    seconds(24 * 3_600),
];

/// Longest that a receiver may have us wait.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3_600);
/// A pause is this part longer at most, so that not all that failed together comes together again.
const JITTER: u32 = 10;

/// When a delivery is tried again that failed `tries` times, this one included; `None`: it is given up. A receiver that
/// named a time is not asked before.
pub(super) fn next_attempt(
    schedule: &[Duration],
    tries: u32,
    retry_after: Option<Duration>,
    now: Millis,
) -> Option<Millis> {
    let pause = *schedule.get(usize::try_from(tries).ok()?)?;
    let jitter = pause / JITTER / 1_000 * rand::rng().random_range(0..=1_000);
    let pause = (pause + jitter).max(retry_after.unwrap_or_default().min(LONGEST_WAIT));
    Some(now.saturating_add(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX)))
}

/// Reads `Retry-After`: seconds, or a date.
pub(super) fn retry_after(header: &str, now: Millis) -> Option<Duration> {
    let header = header.trim();
    if let Ok(seconds) = header.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(header).ok()?.timestamp();
    let millis = u64::try_from(date.as_millisecond().saturating_sub(now.0)).unwrap_or_default();
    Some(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_attempts_are_made_in_three_days() {
        let (mut now, mut pauses) = (Millis(0), Vec::new());
        for tries in 1.. {
            let Some(next) = next_attempt(&DEFAULT_RETRY_SCHEDULE, tries, None, now) else { break };
            pauses.push((next.0 - now.0) / 1_000);
            now = next;
        }
        let scheduled =
            DEFAULT_RETRY_SCHEDULE[1..].iter().map(|pause| i64::try_from(pause.as_secs()).unwrap());
        assert_eq!(pauses.len(), 9);
        for (pause, scheduled) in pauses.iter().zip(scheduled) {
            assert!((scheduled..=scheduled + scheduled / 10 + 1).contains(pause), "{pause} for {scheduled}");
        }
        let days = now.0 / 1_000 / 86_400;
        assert!((3..=4).contains(&days), "{days} days");
    }

    #[test]
    fn a_receiver_may_ask_for_patience_but_not_for_ever() {
        let next =
            |retry_after| next_attempt(&DEFAULT_RETRY_SCHEDULE, 1, Some(retry_after), Millis(0)).unwrap().0;
        assert_eq!(next(seconds(600)), 600_000);
        assert!(next(seconds(1)) >= 5_000);
        assert_eq!(next(seconds(10_000_000)), 86_400_000);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Millis(1_774_433_730_000);
        assert_eq!(retry_after("120", now), Some(seconds(120)));
        assert_eq!(retry_after("Wed, 25 Mar 2026 10:16:30 GMT", now), Some(seconds(60)));
        assert_eq!(retry_after("Wed, 25 Mar 2020 10:16:30 GMT", now), Some(seconds(0)));
        assert_eq!(retry_after("soon", now), None);
    }
}
