//! E-mail addresses.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An address a message can be sent to: printable ASCII, one `@`, a domain with a dot. Whether anybody reads what is sent there
/// is what the confirmation is for.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Email(String);

impl Email {
    /// By RFC 5321.
    const MAX_CHARS: usize = 254;
    const MAX_LOCAL_CHARS: usize = 64;
    const MAX_LABEL_CHARS: usize = 63;

    /// # Errors
    /// Completes the sentence that begins with the field's name.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let read = || {
            let (local, domain) = text.split_once('@')?;
            let is_local = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~.-".contains(&byte);
            let is_label = |label: &str| {
                (1..=Self::MAX_LABEL_CHARS).contains(&label.len())
                    && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                    && !label.starts_with('-')
                    && !label.ends_with('-')
            };
            let is_good = text.len() <= Self::MAX_CHARS
                && (1..=Self::MAX_LOCAL_CHARS).contains(&local.len())
                && local.bytes().all(is_local)
                && local.split('.').all(|part| !part.is_empty())
                && domain.contains('.')
                && domain.split('.').all(is_label);
            is_good.then(|| Self(text.to_owned()))
        };
        read().ok_or("must be an e-mail address")
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Email(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_kept_as_they_are() {
        for text in ["amber.wenny@mail.com", "a+b@x-y.example", "Test@Test.co.uk"] {
            assert_eq!(Email::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("{}@mail.com", "x".repeat(65));
        for text in [
            "string",
            "",
            "@mail.com",
            "a@",
            "a@mail",
            "a@@mail.com",
            "a b@mail.com",
            "a@mail..com",
            "a@-mail.com",
            ".a@mail.com",
            "a@mail.com\r\nbcc: b@mail.com",
            "а@mail.com",
            "a@mаil.com",
            &long,
        ] {
            assert!(Email::parse(text).is_err(), "{text:?}");
        }
    }
}
