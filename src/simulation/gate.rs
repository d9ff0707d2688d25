//! Every request to a node stops at the gate until the driver lets it go on, so that a seed decides the order of
//! everything. A worker that stands at the gate waits for nothing else, which is how the driver knows that it has come
//! to rest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use alloy::rpc::json_rpc::{RequestPacket, ResponsePacket, SerializedRequest};
use alloy::transports::{TransportError, TransportErrorKind, TransportFut};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::oneshot;
use tower::Service;

/// A worker of the daemon under simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Worker {
    Observer,
    Lane(usize),
    Caretaker,
    /// What compares database and chain.
    Patrol,
    /// A creation on its way.
    Creation,
    /// The daemon as it starts.
    Start,
}

pub type Answer = Result<ResponsePacket, TransportError>;

/// A request that waits.
pub struct Ticket {
    pub worker: Worker,
    /// Which of the endpoints is asked.
    pub endpoint: usize,
    pub request: SerializedRequest,
    answer: oneshot::Sender<Answer>,
}

impl Ticket {
    /// Lets the worker have its answer.
    pub fn answer(self, answer: Answer) {
        // A worker that has gone away has nobody to be told.
        let _ = self.answer.send(answer);
    }
}

#[derive(Default)]
struct Queue {
    /// Whose requests arrive.
    worker: Option<Worker>,
    next: u64,
    tickets: BTreeMap<u64, Ticket>,
    /// Who lets time pass before he goes on.
    napping: BTreeSet<Worker>,
    waker: Option<Waker>,
}

/// Clones share it.
#[derive(Clone, Default)]
pub struct Gate(Arc<Mutex<Queue>>);

impl Gate {
    /// Whose requests arrive from now on.
    pub fn run(&self, worker: Worker) {
        self.queue().worker = Some(worker);
    }

    /// Wakes the driver when a request arrives.
    pub fn wake_at_request(&self, waker: &Waker) {
        self.queue().waker = Some(waker.clone());
    }

    /// How many requests of a worker wait.
    pub fn waiting_of(&self, worker: Worker) -> usize {
        self.queue().tickets.values().filter(|ticket| ticket.worker == worker).count()
    }

    /// Whether a worker can do nothing before a request is answered or time has passed.
    pub fn stands(&self, worker: Worker) -> bool {
        self.waiting_of(worker) > 0 || self.queue().napping.contains(&worker)
    }

    /// Whoever runs now lets time pass.
    pub fn nap(&self, time: Duration) -> BoxFuture<'static, ()> {
        let gate = self.clone();
        async move {
            let worker = gate.queue().worker.expect("somebody who naps");
            gate.queue().napping.insert(worker);
            tokio::time::sleep(time).await;
            gate.queue().napping.remove(&worker);
        }
        .boxed()
    }

    pub fn waiting(&self) -> usize {
        self.queue().tickets.len()
    }

    /// Takes out the `nth` request that waits.
    pub fn take(&self, nth: usize) -> Ticket {
        let mut queue = self.queue();
        let number = *queue.tickets.keys().nth(nth).unwrap();
        queue.tickets.remove(&number).unwrap()
    }

    /// Takes out every send of a worker.
    pub fn take_sends_of(&self, worker: Worker) -> Vec<Ticket> {
        let is_send =
            |ticket: &Ticket| ticket.worker == worker && ticket.request.method() == "eth_sendRawTransaction";
        self.queue().tickets.extract_if(.., |_, ticket| is_send(ticket)).map(|(_, ticket)| ticket).collect()
    }

    /// Everything that waits is gone: the daemon died.
    pub fn clear(&self) {
        let mut queue = self.queue();
        queue.tickets.clear();
        queue.napping.clear();
    }

    /// What nobody waits for any more has gone away.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queue.tickets.retain(|_, ticket| !ticket.answer.is_closed());
        queue
    }
}

/// The way to one endpoint.
#[derive(Clone)]
pub struct Wire {
    pub gate: Gate,
    pub endpoint: usize,
}

impl Service<RequestPacket> for Wire {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let RequestPacket::Single(request) = packet else {
            panic!("the daemon sends no batches of requests")
        };
        let (answer, answered) = oneshot::channel();
        let mut queue = self.gate.queue();
        let worker = queue.worker.expect("somebody who asks");
        let number = queue.next;
        queue.next += 1;
        queue.tickets.insert(number, Ticket { worker, endpoint: self.endpoint, request, answer });
        if let Some(waker) = queue.waker.take() {
            waker.wake();
        }
        drop(queue);
        Box::pin(
            async move { answered.await.unwrap_or_else(|_| Err(TransportErrorKind::custom_str("gone"))) },
        )
    }
}
