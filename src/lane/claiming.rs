//! Refunds that a token refused are tried again for their senders. Anyone can call `claim`, and it pays the sender alone; but
//! a claim is none of the operations of a batch, so it is a transaction by itself, and a lane makes it when there is nothing
//! else to do. As long as the token refuses, the dry run says so, and nothing is paid for.

use futures::FutureExt;

use super::fees::{Fees, quote};
use super::flight::Flight;
use super::forming::LAGGING;
use super::worker::{Lane, LaneError, Next, TENDING};
use crate::chain::claim_input;
use crate::model::Millis;
use crate::store::batches::{self, NewBatch};
use crate::store::refunds::{self, DueClaim};

/// Gas of a claim: a transfer like that of a refund, and what is around it. A token that wants more is left to its holders.
const CLAIM_GAS: u64 = 250_000;
/// How long to wait after each try, in seconds; the last goes on.
const PAUSES: [i64; 7] = [20, 60, 5 * 60, 30 * 60, 2 * 60 * 60, 8 * 60 * 60, 24 * 60 * 60];
/// After so many tries, about three months, a claim is the sender's own business.
const MOST_TRIES: u32 = 100;

/// When a claim that was tried `tries` times before is tried again.
fn after_try(now: Millis, tries: u32) -> Millis {
    if tries >= MOST_TRIES {
        return Millis(i64::MAX);
    }
    let last = PAUSES.len() - 1;
    let pause = PAUSES.get(usize::try_from(tries).unwrap_or(last).min(last)).copied().unwrap_or_default();
    now.saturating_add(pause.saturating_mul(1_000))
}

impl Lane {
    /// Tries the claim that is due. `None`: none is, or the key cannot pay for one.
    pub(super) async fn claim_for_sender(&mut self, now: Millis) -> Result<Option<Next>, LaneError> {
        let due = {
            let mut reader = self.store.read().await?;
            refunds::due(&mut reader, now).await?
        };
        let Some(claim) = due else { return Ok(None) };
        let (operator, input) = (self.operator(), claim_input(claim.sender, claim.token));
        let (verdict, nonce, quote, balance) = tokio::join!(
            self.chain.would_succeed(operator, claim.escrow, input.clone(), CLAIM_GAS),
            self.chain.transaction_count(operator, None),
            quote(&self.chain, &self.store),
            self.chain.native_balance(operator),
        );
        if let Err(failure) = verdict? {
            tracing::debug!(sender = %claim.sender, token = %claim.token, %failure, tries = claim.tries,
                "a refund that was put off cannot be claimed yet");
            self.put_off(claim, now).await?;
            return Ok(Some(Next::Now));
        }
        let fees = Fees::first(quote?, &self.settings);
        if self.affordable(fees, balance?) < CLAIM_GAS {
            return Ok(None);
        }
        let nonce = nonce?;
        if !self.nonce_is_next(nonce).await? {
            return Ok(Some(Next::Block(LAGGING)));
        }
        let escrow = claim.escrow;
        let batch = NewBatch { operator, nonce, escrow, gas_limit: CLAIM_GAS, gas_per_call: CLAIM_GAS };
        let attempt = self.sign_attempt(&batch, input, fees).await?;
        let stored = attempt.clone();
        let id = self
            .store
            .write(move |tx| {
                async move {
                    let id = batches::insert(tx, &batch, &[], now).await?;
                    let carried = refunds::put_off(tx, &claim, after_try(now, claim.tries), now).await?;
                    if carried.is_empty() {
                        return Err(LaneError::Withdrawn);
                    }
                    refunds::carry(tx, id, &carried).await?;
                    batches::add_attempt(tx, id, &stored).await?;
                    Ok(id)
                }
                .boxed()
            })
            .await?;
        metrics::counter!("preauthd_batches_total").increment(1);
        tracing::info!(batch = %id, nonce, sender = %claim.sender, token = %claim.token, transaction = %attempt.hash,
            "a refund that was put off is claimed for its sender");
        self.flights.insert(id, Flight::new(0));
        self.broadcast(id, &attempt).await;
        Ok(Some(Next::Block(TENDING)))
    }

    async fn put_off(&self, claim: DueClaim, now: Millis) -> Result<(), LaneError> {
        self.store
            .write(move |tx| {
                async move {
                    refunds::put_off(tx, &claim, after_try(now, claim.tries), now).await?;
                    Ok(())
                }
                .boxed()
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let pauses: Vec<i64> = (0..MOST_TRIES).map(|tries| after_try(Millis(0), tries).0).collect();
        assert!(pauses.is_sorted());
        assert_eq!((pauses[0], pauses.last()), (20_000, Some(&86_400_000)));
        assert_eq!(after_try(Millis(0), MOST_TRIES), Millis(i64::MAX));
    }
}
