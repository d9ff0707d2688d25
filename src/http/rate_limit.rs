//! How often an API key may be used: reads and everything else apart, each at a steady rate with a burst above it.
//!
//! The headers are those of the IETF's draft "RateLimit header fields for HTTP": `RateLimit-Policy` says what is allowed,
//! `RateLimit` what is left of it. Counts are kept in memory, one per key that was good; a restart begins anew.

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue, Method};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use super::caller::ApiKeyHash;
use super::error::ApiError;

static POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
static LEFT: HeaderName = HeaderName::from_static("ratelimit");

/// A steady rate and a burst above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub per_second: NonZeroU32,
    /// Requests at once, at most, after a rest.
    pub burst: NonZeroU32,
}

/// What each API key may do; `None`: as much as it likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateSettings {
    pub reads: Option<Rate>,
    pub writes: Option<Rate>,
}

impl RateSettings {
    /// Requests a second where nothing else is said: more than one daemon answers, less than keeps it from others.
    pub const DEFAULT_PER_SECOND: u32 = 1_000;
    /// Requests at once where nothing else is said.
    pub const DEFAULT_BURST: u32 = 5_000;
}

impl Rate {
    /// `None`: no limit.
    #[must_use]
    pub fn new(per_second: u32, burst: u32) -> Option<Self> {
        Some(Self { per_second: NonZeroU32::new(per_second)?, burst: NonZeroU32::new(burst)? })
    }
}

impl Default for RateSettings {
    fn default() -> Self {
        let rate = Rate::new(Self::DEFAULT_PER_SECOND, Self::DEFAULT_BURST);
        Self { reads: rate, writes: rate }
    }
}

/// The counts. Clones share them.
#[derive(Clone)]
pub struct RateLimits {
    reads: Option<Arc<Limit>>,
    writes: Option<Arc<Limit>>,
}

type Counts =
    RateLimiter<ApiKeyHash, HashMapStateStore<ApiKeyHash>, DefaultClock, StateInformationMiddleware>;

struct Limit {
    name: &'static str,
    rate: Rate,
    clock: DefaultClock,
    counts: Counts,
}

impl RateLimits {
    #[must_use]
    pub fn new(settings: RateSettings) -> Self {
        let limit = |name, rate: Option<Rate>| rate.map(|rate| Arc::new(Limit::new(name, rate)));
        Self { reads: limit("reads", settings.reads), writes: limit("writes", settings.writes) }
    }

    /// Counts a request. `None`: it is not limited.
    #[must_use]
    pub fn count(&self, key: ApiKeyHash, method: &Method) -> Option<Counted> {
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        let limit = if is_read { &self.reads } else { &self.writes };
        limit.as_ref().map(|limit| limit.count(key))
    }
}

impl Limit {
    fn new(name: &'static str, rate: Rate) -> Self {
        let quota = Quota::per_second(rate.per_second).allow_burst(rate.burst);
        let clock = DefaultClock::default();
        let counts = RateLimiter::hashmap_with_clock(quota, clock.clone());
        Self { name, rate, clock, counts: counts.with_middleware() }
    }

    fn count(&self, key: ApiKeyHash) -> Counted {
        let (left, wait_seconds) = match self.counts.check_key(&key) {
            Ok(state) => (state.remaining_burst_capacity(), None),
            Err(not_until) => {
                let wait = not_until.wait_time_from(self.clock.now());
                (0, Some(wait.as_secs().saturating_add(1)))
            }
        };
        Counted { name: self.name, rate: self.rate, left, wait_seconds }
    }
}

/// A request that was counted.
#[derive(Debug, Clone, Copy)]
pub struct Counted {
    name: &'static str,
    rate: Rate,
    left: u32,
    /// There were too many.
    wait_seconds: Option<u64>,
}

impl Counted {
    /// 429 once there were too many.
    #[must_use]
    pub fn refusal(&self) -> Option<ApiError> {
        self.wait_seconds.map(ApiError::too_often)
    }

    /// What the client is told, whatever the answer: the burst (`q`) and the seconds in which it grows again (`w`); what is
    /// left (`r`) and the seconds until all of it is there again (`t`).
    pub fn headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> + use<> {
        let Self { name, rate: Rate { per_second, burst }, left, .. } = *self;
        let window = burst.get().div_ceil(per_second.get());
        let until_full = burst.get().saturating_sub(left).div_ceil(per_second.get());
        let policy = format!("\"{name}\";q={burst};w={window}");
        let left = format!("\"{name}\";r={left};t={until_full}");
        [(&POLICY, policy), (&LEFT, left)]
            .into_iter()
            .filter_map(|(name, text)| Some((name.clone(), HeaderValue::try_from(text).ok()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::House;
    use crate::model::Scope;

    async fn house(reads: Option<Rate>, writes: Option<Rate>) -> House {
        let mut house = House::open().await;
        house.parts().limits = RateLimits::new(RateSettings { reads, writes });
        house
    }

    /// A rate so slow that no test outlives it.
    fn slow(burst: u32) -> Option<Rate> {
        Rate::new(1, burst)
    }

    #[tokio::test]
    async fn every_answer_says_what_is_left() {
        let house = house(Rate::new(10, 100), Rate::new(20, 50)).await;
        let key = house.key(&Scope::ALL).await;
        let answer = house.get("/tokens").header("x-api-key", &key).send().await;
        assert_eq!(answer.header("ratelimit-policy"), "\"reads\";q=100;w=10");
        assert_eq!(answer.header("ratelimit"), "\"reads\";r=99;t=1");
        let answer = house.post("/wallets", "{}").header("x-api-key", &key).send().await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.header("ratelimit-policy"), "\"writes\";q=50;w=3");
        assert_eq!(answer.header("ratelimit"), "\"writes\";r=49;t=1");
    }

    #[tokio::test]
    async fn a_key_that_asks_too_often_waits_and_nobody_else_does() {
        let house = house(slow(3), slow(1)).await;
        let (one, other) = (house.key(&Scope::ALL).await, house.key(&Scope::ALL).await);
        for left in ["2", "1", "0"] {
            let answer = house.get("/tokens").header("x-api-key", &one).send().await;
            assert_eq!(answer.status, 200);
            assert!(answer.header("ratelimit").contains(&format!("r={left};")), "{left}");
        }
        let answer = house.get("/tokens").header("x-api-key", &one).send().await;
        assert_eq!(answer.error(), (429, "onchain", "Too many requests", "too_many_requests"));
        assert_eq!(answer.header("retry-after"), "1");
        assert_eq!(answer.header("ratelimit"), "\"reads\";r=0;t=3");
        assert_eq!(house.get("/tokens").header("x-api-key", &other).send().await.status, 200);
        // Writes are counted apart.
        assert_eq!(house.post("/wallets", "{}").header("x-api-key", &one).send().await.status, 400);
        assert_eq!(house.post("/wallets", "{}").header("x-api-key", &one).send().await.status, 429);
    }

    #[tokio::test]
    async fn what_takes_no_key_is_not_limited() {
        let house = house(slow(1), slow(1)).await;
        let key = house.key(&Scope::ALL).await;
        for _ in 0..3 {
            assert_eq!(house.get("/health/live").header("x-api-key", &key).send().await.status, 200);
            assert_eq!(house.get("/tokens").send().await.status, 401);
        }
        let unlimited = RateLimits::new(RateSettings { reads: None, writes: None });
        assert!(unlimited.count(ApiKeyHash([0; 32]), &Method::GET).is_none());
    }
}
