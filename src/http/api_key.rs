//! API keys: how they look, how they are made, how one is recognised.
//!
//! A tenant's key is `pak_<8 hex digits>_<64 hex digits>`; one of those who run the daemon begins with `pad_` instead. What comes before the second underscore is its prefix: not secret,
//! shown in lists and used to find the row. The rest is 256 random bits. Only the SHA-256 of the whole is stored; a
//! random key of that length needs no slow hash.

use alloy::hex;
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What every key begins with, so that a leaked one is recognised as what it is.
const MARK: &str = "pak_";
/// What every admin key begins with: of the same length.
const ADMIN_MARK: &str = "pad_";
/// Hexadecimal digits that name a key.
const NAME_DIGITS: usize = 8;
/// Hexadecimal digits of the secret: 256 bits.
const SECRET_DIGITS: usize = 64;
const PREFIX_LENGTH: usize = MARK.len() + NAME_DIGITS;

/// A key that was just made. This is the only moment at which the secret is known.
#[derive(Debug)]
pub struct NewApiKey {
    /// To be shown once.
    pub secret: SecretString,
    /// To be stored: names the key.
    pub prefix: String,
    /// To be stored: the SHA-256 of the key.
    pub hash: [u8; 32],
}

/// Makes a tenant's key from the operating system's randomness.
#[must_use]
pub fn generate() -> NewApiKey {
    generate_marked(MARK)
}

/// Makes an admin key.
#[must_use]
pub fn generate_admin() -> NewApiKey {
    generate_marked(ADMIN_MARK)
}

fn generate_marked(mark: &str) -> NewApiKey {
    let name: [u8; NAME_DIGITS / 2] = rand::random();
    let secret: [u8; SECRET_DIGITS / 2] = rand::random();
    let prefix = format!("{mark}{}", hex::encode(name));
    let key = format!("{prefix}_{}", hex::encode(secret));
    let hash = sha256(&key);
    NewApiKey { secret: key.into(), prefix, hash }
}

/// A key as a client presented it, its form checked.
pub struct PresentedKey<'a> {
    prefix: &'a str,
    hash: [u8; 32],
}

impl<'a> PresentedKey<'a> {
    /// `None` for what cannot be a tenant's key.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        Self::parse_marked(MARK, text)
    }

    /// `None` for what cannot be an admin key.
    #[must_use]
    pub fn parse_admin(text: &'a str) -> Option<Self> {
        Self::parse_marked(ADMIN_MARK, text)
    }

    fn parse_marked(mark: &str, text: &'a str) -> Option<Self> {
        let (prefix, secret) = text.split_at_checked(PREFIX_LENGTH)?;
        let name = prefix.strip_prefix(mark)?;
        let secret = secret.strip_prefix('_')?;
        let is_hex = |digits: &str| digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if secret.len() != SECRET_DIGITS || !is_hex(name) || !is_hex(secret) {
            return None;
        }
        Some(Self { prefix, hash: sha256(text) })
    }

    /// The part that names the key.
    #[must_use]
    pub fn prefix(&self) -> &'a str {
        self.prefix
    }

    /// What is stored of it.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// Whether this key is the one with the stored hash; takes the same time whatever the answer.
    #[must_use]
    pub fn matches(&self, stored: &[u8]) -> bool {
        self.hash.ct_eq(stored).into()
    }
}

fn sha256(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_generated_key_is_recognised_and_no_other_is() {
        let (one, two) = (generate(), generate());
        let presented = PresentedKey::parse(one.secret.expose_secret()).unwrap();
        assert_eq!(presented.prefix(), one.prefix);
        assert!(presented.matches(&one.hash));
        assert!(!presented.matches(&two.hash));
        assert!(!presented.matches(&one.hash[..31]));
        assert_ne!(one.secret.expose_secret(), two.secret.expose_secret());
    }

    #[test]
    fn the_secret_does_not_show_in_debug_output() {
        let key = generate();
        let secret = key.secret.expose_secret().split('_').nth(2).unwrap().to_owned();
        assert!(!format!("{key:?}").contains(&secret));
    }

    #[test]
    fn what_has_another_form_is_no_key() {
        let secret = "0".repeat(64);
        for text in [
            "",
            "pak_",
            "pak_01234567",
            &format!("pak_01234567_{}", "0".repeat(63)),
            &format!("pak_01234567_{}", "0".repeat(65)),
            &format!("pak_0123456G_{secret}"),
            &format!("pak_0123456ü{secret}"),
            &format!("sk__01234567_{secret}"),
            &format!("pak_01234567_{}", "A".repeat(64)),
        ] {
            assert!(PresentedKey::parse(text).is_none(), "{text}");
        }
        assert!(PresentedKey::parse(&format!("pak_01234567_{secret}")).is_some());
    }
}
