//! An Ethereum address, and the way its owner wrote it.

use alloy::primitives::Address;

/// An address together with its spelling, because answers echo an address as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    address: Address,
    written: String,
}

/// Why a text is no acceptable address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    #[error("must be 0x followed by 40 hexadecimal digits")]
    Malformed,
    #[error("has a wrong EIP-55 checksum")]
    WrongChecksum,
    #[error("must not be the zero address")]
    Zero,
}

impl Account {
    /// Reads an address in lower case, upper case or with its EIP-55 checksum.
    ///
    /// Mixed case that is not the checksum is refused: it is how a mistyped address shows.
    ///
    /// # Errors
    /// [`AccountError`] says which of the three rules the text breaks.
    pub fn parse(text: &str) -> Result<Self, AccountError> {
        let digits = text.strip_prefix("0x").ok_or(AccountError::Malformed)?;
        if digits.len() != 40 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(AccountError::Malformed);
        }
        let address: Address = text.parse().map_err(|_| AccountError::Malformed)?;
        let has_lower = digits.bytes().any(|byte| byte.is_ascii_lowercase());
        let has_upper = digits.bytes().any(|byte| byte.is_ascii_uppercase());
        if has_lower && has_upper && address.to_checksum(None) != text {
            return Err(AccountError::WrongChecksum);
        }
        if address.is_zero() {
            return Err(AccountError::Zero);
        }
        Ok(Self { address, written: text.to_owned() })
    }

    /// An address that nobody wrote: spelled with its checksum.
    #[must_use]
    pub fn from_address(address: Address) -> Self {
        Self { address, written: address.to_checksum(None) }
    }

    /// The twenty bytes.
    #[must_use]
    pub fn address(&self) -> Address {
        self.address
    }

    /// The spelling it was given in.
    #[must_use]
    pub fn written(&self) -> &str {
        &self.written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECKSUMMED: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";

    #[test]
    fn the_spelling_is_kept() {
        for text in [CHECKSUMMED.to_owned(), CHECKSUMMED.to_lowercase()] {
            let account = Account::parse(&text).unwrap();
            assert_eq!(account.written(), text);
            assert_eq!(account.address(), CHECKSUMMED.parse::<Address>().unwrap());
        }
    }

    #[test]
    fn a_wrong_checksum_is_refused() {
        let wrong = CHECKSUMMED.replace('F', "f").replace("fd6e", "Fd6e");
        assert_eq!(Account::parse(&wrong), Err(AccountError::WrongChecksum));
    }

    #[test]
    fn malformed_and_zero_addresses_are_refused() {
        for text in [
            "",
            "0x",
            "f39fd6e51aad88f6f4ce6ab8827279cfffb92266",
            "0xg39fd6e51aad88f6f4ce6ab8827279cfffb92266",
        ] {
            assert_eq!(Account::parse(text), Err(AccountError::Malformed), "{text}");
        }
        assert_eq!(Account::parse(&format!("0x{}", "0".repeat(40))), Err(AccountError::Zero));
    }
}
