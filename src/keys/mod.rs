//! Keys that sign for the lanes: in this process, or in a key management service (KMS) that shows nobody its keys.
//!
//! A KMS is asked over a network, so it may be silent, slow or in doubt about who asks. What it does not sign now it may sign
//! later: a [`KeyFault`] is never the end of an operation.

#[cfg(feature = "aws-kms")]
mod aws;
#[cfg(feature = "gcp-kms")]
mod gcp;
mod kms;

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address, B256, Signature, keccak256};
use alloy::signers::local::PrivateKeySigner;
use alloy::signers::{Signer, SignerSync};
#[cfg(any(feature = "aws-kms", feature = "gcp-kms"))]
use futures::FutureExt;
use tokio::sync::OnceCell;

pub use kms::{GcpKeyVersion, Kms};

/// How long a KMS may take for one answer, repeated requests included.
const TIME_LIMIT: Duration = Duration::from_secs(10);

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

type AnySigner = Arc<dyn Signer + Send + Sync>;

/// A key that signs transactions. Clones share it.
#[derive(Clone)]
pub struct OperatorKey {
    address: Address,
    place: Place,
}

#[derive(Clone)]
enum Place {
    Here(PrivateKeySigner),
    /// A key elsewhere, and its signer once the service has answered.
    Elsewhere(Arc<(Kms, OnceCell<AnySigner>)>),
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
        let cell = OnceCell::new();
        let found = match (open(&kms, address).await, address) {
            (Ok(signer), _) => {
                let found = signer.address();
                // The cell is empty.
                let _ = cell.set(signer);
                found
            }
            (Err(fault), Some(address)) if fault.may_pass() => address,
            (Err(fault), _) => return Err(fault),
        };
        Ok(Self { address: found, place: Place::Elsewhere(Arc::new((kms, cell))) })
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
            Place::Elsewhere(place) => {
                let (kms, cell) = place.as_ref();
                let signer = cell.get_or_try_init(|| open(kms, Some(self.address))).await?;
                in_time(kms, signer.sign_hash(digest)).await
            }
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
        .map_err(|error| KeyFault::Kms { kms: "this process", why: in_words(&error) })
}

/// The signer of a key, which knows its public key then.
async fn open(kms: &Kms, expected: Option<Address>) -> Result<AnySigner, KeyFault> {
    let signer = connect(kms).await?;
    match expected.filter(|expected| *expected != signer.address()) {
        Some(expected) => Err(KeyFault::OtherKey { kms: kms.name(), found: signer.address(), expected }),
        None => Ok(signer),
    }
}

async fn connect(kms: &Kms) -> Result<AnySigner, KeyFault> {
    match kms {
        #[cfg(feature = "aws-kms")]
        Kms::Aws { key, region, endpoint } => {
            // Boxed, like the other: the client's futures are nested more deeply than the compiler likes to look into.
            let signer = aws::connect(key, region.as_deref(), endpoint.as_deref()).boxed();
            Ok(Arc::new(in_time(kms, signer).await?))
        }
        #[cfg(feature = "gcp-kms")]
        Kms::Gcp { version, endpoint } => {
            let signer = gcp::connect(version, endpoint.as_deref()).boxed();
            Ok(Arc::new(in_time(kms, signer).await?))
        }
        #[cfg(not(all(feature = "aws-kms", feature = "gcp-kms")))]
        _ => Err(KeyFault::NotBuilt(kms.feature())),
    }
}

async fn in_time<T, E: std::error::Error>(
    kms: &Kms,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, KeyFault> {
    match tokio::time::timeout(TIME_LIMIT, answer).await {
        Ok(answer) => answer.map_err(|error| KeyFault::Kms { kms: kms.name(), why: in_words(&error) }),
        Err(_) => Err(KeyFault::Silent { kms: kms.name() }),
    }
}

/// An error with its causes: the outermost ones of the services' libraries say nothing ("service error").
fn in_words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let said = inner.to_string();
        if !words.contains(&said) {
            words = format!("{words}: {said}");
        }
        cause = inner.source();
    }
    words
}
