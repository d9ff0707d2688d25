//! Keys of Google Cloud KMS.

use std::error::Error;

use alloy::signers::gcp::gcloud_sdk::GoogleApi;
use alloy::signers::gcp::gcloud_sdk::error::{Error as ClientError, ErrorKind};
use alloy::signers::gcp::gcloud_sdk::google::cloud::kms::v1::key_management_service_client::KeyManagementServiceClient;
use alloy::signers::gcp::gcloud_sdk::tonic::Status;
use alloy::signers::gcp::{GcpKeyRingRef, GcpSigner, GcpSignerError, KeySpecifier};

use super::{GcpKeyVersion, remote};

const ENDPOINT: &str = "https://cloudkms.googleapis.com";

/// Asks for the public key, which the signer then compares each signature with.
pub(super) async fn connect(
    version: &GcpKeyVersion,
    endpoint: Option<&str>,
) -> Result<GcpSigner, GcpSignerError> {
    // The library finds two implementations of TLS in this build and would take neither by itself.
    // An error only says that one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // The library takes all behind the scheme for the name in the service's certificate.
    let endpoint = endpoint.unwrap_or(ENDPOINT).trim_end_matches('/');
    let client = GoogleApi::from_function(KeyManagementServiceClient::new, endpoint, None).await?;
    let ring = GcpKeyRingRef::new(&version.project, &version.location, &version.key_ring);
    GcpSigner::new(client, KeySpecifier::new(ring, &version.key, version.version), None).await
}

/// An error of the signer in words; `None` where its own will do. Those of the library tell no causes, or tell them in the
/// notation of its source code.
pub(super) fn in_words(error: &(dyn Error + 'static)) -> Option<String> {
    let error = match error.downcast_ref() {
        Some(alloy::signers::Error::Other(inner)) => inner.as_ref(),
        _ => error,
    };
    match error.downcast_ref()? {
        GcpSignerError::RequestError(status) => Some(status_in_words(status)),
        GcpSignerError::GoogleKmsError(error) => Some(client_error_in_words(error)),
        _ => None,
    }
}

fn status_in_words(status: &Status) -> String {
    let said = format!("{:?}: {}", status.code(), status.message());
    let Some(cause) = status.source() else { return said };
    match cause.downcast_ref::<Box<ClientError>>() {
        // Without a token nothing was asked, and the status is the library's invention.
        Some(error) => client_error_in_words(error),
        None => format!("{said}: {}", remote::in_words(cause)),
    }
}

fn client_error_in_words(error: &ClientError) -> String {
    match error.kind() {
        ErrorKind::GrpcStatus(cause) => remote::in_words(cause),
        ErrorKind::UrlError(cause) => remote::in_words(cause),
        ErrorKind::Http(cause) => {
            format!("the credentials give no access token: {}", remote::in_words(cause))
        }
        _ => format!("the credentials give no access token: {error}"),
    }
}
