//! How personal data are kept: each party has a key of its own, and that is wrapped with the operator's.
//!
//! Destroying the one makes the party's data unreadable wherever they still lie in the file (a backup made before holds that key
//! too, wrapped); without the other nobody reads anybody's. What is encrypted is bound to its place, so that no row passes for
//! another.

use std::fmt;

use alloy::hex;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::model::{Claim, DocumentId, PartyId, ReviewId, SecretTag, TenantId};

const KEY_BYTES: usize = 32;

/// The operator's key. Each of its uses has a key of its own that is derived from it.
pub struct MasterKey {
    wrapping: LessSafeKey,
    tagging: hmac::Key,
    claiming: hmac::Key,
}

/// The key of one party's personal data.
pub(super) struct DataKey(LessSafeKey);

/// A key or data that cannot be had back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    #[error("personal data cannot be decrypted: they were encrypted with another key, or are damaged")]
    WrongKey,
    #[error("the system gives no random numbers")]
    NoChance,
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("MasterKey")
    }
}

impl MasterKey {
    /// Reads 64 hexadecimal digits. `None`: it is no key.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; KEY_BYTES] = hex::decode(text.trim()).ok()?.try_into().ok()?;
        let master = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
        let derive = |purpose: &[u8]| hmac::sign(&master, purpose);
        Some(Self {
            wrapping: aead_key(derive(b"preauthd onboarding 1: wrapping").as_ref()).ok()?,
            tagging: hmac::Key::new(hmac::HMAC_SHA256, derive(b"preauthd onboarding 1: challenges").as_ref()),
            claiming: hmac::Key::new(hmac::HMAC_SHA256, derive(b"preauthd onboarding 1: claims").as_ref()),
        })
    }

    /// A new key for a party: as it is used, and wrapped, as it is stored.
    pub(super) fn make(&self, party: PartyId) -> Result<(DataKey, Vec<u8>), VaultError> {
        let mut bytes = [0; KEY_BYTES];
        SystemRandom::new().fill(&mut bytes).map_err(|_| VaultError::NoChance)?;
        let wrapped = seal(&self.wrapping, party.0.as_bytes(), &bytes)?;
        Ok((DataKey(aead_key(&bytes)?), wrapped))
    }

    /// A party's key, from how it is stored.
    pub(super) fn unwrap(&self, party: PartyId, wrapped: &[u8]) -> Result<DataKey, VaultError> {
        Ok(DataKey(aead_key(&open(&self.wrapping, party.0.as_bytes(), wrapped)?)?))
    }

    /// What is kept of the secret of a challenge.
    pub(super) fn tag(&self, challenge: Uuid, secret: &str) -> SecretTag {
        tag(&self.tagging, [challenge.as_bytes(), secret.as_bytes()])
    }

    /// What is kept of something that is one party's alone within its tenant.
    pub(super) fn claim_tag(&self, tenant: TenantId, claim: &Claim) -> SecretTag {
        // Of fixed length before what may have any: no two lists of parts are alike.
        let kind = Sha256::digest(claim.kind.as_str());
        tag(
            &self.claiming,
            [[tenant.0.as_bytes().as_slice(), &kind].concat().as_slice(), claim.value().as_bytes()],
        )
    }
}

/// Where something encrypted belongs: what is there passes for nothing elsewhere.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// A version of a party's profile.
    Profile(PartyId, u64),
    /// What is known of a document.
    Label(DocumentId),
    /// The document.
    Content(DocumentId),
    /// What is said in a review.
    Review(ReviewId),
}

impl DataKey {
    /// Encrypts what belongs to a place.
    pub(super) fn seal(&self, place: Place, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        seal(&self.0, &place.name(), plain)
    }

    /// Decrypts it.
    pub(super) fn open(&self, place: Place, sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
        open(&self.0, &place.name(), sealed)
    }
}

impl Place {
    fn name(self) -> Vec<u8> {
        match self {
            Self::Profile(party, version) => {
                [b"profile".as_slice(), party.0.as_bytes(), &version.to_be_bytes()].concat()
            }
            Self::Label(document) => [b"label".as_slice(), document.0.as_bytes()].concat(),
            Self::Content(document) => [b"content".as_slice(), document.0.as_bytes()].concat(),
            Self::Review(review) => [b"review".as_slice(), review.0.as_bytes()].concat(),
        }
    }
}

fn tag(key: &hmac::Key, parts: [&[u8]; 2]) -> SecretTag {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(part);
    }
    let mut tag = [0; 32];
    tag.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
    SecretTag(tag)
}

fn aead_key(bytes: &[u8]) -> Result<LessSafeKey, VaultError> {
    UnboundKey::new(&CHACHA20_POLY1305, bytes).map(LessSafeKey::new).map_err(|_| VaultError::WrongKey)
}

fn seal(key: &LessSafeKey, place: &[u8], plain: &[u8]) -> Result<Vec<u8>, VaultError> {
    let mut nonce = [0; NONCE_LEN];
    SystemRandom::new().fill(&mut nonce).map_err(|_| VaultError::NoChance)?;
    let mut bytes = plain.to_vec();
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place), &mut bytes)
        .map_err(|_| VaultError::WrongKey)?;
    Ok([nonce.as_slice(), &bytes].concat())
}

fn open(key: &LessSafeKey, place: &[u8], sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
    let (nonce, bytes) = sealed.split_at_checked(NONCE_LEN).ok_or(VaultError::WrongKey)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| VaultError::WrongKey)?;
    let mut bytes = bytes.to_vec();
    let opened = key.open_in_place(nonce, Aad::from(place), &mut bytes).map_err(|_| VaultError::WrongKey)?;
    Ok(opened.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ClaimKind;

    const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    #[test]
    fn a_profile_is_read_in_its_own_place_with_its_own_key() {
        let master = MasterKey::parse(KEY).unwrap();
        let (one, other) = (PartyId(Uuid::from_u128(1)), PartyId(Uuid::from_u128(2)));
        let (key, wrapped) = master.make(one).unwrap();
        let (strange, _) = master.make(other).unwrap();
        let sealed = key.seal(Place::Profile(one, 1), b"Amber Wenny").unwrap();
        assert!(!sealed.windows(5).any(|bytes| bytes == b"Amber"));
        let again = master.unwrap(one, &wrapped).unwrap();
        assert_eq!(again.open(Place::Profile(one, 1), &sealed).unwrap(), b"Amber Wenny");
        assert_eq!(again.open(Place::Profile(one, 2), &sealed), Err(VaultError::WrongKey));
        assert_eq!(again.open(Place::Profile(other, 1), &sealed), Err(VaultError::WrongKey));
        assert_eq!(strange.open(Place::Profile(one, 1), &sealed), Err(VaultError::WrongKey));
        assert_eq!(master.unwrap(other, &wrapped).err(), Some(VaultError::WrongKey));
        let another = MasterKey::parse(&KEY.replace('0', "1")).unwrap();
        assert_eq!(another.unwrap(one, &wrapped).err(), Some(VaultError::WrongKey));
        assert_eq!(again.open(Place::Profile(one, 1), &sealed[..5]), Err(VaultError::WrongKey));
        assert_eq!(again.open(Place::Label(DocumentId(one.0)), &sealed), Err(VaultError::WrongKey));
    }

    #[test]
    fn a_tag_is_of_one_challenge_and_one_key() {
        let (master, other) =
            (MasterKey::parse(KEY).unwrap(), MasterKey::parse(&KEY.replace('0', "1")).unwrap());
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert!(master.tag(one, "123456") == master.tag(one, "123456"));
        assert!(master.tag(one, "123456") != master.tag(one, "123457"));
        assert!(master.tag(one, "123456") != master.tag(two, "123456"));
        assert!(master.tag(one, "123456") != other.tag(one, "123456"));
    }

    #[test]
    fn a_claim_is_of_one_tenant_and_one_kind() {
        let master = MasterKey::parse(KEY).unwrap();
        let (one, other) = (TenantId(Uuid::from_u128(1)), TenantId(Uuid::from_u128(2)));
        let claim = |kind| Claim::new(kind, "amber.wenny@mail.com");
        let email = master.claim_tag(one, &claim(ClaimKind::Email));
        assert!(email == master.claim_tag(one, &Claim::new(ClaimKind::Email, "Amber.Wenny@mail.com")));
        assert!(email != master.claim_tag(other, &claim(ClaimKind::Email)));
        assert!(email != master.claim_tag(one, &claim(ClaimKind::ControllerEmail)));
    }

    #[test]
    fn a_key_has_64_digits() {
        for text in ["", "00", &KEY[1..], &format!("{KEY}00"), &KEY.replace('0', "x")] {
            assert!(MasterKey::parse(text).is_none(), "{text}");
        }
    }
}
