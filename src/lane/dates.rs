//! The times of blocks that were taken in without them: by a version that did not keep them, or by a rebuild from logs that
//! did not tell. Reports wait for them, nothing else does.

use std::time::Duration;

use futures::FutureExt;
use tokio_util::sync::CancellationToken;

use super::worker::IDLE;
use super::{Standing, backoff};
use crate::chain::{Chain, ChainError};
use crate::model::ChainTime;
use crate::store::{Store, StoreError, block_times};

/// Blocks that are asked for before what was learned is written down.
const PAGE: u32 = 100;
/// How long to wait where nothing is missing: only a rebuild, which stops the daemon, makes more.
const CONTENT: Duration = Duration::from_secs(60);

/// Asks the node for times.
pub struct Dates {
    store: Store,
    chain: Chain,
    standing: Standing,
}

/// Why times are still missing.
#[derive(Debug, thiserror::Error)]
enum DatesError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Chain(#[from] ChainError),
}

impl Dates {
    #[must_use]
    pub fn new(store: Store, chain: Chain, standing: Standing) -> Self {
        Self { store, chain, standing }
    }

    /// Asks until told to stop. Faults are logged and outlived.
    pub async fn run(self, stop: CancellationToken) {
        let mut failures = 0u32;
        loop {
            let rest = match self.page().await {
                Ok(0) => CONTENT,
                Ok(found) => {
                    failures = 0;
                    tracing::info!(blocks = found, "the times of old blocks were looked up");
                    Duration::ZERO
                }
                Err(error) => {
                    if let DatesError::Store(error) = &error {
                        self.standing.note(&self.store, error);
                    }
                    tracing::warn!(%error, "the times of old blocks cannot be looked up; reports wait for them");
                    failures = failures.saturating_add(1);
                    backoff::rest(failures).max(IDLE)
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(rest) => {}
            }
        }
    }

    /// Looks some up, and says how many.
    async fn page(&self) -> Result<usize, DatesError> {
        let missing = {
            let mut reader = self.store.read().await?;
            block_times::unknown(&mut reader, PAGE).await?
        };
        let mut found: Vec<(u64, ChainTime)> = Vec::with_capacity(missing.len());
        for number in missing {
            let block = self.chain.block_at(number).await?;
            let block =
                block.ok_or_else(|| ChainError::Nonsense(format!("the node has no block {number}")))?;
            found.push((number, block.header.timestamp));
        }
        let count = found.len();
        if count > 0 {
            self.store
                .write::<_, StoreError, _>(move |tx| {
                    async move {
                        for (number, time) in found {
                            block_times::note(tx, number, Some(time)).await?;
                        }
                        Ok(())
                    }
                    .boxed()
                })
                .await?;
        }
        Ok(count)
    }
}
