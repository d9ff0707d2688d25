//! A pay link: terms that a merchant offers, and that whoever has the link can consent to.

use std::fmt;

use alloy::hex;
use sha2::{Digest, Sha256};

use super::{Account, ChainTime, InvoiceId, Millis, TenantId, TokenAmount};

/// The secret in a link: 256 random bits. Who has it may look at the link and consent to its terms, and nothing else.
#[derive(Clone, PartialEq, Eq)]
pub struct PayToken([u8; 32]);

/// SHA-256 of a token: what is stored and looked up.
///
/// A lookup by it may take as long as it likes: what its time tells is about the hash, from which nobody gets to the
/// token. A random token of this length needs no slow hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PayTokenHash(pub [u8; 32]);

impl PayToken {
    /// A token of random bytes, which are the caller's to draw.
    #[must_use]
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads the token of a path: 64 hexadecimal digits in lower case. `None`: it cannot be one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_plain = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        hex::decode_to_array(text).ok().filter(|_| is_plain).map(Self)
    }

    /// The token as it stands in the link. To be shown to the merchant, once.
    #[must_use]
    pub fn reveal(&self) -> String {
        hex::encode(self.0)
    }

    #[must_use]
    pub fn hash(&self) -> PayTokenHash {
        PayTokenHash(Sha256::digest(self.0).into())
    }
}

impl fmt::Debug for PayToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PayToken(…)")
    }
}

/// Where a link stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayLinkState {
    /// It can be paid.
    Open,
    /// There is a preauthorization of its invoice.
    Used,
    /// The merchant took it back; nobody sees it any more.
    Withdrawn,
    /// Its time is over.
    Lapsed,
}

impl PayLinkState {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Used => "used",
            Self::Withdrawn => "withdrawn",
            Self::Lapsed => "lapsed",
        }
    }
}

/// A link as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayLink {
    pub tenant: TenantId,
    pub invoice: InvoiceId,
    pub token_hash: PayTokenHash,
    /// The only wallet that may pay; `None`: any.
    pub sender: Option<Account>,
    pub receiver: Account,
    pub token: Account,
    pub amount: TokenAmount,
    /// When the hold expires; `None`: the tenant's time to live after the signing.
    pub expires_at: Option<ChainTime>,
    /// When the full amount is settled by itself.
    pub settle_at: Option<ChainTime>,
    /// What is paid for, in the merchant's words.
    pub description: Option<String>,
    /// Where the payer can go on to afterwards.
    pub return_url: Option<String>,
    /// From when on it can no longer be paid.
    pub lapses: ChainTime,
    pub withdrawn_at: Option<Millis>,
    pub created_at: Millis,
}

impl PayLink {
    /// Where it stands at `now`; `is_used`: there is a preauthorization of its invoice.
    #[must_use]
    pub fn state(&self, is_used: bool, now: ChainTime) -> PayLinkState {
        if self.withdrawn_at.is_some() {
            // Also where the invoice was used by other means later: that is no business of this link's holder.
            PayLinkState::Withdrawn
        } else if is_used {
            PayLinkState::Used
        } else if now >= self.lapses {
            PayLinkState::Lapsed
        } else {
            PayLinkState::Open
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn link() -> PayLink {
        let account = |digit: &str| Account::parse(&format!("0x{}", digit.repeat(40))).unwrap();
        PayLink {
            tenant: TenantId(Uuid::from_u128(1)),
            invoice: InvoiceId::parse("INV-1").unwrap(),
            token_hash: PayToken::from_random([7; 32]).hash(),
            sender: None,
            receiver: account("2"),
            token: account("3"),
            amount: TokenAmount::parse("150.75").unwrap(),
            expires_at: None,
            settle_at: None,
            description: None,
            return_url: None,
            lapses: ChainTime(100),
            withdrawn_at: None,
            created_at: Millis(0),
        }
    }

    #[test]
    fn a_token_is_read_as_it_was_shown_and_nothing_else_is_one() {
        let token = PayToken::from_random([0xab; 32]);
        let text = token.reveal();
        assert_eq!(PayToken::parse(&text), Some(token.clone()));
        for other in [&text[1..], &text.to_uppercase(), &format!("0x{text}"), &format!("{text}0"), "", "ü"] {
            assert_eq!(PayToken::parse(other), None, "{other}");
        }
        assert!(!format!("{token:?}").contains("ab"));
        assert_ne!(token.hash(), PayToken::from_random([0xac; 32]).hash());
    }

    #[test]
    fn a_link_lapses_unless_it_was_used() {
        assert_eq!(link().state(false, ChainTime(99)), PayLinkState::Open);
        assert_eq!(link().state(false, ChainTime(100)), PayLinkState::Lapsed);
        assert_eq!(link().state(true, ChainTime(100)), PayLinkState::Used);
        let withdrawn = PayLink { withdrawn_at: Some(Millis(1)), ..link() };
        assert_eq!(withdrawn.state(true, ChainTime(99)), PayLinkState::Withdrawn);
    }
}
