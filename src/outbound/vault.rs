//! How signing keys are kept in the database.
//!
//! They must be had back to sign, so a hash will not do. Where the operator gives a key of his own, they are encrypted
//! with it, and neither the database nor a backup of it is enough to sign as us; else they lie there as they are, in a
//! file that only the daemon's user may read.

use std::fmt;
use std::sync::Arc;

use alloy::hex;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use uuid::Uuid;

use super::secret::{NoKey, ShownKey, SigningKey};
use crate::model::{KeptKey, SigningScheme};

/// Marks how a key is kept.
const PLAIN: u8 = 0;
const ENCRYPTED: u8 = 1;

/// Keeps keys.
#[derive(Clone)]
pub struct Vault {
    key: Option<Arc<LessSafeKey>>,
}

/// Why a key could not be kept or had back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    #[error("the keys of webhooks and approvers are encrypted, and webhooks_key_env names no key")]
    NoKey,
    #[error("a signing key cannot be decrypted: it was encrypted with another key, or is damaged")]
    WrongKey,
    #[error("the system gives no random numbers")]
    NoChance,
}

/// Why a signing key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UnusableKey {
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Key(#[from] NoKey),
}

impl fmt::Debug for Vault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.key.is_some() { "Vault(encrypted)" } else { "Vault(plain)" })
    }
}

impl Vault {
    /// Keeps keys as they are.
    #[must_use]
    pub fn open() -> Self {
        Self { key: None }
    }

    /// Encrypts them with a key of 64 hexadecimal digits. `None`: it is none.
    #[must_use]
    pub fn locked_with(key: &str) -> Option<Self> {
        let bytes: [u8; 32] = hex::decode(key.trim()).ok()?.try_into().ok()?;
        let key = UnboundKey::new(&CHACHA20_POLY1305, &bytes).ok()?;
        Some(Self { key: Some(Arc::new(LessSafeKey::new(key))) })
    }

    /// A new key: as it is stored, and as its receiver is shown it.
    ///
    /// # Errors
    /// [`UnusableKey`] where the system gives no random numbers.
    pub fn make(&self, owner: Uuid, scheme: SigningScheme) -> Result<(KeptKey, ShownKey), UnusableKey> {
        let key = SigningKey::generate(scheme)?;
        Ok((self.keep(owner, key.bytes())?, key.shown()?))
    }

    /// A key that was kept, as its receiver is shown it.
    ///
    /// # Errors
    /// [`UnusableKey`] when it cannot be had back.
    pub fn show(&self, owner: Uuid, scheme: SigningScheme, kept: &KeptKey) -> Result<ShownKey, UnusableKey> {
        Ok(SigningKey::from_bytes(scheme, self.give(owner, kept)?).shown()?)
    }

    /// A key as it is stored, bound to its owner.
    ///
    /// # Errors
    /// [`VaultError::NoChance`].
    pub fn keep(&self, owner: Uuid, secret: &[u8]) -> Result<KeptKey, VaultError> {
        let Some(key) = &self.key else {
            return Ok(KeptKey([&[PLAIN], secret].concat()));
        };
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| VaultError::NoChance)?;
        let mut bytes = secret.to_vec();
        key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(owner.as_bytes()),
            &mut bytes,
        )
        .map_err(|_| VaultError::WrongKey)?;
        Ok(KeptKey([&[ENCRYPTED], nonce.as_slice(), &bytes].concat()))
    }

    /// The key that was kept. What was kept before there was an operator's key is still had back.
    ///
    /// # Errors
    /// [`VaultError`] when it cannot be.
    pub fn give(&self, owner: Uuid, kept: &KeptKey) -> Result<Vec<u8>, VaultError> {
        match kept.0.split_first() {
            Some((&PLAIN, secret)) => Ok(secret.to_vec()),
            Some((&ENCRYPTED, rest)) => {
                let key = self.key.as_ref().ok_or(VaultError::NoKey)?;
                let (nonce, bytes) = rest.split_at_checked(NONCE_LEN).ok_or(VaultError::WrongKey)?;
                let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| VaultError::WrongKey)?;
                let mut bytes = bytes.to_vec();
                let opened = key.open_in_place(nonce, Aad::from(owner.as_bytes()), &mut bytes);
                opened.map(|secret| secret.to_vec()).map_err(|_| VaultError::WrongKey)
            }
            _ => Err(VaultError::WrongKey),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    #[test]
    fn what_is_kept_is_had_back_by_its_owner_alone() {
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let vault = Vault::locked_with(KEY).unwrap();
        let kept = vault.keep(one, b"secret").unwrap();
        assert!(!kept.0.windows(6).any(|bytes| bytes == b"secret"));
        assert_eq!(vault.give(one, &kept).unwrap(), b"secret");
        assert_eq!(vault.give(other, &kept), Err(VaultError::WrongKey));
        assert_eq!(Vault::open().give(one, &kept), Err(VaultError::NoKey));
        let another = Vault::locked_with(&KEY.replace('0', "1")).unwrap();
        assert_eq!(another.give(one, &kept), Err(VaultError::WrongKey));
        assert_eq!(vault.give(one, &KeptKey(kept.0[..5].to_vec())), Err(VaultError::WrongKey));
    }

    #[test]
    fn an_operators_key_may_come_later() {
        let id = Uuid::from_u128(1);
        let kept = Vault::open().keep(id, b"secret").unwrap();
        assert_eq!(Vault::locked_with(KEY).unwrap().give(id, &kept).unwrap(), b"secret");
    }

    #[test]
    fn a_key_has_64_digits() {
        for text in ["", "00", &KEY[1..], &format!("{KEY}00"), &KEY.replace('0', "x")] {
            assert!(Vault::locked_with(text).is_none(), "{text}");
        }
    }
}
