//! Names of things. Each is a type of its own, so that one cannot be passed for another.

use std::fmt;

use alloy::primitives::{B256, keccak256};
use alloy::sol_types::SolValue;
use uuid::Uuid;

/// Characters an invoice id may have at most.
const MAX_INVOICE_ID_CHARS: usize = 128;

/// A tenant's UUID. Random, and part of every preauth id, so it belongs into every backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(pub Uuid);

impl TenantId {
    /// Owns the holds that were recovered from the chain until a tenant's invoice proves to be theirs. It has no API keys
    /// and no rules, and nobody can be it: a tenant's own UUID is random.
    pub const UNCLAIMED: Self = Self(Uuid::nil());
}

impl fmt::Display for TenantId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The database key of a preauthorization; internal, never shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PreauthKey(pub i64);

/// The database key of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OperationId(pub i64);

/// The database key of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchId(pub i64);

impl fmt::Display for BatchId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The merchant's own name for a preauthorization, unique within a tenant for ever.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InvoiceId(String);

/// Why a text is no acceptable invoice id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvoiceIdError {
    #[error("must not be empty")]
    Empty,
    #[error("must have at most 128 characters")]
    TooLong,
    #[error(
        "must not hold control characters, slashes, backslashes, percent signs, question marks or hashes, nor be \".\" or \"..\""
    )]
    Unaddressable,
}

impl InvoiceId {
    /// Accepts what can stand in a path segment and be read by a person.
    ///
    /// # Errors
    /// [`InvoiceIdError`] names the rule that is broken.
    pub fn parse(text: &str) -> Result<Self, InvoiceIdError> {
        if text.is_empty() {
            return Err(InvoiceIdError::Empty);
        }
        if text.chars().count() > MAX_INVOICE_ID_CHARS {
            return Err(InvoiceIdError::TooLong);
        }
        // A segment of dots is resolved away by HTTP clients; an escape could name two invoices alike.
        let addressable = text != "."
            && text != ".."
            && text.trim() == text
            && !text.chars().any(|char| char.is_control() || matches!(char, '/' | '\\' | '%' | '?' | '#'));
        if !addressable {
            return Err(InvoiceIdError::Unaddressable);
        }
        Ok(Self(text.to_owned()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<B256> for InvoiceId {
    /// The name of a hold whose invoice nobody knows: its preauth id in hexadecimal digits.
    fn from(preauth_id: B256) -> Self {
        Self(preauth_id.to_string())
    }
}

impl fmt::Display for InvoiceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The name of a preauthorization on chain: `keccak256(abi.encode(tenantUuid, invoiceId))` with the UUID as `bytes16`.
///
/// Anyone who knows the tenant's UUID can find an invoice's hold on chain without the database.
#[must_use]
pub fn derive_preauth_id(tenant: TenantId, invoice: &InvoiceId) -> B256 {
    let tenant = alloy::primitives::FixedBytes::<16>::from(tenant.0.into_bytes());
    keccak256((tenant, invoice.as_str().to_owned()).abi_encode_params())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invoice_id_must_be_addressable() {
        for text in ["INV-2026-0001", "a", "Rechnung 7", "счёт-1", "a.b~c_d:e"] {
            assert_eq!(InvoiceId::parse(text).unwrap().as_str(), text);
        }
        assert_eq!(InvoiceId::parse(""), Err(InvoiceIdError::Empty));
        assert_eq!(InvoiceId::parse(&"x".repeat(129)), Err(InvoiceIdError::TooLong));
        for text in ["a/b", "a%2Fb", "a\nb", "\u{0}", ".", "..", "a?b", "a#b", " a", "a ", "a\\b", "\u{7f}"] {
            assert_eq!(InvoiceId::parse(text), Err(InvoiceIdError::Unaddressable), "{text:?}");
        }
        assert!(InvoiceId::parse(&"ü".repeat(128)).is_ok());
    }

    #[test]
    fn a_preauth_id_depends_on_tenant_and_invoice() {
        let one = TenantId(Uuid::from_u128(1));
        let two = TenantId(Uuid::from_u128(2));
        let invoice = InvoiceId::parse("INV-1").unwrap();
        assert_ne!(derive_preauth_id(one, &invoice), derive_preauth_id(two, &invoice));
        assert_ne!(
            derive_preauth_id(one, &invoice),
            derive_preauth_id(one, &InvoiceId::parse("INV-2").unwrap())
        );
        assert_eq!(derive_preauth_id(one, &invoice), derive_preauth_id(one, &invoice));
    }
}
