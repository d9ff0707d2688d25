//! Adds to a request's trace what became of it afterwards: its wait for a batch, and the batch's for a block.
//!
//! Read back from the database, because whoever asked may be long gone, and the daemon may have been started again since. Nothing
//! depends on it: what cannot be read is left out.

use opentelemetry::KeyValue;

use crate::chain::{ChainClock, Receipt};
use crate::model::{BatchId, Millis};
use crate::store::batches::Attempt;
use crate::store::{Store, StoreError, operations};
use crate::trace;

/// A batch was signed.
pub(super) async fn batched(store: &Store, batch: BatchId, attempt: &Attempt) {
    let facts =
        [KeyValue::new("batch", batch.to_string()), KeyValue::new("transaction", attempt.hash.to_string())];
    add(store, batch, "wait for a batch", &facts, |asked, batched| (asked, batched)).await;
}

/// A batch was mined, as deep as it takes to count.
pub(super) async fn mined(store: &Store, clock: &ChainClock, batch: BatchId, receipt: &Receipt) {
    let facts = [
        KeyValue::new("batch", batch.to_string()),
        KeyValue::new("transaction", receipt.transaction.to_string()),
        KeyValue::new("block", receipt.block.to_string()),
        KeyValue::new("succeeded", receipt.succeeded),
    ];
    let now = clock.wall();
    add(store, batch, "wait for a block", &facts, |_, batched| (batched, now)).await;
}

async fn add(
    store: &Store,
    batch: BatchId,
    name: &'static str,
    facts: &[KeyValue],
    span: impl Fn(Millis, Millis) -> (Millis, Millis),
) {
    if !trace::is_on() {
        return;
    }
    match traces_of(store, batch).await {
        Ok(traces) => {
            for (traceparent, asked, batched) in traces {
                let (began, ended) = span(asked, batched);
                trace::add(&traceparent, name, began, ended, facts.to_vec());
            }
        }
        Err(error) => tracing::debug!(%error, %batch, "its traces could not be read"),
    }
}

async fn traces_of(store: &Store, batch: BatchId) -> Result<Vec<(String, Millis, Millis)>, StoreError> {
    operations::traces_of(&mut *store.read().await?, batch).await
}
