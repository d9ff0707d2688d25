//! The only place that talks to a node.
//!
//! Everything here is advice about the chain, never a decision: a call that fails is a [`ChainError`], and no operation
//! fails because of one.

mod admin;
mod audit;
mod bindings;
mod clock;
mod code;
mod dev;
mod escrow;
mod fees;
mod probe;
mod reads;
mod sends;
mod signatures;

use std::error::Error as _;
use std::time::Duration;

use alloy::network::Ethereum;
use alloy::providers::RootProvider;
use alloy::rpc::client::RpcClient;
use alloy::transports::TransportError;

pub use admin::{EscrowPlan, Mined, Step};
#[cfg(test)]
pub(crate) use bindings::IPreauthEscrow;
pub use bindings::{DemoToken, MoodyToken, PreauthEscrow};
pub use clock::{ChainClock, WallClock, wall_now};
pub use code::CodeMismatch;
pub use escrow::{
    CONTRACT_MAX_HOLD_SECONDS, EscrowCall, EscrowEvent, EscrowLog, approve_input, decode_failure,
};
pub use fees::FeeQuote;
pub use probe::{TokenProbe, TransferProbe};
pub use reads::{BlockHeader, BlockView, DryRun, Receipt};
pub use sends::{SendAdvice, SignedTransaction, TransactionPlan, sign};

/// How long one request to the node may take.
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
}

impl From<TransportError> for ChainError {
    fn from(error: TransportError) -> Self {
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
        Self::Rpc(without_urls(&text))
    }
}

/// A text in which every word that holds a URL is replaced.
#[must_use]
pub fn without_urls(text: &str) -> String {
    let clean = |word: &str| if word.contains("://") { "(URL)".to_owned() } else { word.to_owned() };
    text.split(' ').map(clean).collect::<Vec<_>>().join(" ")
}

/// A connection to one chain. Clones share it.
#[derive(Clone)]
pub struct Chain {
    provider: RootProvider<Ethereum>,
    chain_id: u64,
}

impl Chain {
    /// Connects to a node and asks for its chain id.
    ///
    /// # Errors
    /// [`ChainError`] when the URL is unusable or the node does not answer.
    pub async fn connect(rpc_url: &str) -> Result<Self, ChainError> {
        // An error only says that a provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let url = rpc_url.parse().map_err(|error| ChainError::Unusable(format!("RPC URL: {error}")))?;
        let http = reqwest::Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .build()
            .map_err(|error| ChainError::Unusable(format!("HTTP client: {error}")))?;
        let provider = RootProvider::new(RpcClient::builder().http_with_client(http, url));
        let chain_id = alloy::providers::Provider::get_chain_id(&provider).await?;
        Ok(Self { provider, chain_id })
    }

    /// A chain that is reached through `provider`.
    #[cfg(test)]
    pub(crate) fn over(provider: RootProvider<Ethereum>, chain_id: u64) -> Self {
        Self { provider, chain_id }
    }

    /// The chain id the node reported when the connection was made.
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
