//! Where a private key comes from. The key itself is shown nowhere: not in errors, not by `Debug`.

use std::path::PathBuf;

use alloy::primitives::Address;
use alloy::signers::local::PrivateKeySigner;
use secrecy::{ExposeSecret, SecretString};

use crate::keys::{KeyFault, Kms, OperatorKey};

/// Where an operator's key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperatorSource {
    /// It is read into this process.
    Read(KeySource),
    /// It stays in a key management service.
    Kms { kms: Kms, address: Option<Address> },
}

/// Where a private key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// An encrypted keystore file.
    Keystore { path: PathBuf, password: PasswordSource },
    /// The environment variable of this name holds the key in hexadecimal digits.
    Variable(String),
}

/// Where the password of a keystore comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PasswordSource {
    Variable(String),
    File(PathBuf),
}

/// Why a key could not be had. Holds names and places, never a secret.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("environment variable {0} is not set")]
    NoVariable(String),
    #[error("environment variable {0} does not hold a private key of 64 hexadecimal digits")]
    NotAKey(String),
    #[error("cannot read {path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("cannot open keystore {path}: {why}")]
    Keystore { path: PathBuf, why: String },
    #[error(transparent)]
    Kms(#[from] KeyFault),
}

impl OperatorSource {
    /// Opens the key, or asks its service for it.
    ///
    /// # Errors
    /// [`KeyError`] says what is missing or does not fit.
    pub async fn open(&self) -> Result<OperatorKey, KeyError> {
        match self {
            Self::Read(source) => Ok(source.open()?.into()),
            Self::Kms { kms, address } => Ok(OperatorKey::in_kms(kms.clone(), *address).await?),
        }
    }
}

impl KeySource {
    /// Opens the key. A keystore takes about a second of computing: that is what protects it.
    ///
    /// # Errors
    /// [`KeyError`] says what is missing or does not fit.
    pub fn open(&self) -> Result<PrivateKeySigner, KeyError> {
        match self {
            Self::Variable(name) => {
                let key = read_variable(name)?;
                let key = key.expose_secret().trim();
                key.parse().map_err(|_| KeyError::NotAKey(name.clone()))
            }
            Self::Keystore { path, password } => {
                let password = password.read()?;
                // An unreadable file and a wrong password shall not look alike.
                if let Err(source) = std::fs::metadata(path) {
                    return Err(KeyError::File { path: path.clone(), source });
                }
                PrivateKeySigner::decrypt_keystore(path, password.expose_secret())
                    .map_err(|error| KeyError::Keystore { path: path.clone(), why: error.to_string() })
            }
        }
    }
}

impl PasswordSource {
    fn read(&self) -> Result<SecretString, KeyError> {
        match self {
            Self::Variable(name) => read_variable(name),
            Self::File(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|source| KeyError::File { path: path.clone(), source })?;
                // Editors end a file with a line break that nobody meant.
                Ok(SecretString::from(text.trim_end_matches(['\r', '\n'])))
            }
        }
    }
}

pub(super) fn read_variable(name: &str) -> Result<SecretString, KeyError> {
    std::env::var(name).map(SecretString::from).map_err(|_| KeyError::NoVariable(name.to_owned()))
}

/// The first address that two of the keys share: two lanes with one nonce would block each other.
#[must_use]
pub fn first_shared(keys: &[OperatorKey]) -> Option<Address> {
    let mut seen = std::collections::BTreeSet::new();
    keys.iter().map(OperatorKey::address).find(|address| !seen.insert(*address))
}
