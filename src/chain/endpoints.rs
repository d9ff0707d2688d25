//! Several nodes as one transport, so that the rest of `chain` need not know how many there are.
//!
//! Reads are asked of one endpoint at a time and stay with the one that answered last: answers of one node follow from
//! each other, those of several raced against each other do not. Signed bytes go to all of them at once: the more nodes
//! hold them, the less depends on one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use alloy::rpc::json_rpc::{RequestPacket, ResponsePacket};
use alloy::transports::{BoxTransport, TransportError, TransportErrorKind, TransportFut};
use futures::StreamExt;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use tower::Service;

use super::endpoint::{Asked, Endpoint, chain_id_of};
use super::sends::is_known;
use super::{ChainError, REQUEST_TIMEOUT, in_words};

/// How long an endpoint may take where another one is left to be asked.
const FAILOVER_AFTER: Duration = Duration::from_secs(5);
/// How long a send that one endpoint refused waits for another one to take it.
const SECOND_OPINION: Duration = Duration::from_secs(2);

/// The endpoints of one chain. Clones share what is known of them.
#[derive(Clone)]
pub(super) struct Endpoints {
    inner: Arc<Inner>,
}

struct Inner {
    endpoints: Vec<Endpoint>,
    /// Index of the one that reads are asked of first.
    current: AtomicUsize,
}

impl Endpoints {
    /// Endpoints of a chain that is known. Each is asked for its chain before it is first used.
    pub fn of_chain(chain_id: u64, transports: Vec<BoxTransport>) -> Self {
        let endpoints =
            (1..).zip(transports).map(|(position, transport)| Endpoint::new(position, transport, chain_id));
        Self { inner: Arc::new(Inner { endpoints: endpoints.collect(), current: AtomicUsize::new(0) }) }
    }

    /// Asks every endpoint which chain it is on. One that does not answer is asked again before it is first used.
    ///
    /// # Errors
    /// [`ChainError::Unusable`] where two of them are on different chains, else a [`ChainError`] where none answers.
    pub async fn identify(transports: Vec<BoxTransport>) -> Result<(Self, u64), ChainError> {
        let asked = transports.iter().map(|transport| async {
            let patience = tokio::time::timeout(REQUEST_TIMEOUT, chain_id_of(transport)).await;
            patience.unwrap_or_else(|_| Err(TransportErrorKind::custom_str("no answer in time")))
        });
        let said = join_all(asked).await;
        let mut known =
            (1..).zip(&said).filter_map(|(position, said)| Some((position, *said.as_ref().ok()?)));
        let Some((first, chain_id)) = known.next() else {
            let failures = (1..).zip(said).filter_map(|(position, said)| Some((position, said.err()?)));
            return Err(none_answered(failures.collect()).into());
        };
        if let Some((other, found)) = known.find(|(_, found)| *found != chain_id) {
            return Err(ChainError::Unusable(format!(
                "endpoint {other} is on chain {found}, endpoint {first} on chain {chain_id}"
            )));
        }
        let endpoints = Self::of_chain(chain_id, transports);
        endpoints.each().iter().zip(&said).for_each(|(endpoint, said)| endpoint.identified(said));
        endpoints.inner.current.store(first - 1, Ordering::Relaxed);
        Ok((endpoints, chain_id))
    }

    /// Each endpoint for itself.
    pub fn each(&self) -> &[Endpoint] {
        &self.inner.endpoints
    }

    /// Reads begin with the next endpoint from here on: what the current one says is doubted.
    pub fn turn_away(&self) {
        let count = self.inner.endpoints.len();
        let next = |current: usize| Some((current + 1) % count.max(1));
        let _ = self.inner.current.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    }

    /// Asks one after the other, each once at most, and stays with the first that answers.
    async fn read(&self, request: RequestPacket) -> Result<ResponsePacket, TransportError> {
        let Inner { endpoints, current } = &*self.inner;
        let start = current.load(Ordering::Relaxed);
        let order = endpoints.iter().enumerate().cycle().skip(start).take(endpoints.len());
        let mut failures = Vec::new();
        let mut excuse = None;
        for (asked_before, (index, endpoint)) in order.enumerate() {
            let is_last = asked_before + 1 == endpoints.len();
            let patience = if is_last { REQUEST_TIMEOUT } else { FAILOVER_AFTER };
            match endpoint.ask(request.clone(), patience).await {
                Asked::Answered(response) => {
                    // Where another request has found its way meanwhile, that one stands.
                    let moved = current.compare_exchange(start, index, Ordering::Relaxed, Ordering::Relaxed);
                    if index != start && moved.is_ok() {
                        metrics::counter!("preauthd_rpc_failovers_total").increment(1);
                        tracing::info!(from = start + 1, to = index + 1, "reading from another endpoint");
                    }
                    return Ok(response);
                }
                Asked::Excused(response) => excuse = Some(response),
                Asked::Failed(error) => failures.push((endpoint.position(), error)),
            }
        }
        excuse.ok_or_else(|| none_answered(failures))
    }

    /// Hands signed bytes to all at once. Returns as soon as one has taken them; to the others they are on their way then.
    async fn broadcast(&self, request: RequestPacket) -> Result<ResponsePacket, TransportError> {
        let send = |endpoint: &Endpoint| {
            let (endpoint, request) = (endpoint.clone(), request.clone());
            async move { (endpoint.position(), endpoint.ask(request, REQUEST_TIMEOUT).await) }
        };
        let mut asked: FuturesUnordered<_> = self.each().iter().map(send).collect();
        let mut refusal: Option<(usize, ResponsePacket)> = None;
        let mut excuse = None;
        let mut failures = Vec::new();
        let taken = loop {
            let next = if refusal.is_some() {
                tokio::time::timeout(SECOND_OPINION, asked.next()).await.unwrap_or_default()
            } else {
                asked.next().await
            };
            match next {
                Some((_, Asked::Answered(response))) if is_accepted(&response) => break Some(response),
                // Of several refusals the first endpoint's, so that the same troubles read the same.
                Some((position, Asked::Answered(response))) => {
                    if refusal.as_ref().is_none_or(|(before, _)| position < *before) {
                        refusal = Some((position, response));
                    }
                }
                Some((_, Asked::Excused(response))) => excuse = Some(response),
                Some((position, Asked::Failed(error))) => failures.push((position, error)),
                None => break None,
            }
        };
        if !asked.is_empty() {
            // A node that hangs is neither waited for nor left out.
            tokio::spawn(async move { while asked.next().await.is_some() {} });
        }
        failures.sort_by_key(|(position, _)| *position);
        let told = taken.or(refusal.map(|(_, response)| response)).or(excuse);
        told.ok_or_else(|| none_answered(failures))
    }
}

impl Service<RequestPacket> for Endpoints {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: RequestPacket) -> Self::Future {
        let endpoints = self.clone();
        Box::pin(async move {
            match request.as_single() {
                Some(single) if single.method() == "eth_sendRawTransaction" => {
                    endpoints.broadcast(request).await
                }
                _ => endpoints.read(request).await,
            }
        })
    }
}

/// Whether an endpoint has the transactions now.
fn is_accepted(response: &ResponsePacket) -> bool {
    response.iter_errors().all(|error| is_known(&error.message))
}

/// What is said where all failed: a single endpoint's own error, else that of each.
fn none_answered(mut failures: Vec<(usize, TransportError)>) -> TransportError {
    if failures.len() == 1
        && let Some((_, error)) = failures.pop()
    {
        return error;
    }
    let each: Vec<_> = failures
        .iter()
        .map(|(position, error)| format!("endpoint {position}: {}", in_words(error)))
        .collect();
    TransportErrorKind::custom_str(&format!("no endpoint answers: {}", each.join("; ")))
}
