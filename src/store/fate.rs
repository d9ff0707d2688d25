//! Only in tests: where a daemon dies, counted in the times it waits for its database. Before a change it dies without it,
//! after a change it dies with it and nobody has been told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

/// No death is ordained.
const NEVER: u64 = u64::MAX;

/// Clones share it.
#[derive(Debug, Clone)]
pub struct Fate {
    left: Arc<AtomicU64>,
    struck: watch::Sender<bool>,
}

impl Default for Fate {
    fn default() -> Self {
        Self { left: Arc::new(AtomicU64::new(NEVER)), struck: watch::Sender::new(false) }
    }
}

impl Fate {
    /// It dies after so many more waits.
    pub fn ordain(&self, waits: u64) {
        self.left.store(waits, Ordering::Relaxed);
    }

    /// It lives on, unless it is dead already.
    pub fn spare(&self) {
        self.ordain(NEVER);
    }

    pub fn has_struck(&self) -> bool {
        *self.struck.borrow()
    }

    async fn strikes(&self) {
        // It lives as long as this clone of it.
        let _ = self.struck.subscribe().wait_for(|struck| *struck).await;
    }

    /// What `work` comes to, unless the daemon dies over it.
    pub async fn allows<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.strikes() => None,
        }
    }

    /// Passes by, or never comes back.
    pub(super) async fn pass(&self) {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            self.struck.send_replace(true);
        }
        if self.has_struck() {
            std::future::pending::<()>().await;
        }
        if left != NEVER {
            self.left.store(left - 1, Ordering::Relaxed);
        }
    }
}
