//! Keys of AWS KMS.

use std::time::Duration;

use alloy::signers::aws::{AwsSigner, AwsSignerError};
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_kms::Client;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

/// How long a connection may take to be made, and one request to be answered; a request is made twice at most.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
const ATTEMPT_LIMIT: Duration = Duration::from_secs(4);
const ATTEMPTS: u32 = 2;

/// Asks for the public key, which the signer then compares each signature with.
pub(super) async fn connect(
    key: &str,
    region: Option<&str>,
    endpoint: Option<&str>,
) -> Result<AwsSigner, AwsSignerError> {
    // The client that comes with the SDK brings another implementation of TLS along than the rest of the daemon uses.
    let http =
        aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let limits =
        TimeoutConfig::builder().connect_timeout(CONNECT_LIMIT).operation_attempt_timeout(ATTEMPT_LIMIT);
    let mut config = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .timeout_config(limits.build())
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS));
    if let Some(region) = region.or_else(|| region_of(key)) {
        config = config.region(Region::new(region.to_owned()));
    }
    if let Some(endpoint) = endpoint {
        config = config.endpoint_url(endpoint);
    }
    AwsSigner::new(Client::new(&config.load().await), key.to_owned(), None).await
}

/// `arn:aws:kms:eu-central-1:111122223333:key/…` names its region.
fn region_of(key: &str) -> Option<&str> {
    key.strip_prefix("arn:")?.split(':').nth(2).filter(|region| !region.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_names_its_region() {
        assert_eq!(region_of("arn:aws:kms:eu-central-1:111122223333:key/4711"), Some("eu-central-1"));
        assert_eq!(region_of("4711"), None);
        assert_eq!(region_of("alias/lane"), None);
    }
}
