//! A key in a KMS, asked for one signature after the other.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alloy::primitives::{Address, B256, Signature};
use alloy::signers::Signer;
#[cfg(any(feature = "aws-kms", feature = "gcp-kms"))]
use futures::FutureExt;

#[cfg(feature = "aws-kms")]
use super::aws;
#[cfg(feature = "gcp-kms")]
use super::gcp;
use super::{KeyFault, Kms};

/// How long a KMS may take for one answer, all requests that are made for it included.
pub(super) const TIME_LIMIT: Duration = Duration::from_secs(10);

type AnySigner = Arc<dyn Signer + Send + Sync>;

/// A key in a KMS.
pub(super) struct Remote {
    kms: Kms,
    /// Whoever asks the service. There is none before it has answered, and none after a fault.
    signer: Mutex<Option<AnySigner>>,
}

impl Remote {
    pub(super) fn new(kms: Kms) -> Self {
        Self { kms, signer: Mutex::new(None) }
    }

    /// The address of the key, as the service says; where one is expected, no other.
    pub(super) async fn address(&self, expected: Option<Address>) -> Result<Address, KeyFault> {
        let signer = self.in_time(self.signer(expected)).await?;
        Ok(signer.address())
    }

    /// Signs a digest with the key of this address, within [`TIME_LIMIT`].
    pub(super) async fn sign(&self, digest: &B256, address: Address) -> Result<Signature, KeyFault> {
        let signing = async {
            let signer = self.signer(Some(address)).await?;
            signer.sign_hash(digest).await.map_err(|error| self.fault(&error))
        };
        let signed = self.in_time(signing).await;
        if signed.is_err() {
            // It may hold on to a connection that leads nowhere, or to a token that counts no more: the next one is new.
            self.keep(None);
        }
        signed
    }

    async fn signer(&self, expected: Option<Address>) -> Result<AnySigner, KeyFault> {
        let kept = self.signer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(signer) = kept {
            return Ok(signer);
        }
        let signer = self.connect().await?;
        if let Some(expected) = expected.filter(|expected| *expected != signer.address()) {
            return Err(KeyFault::OtherKey { kms: self.kms.name(), found: signer.address(), expected });
        }
        self.keep(Some(Arc::clone(&signer)));
        Ok(signer)
    }

    fn keep(&self, signer: Option<AnySigner>) {
        *self.signer.lock().unwrap_or_else(PoisonError::into_inner) = signer;
    }

    /// A signer, which knows the public key of the service's.
    async fn connect(&self) -> Result<AnySigner, KeyFault> {
        match &self.kms {
            #[cfg(feature = "aws-kms")]
            Kms::Aws { key, region, endpoint } => {
                // Boxed, like the other: the client's futures are nested more deeply than the compiler likes to look into.
                let signer = aws::connect(key, region.as_deref(), endpoint.as_deref()).boxed();
                Ok(Arc::new(signer.await.map_err(|error| self.fault(&error))?))
            }
            #[cfg(feature = "gcp-kms")]
            Kms::Gcp { version, endpoint } => {
                let signer = gcp::connect(version, endpoint.as_deref()).boxed();
                Ok(Arc::new(signer.await.map_err(|error| self.fault(&error))?))
            }
            #[cfg(not(all(feature = "aws-kms", feature = "gcp-kms")))]
            _ => Err(KeyFault::NotBuilt(self.kms.feature())),
        }
    }

    async fn in_time<T>(&self, answer: impl Future<Output = Result<T, KeyFault>>) -> Result<T, KeyFault> {
        let silent = |_| Err(KeyFault::Silent { kms: self.kms.name() });
        tokio::time::timeout(TIME_LIMIT, answer).await.unwrap_or_else(silent)
    }

    fn fault(&self, error: &(dyn Error + 'static)) -> KeyFault {
        #[cfg(feature = "gcp-kms")]
        if let Some(why) = gcp::in_words(error) {
            return KeyFault::Kms { kms: self.kms.name(), why };
        }
        KeyFault::Kms { kms: self.kms.name(), why: in_words(error) }
    }
}

/// An error with its causes: the outermost ones of the services' libraries say nothing ("service error").
pub(super) fn in_words(error: &dyn Error) -> String {
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
