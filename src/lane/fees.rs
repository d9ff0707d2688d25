//! What an attempt offers per gas.

use super::LaneSettings;
use super::worker::LaneError;
use crate::chain::{Chain, FeeQuote};
use crate::store::{Store, batches};

/// The fees of the moment. On a quiet chain the tips of the last blocks are our own, and one that a replacement had raised
/// would be where the next batch begins, and so on up to the cap: in place of such a tip stands what its batch began with.
pub(super) async fn quote(chain: &Chain, store: &Store) -> Result<FeeQuote, LaneError> {
    let mut quote = chain.fee_quote().await?;
    if let Some(first) = batches::first_tip_before(&mut *store.read().await?, quote.tip).await? {
        quote.tip = first;
    }
    Ok(quote)
}

/// Fees of one attempt, in wei per gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fees {
    pub max_fee: u128,
    pub max_priority_fee: u128,
}

impl Fees {
    /// Fees for a first attempt: room for the base fee to double, within the cap.
    pub(super) fn first(quote: FeeQuote, settings: &LaneSettings) -> Self {
        let tip = quote.tip.max(settings.min_tip);
        let max_fee = quote.base_fee.saturating_mul(2).saturating_add(tip);
        Self { max_fee, max_priority_fee: tip }.capped(settings)
    }

    /// Fees that replace an attempt: both higher by at least an eighth (the least that nodes accept) and no lower than
    /// a first attempt would offer now. `None`: the cap leaves no room.
    pub(super) fn replacing(self, quote: FeeQuote, settings: &LaneSettings) -> Option<Self> {
        let now = Self::first(quote, settings);
        let raised = Self {
            max_fee: bump(self.max_fee).max(now.max_fee),
            max_priority_fee: bump(self.max_priority_fee).max(now.max_priority_fee),
        };
        (raised.max_fee <= settings.max_fee_cap).then_some(raised)
    }

    fn capped(self, settings: &LaneSettings) -> Self {
        let max_fee = self.max_fee.min(settings.max_fee_cap);
        Self { max_fee, max_priority_fee: self.max_priority_fee.min(max_fee) }
    }
}

/// At least 12.5 % more, rounded up.
fn bump(fee: u128) -> u128 {
    fee.saturating_add(fee.div_ceil(8)).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_cap_and_the_floor_hold() {
        let settings = LaneSettings { max_fee_cap: 100, min_tip: 3, ..LaneSettings::default() };
        let fees = Fees::first(FeeQuote { base_fee: 10, tip: 1 }, &settings);
        assert_eq!(fees, Fees { max_fee: 23, max_priority_fee: 3 });
        let fees = Fees::first(FeeQuote { base_fee: 90, tip: 1 }, &settings);
        assert_eq!(fees.max_fee, 100);
        assert_eq!(fees.replacing(FeeQuote { base_fee: 90, tip: 1 }, &settings), None);
    }

    proptest! {
        #[test]
        fn a_replacement_is_acceptable_to_every_node(
            max_fee in 1u128..1_000_000_000_000, tip in 0u128..1_000_000_000, base_fee in 0u128..1_000_000_000_000,
        ) {
            let settings = LaneSettings { max_fee_cap: u128::MAX / 4, ..LaneSettings::default() };
            let old = Fees { max_fee, max_priority_fee: tip.min(max_fee) };
            let new = old.replacing(FeeQuote { base_fee, tip }, &settings).unwrap();
            prop_assert!(new.max_fee * 8 >= old.max_fee * 9);
            prop_assert!(new.max_priority_fee * 8 >= old.max_priority_fee * 9);
            prop_assert!(new.max_priority_fee <= new.max_fee);
        }
    }
}
