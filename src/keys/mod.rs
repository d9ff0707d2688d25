//! Keys that sign for the lanes: in this process, or in a key management service (KMS) that shows nobody its keys.
//!
//! A KMS is asked over a network, so it may be silent, slow or in doubt about who asks. What it does not sign now it may sign
//! later: a [`KeyFault`] is never the end of an operation.

#[cfg(feature = "aws-kms")]
mod aws;
#[cfg(feature = "gcp-kms")]
mod gcp;
mod kms;
mod remote;

use std::sync::Arc;

use alloy::primitives::{Address, B256, Signature, keccak256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;

pub use kms::{GcpKeyVersion, Kms};
use remote::{Remote, TIME_LIMIT};

/// The keccak256 of this is what a key is asked to sign to see whether it does: the digest of no transaction, and of no
/// message that a wallet would show.
const TRIAL: &str = "preauthd: does this key sign?";

/// Why a key in a KMS does not sign for now. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    #[error("this preauthd was built without the feature {0}: build it with `--features {0}`")]
    NotBuilt(&'static str),
    #[error("{kms} does not answer as it should: {why}")]
    Kms { kms: &'static str, why: String },
    #[error("{kms} did not answer within {} s", TIME_LIMIT.as_secs())]
    Silent { kms: &'static str },
    #[error("the key in {kms} is that of {found}, the configuration says {expected} (address)")]
    OtherKey { kms: &'static str, found: Address, expected: Address },
}

impl KeyFault {
    /// Whether it may be gone the next time. What is wrong with the configuration is not.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Kms { .. } | Self::Silent { .. })
    }
}

/// A key that signs transactions. Clones share it.
#[derive(Clone)]
pub struct OperatorKey {
    address: Address,
    place: Place,
}

#[derive(Clone)]
enum Place {
    Here(PrivateKeySigner),
    Elsewhere(Arc<Remote>),
    #[cfg(test)]
    Moody(PrivateKeySigner, Arc<std::sync::atomic::AtomicBool>),
}

impl From<PrivateKeySigner> for OperatorKey {
    fn from(signer: PrivateKeySigner) -> Self {
        Self { address: signer.address(), place: Place::Here(signer) }
    }
}

impl std::fmt::Debug for OperatorKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("OperatorKey").field(&self.address).finish()
    }
}

impl OperatorKey {
    /// A key in a KMS. Where its address is given, the service need not answer yet: it is asked again when there is something
    /// to sign.
    ///
    /// # Errors
    /// [`KeyFault`]: the service has another key, this build does not know it, or it does not answer and nobody says what
    /// the address is.
    pub async fn in_kms(kms: Kms, address: Option<Address>) -> Result<Self, KeyFault> {
        let remote = Remote::new(kms);
        let address = match (remote.address(address).await, address) {
            (Ok(found), _) => found,
            (Err(fault), Some(address)) if fault.may_pass() => address,
            (Err(fault), _) => return Err(fault),
        };
        Ok(Self { address, place: Place::Elsewhere(Arc::new(remote)) })
    }

    /// A key that signs nothing while `is_silent`.
    #[cfg(test)]
    pub(crate) fn moody(signer: PrivateKeySigner, is_silent: Arc<std::sync::atomic::AtomicBool>) -> Self {
        Self { address: signer.address(), place: Place::Moody(signer, is_silent) }
    }

    /// The account it signs for.
    #[must_use]
    pub fn address(&self) -> Address {
        self.address
    }

    /// Whether somebody else must be asked for its signatures.
    #[must_use]
    pub fn is_elsewhere(&self) -> bool {
        !matches!(self.place, Place::Here(_))
    }

    /// Signs a digest, within [`TIME_LIMIT`].
    ///
    /// # Errors
    /// [`KeyFault`] when the KMS does not; a key in this process always signs.
    pub async fn sign(&self, digest: &B256) -> Result<Signature, KeyFault> {
        match &self.place {
            Place::Here(signer) => sign_here(signer, digest),
            Place::Elsewhere(remote) => remote.sign(digest, self.address).await,
            #[cfg(test)]
            Place::Moody(_, is_silent) if is_silent.load(std::sync::atomic::Ordering::Relaxed) => {
                Err(KeyFault::Silent { kms: "the moody KMS" })
            }
            #[cfg(test)]
            Place::Moody(signer, _) => sign_here(signer, digest),
        }
    }

    /// Finds out whether the key signs.
    ///
    /// # Errors
    /// [`KeyFault`] when it does not.
    pub async fn try_out(&self) -> Result<(), KeyFault> {
        if self.is_elsewhere() {
            self.sign(&keccak256(TRIAL)).await?;
        }
        Ok(())
    }
}

fn sign_here(signer: &PrivateKeySigner, digest: &B256) -> Result<Signature, KeyFault> {
    signer
        .sign_hash_sync(digest)
        .map_err(|error| KeyFault::Kms { kms: "this process", why: remote::in_words(&error) })
}
