//! How a node's answers reach the daemon: as they should, late, twice, wrong, or not at all.

use std::time::Duration;

use alloy::primitives::Bytes;
use alloy::transports::TransportErrorKind;
use rand::RngExt;

use super::gate::Ticket;
use super::life::{Life, Verdict};
use super::node::{self, Node};
use crate::store::batches;

impl Life {
    /// Lets a request go on, in bad weather perhaps not as it should. Bytes go to all endpoints in one go, because the
    /// daemon does not wait for the last of them.
    pub(super) async fn release(&mut self, nth: usize) -> Verdict {
        let ticket = self.gate.take(nth);
        self.report.requests += 1;
        let worker = ticket.worker;
        let raw = node::sent_bytes(&ticket.request);
        let mut tickets = vec![ticket];
        if let Some(raw) = raw {
            self.check_written(&raw).await?;
            tickets.extend(self.gate.take_sends_of(worker));
        }
        for ticket in tickets {
            let sick = self.stormy && self.random.random_range(0..100) < self.weather.sick_requests;
            tracing::trace!(?worker, endpoint = ticket.endpoint + 1, method = ticket.request.method(), sick);
            if sick { self.answer_badly(ticket).await } else { self.answer_well(ticket) }
        }
        self.check_raises().await?;
        self.until_it_stands(worker).await
    }

    fn answer_well(&mut self, ticket: Ticket) {
        let node = self.node_behind(ticket.endpoint);
        let answer = node.answer(&mut self.network, &ticket.request);
        ticket.answer(Ok(answer));
    }

    async fn answer_badly(&mut self, ticket: Ticket) {
        let (request, endpoint) = (&ticket.request, ticket.endpoint);
        let answer = match self.random.random_range(0..8) {
            // Done, and nobody hears of it.
            0 => {
                self.node_behind(endpoint).answer(&mut self.network, request);
                self.advance(Duration::from_secs(10)).await;
                Err(TransportErrorKind::custom_str("timed out"))
            }
            1 => Err(TransportErrorKind::custom_str("connection refused")),
            2 => Err(TransportErrorKind::http_error(503, "busy".into())),
            3 => Ok(node::rate_limited(request)),
            6 => Err(TransportErrorKind::http_error(429, "slow down".into())),
            4 if node::sent_bytes(request).is_none() => Ok(node::garbage(request)),
            4 => Ok(node::swallowed(request)),
            // The first of several endpoints lies; two that tell the same lie would be believed.
            5 if endpoint == 0 && self.weather.endpoints > 1 => {
                let truth = self.node_behind(endpoint).answer(&mut self.network, request);
                Ok(node::lie(request, truth))
            }
            // Done twice.
            _ => {
                self.node_behind(endpoint).answer(&mut self.network, request);
                Ok(self.node_behind(endpoint).answer(&mut self.network, request))
            }
        };
        ticket.answer(answer);
    }

    /// A node that answers for an endpoint: a single endpoint has all of them behind it, of several each has its own.
    fn node_behind(&mut self, endpoint: usize) -> Node {
        let which = match self.weather.endpoints {
            1 => self.random.random_range(0..self.nodes.len()),
            _ => endpoint,
        };
        self.nodes[which].clone()
    }

    /// An attempt that follows another of its batch is taken by every node that holds the other.
    async fn check_raises(&mut self) -> Verdict {
        let underpriced = std::mem::take(&mut self.network.underpriced);
        let (false, Some(running)) = (underpriced.is_empty(), &self.running) else { return Ok(()) };
        let mut reader = running.store.read().await.unwrap();
        for batch in batches::open(&mut reader, None).await.unwrap() {
            let place = |hash| batch.attempts.iter().position(|attempt| attempt.hash == hash);
            for (held, offered) in &underpriced {
                if place(*held).zip(place(*offered)).is_some_and(|(held, offered)| held < offered) {
                    return Err(format!(
                        "{offered} does not offer enough more than {held}, which it was to replace"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Nothing is sent that is not written down.
    async fn check_written(&mut self, raw: &Bytes) -> Verdict {
        let sent = self.network.read_signed(raw).ok_or("bytes were sent that are no transaction")?;
        let Some(running) = &self.running else { return Ok(()) };
        let mut reader = running.store.read().await.unwrap();
        let open = batches::open(&mut reader, Some(sent.from)).await.unwrap();
        let written = open.iter().flat_map(|batch| &batch.attempts).any(|attempt| attempt.raw == *raw);
        // A batch that was closed in the meantime may still be on its way.
        let was_written = written || batches::attempt_exists(&mut reader, sent.hash).await.unwrap();
        if was_written { Ok(()) } else { Err(format!("{} was sent before it was written down", sent.hash)) }
    }
}
