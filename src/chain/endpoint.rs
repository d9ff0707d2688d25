//! One node among several: asked only once it is known to be on the right chain, and counted up or down by its answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use alloy::primitives::U64;
use alloy::rpc::client::RpcClient;
use alloy::rpc::json_rpc::{ErrorPayload, RequestPacket, ResponsePacket};
use alloy::transports::{BoxTransport, TransportError, TransportErrorKind, TransportFut};
use tokio::time::Instant;
use tower::Service;

use super::{REQUEST_TIMEOUT, in_words, reverts};

/// What became of a request to one endpoint.
#[derive(Debug)]
pub(super) enum Asked {
    /// An answer, which may be a JSON-RPC error: a revert, a nonce that is used.
    Answered(ResponsePacket),
    /// A JSON-RPC error that says nothing about the question: the endpoint limits how often it is asked, or lags.
    Excused(ResponsePacket),
    /// No answer, or none that can be read.
    Failed(TransportError),
}

/// One node. Clones share what is known of it.
#[derive(Clone)]
pub(super) struct Endpoint {
    transport: BoxTransport,
    inner: Arc<Inner>,
}

struct Inner {
    /// Its place in the configuration, counted from 1: what it is called, because its URL is a secret.
    position: usize,
    /// The chain it must be on; nothing is asked of it before it has said so.
    chain_id: u64,
    admitted: AtomicBool,
    up: AtomicBool,
}

impl Endpoint {
    pub fn new(position: usize, transport: BoxTransport, chain_id: u64) -> Self {
        let inner = Inner { position, chain_id, admitted: AtomicBool::new(false), up: AtomicBool::new(true) };
        Self { transport, inner: Arc::new(inner) }
    }

    pub fn position(&self) -> usize {
        self.inner.position
    }

    /// Takes it for one of its chain without asking.
    #[cfg(test)]
    pub fn admit(&self) {
        self.inner.admitted.store(true, Ordering::Relaxed);
    }

    /// Takes it for what it said when it was asked for its chain.
    pub fn identified(&self, said: &Result<u64, TransportError>) {
        match said {
            Ok(chain_id) => self.inner.admitted.store(*chain_id == self.inner.chain_id, Ordering::Relaxed),
            Err(error) => self.went_down(&in_words(error)),
        }
    }

    /// Asks it, and waits for `patience` at most.
    #[allow(clippy::disallowed_methods)]
    pub async fn ask(&self, request: RequestPacket, patience: Duration) -> Asked {
        // Measures the node, decides nothing.
        let started = Instant::now();
        let asked = match tokio::time::timeout(patience, self.admitted_answer(request)).await {
            Ok(Ok(response)) if response.iter_errors().any(is_excuse) => Asked::Excused(response),
            Ok(Ok(response)) => Asked::Answered(response),
            Ok(Err(error)) => Asked::Failed(error),
            Err(_) => Asked::Failed(TransportErrorKind::custom_str(&format!(
                "no answer within {} seconds",
                patience.as_secs()
            ))),
        };
        metrics::histogram!("preauthd_rpc_request_seconds", "endpoint" => self.inner.position.to_string())
            .record(started.elapsed().as_secs_f64());
        self.learn_from(&asked);
        asked
    }

    async fn admitted_answer(&self, request: RequestPacket) -> Result<ResponsePacket, TransportError> {
        if !self.inner.admitted.load(Ordering::Relaxed) {
            let found = chain_id_of(&self.transport).await?;
            if found != self.inner.chain_id {
                let wrong = format!("it is on chain {found} instead of {}", self.inner.chain_id);
                return Err(TransportErrorKind::custom_str(&wrong));
            }
            self.inner.admitted.store(true, Ordering::Relaxed);
        }
        self.transport.clone().call(request).await
    }

    fn learn_from(&self, asked: &Asked) {
        let outcome = match asked {
            Asked::Answered(_) => "ok",
            Asked::Excused(_) | Asked::Failed(_) => "error",
        };
        let endpoint = self.inner.position.to_string();
        metrics::counter!("preauthd_rpc_requests_total", "endpoint" => endpoint, "outcome" => outcome)
            .increment(1);
        match asked {
            Asked::Answered(_) => self.came_up(),
            Asked::Excused(response) => {
                let said = response.first_error_message().unwrap_or_default();
                self.went_down(&super::without_urls(said));
            }
            Asked::Failed(error) => self.went_down(&in_words(error)),
        }
    }

    fn came_up(&self) {
        gauge(self.inner.position).set(1.0);
        if !self.inner.up.swap(true, Ordering::Relaxed) {
            tracing::info!(endpoint = self.inner.position, "the endpoint answers again");
        }
    }

    fn went_down(&self, why: &str) {
        gauge(self.inner.position).set(0.0);
        if self.inner.up.swap(false, Ordering::Relaxed) {
            tracing::warn!(endpoint = self.inner.position, why, "the endpoint does not answer as it should");
        }
    }
}

/// As a transport of its own, for what must be asked of this one and no other.
impl Service<RequestPacket> for Endpoint {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: RequestPacket) -> Self::Future {
        let endpoint = self.clone();
        Box::pin(async move {
            match endpoint.ask(request, REQUEST_TIMEOUT).await {
                Asked::Answered(response) | Asked::Excused(response) => Ok(response),
                Asked::Failed(error) => Err(error),
            }
        })
    }
}

/// The chain that the node behind a transport says it is on.
pub(super) async fn chain_id_of(transport: &BoxTransport) -> Result<u64, TransportError> {
    let client = RpcClient::new(transport.clone(), false);
    Ok(client.request_noparams::<U64>("eth_chainId").await?.to())
}

/// Whether an error is about the endpoint and not about what was asked. A token words its reverts as it likes, so a
/// revert never is, whatever it says.
fn is_excuse(error: &ErrorPayload) -> bool {
    reverts::of_payload(error).is_none() && error.is_retry_err()
}

fn gauge(position: usize) -> metrics::Gauge {
    metrics::gauge!("preauthd_rpc_endpoint_up", "endpoint" => position.to_string())
}
