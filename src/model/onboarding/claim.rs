//! What must be one party's alone within a tenant.

use std::fmt;

/// What a claim is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimKind {
    /// The number of an identity document.
    DocumentNumber,
    /// The short name by which a business is addressed.
    Domain,
    BusinessName,
    Email,
    /// The address of somebody who controls a business.
    ControllerEmail,
}

impl ClaimKind {
    pub const ALL: [Self; 5] =
        [Self::DocumentNumber, Self::Domain, Self::BusinessName, Self::Email, Self::ControllerEmail];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DocumentNumber => "document_number",
            Self::Domain => "domain",
            Self::BusinessName => "business_name",
            Self::Email => "email",
            Self::ControllerEmail => "controller_email",
        }
    }
}

/// A value that no other party of the tenant may have.
#[derive(Clone, PartialEq, Eq)]
pub struct Claim {
    pub kind: ClaimKind,
    value: String,
}

impl Claim {
    /// Letters of either case are the same, and what separates them does not count: a number is copied by people.
    #[must_use]
    pub fn new(kind: ClaimKind, value: &str) -> Self {
        let letters = value.chars().filter(|char| char.is_alphanumeric() || matches!(char, '@' | '.' | '+'));
        Self { kind, value: letters.flat_map(char::to_lowercase).collect() }
    }

    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Claim({}, …)", self.kind.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_differently_is_the_same() {
        let number = |text| Claim::new(ClaimKind::DocumentNumber, text);
        assert_eq!(number("6I12-UQ 171a"), number("6i12uq171A"));
        assert_ne!(number("6I12UQ171A"), number("6I12UQ171B"));
        assert_ne!(number("a"), Claim::new(ClaimKind::Domain, "a"));
        assert_eq!(format!("{:?}", number("6I12UQ171A")), "Claim(document_number, …)");
    }
}
