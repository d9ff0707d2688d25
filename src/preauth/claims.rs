//! Refunds that tokens refused: which of them still wait for their senders. Anyone can call `claim` for a sender, so what
//! is asked is what the escrow owes him, not who asked for it.

use std::collections::BTreeMap;
use std::time::Duration;

use alloy::primitives::{Address, U256};
use futures::FutureExt;
use tokio_util::sync::CancellationToken;

use super::{Fault, Preauths};
use crate::chain::Chain;
use crate::lane::{Signals, Standing, as_gauge};
use crate::model::{BaseUnits, Preauth, PreauthKey, TenantId};
use crate::store::refunds::{self, Waiting};
use crate::store::{Store, StoreError, blocks, preauths, tokens};

/// Refunds that are looked at with one block; the newest, where there are more.
const MOST: u32 = 1_000;
/// How often the chain is asked at most.
const PAUSE: Duration = Duration::from_secs(5);
/// How often it is asked where no block comes.
const UNASKED: Duration = Duration::from_secs(60);

/// Looks who has claimed.
pub struct Claims {
    store: Store,
    chain: Chain,
    signals: Signals,
    standing: Standing,
}

impl Claims {
    #[must_use]
    pub fn new(store: Store, chain: Chain, signals: Signals, standing: Standing) -> Self {
        Self { store, chain, signals, standing }
    }

    /// Looks until told to stop. Faults are outlived.
    pub async fn run(self, stop: CancellationToken) {
        let mut blocks = self.signals.blocks();
        loop {
            blocks.mark_unchanged();
            match self.look().await {
                Ok(()) => {}
                Err(Fault::Store(error)) => self.standing.note(&self.store, &error),
                Err(Fault::Chain(error)) => tracing::debug!(%error, "who has claimed cannot be seen for now"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(PAUSE) => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                _ = blocks.changed() => {}
                () = tokio::time::sleep(UNASKED) => {}
            }
        }
    }

    async fn look(&self) -> Result<(), Fault> {
        let (tip, waiting, amounts) = {
            let mut snapshot = self.store.snapshot().await?;
            let waiting = refunds::waiting(&mut snapshot, MOST).await?;
            let keys: Vec<PreauthKey> = waiting.iter().map(|refund| refund.preauth).collect();
            let preauths = preauths::by_keys(&mut snapshot, &keys).await?;
            let mut amounts: BTreeMap<PreauthKey, BaseUnits> = BTreeMap::new();
            for (key, preauth) in preauths {
                // A damaged row is told of by whoever needs it.
                let refund = preauth.ok().and_then(|preauth| preauth.deferred_refund);
                amounts.extend(refund.map(|refund| (key, refund)));
            }
            show(&tokens::all(&mut snapshot).await?, &waiting, &amounts);
            (blocks::tip(&mut snapshot).await?, waiting, amounts)
        };
        let Some(tip) = tip.filter(|_| !waiting.is_empty()) else { return Ok(()) };
        let mut claims: Vec<(Address, Address, Address)> = waiting.iter().map(claim_of).collect();
        claims.sort_unstable();
        claims.dedup();
        let owed = self.chain.claimable(&claims, tip.hash).await?;
        let owed: BTreeMap<_, _> = claims.into_iter().zip(owed).collect();
        let claimed = claimed(&waiting, &amounts, owed);
        if claimed.is_empty() {
            return Ok(());
        }
        for preauth in &claimed {
            tracing::info!(
                preauth = preauth.0,
                block = tip.number,
                "a refund that had been put off was claimed"
            );
        }
        let written: Result<(), StoreError> = self
            .store
            .write(move |tx| {
                async move {
                    // Where a reorg has taken the block away, what it showed is nothing.
                    let below = blocks::below(tx, tip.number.saturating_add(1)).await?;
                    if below.is_none_or(|block| block.hash != tip.hash) {
                        return Ok(());
                    }
                    for preauth in claimed {
                        refunds::mark_claimed(tx, preauth, tip.number).await?;
                    }
                    Ok(())
                }
                .boxed()
            })
            .await;
        Ok(written?)
    }
}

fn claim_of(refund: &Waiting) -> (Address, Address, Address) {
    (refund.escrow, refund.sender, refund.token)
}

/// A claim pays everything that was put off before it. So what is still owed is what was put off last, and what is beyond it
/// was claimed. `waiting` begins with the newest.
fn claimed(
    waiting: &[Waiting],
    amounts: &BTreeMap<PreauthKey, BaseUnits>,
    mut owed: BTreeMap<(Address, Address, Address), U256>,
) -> Vec<PreauthKey> {
    let mut claimed = Vec::new();
    for refund in waiting {
        let (Some(amount), Some(left)) = (amounts.get(&refund.preauth), owed.get_mut(&claim_of(refund)))
        else {
            continue;
        };
        match left.checked_sub(U256::from(amount.get())) {
            Some(rest) => *left = rest,
            None => {
                *left = U256::ZERO;
                claimed.push(refund.preauth);
            }
        }
    }
    claimed
}

fn show(tokens: &[crate::model::Token], waiting: &[Waiting], amounts: &BTreeMap<PreauthKey, BaseUnits>) {
    let mut by_token: BTreeMap<Address, (u64, u128)> =
        tokens.iter().map(|token| (token.contract.address(), (0, 0))).collect();
    for refund in waiting {
        let (count, units) = by_token.entry(refund.token).or_default();
        *count = count.saturating_add(1);
        *units = units.saturating_add(amounts.get(&refund.preauth).map_or(0, |amount| amount.get()));
    }
    for (token, (count, units)) in by_token {
        let token = token.to_string();
        metrics::gauge!("preauthd_claims_open", "token" => token.clone()).set(as_gauge(count));
        metrics::gauge!("preauthd_claims_open_base_units", "token" => token).set(as_gauge(units));
    }
}

impl Preauths {
    /// A tenant's preauthorizations whose refund waits for its sender, in a fixed order.
    ///
    /// # Errors
    /// A fault of the database.
    pub async fn claims(
        &self,
        tenant: TenantId,
        after: PreauthKey,
        limit: u32,
    ) -> Result<Vec<Preauth>, Fault> {
        let read = async {
            let mut reader = self.inner.store.read().await?;
            let mut waiting = Vec::new();
            for key in refunds::page(&mut reader, tenant, after, limit).await? {
                waiting.push(preauths::by_key(&mut reader, key).await?);
            }
            Ok(waiting)
        };
        read.await.map_err(|error: StoreError| self.noted(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_still_owed_was_put_off_last() {
        let at = |key: i64| Waiting {
            preauth: PreauthKey(key),
            escrow: Address::repeat_byte(1),
            sender: Address::repeat_byte(2),
            token: Address::repeat_byte(3),
        };
        let waiting = [at(7), at(5), at(6)];
        let amounts = [(5, 10), (6, 20), (7, 30)]
            .map(|(key, units)| (PreauthKey(key), BaseUnits::new(units).unwrap()))
            .into();
        for (owed, expected) in [(60, vec![]), (40, vec![6]), (30, vec![5, 6]), (0, vec![7, 5, 6])] {
            let owed = [(claim_of(&waiting[0]), U256::from(owed))].into();
            let keys: Vec<i64> = claimed(&waiting, &amounts, owed).iter().map(|key| key.0).collect();
            assert_eq!(keys, expected, "{expected:?}");
        }
    }
}
