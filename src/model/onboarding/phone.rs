//! Phone numbers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A phone number that can be called, as far as its digits tell.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Phone {
    /// As it was given, without the plus.
    country_code: String,
    /// As it was given.
    number: String,
    /// `+` and digits only.
    e164: String,
}

impl Phone {
    /// Digits and signs of a number at most, as it is given.
    const MAX_CHARS: usize = 32;

    /// Reads a number and the code of its country, which may hold the code of an area (`1242`).
    ///
    /// # Errors
    /// Completes the sentence that begins with the field's name.
    pub fn parse(country_code: &str, number: &str) -> Result<Self, &'static str> {
        const NONE: &str = "must be a phone number of the country";
        let is_sign = |char: char| char.is_ascii_digit() || " -./()".contains(char);
        let plain = |char: char| char.is_ascii_digit();
        if number.len() > Self::MAX_CHARS || !number.chars().all(is_sign) || !country_code.chars().all(plain)
        {
            return Err(NONE);
        }
        let digits: String = number.chars().filter(char::is_ascii_digit).collect();
        let parsed = phonenumber::parse(None, format!("+{country_code}{digits}")).map_err(|_| NONE)?;
        if !phonenumber::is_valid(&parsed) {
            return Err(NONE);
        }
        let e164 = parsed.format().mode(phonenumber::Mode::E164).to_string();
        Ok(Self { country_code: country_code.to_owned(), number: number.to_owned(), e164 })
    }

    /// Reads a number that begins with a plus.
    ///
    /// # Errors
    /// Completes the sentence that begins with the field's name.
    pub fn parse_international(text: &str) -> Result<Self, &'static str> {
        const NONE: &str = "must be a phone number with a plus and the code of its country";
        let digits = text.strip_prefix('+').ok_or(NONE)?;
        if text.len() > Self::MAX_CHARS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NONE);
        }
        let parsed = phonenumber::parse(None, text).map_err(|_| NONE)?;
        let country_code = parsed.code().value().to_string();
        let number = digits.strip_prefix(&country_code).ok_or(NONE)?;
        Self::parse(&country_code, number).map_err(|_| NONE)
    }

    /// The two letters of the country whose number it is, where the number tells.
    #[must_use]
    pub fn country(&self) -> Option<String> {
        let parsed = phonenumber::parse(None, &self.e164).ok()?;
        parsed.country().id().map(|country| country.as_ref().to_owned())
    }

    #[must_use]
    pub fn country_code(&self) -> &str {
        &self.country_code
    }

    #[must_use]
    pub fn number(&self) -> &str {
        &self.number
    }

    /// `+` and digits: what a message is sent to.
    #[must_use]
    pub fn e164(&self) -> &str {
        &self.e164
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Phone(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_read_in_the_ways_people_write_them() {
        for (country_code, number, e164) in [
            ("33", "612345678", "+33612345678"),
            ("33", "06 12 34 56 78", "+33612345678"),
            ("1", "(541) 754-3010", "+15417543010"),
            ("1242", "359-1234", "+12423591234"),
            ("49", "01512 3456789", "+4915123456789"),
            ("441481", "256789", "+441481256789"),
        ] {
            let phone = Phone::parse(country_code, number).unwrap();
            assert_eq!(phone.e164(), e164);
            assert_eq!((phone.country_code(), phone.number()), (country_code, number));
            assert_eq!(format!("{phone:?}"), "Phone(…)");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for (country_code, number) in [
            ("33", "string"),
            ("33", ""),
            ("33", "12"),
            ("33", "612345678901234567"),
            ("33", "６１２３４５６７８"),
            ("33", "612345678;ext=7"),
            ("", "612345678"),
            ("999", "612345678"),
            ("+33", "612345678"),
        ] {
            assert!(Phone::parse(country_code, number).is_err(), "{country_code} {number}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_is_sent_is_too_much(country_code in "\\PC{0,8}", number in "\\PC{0,40}") {
            let _ = Phone::parse(&country_code, &number);
        }

        #[test]
        fn digits_are_never_too_much(country_code in "[0-9]{0,8}", number in "[0-9 ()./-]{0,40}") {
            if let Ok(phone) = Phone::parse(&country_code, &number) {
                prop_assert!(phone.e164().starts_with('+'));
                prop_assert!(phone.e164()[1..].bytes().all(|byte| byte.is_ascii_digit()));
            }
        }
    }
}
