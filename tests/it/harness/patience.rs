//! Waiting with a bound. The only place in the tests that sleeps (but for the end of a process).

use std::future::Future;
use std::time::Duration;

/// Longest that anything is waited for. Generous: a bound is for what never comes, not for what comes late.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(40);

/// Polls until there is an answer; panics with `what` was waited for when there is none in time.
pub async fn until<T, F, Fut>(what: &str, mut look: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("waited in vain until {what}"))
}

/// The same for things that are looked at without async.
pub fn until_blocking<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let polls = PATIENCE.as_millis() / POLL.as_millis();
    for _ in 0..polls {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(POLL);
    }
    panic!("waited in vain until {what}")
}

/// A pause where a story is about nothing happening in the meantime, or about the moment of a blow.
pub async fn pause(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}
