//! The terms that a tenant's parties accept. They are not [`crate::model::Terms`], which a payer signs.

use crate::model::Millis;

/// The tenant's name of a version, such as `1.0`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TermsName(String);

/// A language, such as `en` or `pt-BR`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Language(String);

/// A version of a tenant's terms. The newest is the one that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TermsVersion {
    pub key: i64,
    pub name: TermsName,
    pub published_at: Millis,
}

/// A version in one language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TermsText {
    pub version: TermsVersion,
    pub language: Language,
    pub text: String,
    /// Whether there is no newer version.
    pub newest: bool,
}

impl TermsName {
    /// # Errors
    /// Completes the sentence that begins with the field's name.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is_good = (1..=32).contains(&text.len()) && text.bytes().all(is_part);
        if is_good {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be 1 to 32 of A-Z, a-z, 0-9, '.', '_', '-'")
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Language {
    /// What is meant where none is named.
    #[must_use]
    pub fn english() -> Self {
        Self("en".to_owned())
    }

    /// # Errors
    /// Completes the sentence that begins with the field's name.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (language, region) = match text.split_once('-') {
            Some((language, region)) => (language, Some(region)),
            None => (text, None),
        };
        let is_good = language.len() == 2
            && language.bytes().all(|byte| byte.is_ascii_lowercase())
            && region.is_none_or(|region| {
                region.len() == 2 && region.bytes().all(|byte| byte.is_ascii_uppercase())
            });
        if is_good { Ok(Self(text.to_owned())) } else { Err("must be a language, such as en or pt-BR") }
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
    fn names_and_languages_are_plain() {
        assert!(["1.0", "2026-03", "v2_b"].iter().all(|text| TermsName::parse(text).is_ok()));
        assert!(["", " 1", "1/2", "é", &"1".repeat(33)].iter().all(|text| TermsName::parse(text).is_err()));
        assert!(["en", "pt-BR"].iter().all(|text| Language::parse(text).is_ok()));
        assert!(
            ["", "e", "EN", "en_US", "en-us", "english"].iter().all(|text| Language::parse(text).is_err())
        );
    }
}
