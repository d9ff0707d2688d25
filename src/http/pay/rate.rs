//! How often one link may be used for what costs more than a look into the database.
//!
//! Only links that exist are counted, so strangers cannot fill the memory with links that they make up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::http::error::ApiError;
use crate::model::{Millis, PayTokenHash};

/// Questions for terms, and consents, that one link may bring in a minute.
const PER_MINUTE: u32 = 30;
const MINUTE_MILLIS: i64 = 60_000;

/// Counts within one minute of the wall clock, and forgets all of it with the next. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Rate(Arc<Mutex<Minute>>);

#[derive(Debug, Default)]
struct Minute {
    number: i64,
    asked: HashMap<PayTokenHash, u32>,
}

impl Rate {
    /// Counts a request.
    ///
    /// # Errors
    /// 429 once there were too many in this minute.
    pub fn admit(&self, link: PayTokenHash, now: Millis) -> Result<(), ApiError> {
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = now.0.div_euclid(MINUTE_MILLIS);
        if minute.number != number {
            *minute = Minute { number, asked: HashMap::new() };
        }
        let asked = minute.asked.entry(link).or_default();
        *asked = asked.saturating_add(1);
        if *asked <= PER_MINUTE {
            return Ok(());
        }
        let left = MINUTE_MILLIS - now.0.rem_euclid(MINUTE_MILLIS);
        Err(ApiError::too_often(u64::try_from(left).unwrap_or_default().div_ceil(1_000)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_asks_too_often_waits_for_the_next_minute() {
        let rate = Rate::default();
        let (one, other) = (PayTokenHash([1; 32]), PayTokenHash([2; 32]));
        for _ in 0..PER_MINUTE {
            rate.admit(one, Millis(60_000)).unwrap();
        }
        assert_eq!(rate.admit(one, Millis(61_000)).unwrap_err().status(), 429);
        rate.admit(other, Millis(61_000)).unwrap();
        rate.admit(one, Millis(120_000)).unwrap();
    }
}
