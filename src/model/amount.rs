//! Amounts: base units on chain, decimals on the wire, exact in both directions.
//!
//! `uint96`, the contract's amount, is the 96-bit mantissa of [`Decimal`], so every amount the contract can hold is an
//! exact decimal and nothing is ever rounded.

use std::fmt;

use rust_decimal::Decimal;

/// The largest amount the contract can hold, `type(uint96).max`.
const MAX_BASE_UNITS: u128 = (1 << 96) - 1;

/// Ten thousand basis points are the whole.
const BPS_WHOLE: u128 = 10_000;

/// An amount in base units of a token, at most `type(uint96).max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct BaseUnits(u128);

impl BaseUnits {
    pub const ZERO: Self = Self(0);

    /// `None` beyond `type(uint96).max`.
    #[must_use]
    pub const fn new(units: u128) -> Option<Self> {
        if units <= MAX_BASE_UNITS { Some(Self(units)) } else { None }
    }

    #[must_use]
    pub fn get(self) -> u128 {
        self.0
    }

    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The same amount in whole tokens, without trailing zeros: 120500000 at 6 decimals is "120.5".
    #[must_use]
    pub fn in_tokens(self, decimals: u8) -> TokenAmount {
        // 96 bits always fit; the fallback is unreachable and still exact for zero.
        let decimal = i128::try_from(self.0)
            .ok()
            .and_then(|mantissa| Decimal::try_from_i128_with_scale(mantissa, u32::from(decimals)).ok())
            .unwrap_or_default();
        TokenAmount(decimal.normalize())
    }
}

impl fmt::Display for BaseUnits {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl std::str::FromStr for BaseUnits {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().ok().and_then(Self::new).ok_or(AmountError::Malformed)
    }
}

/// An amount in whole tokens that keeps the scale it was written with ("120.50" stays "120.50").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenAmount(Decimal);

/// Why a text is no acceptable amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    #[error("must be a string of plain decimal digits, such as \"150.75\"")]
    Malformed,
    #[error("must be greater than zero")]
    NotPositive,
    #[error("has more decimals than the token")]
    TooManyDecimals,
    #[error("is larger than the contract can hold")]
    TooLarge,
}

impl TokenAmount {
    /// Reads `digits[.digits]`; a minus before such a number is [`AmountError::NotPositive`]. Zero is accepted here,
    /// because what it means depends on the operation.
    ///
    /// # Errors
    /// [`AmountError`], never a rounded value.
    pub fn parse(text: &str) -> Result<Self, AmountError> {
        if let Some(rest) = text.strip_prefix('-') {
            return Err(if split_digits(rest).is_some() {
                AmountError::NotPositive
            } else {
                AmountError::Malformed
            });
        }
        let (whole, fraction) = split_digits(text).ok_or(AmountError::Malformed)?;
        let scale = u32::try_from(fraction.len()).map_err(|_| AmountError::TooManyDecimals)?;
        if scale > Decimal::MAX_SCALE {
            return Err(AmountError::TooManyDecimals);
        }
        let mantissa = [whole, fraction]
            .iter()
            .flat_map(|part| part.bytes())
            .try_fold(0u128, |value, digit| value.checked_mul(10)?.checked_add(u128::from(digit - b'0')))
            .filter(|value| *value <= MAX_BASE_UNITS)
            .and_then(|value| i128::try_from(value).ok())
            .ok_or(AmountError::TooLarge)?;
        Decimal::try_from_i128_with_scale(mantissa, scale).map(Self).map_err(|_| AmountError::TooLarge)
    }

    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// The digits as a whole number, and how many of them are decimals.
    pub(super) fn parts(self) -> (u128, u8) {
        let scale = u8::try_from(self.0.scale()).unwrap_or(u8::MAX);
        (self.0.mantissa().unsigned_abs(), scale)
    }

    /// The amount in base units of a token with `decimals`.
    ///
    /// # Errors
    /// [`AmountError::TooManyDecimals`] when more decimals were written than the token has,
    /// [`AmountError::TooLarge`] beyond `uint96`.
    pub fn in_base_units(self, decimals: u8) -> Result<BaseUnits, AmountError> {
        let missing = u32::from(decimals).checked_sub(self.0.scale()).ok_or(AmountError::TooManyDecimals)?;
        let factor = 10u128.checked_pow(missing).ok_or(AmountError::TooLarge)?;
        u128::try_from(self.0.mantissa())
            .ok()
            .and_then(|mantissa| mantissa.checked_mul(factor))
            .and_then(BaseUnits::new)
            .ok_or(AmountError::TooLarge)
    }
}

impl fmt::Display for TokenAmount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The hold for an authorized amount: the amount and the allowed tip, the tip rounded down.
///
/// # Errors
/// [`AmountError::TooLarge`] when the sum is beyond `uint96`.
pub fn hold_with_tip(amount: BaseUnits, allowed_tip_bps: u16) -> Result<BaseUnits, AmountError> {
    let tip = amount.0 * u128::from(allowed_tip_bps) / BPS_WHOLE;
    BaseUnits::new(amount.0 + tip).ok_or(AmountError::TooLarge)
}

/// The digits before and after the point, when the text is `^\d+(\.\d+)?$` in ASCII.
fn split_digits(text: &str) -> Option<(&str, &str)> {
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match text.split_once('.') {
        Some((whole, fraction)) => (all_digits(whole) && all_digits(fraction)).then_some((whole, fraction)),
        None => all_digits(text).then_some((text, "")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_written_scale_is_kept() {
        for text in ["120.50", "0.000001", "1", "150.75", "0"] {
            assert_eq!(TokenAmount::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_plain_number_is_refused() {
        for text in [
            "", "1e3", "+1", " 1", "1 ", ".5", "1.", "１", "1_000", "0x10", "--1", "-", "-.5", "1.2.3", "1,5",
        ] {
            assert_eq!(TokenAmount::parse(text), Err(AmountError::Malformed), "{text:?}");
        }
        assert_eq!(TokenAmount::parse("-1"), Err(AmountError::NotPositive));
        assert_eq!(TokenAmount::parse(&format!("1{}", "0".repeat(40))), Err(AmountError::TooLarge));
    }

    #[test]
    fn more_decimals_than_the_token_has_are_refused() {
        let amount = TokenAmount::parse("0.0000001").unwrap();
        assert_eq!(amount.in_base_units(6), Err(AmountError::TooManyDecimals));
    }

    #[test]
    fn the_largest_amount_fits_and_one_more_does_not() {
        let largest = TokenAmount::parse("79228162514264337593543950335").unwrap();
        assert_eq!(largest.in_base_units(0).unwrap().get(), MAX_BASE_UNITS);
        assert_eq!(TokenAmount::parse("79228162514264337593543950336"), Err(AmountError::TooLarge));
        assert_eq!(largest.in_base_units(1), Err(AmountError::TooLarge));
    }

    #[test]
    fn a_tip_is_rounded_down() {
        let amount = BaseUnits::new(999).unwrap();
        assert_eq!(hold_with_tip(amount, 1_000).unwrap().get(), 999 + 99);
        assert_eq!(hold_with_tip(amount, 0).unwrap(), amount);
    }

    proptest! {
        #[test]
        fn base_units_survive_the_way_through_text(units in 0..=MAX_BASE_UNITS, decimals in 0u8..=28) {
            let amount = BaseUnits::new(units).unwrap();
            let text = amount.in_tokens(decimals).to_string();
            prop_assert_eq!(TokenAmount::parse(&text).unwrap().in_base_units(decimals).unwrap(), amount);
        }

        #[test]
        fn any_text_is_read_exactly_or_refused(text in "\\PC{0,40}") {
            if let Ok(amount) = TokenAmount::parse(&text) {
                prop_assert!(text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'));
                let canonical = text.trim_start_matches('0');
                let shown = amount.to_string();
                prop_assert_eq!(shown.trim_start_matches('0'), canonical);
            }
        }
    }
}
