//! Where somebody lives or a business is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An address, as it is written on a letter.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostalAddress {
    pub line1: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line2: Option<String>,
    pub city: String,
    /// State, province or county.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    pub country: Country,
}

impl fmt::Debug for PostalAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PostalAddress(…)")
    }
}

/// A country by its two letters (ISO 3166-1).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Country(String);

/// The letters that are assigned. XK is Kosovo's by custom.
const COUNTRIES: &str = include_str!("countries.txt");

impl Country {
    /// # Errors
    /// Completes the sentence that begins with the field's name.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let is_assigned = COUNTRIES.split_whitespace().any(|country| country == text);
        is_assigned.then(|| Self(text.to_owned())).ok_or("must be the two letters of a country, such as FR")
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_has_two_assigned_letters() {
        for good in ["FR", "US", "DE", "XK"] {
            assert_eq!(Country::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "F", "fr", "FRA", "ZZ", "FR DE", "Fr", "ＦＲ"] {
            assert!(Country::parse(bad).is_err(), "{bad}");
        }
    }
}
