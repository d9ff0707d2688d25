//! Reading the fields of a request: every field is read before anything is refused, so that one answer names all that
//! are malformed.

use std::fmt::Display;

use alloy::hex;
use alloy::primitives::{B256, Bytes};
use axum::http::StatusCode;
use jiff::Timestamp;

use super::error::ApiError;
use crate::model::{AmountError, BaseUnits, ChainTime, TokenAmount};
use crate::preauth::RequestedTime;

/// The longest signature that is taken, in bytes: 30 owners of a contract wallet, and what deploys it.
const MAX_SIGNATURE_BYTES: usize = 4_096;
/// What was sent is quoted up to here.
const MAX_QUOTED_CHARS: usize = 64;

/// What is wrong with the fields that were read so far.
#[derive(Debug)]
pub struct Shape {
    code: &'static str,
    errors: Vec<ApiError>,
}

impl Shape {
    /// For the fields of a body.
    #[must_use]
    pub fn of_body() -> Self {
        Self { code: "invalid_field", errors: Vec::new() }
    }

    /// For the parameters of a query or a path.
    #[must_use]
    pub fn of_query() -> Self {
        Self { code: "invalid_parameter", errors: Vec::new() }
    }

    /// Notes what is wrong with a field. The error completes the sentence that its name begins.
    pub fn read<T, E: Display>(&mut self, field: &str, read: Result<T, E>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(why) => {
                let message = format!("{field} {why}");
                self.errors.push(ApiError::new(StatusCode::BAD_REQUEST, self.code, message).field(field));
                None
            }
        }
    }

    /// The same for a field that may be absent.
    pub fn read_optional<T, E: Display>(
        &mut self,
        field: &str,
        read: Option<Result<T, E>>,
    ) -> Option<Option<T>> {
        match read {
            None => Some(None),
            Some(read) => self.read(field, read).map(Some),
        }
    }

    /// Refuses where anything was wrong.
    ///
    /// # Errors
    /// [`Self::refused`].
    pub fn must_be_good(self) -> Result<(), ApiError> {
        if self.errors.is_empty() { Ok(()) } else { Err(self.refused()) }
    }

    /// Everything that was wrong.
    #[must_use]
    pub fn refused(self) -> ApiError {
        ApiError::several(StatusCode::BAD_REQUEST, self.errors)
    }
}

/// Reads an amount. A negative one travels on as zero: both are refused alike, and at the same place in the order of
/// the checks.
pub fn amount(text: &str) -> Result<TokenAmount, AmountError> {
    match TokenAmount::parse(text) {
        Err(AmountError::NotPositive) => Ok(BaseUnits::ZERO.in_tokens(0)),
        read => read,
    }
}

/// Reads a time that is judged later.
#[must_use]
pub fn requested_time(text: Option<&str>) -> RequestedTime {
    match text {
        None => RequestedTime::Absent,
        Some(text) => rfc3339(text).map_or(RequestedTime::Malformed, RequestedTime::At),
    }
}

/// Reads RFC 3339 with a zone, to the second (a fraction is cut off); times before 1970 are the beginning of 1970.
///
/// The form is checked first, because the parser takes more than the standard: other separators, hours alone, zones
/// in brackets.
#[must_use]
pub fn rfc3339(text: &str) -> Option<ChainTime> {
    let (date_time, rest) = text.split_at_checked("2026-03-30T12:00:00".len())?;
    let fits = |text: &str, pattern: &str| {
        text.len() == pattern.len()
            && text.bytes().zip(pattern.bytes()).all(|(byte, wanted)| match wanted {
                b'0' => byte.is_ascii_digit(),
                b'T' => matches!(byte, b'T' | b't'),
                b'+' => matches!(byte, b'+' | b'-'),
                other => byte == other,
            })
    };
    let zone = match rest.strip_prefix('.') {
        None => rest,
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|char: char| char.is_ascii_digit());
            (zone.len() < fraction.len()).then_some(zone)?
        }
    };
    if !fits(date_time, "0000-00-00T00:00:00") || !(matches!(zone, "Z" | "z") || fits(zone, "+00:00")) {
        return None;
    }
    // Nanoseconds are the parser's limit, not the standard's.
    let timestamp: Timestamp = format!("{date_time}{zone}").parse().ok()?;
    Some(ChainTime::from_i64(timestamp.as_second().max(0)))
}

/// Reads a signature in hexadecimal.
pub fn signature(text: &str) -> Result<Bytes, &'static str> {
    let bytes = text.strip_prefix("0x").and_then(|digits| hex::decode(digits).ok());
    match bytes {
        Some(bytes) if (1..=MAX_SIGNATURE_BYTES).contains(&bytes.len()) => Ok(bytes.into()),
        Some(_) => Err("must have 1 to 4096 bytes"),
        None => Err("must be 0x followed by pairs of hexadecimal digits"),
    }
}

/// Reads 32 bytes in hexadecimal.
pub fn word(text: &str) -> Result<B256, &'static str> {
    let word = text.parse().ok().filter(|_| text.starts_with("0x"));
    word.ok_or("must be 0x followed by 64 hexadecimal digits")
}

/// What a client wrote, short enough to be quoted.
#[must_use]
pub fn quoted(text: &str) -> String {
    text.chars().take(MAX_QUOTED_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_malformed_field_is_named() {
        let mut shape = Shape::of_body();
        assert_eq!(shape.read("invoiceId", Ok::<_, &str>(1)), Some(1));
        assert_eq!(shape.read::<(), _>("amount", Err("must be a string")), None);
        assert_eq!(shape.read_optional::<(), &str>("consent", None), Some(None));
        assert_eq!(shape.read_optional::<(), _>("settleAt", Some(Err("is wrong"))), None);
        let error = shape.refused();
        let named: Vec<_> =
            error.items().iter().map(|item| (item.field.as_deref(), item.message.as_str())).collect();
        assert_eq!(
            named,
            [(Some("amount"), "amount must be a string"), (Some("settleAt"), "settleAt is wrong")]
        );
    }

    #[test]
    fn a_negative_amount_is_refused_as_zero_is() {
        assert!(amount("-1").unwrap().is_zero());
        assert!(amount("0").unwrap().is_zero());
        assert_eq!(amount("12.50").unwrap().to_string(), "12.50");
        for malformed in ["1e3", "+1", " 1", ".5", "1.", "１", "-", ""] {
            assert_eq!(amount(malformed), Err(AmountError::Malformed), "{malformed}");
        }
    }

    #[test]
    fn times_with_a_zone_are_read() {
        for text in [
            "2026-03-30T12:00:00Z",
            "2026-03-30T14:00:00+02:00",
            "2026-03-30t12:00:00z",
            "2026-03-30T12:00:00.999Z",
            "2026-03-30T12:00:00.1234567890123Z",
        ] {
            assert_eq!(rfc3339(text), Some(ChainTime(1_774_872_000)), "{text}");
        }
        assert_eq!(rfc3339("1960-01-01T00:00:00Z"), Some(ChainTime(0)));
    }

    #[test]
    fn other_times_are_malformed() {
        for text in [
            "",
            "tomorrow",
            "1774872000",
            "2026-03-30",
            "2026-03-30T12:00:00",
            "2026-03-30 12:00:00Z",
            "2026-03-30T12:00Z",
            "2026-03-30T12:00:00+02",
            "2026-03-30T12:00:00.Z",
            "2026-03-30T12:00:00+02:00[Europe/Berlin]",
            "2026-02-30T12:00:00Z",
            "2026-03-30T25:00:00Z",
            "２０２６-03-30T12:00:00Z",
            "+002026-03-30T12:00:00Z",
        ] {
            assert_eq!(requested_time(Some(text)), RequestedTime::Malformed, "{text}");
        }
        assert_eq!(requested_time(None), RequestedTime::Absent);
    }

    #[test]
    fn a_signature_is_hexadecimal_and_bounded() {
        assert_eq!(signature("0x01ff").unwrap().as_ref(), [1, 255]);
        for text in ["", "0x", "01ff", "0x1", "0xzz", &format!("0x{}", "00".repeat(4_097))] {
            assert!(signature(text).is_err(), "{text}");
        }
    }
}
