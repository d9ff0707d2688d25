//! The keys that sign messages, by the Standard Webhooks specification.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{Ed25519KeyPair, KeyPair};
use ring::{hmac, rand as chance};
use secrecy::SecretString;

use crate::model::SigningScheme;

/// Bytes of a new symmetric key; the specification wants 24 to 64.
const SECRET_BYTES: usize = 32;
/// Bytes of a symmetric key that comes from elsewhere, by the specification.
const SECRET_LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;
/// How a symmetric key begins where it is written.
const SECRET_PREFIX: &str = "whsec_";
/// Bytes of an Ed25519 seed.
const SEED_BYTES: usize = 32;

/// What a receiver is given to verify with.
#[derive(Debug)]
pub enum ShownKey {
    /// `whsec_…`: shown once.
    Secret(SecretString),
    /// `whpk_…`: no secret.
    Public(String),
}

/// A key that signs.
pub struct SigningKey {
    scheme: SigningScheme,
    bytes: Vec<u8>,
}

/// A key whose bytes cannot be one.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("a stored signing key is no key")]
pub struct NoKey;

impl SigningKey {
    /// A new key.
    ///
    /// # Errors
    /// [`NoKey`] where the system gives no random numbers.
    pub fn generate(scheme: SigningScheme) -> Result<Self, NoKey> {
        let length = match scheme {
            SigningScheme::Symmetric => SECRET_BYTES,
            SigningScheme::Asymmetric => SEED_BYTES,
        };
        let mut bytes = vec![0; length];
        chance::SecureRandom::fill(&chance::SystemRandom::new(), &mut bytes).map_err(|_| NoKey)?;
        Ok(Self { scheme, bytes })
    }

    #[must_use]
    pub fn from_bytes(scheme: SigningScheme, bytes: Vec<u8>) -> Self {
        Self { scheme, bytes }
    }

    /// Reads `whsec_…`.
    #[must_use]
    pub fn parse_secret(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.strip_prefix(SECRET_PREFIX)?).ok()?;
        SECRET_LENGTHS.contains(&bytes.len()).then(|| Self::from_bytes(SigningScheme::Symmetric, bytes))
    }

    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What the receiver verifies with.
    ///
    /// # Errors
    /// [`NoKey`].
    pub fn shown(&self) -> Result<ShownKey, NoKey> {
        match self.scheme {
            SigningScheme::Symmetric => {
                Ok(ShownKey::Secret(format!("{SECRET_PREFIX}{}", STANDARD.encode(&self.bytes)).into()))
            }
            SigningScheme::Asymmetric => {
                let public = self.pair()?.public_key().as_ref().to_vec();
                Ok(ShownKey::Public(format!("whpk_{}", STANDARD.encode(public))))
            }
        }
    }

    /// The signature of a message, as it stands in the header.
    ///
    /// # Errors
    /// [`NoKey`].
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> Result<String, NoKey> {
        let mut message = format!("{id}.{timestamp}.").into_bytes();
        message.extend_from_slice(body);
        let signature = match self.scheme {
            SigningScheme::Symmetric => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, &self.bytes);
                STANDARD.encode(hmac::sign(&key, &message))
            }
            SigningScheme::Asymmetric => STANDARD.encode(self.pair()?.sign(&message)),
        };
        Ok(format!("{},{signature}", self.scheme.as_str()))
    }

    /// Whether one of the signatures in a header is of this key, which must be a symmetric one.
    #[must_use]
    pub fn has_signed(&self, id: &str, timestamp: i64, body: &[u8], header: &str) -> bool {
        let mut message = format!("{id}.{timestamp}.").into_bytes();
        message.extend_from_slice(body);
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.bytes);
        let scheme = SigningScheme::Symmetric;
        // The comparison takes the same time wherever two signatures differ.
        self.scheme == scheme
            && header.split(' ').any(|signature| {
                let signature =
                    signature.strip_prefix(scheme.as_str()).and_then(|rest| rest.strip_prefix(','));
                let signature = signature.and_then(|text| STANDARD.decode(text).ok());
                signature.is_some_and(|bytes| hmac::verify(&key, &message, &bytes).is_ok())
            })
    }

    fn pair(&self) -> Result<Ed25519KeyPair, NoKey> {
        Ed25519KeyPair::from_seed_unchecked(&self.bytes).map_err(|_| NoKey)
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{ED25519, UnparsedPublicKey};
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_symmetric_signature_is_what_others_make_of_the_same_key() {
        // The example of the specification's own libraries.
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let key = SigningKey::from_bytes(SigningScheme::Symmetric, key);
        let body = br#"{"test": 2432232314}"#;
        assert_eq!(
            key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body).unwrap(),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
        let ShownKey::Secret(secret) = key.shown().unwrap() else { panic!("it is a secret") };
        assert_eq!(secret.expose_secret(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        assert_eq!(SigningKey::parse_secret(secret.expose_secret()).unwrap().bytes(), key.bytes());
        let (id, time) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330);
        let header = format!("v1,AAAA {}", key.sign(id, time, body).unwrap());
        assert!(key.has_signed(id, time, body, &header));
        assert!(!key.has_signed("msg", time, body, &header) && !key.has_signed(id, time + 1, body, &header));
        assert!(!key.has_signed(id, time, b"{}", &header) && !key.has_signed(id, time, body, "v1,AAAA"));
        for other in [
            "",
            "whsec_",
            "whsec_MfKQ",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whpk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        ] {
            assert!(SigningKey::parse_secret(other).is_none(), "{other}");
        }
    }

    #[test]
    fn an_asymmetric_signature_is_verified_with_the_public_key() {
        let key = SigningKey::generate(SigningScheme::Asymmetric).unwrap();
        let ShownKey::Public(public) = key.shown().unwrap() else { panic!("it is public") };
        let public = STANDARD.decode(public.strip_prefix("whpk_").unwrap()).unwrap();
        let signature = key.sign("id", 7, b"body").unwrap();
        let signature = STANDARD.decode(signature.strip_prefix("v1a,").unwrap()).unwrap();
        UnparsedPublicKey::new(&ED25519, public).verify(b"id.7.body", &signature).unwrap();
    }

    #[test]
    fn two_keys_are_never_the_same() {
        let key = || SigningKey::generate(SigningScheme::Symmetric).unwrap();
        assert_ne!(key().bytes(), key().bytes());
    }
}
