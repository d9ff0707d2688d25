//! How the kinds of operations share a batch.

use super::OperationKind;

/// A number of operations per kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KindCounts {
    pub settle: usize,
    pub authorize: usize,
    pub cancel: usize,
    pub expire: usize,
}

impl KindCounts {
    #[must_use]
    pub fn get(&self, kind: OperationKind) -> usize {
        match kind {
            OperationKind::Settle => self.settle,
            OperationKind::Authorize => self.authorize,
            OperationKind::Cancel => self.cancel,
            OperationKind::Expire => self.expire,
        }
    }

    pub fn get_mut(&mut self, kind: OperationKind) -> &mut usize {
        match kind {
            OperationKind::Settle => &mut self.settle,
            OperationKind::Authorize => &mut self.authorize,
            OperationKind::Cancel => &mut self.cancel,
            OperationKind::Expire => &mut self.expire,
        }
    }

    #[must_use]
    pub fn total(&self) -> usize {
        OperationKind::ALL.into_iter().map(|kind| self.get(kind)).sum()
    }
}

/// The part of a batch that a kind has for itself when it has work, in eighths.
fn reserved_eighths(kind: OperationKind) -> usize {
    match kind {
        OperationKind::Settle => 4,
        OperationKind::Authorize => 2,
        OperationKind::Cancel | OperationKind::Expire => 1,
    }
}

/// Fills a batch of `capacity` from what waits: each kind has a reserved share, and what a kind leaves goes to the
/// others in the order in which kinds are served. So a million expiries never hold up a sale, and a rush of sales
/// never stops refunds.
#[must_use]
pub fn share_batch(capacity: usize, waiting: KindCounts) -> KindCounts {
    let mut taken = KindCounts::default();
    for kind in OperationKind::ALL {
        *taken.get_mut(kind) = waiting.get(kind).min(capacity * reserved_eighths(kind) / 8);
    }
    let mut free = capacity - taken.total();
    for kind in OperationKind::ALL {
        let more = (waiting.get(kind) - taken.get(kind)).min(free);
        *taken.get_mut(kind) += more;
        free -= more;
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counts() -> impl Strategy<Value = KindCounts> {
        (0usize..500, 0usize..500, 0usize..500, 0usize..2_000_000)
            .prop_map(|(settle, authorize, cancel, expire)| KindCounts { settle, authorize, cancel, expire })
    }

    proptest! {
        #[test]
        fn a_batch_is_as_full_as_the_work_allows(capacity in 0usize..300, waiting in counts()) {
            prop_assert_eq!(share_batch(capacity, waiting).total(), capacity.min(waiting.total()));
        }

        #[test]
        fn no_kind_takes_more_than_waits(capacity in 0usize..300, waiting in counts()) {
            let taken = share_batch(capacity, waiting);
            for kind in OperationKind::ALL {
                prop_assert!(taken.get(kind) <= waiting.get(kind));
            }
        }

        #[test]
        fn every_kind_with_work_moves_on(capacity in 8usize..300, waiting in counts()) {
            let taken = share_batch(capacity, waiting);
            for kind in OperationKind::ALL {
                prop_assert!(taken.get(kind) >= waiting.get(kind).min(capacity * reserved_eighths(kind) / 8));
                prop_assert!(waiting.get(kind) == 0 || taken.get(kind) > 0);
            }
        }
    }
}
