//! Amounts as expressions see them: exact, whatever decimals the token has.
//!
//! CEL has whole numbers of 64 bits and floats; neither can hold an amount. So an amount is a value of its own kind, a whole
//! number of the finest part any token can have, in 256 bits: every amount of every token is one exactly, and so is every
//! `tokens('12.50')` that is written in an expression. What leaves the 256 bits, or goes below zero, is an error, and an
//! expression that ends in an error refuses.

use std::any::Any;
use std::cmp::Ordering;

use alloy::primitives::U256;
use cel::ExecutionError;
use cel::common::traits::{Adder, Comparer, Subtractor};
use cel::common::types::{CelInt, CelString, Type};
use cel::common::value::{CowVal, StaticVal, Val};

use crate::model::{AmountError, TokenAmount};

/// The function that makes an amount.
pub(super) const FUNCTION: &str = "tokens";

/// The decimals that no token exceeds.
const MOST_DECIMALS: u8 = 28;

static TYPE: Type = Type::new_unspecified_type("amount");

/// An amount, in 10^-28 tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tokens(U256);

impl Tokens {
    /// Base units of a token; `None`: it has more decimals than any may have.
    pub fn from_base_units(units: u128, decimals: u8) -> Option<Self> {
        let missing = MOST_DECIMALS.checked_sub(decimals)?;
        let factor = U256::from(10u8).checked_pow(U256::from(missing))?;
        U256::from(units).checked_mul(factor).map(Self)
    }

    /// An amount as it is written in an expression, in whole tokens.
    pub fn parse(text: &str) -> Result<Self, AmountError> {
        let (mantissa, decimals) = TokenAmount::parse(text)?.parts();
        Self::from_base_units(mantissa, decimals).ok_or(AmountError::TooManyDecimals)
    }
}

/// `tokens('12.50')`
pub(super) fn from_text<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let text = arguments.first().and_then(|argument| argument.downcast_ref::<CelString<'_>>());
    let text = text.ok_or_else(ExecutionError::missing_argument_or_target)?;
    let amount = Tokens::parse(text.inner());
    amount.map(CowVal::owned).map_err(|error| ExecutionError::function_error(FUNCTION, error))
}

/// `tokens(12)`
pub(super) fn from_number<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let number = arguments.first().and_then(|argument| argument.downcast_ref::<CelInt>());
    let number = number.ok_or_else(ExecutionError::missing_argument_or_target)?;
    u128::try_from(*number.inner())
        .ok()
        .and_then(|number| Tokens::from_base_units(number, 0))
        .map(CowVal::owned)
        .ok_or_else(|| ExecutionError::function_error(FUNCTION, "an amount is never below zero"))
}

fn amount<'a>(value: &'a (dyn Val + '_)) -> Result<&'a Tokens, ExecutionError> {
    value.downcast_ref::<Tokens>().ok_or_else(|| ExecutionError::UnexpectedType {
        got: value.get_type().name().to_owned(),
        want: TYPE.name().to_owned(),
    })
}

impl Val for Tokens {
    fn get_type(&self) -> &Type {
        Self::cel_type()
    }

    fn cel_type() -> &'static Type {
        &TYPE
    }

    fn as_adder<'b, 'v>(&'b self) -> Option<&'b (dyn Adder + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_comparer(&self) -> Option<&dyn Comparer> {
        Some(self)
    }

    fn as_subtractor<'b, 'v>(&'b self) -> Option<&'b (dyn Subtractor + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn equals(&self, other: &dyn Val) -> bool {
        other.downcast_ref::<Self>() == Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(*self)
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Tokens {}

impl Comparer for Tokens {
    fn compare(&self, other: &dyn Val) -> Result<Ordering, ExecutionError> {
        amount(other).map(|other| self.cmp(other))
    }
}

impl Adder for Tokens {
    fn add<'b, 'v>(&'b self, other: &(dyn Val + 'v)) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let sum = self.0.checked_add(amount(other)?.0);
        sum.map(Self)
            .map(CowVal::owned)
            .ok_or_else(|| ExecutionError::function_error("+", "the sum is too large"))
    }
}

impl Subtractor for Tokens {
    fn sub<'b, 'v>(&'b self, other: &(dyn Val + 'v)) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let rest = self.0.checked_sub(amount(other)?.0);
        rest.map(Self)
            .map(CowVal::owned)
            .ok_or_else(|| ExecutionError::function_error("-", "an amount is never below zero"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(units: u128, decimals: u8) -> Tokens {
        Tokens::from_base_units(units, decimals).unwrap()
    }

    #[test]
    fn the_extremes_fit() {
        assert!(Tokens::from_base_units(u128::MAX, 0).is_some());
        assert!(Tokens::from_base_units(1, 28).is_some());
        assert!(Tokens::from_base_units(1, 29).is_none());
        assert_eq!(Tokens::parse("0.0000000000000000000000000001"), Ok(of(1, 28)));
        assert_eq!(Tokens::parse("1e3"), Err(AmountError::Malformed));
    }

    proptest! {
        #[test]
        fn amounts_of_one_token_compare_as_their_base_units(a: u128, b: u128, decimals in 0u8..=28) {
            let (left, right) = (of(a, decimals), of(b, decimals));
            prop_assert_eq!(left.compare(&right).unwrap(), a.cmp(&b));
            prop_assert_eq!(left.equals(&right), a == b);
        }

        #[test]
        fn neighbours_are_told_apart(a in 0..u128::MAX, decimals in 0u8..=28) {
            prop_assert_eq!(of(a, decimals).compare(&of(a + 1, decimals)).unwrap(), Ordering::Less);
        }

        #[test]
        fn what_is_written_compares_as_what_it_is(units in 0u128..1 << 96, decimals in 0u8..=28) {
            let written = crate::model::BaseUnits::new(units).unwrap().in_tokens(decimals).to_string();
            prop_assert_eq!(Tokens::parse(&written).unwrap(), of(units, decimals));
        }

        #[test]
        fn sums_are_exact_and_differences_end_at_zero(a: u128, b: u128, decimals in 0u8..=28) {
            let (left, right) = (of(a, decimals), of(b, decimals));
            let sum = left.add(&right).unwrap();
            let sum = *sum.downcast_ref::<Tokens>().unwrap();
            let back = sum.sub(&right).unwrap();
            prop_assert_eq!(*back.downcast_ref::<Tokens>().unwrap(), left);
            prop_assert_eq!(left.sub(&right).is_ok(), a >= b);
        }
    }
}
