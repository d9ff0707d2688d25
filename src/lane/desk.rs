//! Where the lanes pick up their work, so that no two of them take the same operation.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::Mutex;

use crate::model::{KindCounts, Millis, OperationId, OperationKind, share_batch};
use crate::store::operations::{self, DueOperation};
use crate::store::{Store, StoreError};

/// Hands out due operations. Clones share it.
#[derive(Clone)]
pub struct Desk {
    store: Store,
    taken: Arc<Mutex<HashSet<OperationId>>>,
}

impl Desk {
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, taken: Arc::default() }
    }

    /// Up to `capacity` due operations of one escrow, shared fairly among the kinds. They are kept from the other
    /// lanes until [`Self::put_back`].
    pub(super) async fn pick(&self, capacity: usize, now: Millis) -> Result<Vec<DueOperation>, StoreError> {
        let mut taken = self.taken.lock().await;
        let limit = u32::try_from(capacity + taken.len()).unwrap_or(u32::MAX);
        let mut waiting: Vec<Vec<DueOperation>> = Vec::with_capacity(OperationKind::ALL.len());
        {
            let mut reader = self.store.read().await?;
            for kind in OperationKind::ALL {
                let mut due = operations::due(&mut reader, kind, now, limit).await?;
                due.retain(|operation| !taken.contains(&operation.id));
                waiting.push(due);
            }
        }
        // A transaction goes to one escrow: that of the most urgent operation.
        let Some(escrow) = waiting.iter().flatten().next().map(|operation| operation.escrow) else {
            return Ok(Vec::new());
        };
        let mut counts = KindCounts::default();
        for (kind, due) in OperationKind::ALL.into_iter().zip(&mut waiting) {
            due.retain(|operation| operation.escrow == escrow);
            *counts.get_mut(kind) = due.len();
        }
        let shares = share_batch(capacity, counts);
        let picked: Vec<DueOperation> = OperationKind::ALL
            .into_iter()
            .zip(waiting)
            .flat_map(|(kind, due)| due.into_iter().take(shares.get(kind)))
            .collect();
        taken.extend(picked.iter().map(|operation| operation.id));
        Ok(picked)
    }

    /// Ends the reservation: what is still due can be picked again.
    pub(super) async fn put_back(&self, operations: impl IntoIterator<Item = OperationId>) {
        let mut taken = self.taken.lock().await;
        for operation in operations {
            taken.remove(&operation);
        }
    }
}
