//! Two kinds of time that must not be mixed up: the chain's, which decides, and the wall's, which is shown.

use jiff::Timestamp;

/// Unix seconds by the chain's clock. Expiry and schedules are judged by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainTime(pub u64);

impl ChainTime {
    /// Seconds as SQL and `uint40` hold them; times beyond either are cut to the largest.
    #[must_use]
    pub fn as_i64(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    #[must_use]
    pub fn from_i64(seconds: i64) -> Self {
        Self(u64::try_from(seconds).unwrap_or_default())
    }

    #[must_use]
    pub fn saturating_add(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Whole seconds from `earlier` to here, zero when it is later.
    #[must_use]
    pub fn seconds_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// RFC 3339 in UTC with milliseconds, as every answer shows times.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        Millis(self.as_i64().saturating_mul(1_000)).to_rfc3339()
    }
}

/// Unix milliseconds by the wall clock: when rows were written, when a retry is worth it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub i64);

impl Millis {
    #[must_use]
    pub fn saturating_add(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// RFC 3339 in UTC with milliseconds: `2026-03-25T10:15:30.000Z`.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        let timestamp = Timestamp::from_millisecond(self.0).unwrap_or(Timestamp::MAX);
        format!("{timestamp:.3}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_utc_with_milliseconds() {
        assert_eq!(ChainTime(1_774_872_000).to_rfc3339(), "2026-03-30T12:00:00.000Z");
        assert_eq!(Millis(1_774_433_730_045).to_rfc3339(), "2026-03-25T10:15:30.045Z");
    }
}
