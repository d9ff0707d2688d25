//! How requests and answers are kept: sealed with what only their client knows, the key he chose.
//!
//! Answers hold what is shown once (a pay link's token, a webhook's secret) and kept nowhere, or encrypted. So neither the
//! database nor a backup of it is enough to read one, as long as the key cannot be guessed. A seal that does not open
//! also tells a damaged row from a good one.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::http::error::ApiError;
use crate::model::{OnceName, TenantId};

/// What is sealed; one is not taken for the other.
pub const REQUEST: &str = "request";
pub const ANSWER: &str = "answer";

/// The name of a key: of this tenant, on this route.
#[must_use]
pub fn name(tenant: TenantId, route: &str, key: &str) -> OnceName {
    let mut hash = Sha256::new();
    hash.update(tenant.0.as_bytes());
    hash.update(route.as_bytes());
    // Neither a route nor a key holds it.
    hash.update([0]);
    hash.update(key.as_bytes());
    OnceName(hash.finalize().into())
}

/// What a key opens.
pub struct Seal {
    derived: hkdf::Prk,
}

impl Seal {
    #[must_use]
    pub fn new(key: &str, salt: &[u8; 32]) -> Self {
        Self { derived: hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(key.as_bytes()) }
    }

    /// 32 bytes that nobody knows who has not both key and salt.
    #[must_use]
    pub fn secret(&self) -> [u8; 32] {
        let mut secret = [0; 32];
        // It cannot fail: the length is the hash's own.
        let filled =
            self.derived.expand(&[b"secret"], hkdf::HKDF_SHA256).and_then(|okm| okm.fill(&mut secret));
        debug_assert!(filled.is_ok());
        secret
    }

    /// # Errors
    /// A fault: nothing that is kept here cannot be written.
    pub fn close<T: Serialize>(&self, what: &str, value: &T) -> Result<Vec<u8>, ApiError> {
        let mut bytes = serde_json::to_vec(value).map_err(|error| broken(what, &error.to_string()))?;
        let nonce: [u8; NONCE_LEN] = rand::random();
        self.cipher(what)?
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(what.as_bytes()),
                &mut bytes,
            )
            .map_err(|_| broken(what, "it cannot be sealed"))?;
        Ok([nonce.as_slice(), &bytes].concat())
    }

    /// # Errors
    /// A fault where it is not what was closed.
    pub fn open<T: DeserializeOwned>(&self, what: &str, sealed: &[u8]) -> Result<T, ApiError> {
        let damaged = || broken(what, "it is damaged");
        let (nonce, bytes) = sealed.split_at_checked(NONCE_LEN).ok_or_else(damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| damaged())?;
        let mut bytes = bytes.to_vec();
        let opened = self
            .cipher(what)?
            .open_in_place(nonce, Aad::from(what.as_bytes()), &mut bytes)
            .map_err(|_| damaged())?;
        serde_json::from_slice(opened).map_err(|error| broken(what, &error.to_string()))
    }

    fn cipher(&self, what: &str) -> Result<LessSafeKey, ApiError> {
        let key = self.derived.expand(&[b"seal"], &CHACHA20_POLY1305).map(UnboundKey::from);
        key.map(LessSafeKey::new).map_err(|_| broken(what, "there is no key"))
    }
}

fn broken(what: &str, why: &str) -> ApiError {
    tracing::error!(what, why, "what was kept under an idempotency key cannot be used");
    ApiError::internal()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_is_sealed_is_opened_by_its_key_alone() {
        let salt = [7; 32];
        let seal = Seal::new("order-1", &salt);
        let sealed = seal.close(ANSWER, &"whsec_secret").unwrap();
        assert!(!sealed.windows(6).any(|bytes| bytes == b"secret"));
        assert_eq!(seal.open::<String>(ANSWER, &sealed).unwrap(), "whsec_secret");
        assert!(seal.open::<String>(REQUEST, &sealed).is_err());
        assert!(Seal::new("order-2", &salt).open::<String>(ANSWER, &sealed).is_err());
        assert!(Seal::new("order-1", &[8; 32]).open::<String>(ANSWER, &sealed).is_err());
        for place in [0, 20, sealed.len() - 1] {
            let mut damaged = sealed.clone();
            damaged[place] ^= 1;
            assert!(seal.open::<String>(ANSWER, &damaged).is_err(), "{place}");
        }
        assert!(seal.open::<String>(ANSWER, &sealed[..5]).is_err());
    }

    #[test]
    fn a_secret_comes_out_alike_and_differs_from_row_to_row() {
        let secret = |key, salt| Seal::new(key, &[salt; 32]).secret();
        assert_eq!(secret("order-1", 1), secret("order-1", 1));
        assert_ne!(secret("order-1", 1), secret("order-1", 2));
        assert_ne!(secret("order-1", 1), secret("order-2", 1));
        assert_ne!(secret("order-1", 1), [0; 32]);
    }

    #[test]
    fn tenant_route_and_key_make_the_name() {
        let (one, other) = (TenantId(Uuid::from_u128(1)), TenantId(Uuid::from_u128(2)));
        let names = [
            name(one, "/wallets", "a"),
            name(other, "/wallets", "a"),
            name(one, "/webhooks", "a"),
            name(one, "/wallets", "b"),
            name(one, "/wallet", "sa"),
        ];
        for (index, name) in names.iter().enumerate() {
            assert!(!names[..index].contains(name), "{index}");
        }
    }
}
