//! The signature of a message: of the key its receiver has, and for a while of the one before.

use uuid::Uuid;

use super::secret::SigningKey;
use super::vault::{UnusableKey, Vault};
use crate::model::{KeptKey, Millis, SigningScheme};

/// How long the old key signs beside the new one, in milliseconds.
pub const ROTATION_MS: i64 = 24 * 3_600 * 1_000;

/// The keys that sign for one receiver.
#[derive(Debug)]
pub struct Keys<'a> {
    /// Whose keys they are.
    pub owner: Uuid,
    pub scheme: SigningScheme,
    pub secret: &'a KeptKey,
    /// The key before, and until when it signs, too.
    pub old_secret: Option<&'a (KeptKey, Millis)>,
}

impl Keys<'_> {
    /// The signatures of a message at `now`, as they stand in its header.
    ///
    /// # Errors
    /// [`UnusableKey`] where a key cannot be had back.
    pub fn sign(&self, vault: &Vault, id: &str, now: Millis, body: &[u8]) -> Result<String, UnusableKey> {
        let old = self.old_secret.filter(|(_, until)| now < *until).map(|(old, _)| old);
        let mut signatures = Vec::new();
        for kept in std::iter::once(self.secret).chain(old) {
            let secret = vault.give(self.owner, kept)?;
            signatures.push(SigningKey::from_bytes(self.scheme, secret).sign(id, now.0 / 1_000, body)?);
        }
        Ok(signatures.join(" "))
    }
}
