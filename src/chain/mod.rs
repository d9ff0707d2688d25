//! The only place that talks to a node.
//!
//! Everything here is advice about the chain, never a decision: a call that fails is a [`ChainError`], and no operation
//! fails because of one.

mod admin;
mod agreement;
mod audit;
mod bindings;
mod clock;
mod code;
mod consents;
mod dev;
mod endpoint;
mod endpoints;
#[cfg(test)]
mod endpoints_tests;
mod escrow;
mod fees;
mod probe;
mod raw;
mod reads;
mod rehearsal;
mod reverts;
mod sends;
mod signatures;
mod timed;

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use alloy::network::Ethereum;
use alloy::providers::RootProvider;
use alloy::rpc::client::RpcClient;
use alloy::transports::http::Http;
use alloy::transports::{BoxTransport, TransportError};
use secrecy::{ExposeSecret, SecretString};

pub use admin::{EscrowPlan, Mined, Step};
use agreement::Witnesses;
#[cfg(test)]
pub(crate) use bindings::IPreauthEscrow;
pub use bindings::{DemoToken, MoodyToken, PreauthEscrow};
pub use clock::{ChainClock, WallClock, wall_now};
pub use code::CodeMismatch;
use endpoints::Endpoints;
pub use escrow::{
    CONTRACT_MAX_HOLD_SECONDS, EscrowEvent, EscrowLog, approve_input, claim_input, decode_failure,
    transfer_input,
};
pub use fees::FeeQuote;
pub use probe::{TokenProbe, TransferProbe};
pub use raw::EscrowCall;
#[cfg(test)]
pub(crate) use raw::RawInput;
pub use reads::{BlockHeader, BlockView, DryRun, Receipt};
pub use sends::{SendAdvice, SignedTransaction, TransactionPlan};

/// How long one request to a node may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// A node that did not answer, or whose answer makes no sense. Always worth another try.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// Without URLs: providers put keys into them.
    #[error("the node did not answer as it should: {0}")]
    Rpc(String),
    #[error("the node's answer makes no sense: {0}")]
    Nonsense(String),
    #[error("{0}")]
    Unusable(String),
    /// Fewer endpoints show a block than must show the same.
    #[error("{0}")]
    NoAgreement(String),
}

impl From<TransportError> for ChainError {
    fn from(error: TransportError) -> Self {
        Self::Rpc(in_words(&error))
    }
}

/// What went wrong with a request, without URLs.
fn in_words(error: &TransportError) -> String {
    // The innermost cause says most: "connection refused", "timed out".
    let mut innermost = None;
    let mut cause = error.source();
    while let Some(inner) = cause {
        innermost = Some(inner.to_string());
        cause = inner.source();
    }
    let said = error.to_string();
    let text = match innermost.filter(|cause| !said.contains(cause.as_str())) {
        Some(cause) => format!("{said}: {cause}"),
        None => said,
    };
    without_urls(&text)
}

/// A text in which every word that holds a URL is replaced.
#[must_use]
pub fn without_urls(text: &str) -> String {
    let clean = |word: &str| if word.contains("://") { "(URL)".to_owned() } else { word.to_owned() };
    text.split(' ').map(clean).collect::<Vec<_>>().join(" ")
}

/// The nodes of one chain, and how many of them must show the same.
#[derive(Debug, Clone)]
pub struct RpcEndpoints {
    /// Wrapped, because providers put their keys into the URL.
    pub urls: Vec<SecretString>,
    /// Endpoints that must show a block before it is taken in; from 1 to as many as there are.
    pub agreement: usize,
}

impl RpcEndpoints {
    /// Endpoints of which two must agree where there are several.
    #[must_use]
    pub fn new(urls: Vec<SecretString>) -> Self {
        let agreement = urls.len().clamp(1, 2);
        Self { urls, agreement }
    }
}

/// A single one.
impl From<&str> for RpcEndpoints {
    fn from(url: &str) -> Self {
        Self::new(vec![url.into()])
    }
}

/// A connection to one chain. Clones share it.
#[derive(Clone)]
pub struct Chain {
    provider: RootProvider<Ethereum>,
    chain_id: u64,
    witnesses: Arc<Witnesses>,
}

impl Chain {
    /// Connects to the nodes and asks each for its chain id.
    ///
    /// # Errors
    /// [`ChainError`] when a URL is unusable, two nodes are on different chains, or none answers. Nodes are named by their
    /// position.
    pub async fn connect(rpc: &RpcEndpoints) -> Result<Self, ChainError> {
        // An error only says that a provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .build()
            .map_err(|error| ChainError::Unusable(format!("HTTP client: {error}")))?;
        let mut transports = Vec::with_capacity(rpc.urls.len());
        for (position, url) in (1..).zip(&rpc.urls) {
            let url = url
                .expose_secret()
                .parse()
                .map_err(|error| ChainError::Unusable(format!("RPC URL of endpoint {position}: {error}")))?;
            transports.push(BoxTransport::new(Http::with_client(http.clone(), url)));
        }
        let (endpoints, chain_id) = Endpoints::identify(transports).await?;
        Ok(Self::of(endpoints, chain_id, rpc.agreement))
    }

    /// A chain behind transports of any kind that are all on it, of which `agreement` must show the same.
    #[cfg(test)]
    pub(crate) fn over(transports: Vec<BoxTransport>, chain_id: u64, agreement: usize) -> Self {
        let endpoints = Endpoints::of_chain(chain_id, transports);
        endpoints.each().iter().for_each(endpoint::Endpoint::admit);
        Self::of(endpoints, chain_id, agreement)
    }

    fn of(endpoints: Endpoints, chain_id: u64, agreement: usize) -> Self {
        let provider = RootProvider::new(RpcClient::new(endpoints.clone(), false));
        Self { provider, chain_id, witnesses: Arc::new(Witnesses::new(endpoints, chain_id, agreement)) }
    }

    /// The chain id the nodes reported when the connection was made.
    #[must_use]
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// The provider, for the administration commands of the command line.
    #[must_use]
    pub fn provider(&self) -> &RootProvider<Ethereum> {
        &self.provider
    }
}
