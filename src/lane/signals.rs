//! Wake-up calls. They carry nothing: whoever is woken reads the database again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::model::PreauthKey;

/// The bells of the house. Clones share them.
#[derive(Clone, Default)]
pub struct Signals {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    work: watch::Sender<u64>,
    blocks: watch::Sender<u64>,
    news: watch::Sender<u64>,
    block: Notify,
    closing: CancellationToken,
    waiters: Mutex<HashMap<PreauthKey, watch::Sender<u64>>>,
}

/// Waits for changes of one preauth; dropping it ends the interest.
pub struct Watch {
    signals: Signals,
    key: PreauthKey,
    changes: watch::Receiver<u64>,
}

impl Signals {
    /// There may be something for the lanes to do.
    pub fn work_arrived(&self) {
        self.inner.work.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// A subscription to [`Self::work_arrived`].
    #[must_use]
    pub fn work(&self) -> watch::Receiver<u64> {
        self.inner.work.subscribe()
    }

    /// A block was taken in (or taken back).
    pub fn block_taken_in(&self) {
        self.inner.blocks.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// A subscription to [`Self::block_taken_in`].
    #[must_use]
    pub fn blocks(&self) -> watch::Receiver<u64> {
        self.inner.blocks.subscribe()
    }

    /// A new block may be there: the observer need not wait for its next look.
    pub fn look_for_block(&self) {
        self.inner.block.notify_one();
    }

    /// Resolves after [`Self::look_for_block`].
    pub async fn block_expected(&self) {
        self.inner.block.notified().await;
    }

    /// The daemon is about to stop: whoever waits for an outcome has waited long enough.
    pub fn close(&self) {
        self.inner.closing.cancel();
    }

    /// Resolves after [`Self::close`].
    pub async fn closing(&self) {
        self.inner.closing.cancelled().await;
    }

    /// A subscription to changes of any preauth.
    #[must_use]
    pub fn news(&self) -> watch::Receiver<u64> {
        self.inner.news.subscribe()
    }

    /// These preauths changed, durably.
    pub fn changed(&self, keys: impl IntoIterator<Item = PreauthKey>) {
        self.inner.news.send_modify(|count| *count = count.wrapping_add(1));
        let waiters = self.inner.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            if let Some(waiter) = waiters.get(&key) {
                waiter.send_modify(|count| *count = count.wrapping_add(1));
            }
        }
    }

    /// Listens to one preauth from now on.
    #[must_use]
    pub fn watch(&self, key: PreauthKey) -> Watch {
        let mut waiters = self.inner.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = waiters.entry(key).or_default().subscribe();
        Watch { signals: self.clone(), key, changes }
    }
}

impl Watch {
    /// Returns once the preauth changed after the last call.
    pub async fn changed(&mut self) {
        // The sender stays in the map as long as this receiver lives.
        let _ = self.changes.changed().await;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut waiters = self.signals.inner.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        // This receiver is still counted.
        if waiters.get(&self.key).is_some_and(|waiter| waiter.receiver_count() <= 1) {
            waiters.remove(&self.key);
        }
    }
}
