//! What dialects read alike, whatever they call it.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use jiff::civil::Date;
use serde_json::Value;

use crate::model::is_invisible;

/// Characters of a text at most.
pub const MAX_TEXT_CHARS: usize = 511;

/// Base64 with or without what fills it up.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A text of bounded length.
pub fn short(text: String) -> Result<String, String> {
    if text.chars().count() <= MAX_TEXT_CHARS {
        Ok(text)
    } else {
        Err(format!("must have at most {MAX_TEXT_CHARS} characters"))
    }
}

/// A name of somebody or something, as others will read it: nothing in it is invisible or turns it around.
pub fn name(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    if text.is_empty() {
        return Err("must not be empty");
    }
    if text.chars().count() > MAX_TEXT_CHARS {
        return Err("must have at most 511 characters");
    }
    if text.chars().any(|char| char.is_control() || is_invisible(char)) {
        return Err("must have no invisible characters");
    }
    Ok(text.to_owned())
}

/// One of some words.
pub fn one_of(text: String, words: &[&str]) -> Result<String, String> {
    if words.contains(&text.as_str()) {
        Ok(text)
    } else {
        Err(format!("must be one of {}", words.join(", ")))
    }
}

/// A day.
pub fn date(text: &str) -> Result<Date, &'static str> {
    const NONE: &str = "must be a day, such as 2030-06-11";
    // The parser takes more than the ten characters.
    if text.len() == "2030-06-11".len() { text.parse().map_err(|_| NONE) } else { Err(NONE) }
}

/// A day of birth: of somebody who can be alive.
pub fn birthday(text: &str, today: Date) -> Result<Date, &'static str> {
    let day = date(text)?;
    let oldest = jiff::civil::date(1900, 1, 1);
    if (oldest..=today).contains(&day) { Ok(day) } else { Err("must be a day from 1900 to today") }
}

/// Today in UTC.
pub fn today() -> Date {
    let now = jiff::Timestamp::from_millisecond(crate::chain::wall_now().0).unwrap_or_default();
    now.to_zoned(jiff::tz::TimeZone::UTC).date()
}

/// The bytes of a file in base64, with or without the head of a data URL.
pub fn content(text: &str) -> Result<Vec<u8>, &'static str> {
    let text = match text.split_once("base64,") {
        Some((head, rest)) if head.is_empty() || head.starts_with("data:") => rest,
        _ => text,
    };
    BASE64.decode(text.trim()).map_err(|_| "must be a file in base64")
}

/// What may be absent, and not malformed.
pub fn whole<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        None => Some(None),
        Some(read) => read.map(Some),
    }
}

/// A text of a profile's particulars.
pub fn text_of(particulars: &serde_json::Map<String, Value>, field: &str) -> Option<String> {
    particulars.get(field).and_then(Value::as_str).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_comes_in_several_ways() {
        for text in ["iVBORw==", "iVBORw", "base64,iVBORw==", "data:image/png;base64,iVBORw=="] {
            assert_eq!(content(text).unwrap(), b"\x89PNG", "{text}");
        }
        for text in ["iVBOR", "no base64", "iVB_", "other;base64,iVBORw==", "iVBORw==="] {
            assert!(content(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_hide_nothing() {
        assert_eq!(name(" Zoë O'Neill-Ng ").unwrap(), "Zoë O'Neill-Ng");
        for text in ["", "  ", "a\u{202e}b", "a\u{200b}b", "a\nb", "\u{feff}", &"x".repeat(512)] {
            assert!(name(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn days_are_days_of_the_calendar() {
        let today = jiff::civil::date(2026, 3, 25);
        assert_eq!(date("2030-06-11").unwrap(), jiff::civil::date(2030, 6, 11));
        for text in ["2030-6-11", "2030-02-30", "11.06.2030", "2030-06-11T00:00", "", "20300611"] {
            assert!(date(text).is_err(), "{text}");
        }
        assert!(birthday("1997-04-02", today).is_ok() && birthday("2026-03-25", today).is_ok());
        assert!(birthday("2026-03-26", today).is_err() && birthday("1899-12-31", today).is_err());
    }
}
