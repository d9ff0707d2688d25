//! Where the lanes pick up their work, so that no two of them take the same operation.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use alloy::primitives::Address;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::gas::CallNeed;
use super::{Standing, gas};
use crate::chain::EscrowCall;
use crate::model::{ChainTime, KindCounts, Millis, OperationId, OperationKind, share_batch};
use crate::store::operations::{self, DueOperation};
use crate::store::{Store, StoreError, instance};

/// Every so many picks it is the next escrow's turn, whatever is more urgent elsewhere: an old escrow is emptied beside a
/// busy one.
const PICKS_PER_TURN: usize = 4;

/// Hands out due operations. Clones share it.
#[derive(Clone)]
pub struct Desk {
    store: Store,
    standing: Standing,
    book: Arc<Mutex<Book>>,
}

#[derive(Default)]
struct Book {
    taken: HashSet<OperationId>,
    picks: usize,
}

/// What a lane can carry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Capacity<'a> {
    pub items: usize,
    pub gas: u64,
    /// Sets each operation's cap aside, and not what it usually uses.
    pub is_wary: bool,
    /// Escrows of which its key is no operator. Expiries are open to anyone.
    pub barred: &'a HashMap<Address, Instant>,
}

impl Desk {
    #[must_use]
    pub fn new(store: Store, standing: Standing) -> Self {
        Self { store, standing, book: Arc::default() }
    }

    /// Due operations of one escrow that fit into one transaction, shared fairly among the kinds. They are kept from
    /// the other lanes until [`Self::put_back`].
    pub(super) async fn pick(
        &self,
        capacity: Capacity<'_>,
        now: Millis,
    ) -> Result<Vec<DueOperation>, StoreError> {
        let mut book = self.book.lock().await;
        book.picks = book.picks.wrapping_add(1);
        let waiting = self.waiting(&book, &capacity, now).await?;
        let picked = share_out(waiting, capacity);
        book.taken.extend(picked.iter().map(|operation| operation.id));
        Ok(picked)
    }

    /// What waits for one escrow (a transaction goes to one), by kind, in the order in which kinds are served.
    async fn waiting(
        &self,
        book: &Book,
        capacity: &Capacity<'_>,
        now: Millis,
    ) -> Result<Vec<Vec<DueOperation>>, StoreError> {
        let limit = u32::try_from(capacity.items + book.taken.len()).unwrap_or(u32::MAX);
        let limit = limit.saturating_add(self.standing.unreadable_count());
        let mut reader = self.store.read().await?;
        let mut by_escrow = Vec::new();
        for (escrow, _) in instance::escrows(&mut reader).await? {
            let mut waiting: Vec<Vec<DueOperation>> = Vec::with_capacity(OperationKind::ALL.len());
            for kind in OperationKind::ALL {
                if kind != OperationKind::Expire && capacity.barred.contains_key(&escrow) {
                    waiting.push(Vec::new());
                    continue;
                }
                let due = operations::due(&mut reader, kind, escrow, now, limit).await?;
                let mut due = self.standing.readable(due);
                due.retain(|operation| !book.taken.contains(&operation.id));
                waiting.push(due);
            }
            if let Some(urgency) = urgency(&waiting) {
                by_escrow.push((urgency, waiting));
            }
        }
        let count = by_escrow.len().max(1);
        let turn = if book.picks.is_multiple_of(PICKS_PER_TURN) {
            (book.picks / PICKS_PER_TURN) % count
        } else {
            by_escrow.sort_by_key(|(urgency, _)| *urgency);
            0
        };
        Ok(by_escrow.into_iter().nth(turn).map(|(_, waiting)| waiting).unwrap_or_default())
    }

    /// Ends the reservation: what is still due can be picked again.
    pub(super) async fn put_back(&self, operations: impl IntoIterator<Item = OperationId>) {
        let mut book = self.book.lock().await;
        for operation in operations {
            book.taken.remove(&operation);
        }
    }
}

/// Kind, then deadline of what should be served first. `None`: nothing waits.
fn urgency(waiting: &[Vec<DueOperation>]) -> Option<(OperationKind, ChainTime)> {
    waiting.iter().flatten().next().map(|operation| (operation.kind, operation.terms.expires_at))
}

/// Shares a transaction among the kinds. How many operations fit depends on which they are, so the shares are drawn again
/// until all of them fit.
fn share_out(waiting: Vec<Vec<DueOperation>>, capacity: Capacity<'_>) -> Vec<DueOperation> {
    let mut counts = KindCounts::default();
    for (kind, due) in OperationKind::ALL.into_iter().zip(&waiting) {
        *counts.get_mut(kind) = due.len();
    }
    let mut items = capacity.items;
    loop {
        let shares = share_batch(items, counts);
        let picked: Vec<&DueOperation> = OperationKind::ALL
            .into_iter()
            .zip(&waiting)
            .flat_map(|(kind, due)| due.iter().take(shares.get(kind)))
            .collect();
        let needs: Vec<CallNeed> = picked.iter().map(|operation| need(operation, capacity.is_wary)).collect();
        let fitting = gas::fitting(&needs, capacity.gas);
        if fitting == picked.len() {
            return picked.into_iter().cloned().collect();
        }
        items = fitting;
    }
}

/// What a due operation takes of a transaction. One that was carried before, and came to nothing, may be the one that uses
/// more than others do.
pub(super) fn need(operation: &DueOperation, is_wary: bool) -> CallNeed {
    let call = escrow_call(operation);
    if is_wary || operation.tries > 0 { CallNeed::at_most(&call) } else { CallNeed::usually(&call) }
}

/// The contract call of a due operation.
pub(super) fn escrow_call(operation: &DueOperation) -> EscrowCall {
    EscrowCall {
        kind: operation.kind,
        terms: operation.terms,
        amount: operation.amount.unwrap_or_default(),
        consent: operation.consent.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BaseUnits, PreauthKey, Terms};
    use alloy::primitives::{B256, Bytes};
    use proptest::prelude::*;

    fn due(kind: OperationKind, count: usize) -> Vec<DueOperation> {
        let terms = Terms {
            sender: Address::ZERO,
            receiver: Address::ZERO,
            token: Address::ZERO,
            hold: BaseUnits::ZERO,
            expires_at: ChainTime(0),
            preauth_id: B256::ZERO,
        };
        let operation = DueOperation {
            id: OperationId(0),
            preauth: PreauthKey(0),
            kind,
            amount: None,
            escrow: Address::ZERO,
            terms,
            consent: Bytes::new(),
            tries: 0,
        };
        vec![operation; count]
    }

    proptest! {
        #[test]
        fn what_gas_allows_is_shared_so_that_every_kind_moves_on(
            settle in 0usize..300, authorize in 0usize..300, cancel in 0usize..300, expire in 0usize..300,
            is_wary: bool,
        ) {
            let waiting: Vec<_> = OperationKind::ALL.into_iter().zip([settle, authorize, cancel, expire])
                .map(|(kind, count)| due(kind, count)).collect();
            let picked = share_out(waiting, Capacity { items: 240, gas: 16_777_216, is_wary, barred: &HashMap::new() });
            let needs: Vec<_> = picked.iter().map(|operation| need(operation, is_wary)).collect();
            prop_assert!(gas::transaction_gas(&needs).0 <= 16_777_216);
            for (kind, waits) in OperationKind::ALL.into_iter().zip([settle, authorize, cancel, expire]) {
                let taken = picked.iter().filter(|operation| operation.kind == kind).count();
                prop_assert!(waits == 0 || taken > 0, "{kind:?} was left out of {}", picked.len());
            }
        }
    }

    #[test]
    fn where_not_even_one_fits_nothing_is_picked() {
        let waiting = vec![due(OperationKind::Settle, 3)];
        assert!(
            share_out(waiting, Capacity { items: 240, gas: 30_000, is_wary: false, barred: &HashMap::new() })
                .is_empty()
        );
    }
}
