//! Which key of which key management service.

use std::fmt;
use std::str::FromStr;

/// A key in a key management service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kms {
    /// An asymmetric key of AWS KMS with the spec `ECC_SECG_P256K1`. Who asks is found as the AWS command line finds it.
    Aws {
        /// Its id or ARN. An alias will do, but one that is moved to another key ends the lane's work.
        key: String,
        /// `None`: that of the ARN, or what the environment says.
        region: Option<String>,
        /// Another address of the service, such as that of a VPC endpoint.
        endpoint: Option<String>,
    },
    /// A key of Google Cloud KMS with the algorithm `EC_SIGN_SECP256K1_SHA256`. Who asks is found by Application Default
    /// Credentials.
    Gcp {
        version: GcpKeyVersion,
        /// Another address of the service.
        endpoint: Option<String>,
    },
}

impl Kms {
    /// The service, as people call it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Aws { .. } => "AWS KMS",
            Self::Gcp { .. } => "Google Cloud KMS",
        }
    }

    /// The feature of a build that can ask it.
    #[must_use]
    pub fn feature(&self) -> &'static str {
        match self {
            Self::Aws { .. } => "aws-kms",
            Self::Gcp { .. } => "gcp-kms",
        }
    }
}

/// One version of a key of Google Cloud KMS: the resource name ends in `/cryptoKeyVersions/N`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GcpKeyVersion {
    pub project: String,
    pub location: String,
    pub key_ring: String,
    pub key: String,
    pub version: u64,
}

/// A text that names no version of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected projects/…/locations/…/keyRings/…/cryptoKeys/…/cryptoKeyVersions/N")]
pub struct NoKeyVersion;

impl FromStr for GcpKeyVersion {
    type Err = NoKeyVersion;

    fn from_str(text: &str) -> Result<Self, NoKeyVersion> {
        let parts: Vec<&str> = text.split('/').collect();
        let [
            "projects",
            project,
            "locations",
            location,
            "keyRings",
            key_ring,
            "cryptoKeys",
            key,
            "cryptoKeyVersions",
            version,
        ] = parts.as_slice()
        else {
            return Err(NoKeyVersion);
        };
        if [project, location, key_ring, key].iter().any(|part| part.is_empty()) {
            return Err(NoKeyVersion);
        }
        Ok(Self {
            project: (*project).to_owned(),
            location: (*location).to_owned(),
            key_ring: (*key_ring).to_owned(),
            key: (*key).to_owned(),
            version: version.parse().map_err(|_| NoKeyVersion)?,
        })
    }
}

impl fmt::Display for GcpKeyVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { project, location, key_ring, key, version } = self;
        write!(
            formatter,
            "projects/{project}/locations/{location}/keyRings/{key_ring}/cryptoKeys/{key}/cryptoKeyVersions/{version}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_as_it_is_written() {
        let name = "projects/shop/locations/europe-west3/keyRings/lanes/cryptoKeys/one/cryptoKeyVersions/2";
        let version: GcpKeyVersion = name.parse().unwrap();
        assert_eq!((version.key.as_str(), version.version), ("one", 2));
        assert_eq!(version.to_string(), name);
        for wrong in [
            "",
            "projects/shop/locations/europe-west3/keyRings/lanes/cryptoKeys/one",
            "projects/shop/locations/europe-west3/keyRings/lanes/cryptoKeys/one/cryptoKeyVersions/latest",
            "projects//locations/europe-west3/keyRings/lanes/cryptoKeys/one/cryptoKeyVersions/2",
            "projects/shop/locations/europe-west3/keyRings/lanes/cryptoKeys/one/cryptoKeyVersions/2/x",
        ] {
            assert_eq!(wrong.parse::<GcpKeyVersion>(), Err(NoKeyVersion), "{wrong}");
        }
    }
}
