//! Keys of Google Cloud KMS.

use alloy::signers::gcp::gcloud_sdk::GoogleApi;
use alloy::signers::gcp::gcloud_sdk::google::cloud::kms::v1::key_management_service_client::KeyManagementServiceClient;
use alloy::signers::gcp::{GcpKeyRingRef, GcpSigner, GcpSignerError, KeySpecifier};

use super::GcpKeyVersion;

const ENDPOINT: &str = "https://cloudkms.googleapis.com";

/// Asks for the public key, which the signer then compares each signature with.
pub(super) async fn connect(
    version: &GcpKeyVersion,
    endpoint: Option<&str>,
) -> Result<GcpSigner, GcpSignerError> {
    // The library finds two implementations of TLS in this build and would take neither by itself.
    // An error only says that one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let endpoint = endpoint.unwrap_or(ENDPOINT);
    let client = GoogleApi::from_function(KeyManagementServiceClient::new, endpoint, None).await?;
    let ring = GcpKeyRingRef::new(&version.project, &version.location, &version.key_ring);
    GcpSigner::new(client, KeySpecifier::new(ring, &version.key, version.version), None).await
}
