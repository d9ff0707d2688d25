//! How long to wait before the next try.

use std::time::Duration;

use crate::model::Millis;

const FIRST_MS: i64 = 500;
/// Doublings at most: 500 ms << 5 is 16 s, so that what has become possible is done within a minute.
const MAX_DOUBLINGS: u32 = 5;

/// When an operation that failed `tries` times before may be tried again.
#[must_use]
pub(super) fn after_failure(now: Millis, tries: u32) -> Millis {
    now.saturating_add(FIRST_MS << tries.min(MAX_DOUBLINGS))
}

/// For how many seconds the return of a hold is put off that the chain was found to know nothing of, after its expiry was
/// given up `before` times: a minute, then twice as long each time, up to about a day.
#[must_use]
pub(super) fn forlorn_seconds(before: u32) -> u64 {
    60 << before.min(11)
}

/// How long a worker rests after its `failures`-th failure in a row (a node that does not answer, a full disk).
#[must_use]
pub(super) fn rest(failures: u32) -> Duration {
    Duration::from_millis(100 << failures.min(6))
}
