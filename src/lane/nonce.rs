//! A nonce is good for one transaction. Here it is found out that ours was used, and not by us.
//!
//! Then the batch that was signed for it can never be mined, and a key of ours is in somebody else's hands: a matter of
//! security, which must not be gone from the standing with the next batch, and needs no restart to be gone.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::PoisonError;
use std::time::Duration;

use alloy::primitives::Address;
use futures::FutureExt;
use tokio::time::Instant;

use super::endings::lose_batch;
use super::worker::LaneError;
use super::{Signals, Standing};
use crate::chain::{Chain, ChainClock};
use crate::store::batches::OpenBatch;
use crate::store::blocks::Block;
use crate::store::{Steps, Store, StoreError, blocks};

/// How long a key's use by somebody else is a trouble, after the last time it was seen.
const REMEMBERED: Duration = Duration::from_secs(600);

/// What is known of somebody else's use of each key.
pub(super) type ForeignUses = BTreeMap<Address, ForeignUse>;

#[derive(Debug)]
pub(super) struct ForeignUse {
    /// Nonces below this one were counted.
    counted: u64,
    seen: Instant,
}

/// The newest block taken in, if by then the nonce of `batch` was used and not by an attempt of ours.
pub(super) async fn block_without_us(
    store: &Store,
    chain: &Chain,
    batch: &OpenBatch,
) -> Result<Option<Block>, LaneError> {
    let tip = {
        let mut reader = store.read().await?;
        blocks::tip(&mut reader).await?
    };
    let Some(tip) = tip else { return Ok(None) };
    let count = chain.transaction_count(batch.operator, Some(tip.hash)).await?;
    Ok((count > batch.nonce).then_some(tip))
}

/// Makes the operations of a batch due again whose nonce was used without us by block `tip`. The change itself looks
/// again: the batch may have been taken in since, or the block taken back.
pub(super) async fn give_up(
    batch: &OpenBatch,
    tip: Block,
    store: &Store,
    clock: &ChainClock,
    signals: &Signals,
    standing: &Standing,
) -> Result<(), LaneError> {
    let (id, now) = (batch.id, clock.wall());
    let (is_lost, unreadable) = store
        .write::<_, StoreError, _>(move |tx| {
            async move {
                let mut steps = Steps::apart();
                let is_lost = lose_batch(tx, id, &tip, now, &mut steps).await?;
                Ok((is_lost, steps.unreadable()))
            }
            .boxed()
        })
        .await?;
    if is_lost {
        tracing::warn!(batch = %batch.id, nonce = batch.nonce, operator = %batch.operator, block = tip.number,
            "the nonce was used, and no transaction of ours was seen to do it: the operations are due again");
        standing.note_foreign(batch.operator, batch.nonce..batch.nonce.saturating_add(1));
    }
    unreadable.into_iter().for_each(|row| standing.note_unreadable(row));
    signals.work_arrived();
    Ok(())
}

impl Standing {
    /// Takes note that these nonces of a key were used by transactions that are not ours.
    #[allow(clippy::disallowed_methods)]
    pub(super) fn note_foreign(&self, operator: Address, nonces: Range<u64>) {
        let mut uses = self.foreign.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = uses.get(&operator).map_or(0, |known| known.counted);
        let new = nonces.end.saturating_sub(nonces.start.max(counted));
        if new == 0 {
            return;
        }
        metrics::counter!("preauthd_foreign_nonces_total").increment(new);
        uses.insert(operator, ForeignUse { counted: nonces.end, seen: Instant::now() });
        let last = nonces.end.saturating_sub(1);
        let trouble = format!(
            "somebody else uses this operator key: its nonce {last} was used by a transaction that is not ours"
        );
        self.report(&part(operator), Some(trouble));
    }

    /// Speaks no longer of foreign transactions that are long ago. Nonces that were counted are not counted again.
    pub(super) fn forgive_foreign(&self) {
        let uses = self.foreign.lock().unwrap_or_else(PoisonError::into_inner);
        let old = uses.iter().filter(|(_, known)| known.seen.elapsed() >= REMEMBERED);
        old.for_each(|(operator, _)| self.report(&part(*operator), None));
    }
}

fn part(operator: Address) -> String {
    format!("key {operator}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_key_that_somebody_else_uses_is_spoken_of_for_a_while() {
        let (standing, key) = (Standing::default(), Address::repeat_byte(7));
        let is_ready = || {
            standing.forgive_foreign();
            standing.troubles().is_empty()
        };
        standing.note_foreign(key, 3..3);
        assert!(is_ready());
        standing.note_foreign(key, 3..4);
        assert!(!is_ready());
        tokio::time::advance(REMEMBERED - Duration::from_secs(1)).await;
        // The same one again is nothing new; another one is.
        standing.note_foreign(key, 2..4);
        assert!(!is_ready());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(is_ready());
        standing.note_foreign(key, 3..4);
        assert!(is_ready());
        standing.note_foreign(key, 3..5);
        assert!(standing.troubles()[0].1.contains("nonce 4"), "{:?}", standing.troubles());
        assert!(!is_ready());
        tokio::time::advance(REMEMBERED).await;
        assert!(is_ready());
        assert_eq!(standing.must_refuse(), None);
    }
}
