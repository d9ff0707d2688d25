//! Accounting: what happened to held tokens on a day, and what it cost.

use std::fmt;

use super::{BaseUnits, ChainTime, Preauth};

const SECONDS: u64 = 24 * 60 * 60;

/// A day in UTC, counted from 1 January 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(u64);

impl Day {
    /// The day of a moment.
    #[must_use]
    pub fn of(time: ChainTime) -> Self {
        Self(time.0 / SECONDS)
    }

    /// Its first second.
    #[must_use]
    pub fn start(self) -> ChainTime {
        ChainTime(self.0.saturating_mul(SECONDS))
    }

    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// So many days before it.
    #[must_use]
    pub fn before(self, days: u64) -> Self {
        Self(self.0.saturating_sub(days))
    }

    /// Days from here to `last`, both counted; zero where `last` is earlier.
    #[must_use]
    pub fn days_to(self, last: Self) -> u64 {
        last.next().0.saturating_sub(self.0)
    }
}

/// `2026-03-25`.
impl fmt::Display for Day {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.start().to_rfc3339();
        formatter.write_str(time.split_once('T').map_or(time.as_str(), |(day, _)| day))
    }
}

/// How often something happened, and to how many base units in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    pub count: u64,
    /// Base units. Several amounts of 96 bits may need more bits than one.
    pub units: u128,
}

impl Sum {
    fn add(&mut self, units: u128) {
        self.count = self.count.saturating_add(1);
        self.units = self.units.saturating_add(units);
    }
}

/// What happened to the holds of one token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Holds that were locked, by the amounts that were authorized: without the room for a tip.
    pub authorized: Sum,
    /// The same, by what was really locked.
    pub held: Sum,
    /// What receivers were paid, tips included.
    pub settled: Sum,
    /// The part of that beyond the authorized amounts.
    pub tipped: Sum,
    /// What settlements left over and returned.
    pub remainder: Sum,
    /// Holds that went back as a whole because they were cancelled.
    pub cancelled: Sum,
    /// Holds that went back as a whole because they expired.
    pub expired: Sum,
    /// The part of all that went back which tokens refused to send.
    pub deferred: Sum,
    /// The part of that which still waits for its sender.
    pub claimable: Sum,
    /// Calls of mined transactions, failed ones included, and their shares of the fees in wei.
    pub fees: Sum,
}

impl Tally {
    /// A hold was locked.
    pub fn lock(&mut self, preauth: &Preauth) {
        self.authorized.add(authorized_units(preauth));
        self.held.add(preauth.hold.get());
    }

    /// A hold was settled.
    pub fn settle(&mut self, preauth: &Preauth) {
        let paid = preauth.settlement.map_or(0, |settlement| settlement.amount.get());
        self.settled.add(paid);
        let tip = paid.saturating_sub(authorized_units(preauth));
        if tip > 0 {
            self.tipped.add(tip);
        }
        let rest = preauth.hold.get().saturating_sub(paid);
        if rest > 0 {
            self.remainder.add(rest);
        }
    }

    /// A hold was cancelled.
    pub fn cancel(&mut self, preauth: &Preauth) {
        self.cancelled.add(preauth.hold.get());
    }

    /// A hold expired.
    pub fn expire(&mut self, preauth: &Preauth) {
        self.expired.add(preauth.hold.get());
    }

    /// A token refused (a part of) a refund.
    pub fn defer(&mut self, refund: BaseUnits, still_waits: bool) {
        self.deferred.add(refund.get());
        if still_waits {
            self.claimable.add(refund.get());
        }
    }

    /// A call was mined; its share of the fee is in wei.
    pub fn carry(&mut self, fee: u128) {
        self.fees.add(fee);
    }

    /// All that went back to senders, or waits for them.
    #[must_use]
    pub fn released(&self) -> Sum {
        let parts = [self.remainder, self.cancelled, self.expired];
        parts.iter().fold(Sum::default(), |all, part| Sum {
            count: all.count.saturating_add(part.count),
            units: all.units.saturating_add(part.units),
        })
    }
}

/// What was written fits the token: it was checked when it was written.
fn authorized_units(preauth: &Preauth) -> u128 {
    preauth.amount.in_base_units(preauth.decimals).map_or(preauth.hold.get(), BaseUnits::get)
}

/// The part of a cost that falls to the one at `position` of `parts`: all bear the same, and what does not divide falls to the
/// first ones, one unit each. So the parts make up the cost exactly.
#[must_use]
pub fn equal_part(cost: u128, parts: usize, position: usize) -> u128 {
    let (Ok(parts), Ok(position)) = (u128::try_from(parts.max(1)), u128::try_from(position)) else {
        return 0;
    };
    cost / parts + u128::from(position < cost % parts)
}

/// Base units in whole tokens, without trailing zeros, however large.
#[must_use]
pub fn sum_in_tokens(units: u128, decimals: u8) -> String {
    let Some(scale) = 10u128.checked_pow(u32::from(decimals)) else { return units.to_string() };
    let (whole, fraction) = (units / scale, units % scale);
    if fraction == 0 {
        return whole.to_string();
    }
    let digits = format!("{fraction:0>width$}", width = usize::from(decimals));
    format!("{whole}.{}", digits.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_parts_make_up_the_cost(cost in 0u128..u128::MAX, parts in 1usize..500) {
            let shares: Vec<u128> = (0..parts).map(|position| equal_part(cost, parts, position)).collect();
            prop_assert_eq!(shares.iter().sum::<u128>(), cost);
            let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
            prop_assert!(most - least <= 1, "nobody bears more than one unit more than another");
        }

        #[test]
        fn sums_are_shown_as_amounts_are(units in 0u128..(1 << 96), decimals in 0u8..=28) {
            let shown = BaseUnits::new(units).unwrap().in_tokens(decimals).to_string();
            prop_assert_eq!(sum_in_tokens(units, decimals), shown);
        }

        #[test]
        fn a_moment_lies_in_its_day(second in 0u64..4_000_000_000) {
            let (time, day) = (ChainTime(second), Day::of(ChainTime(second)));
            prop_assert!(day.start() <= time && time < day.next().start());
            prop_assert!(time.to_rfc3339().starts_with(&day.to_string()));
        }
    }

    #[test]
    fn a_sum_may_be_larger_than_an_amount() {
        assert_eq!(sum_in_tokens(1 << 100, 6), "1267650600228229401496703.205376");
    }

    #[test]
    fn both_ends_of_a_range_of_days_count() {
        let day = Day::of(ChainTime(0));
        assert_eq!((day.days_to(day), day.days_to(day.next()), day.next().days_to(day)), (1, 2, 0));
    }
}
