//! One life of a daemon, from its first start through bad weather to the day on which everything has ended, in an order
//! that a seed decides.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use alloy::primitives::B256;
use alloy::signers::local::PrivateKeySigner;
use alloy::transports::{BoxTransport, TransportErrorKind};
use futures::future::BoxFuture;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::watch;
use tokio::time::Instant;

use super::gate::{Gate, Ticket, Wire, Worker};
use super::network::{Network, read_signed};
use super::node::{self, Node};
use super::stage::{self, Daemon};
use super::truth::{self, Ledger};
use super::weather::Weather;
use crate::chain::{Chain, WallClock};
use crate::lane::{Lane, Next, Observer, Rest};
use crate::model::ChainTime;
use crate::preauth::{Ending, Fault, Preauths, Sweeper};
use crate::store::Store;

/// Longest that anything due may take once nothing goes wrong any more, in virtual time.
const HEALING: Duration = Duration::from_secs(300);
/// How often the sweep looks without being asked.
const SWEEP: Duration = Duration::from_secs(5);

/// What a worker has done when it comes back.
enum Done {
    Observer(Box<Observer>, Rest),
    Lane(usize, Box<Lane>, Next),
    Creation(String, Result<Ending, Fault>),
    Start(Box<Result<Daemon, String>>),
}

/// A worker at rest.
struct Idle<T> {
    worker: T,
    due: Instant,
}

/// A lane at rest, and what may wake it before its time.
struct IdleLane {
    lane: Box<Lane>,
    due: Instant,
    wakes_for_work: bool,
}

/// The parts of a daemon that runs.
struct Running {
    preauths: Preauths,
    store: Store,
    clock: crate::chain::ChainClock,
    signals: crate::lane::Signals,
    standing: crate::lane::Standing,
    sweeper: Sweeper,
    sweep_due: Instant,
    sweep_bell: watch::Receiver<u64>,
    observer: Option<Idle<Box<Observer>>>,
    lanes: Vec<Option<IdleLane>>,
    bells: Vec<(watch::Receiver<u64>, watch::Receiver<u64>)>,
}

/// A life that came to its end.
#[derive(Debug, Default)]
pub struct Report {
    pub tally: BTreeMap<String, u64>,
    /// Virtual time from the last fault until nothing was left to do.
    pub healing: Duration,
    pub crashes: u64,
    pub reorgs: u64,
    pub steps: u64,
}

pub struct Life {
    pub(super) random: StdRng,
    pub(super) weather: Weather,
    pub(super) network: Network,
    pub(super) nodes: Vec<Node>,
    pub(super) ledger: Ledger,
    pub(super) report: Report,
    pub(super) invoices: u32,
    gate: Gate,
    chain: Chain,
    folder: PathBuf,
    operators: Arc<Vec<PrivateKeySigner>>,
    wall: WallClock,
    busy: BTreeMap<Worker, BoxFuture<'static, Done>>,
    running: Option<Running>,
    start_due: Instant,
    stormy: bool,
    next_block: Instant,
    /// The block that database and chain were last compared at.
    checked: Option<B256>,
}

pub type Verdict = Result<(), String>;

impl Life {
    /// A life in `folder`, where the database is furnished already.
    pub fn begin(seed: u64, folder: PathBuf) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let weather = Weather::of(&mut random);
        let operators = Arc::new(stage::operators(weather.lanes));
        let network = Network::new(
            seed,
            weather.nodes,
            stage::first_block_time(),
            stage::genesis(&operators),
            weather.block_gas_limit,
        );
        let nodes = (0..weather.nodes).map(|pool| Node { pool, seen: Arc::clone(&network.branch) }).collect();
        let gate = Gate::default();
        let wire = |endpoint| BoxTransport::new(Wire { gate: gate.clone(), endpoint });
        let wires = (0..weather.endpoints).map(wire).collect();
        let chain = Chain::over(wires, stage::CHAIN_ID, weather.endpoints.min(2));
        let now = Instant::now();
        Self {
            random,
            weather,
            network,
            nodes,
            ledger: Ledger::new(),
            report: Report::default(),
            invoices: 0,
            gate,
            chain,
            folder,
            operators,
            wall: stage::wall(now),
            busy: BTreeMap::new(),
            running: None,
            start_due: now,
            stormy: true,
            next_block: now,
            checked: None,
        }
    }

    /// Lives through `steps` of bad weather, then in calm until nothing is left to do, then until everything has expired.
    pub async fn live(mut self, steps: u32) -> Result<Report, String> {
        tracing::debug!(weather = ?self.weather, "a life begins");
        // No reorg reaches the ground everything stands on.
        for _ in 0..10 {
            self.mine();
        }
        self.see_everything();
        for _ in 0..steps {
            self.storm().await?;
        }
        self.stormy = false;
        self.clear_up();
        let calm = Instant::now();
        self.until_at_rest().await?;
        self.report.healing = calm.elapsed();
        self.advance(Duration::from_secs(40 * 24 * 3_600)).await;
        self.mine();
        self.see_everything();
        self.until_at_rest().await?;
        let Some(running) = &self.running else { return Err("it is not even running".into()) };
        if let Some(why) = running.standing.must_refuse() {
            return Err(format!("it refuses work: {why}"));
        }
        truth::check_end(&running.store, &self.network, &self.ledger).await?;
        truth::tally(&running.store, &mut self.report.tally).await;
        running.store.close().await;
        Ok(self.report)
    }

    /// One step of bad weather.
    async fn storm(&mut self) -> Verdict {
        self.report.steps += 1;
        let permille = self.random.random_range(0..1_000);
        let mut upto = 0;
        let mut is = |chance: u32| {
            upto += chance;
            permille < upto
        };
        let Weather { crashes, reorgs, forgetful_pools, spikes, deeds, time_jumps, .. } = self.weather;
        if is(crashes) {
            self.crash().await;
        } else if is(reorgs) {
            let depth = self.random.random_range(1..=self.weather.reorg_depth);
            tracing::debug!(depth, "reorg");
            self.report.reorgs += 1;
            // Blocks below were there before the daemon.
            let depth = depth.min(self.network.branch.len().saturating_sub(8));
            self.network.reorg(depth, self.time());
            self.look_around();
        } else if is(forgetful_pools) {
            let pool = self.random.random_range(0..self.network.pools.len());
            self.network.pools[pool].forget();
        } else if is(spikes) {
            self.network.base_fee *= u128::from(self.random.random_range(2..12u32));
        } else if is(deeds) {
            self.deed().await;
        } else if is(time_jumps) {
            let seconds = self.random.random_range(30..2_000);
            self.advance(Duration::from_secs(seconds)).await;
        } else if is(60) {
            self.request().await?;
        } else if is(60) {
            let millis = self.random.random_range(1..2_000);
            self.advance(Duration::from_millis(millis)).await;
        } else {
            self.go_on().await?;
        }
        self.tick();
        Ok(())
    }

    /// Lets something happen that is due anyway: a request goes on, a worker takes its turn, time passes.
    async fn go_on(&mut self) -> Verdict {
        let due = self.due();
        let waiting = self.gate.waiting();
        let choice = self.random.random_range(0..waiting.max(1) * 3 + due.len());
        if waiting > 0 && choice < waiting * 3 {
            return self.release(choice / 3).await;
        }
        match due.len() {
            0 => {
                self.pass().await;
                Ok(())
            }
            count => {
                let worker = due[self.random.random_range(0..count)];
                self.begin_turn(worker).await
            }
        }
    }

    /// In calm weather everything goes on in order until nothing is left to do.
    async fn until_at_rest(&mut self) -> Verdict {
        let until = Instant::now() + HEALING;
        let mut looked_at = None;
        loop {
            self.see_everything();
            while self.gate.waiting() > 0 {
                self.release(0).await?;
            }
            if let Some(worker) = self.due().first() {
                self.begin_turn(*worker).await?;
                continue;
            }
            let left = match &self.running {
                Some(running) if running.clock.block() < self.confirmed() => "the newest block".to_owned(),
                Some(_) if looked_at == Some(self.confirmed()) => String::new(),
                Some(running) => match truth::unfinished(&running.store, running.clock.now()).await {
                    None => return Ok(()),
                    Some(left) => {
                        looked_at = Some(self.confirmed());
                        left
                    }
                },
                None => "its start".to_owned(),
            };
            if Instant::now() > until && !left.is_empty() {
                let troubles = self.running.as_ref().map(|running| running.standing.troubles());
                return Err(format!("it does not come to rest: {left}; {troubles:?}"));
            }
            self.tick();
            self.pass().await;
        }
    }

    /// The height up to which blocks count.
    fn confirmed(&self) -> u64 {
        self.network.head().header.number + 1 - self.weather.settings.confirmations
    }

    // ------------------------------------------------------------------ workers

    /// Workers that may take a turn now.
    fn due(&mut self) -> Vec<Worker> {
        let now = Instant::now();
        let mut due = Vec::new();
        let Some(running) = &mut self.running else {
            if self.start_due <= now && !self.busy.contains_key(&Worker::Start) {
                due.push(Worker::Start);
            }
            return due;
        };
        if running.observer.as_ref().is_some_and(|observer| observer.due <= now) {
            due.push(Worker::Observer);
        }
        for (number, (lane, bells)) in running.lanes.iter().zip(&running.bells).enumerate() {
            let Some(lane) = lane else { continue };
            let bell = if lane.wakes_for_work { &bells.0 } else { &bells.1 };
            if lane.due <= now || bell.has_changed().unwrap() {
                due.push(Worker::Lane(number));
            }
        }
        due
    }

    /// When the next worker wants to take a turn.
    fn next_due(&self) -> Instant {
        let Some(running) = &self.running else { return self.start_due };
        let observer = running.observer.iter().map(|idle| idle.due);
        let lanes = running.lanes.iter().flatten().map(|idle| idle.due);
        observer.chain(lanes).chain([running.sweep_due]).min().unwrap()
    }

    async fn begin_turn(&mut self, worker: Worker) -> Verdict {
        let turn: BoxFuture<'static, Done> = match (worker, &mut self.running) {
            (Worker::Observer, Some(running)) => {
                let Idle { worker: mut observer, .. } = running.observer.take().unwrap();
                Box::pin(async move {
                    let rest = observer.turn().await;
                    Done::Observer(observer, rest)
                })
            }
            (Worker::Lane(number), Some(running)) => {
                let IdleLane { mut lane, .. } = running.lanes[number].take().unwrap();
                running.bells[number].0.mark_unchanged();
                running.bells[number].1.mark_unchanged();
                Box::pin(async move {
                    let next = lane.turn().await;
                    Done::Lane(number, lane, next)
                })
            }
            _ => {
                let store = Store::open(&self.folder).await.map_err(|error| error.to_string())?;
                let (chain, wall) = (self.chain.clone(), self.wall.clone());
                let (settings, operators) = (self.weather.settings.clone(), Arc::clone(&self.operators));
                Box::pin(async move {
                    Done::Start(Box::new(stage::start(store, chain, wall, settings, operators).await))
                })
            }
        };
        self.set_out(worker, turn).await
    }

    async fn set_out(&mut self, worker: Worker, turn: BoxFuture<'static, Done>) -> Verdict {
        self.busy.insert(worker, turn);
        self.until_it_stands(worker).await
    }

    /// Runs a worker until it waits at the gate, or is done.
    async fn until_it_stands(&mut self, worker: Worker) -> Verdict {
        let Some(mut turn) = self.busy.remove(&worker) else { return Ok(()) };
        self.gate.run(worker);
        let gate = self.gate.clone();
        let done = poll_fn(|context| {
            gate.wake_at_request(context.waker());
            match turn.as_mut().poll(context) {
                Poll::Ready(done) => Poll::Ready(Some(done)),
                Poll::Pending if gate.waiting_of(worker) > 0 => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        })
        .await;
        match done {
            None => {
                self.busy.insert(worker, turn);
                Ok(())
            }
            Some(done) => self.take_back(done).await,
        }
    }

    async fn take_back(&mut self, done: Done) -> Verdict {
        let now = Instant::now();
        match done {
            Done::Observer(worker, rest) => {
                let Some(running) = &mut self.running else { return Ok(()) };
                let due = match rest {
                    Rest::None => now,
                    Rest::For(pause) => now + pause,
                };
                running.observer = Some(Idle { worker, due });
                let seen =
                    truth::check_projection(&running.store, &self.network, &mut self.ledger, self.checked);
                self.checked = Some(seen.await?);
                self.sweep().await;
            }
            Done::Lane(number, lane, next) => {
                let Some(running) = &mut self.running else { return Ok(()) };
                let (due, wakes_for_work) = match next {
                    Next::Now => (now, true),
                    Next::Work(at_most) => (now + at_most, true),
                    Next::Block(at_most) => (now + at_most, false),
                };
                running.lanes[number] = Some(IdleLane { lane, due, wakes_for_work });
            }
            Done::Creation(invoice, ending) => self.hear(&invoice, ending),
            Done::Start(started) => match *started {
                Ok(daemon) => self.run(daemon).await?,
                Err(why) => {
                    tracing::debug!(why, "it does not start");
                    self.start_due = now + Duration::from_secs(1);
                }
            },
        }
        Ok(())
    }

    async fn run(&mut self, daemon: Daemon) -> Verdict {
        let now = Instant::now();
        let Daemon { store, clock, signals, standing, preauths, sweeper, observer, lanes } = daemon;
        let bells = lanes.iter().map(|_| (signals.work(), signals.blocks())).collect();
        let lanes = lanes
            .into_iter()
            .map(|lane| Some(IdleLane { lane: Box::new(lane), due: now, wakes_for_work: true }))
            .collect();
        self.checked = Some(truth::check_projection(&store, &self.network, &mut self.ledger, None).await?);
        self.running = Some(Running {
            preauths,
            store,
            clock,
            sweep_bell: signals.blocks(),
            signals,
            standing,
            sweeper,
            sweep_due: now,
            observer: Some(Idle { worker: Box::new(observer), due: now }),
            lanes,
            bells,
        });
        self.sweep().await;
        Ok(())
    }

    /// What falls due asks no node, so it happens in one go.
    async fn sweep(&mut self) {
        let Some(running) = &mut self.running else { return };
        let asked = running.sweep_bell.has_changed().unwrap() || running.sweep_due <= Instant::now();
        if !asked {
            return;
        }
        running.sweep_bell.mark_unchanged();
        running.sweep_due = Instant::now() + SWEEP;
        if running.sweeper.sweep().await.unwrap() > 0 {
            running.signals.work_arrived();
        }
    }

    /// kill -9: whatever was under way is gone.
    async fn crash(&mut self) {
        tracing::debug!("crash");
        self.report.crashes += 1;
        self.busy.clear();
        self.gate.clear();
        if let Some(running) = self.running.take() {
            running.store.close().await;
        }
        self.start_due = Instant::now() + Duration::from_millis(self.random.random_range(0..5_000));
    }

    /// The running daemon's verbs, if it runs.
    pub(super) fn preauths(&self) -> Option<Preauths> {
        self.running.as_ref().map(|running| running.preauths.clone())
    }

    pub(super) fn store(&self) -> Option<Store> {
        self.running.as_ref().map(|running| running.store.clone())
    }

    /// Starts a creation on its way; one at a time.
    pub(super) async fn create(
        &mut self,
        invoice: String,
        creation: BoxFuture<'static, Result<Ending, Fault>>,
    ) -> Verdict {
        if self.busy.contains_key(&Worker::Creation) {
            return Ok(());
        }
        self.set_out(Worker::Creation, Box::pin(async move { Done::Creation(invoice, creation.await) })).await
    }

    // ------------------------------------------------------------------ the chain

    /// Lets a request go on, in bad weather perhaps not as it should. Bytes go to all endpoints in one go, because the
    /// daemon does not wait for the last of them.
    async fn release(&mut self, nth: usize) -> Verdict {
        let ticket = self.gate.take(nth);
        let worker = ticket.worker;
        let raw = node::sent_bytes(&ticket.request);
        let mut tickets = vec![ticket];
        if let Some(raw) = raw {
            self.check_written(&raw).await?;
            tickets.extend(self.gate.take_sends_of(worker));
        }
        for ticket in tickets {
            let sick = self.stormy && self.random.random_range(0..100) < self.weather.sick_requests;
            if sick { self.answer_badly(ticket).await } else { self.answer_well(ticket) }
        }
        self.until_it_stands(worker).await
    }

    fn answer_well(&mut self, ticket: Ticket) {
        let node = self.node_behind(ticket.endpoint);
        let answer = node.answer(&mut self.network, &ticket.request);
        ticket.answer(Ok(answer));
    }

    async fn answer_badly(&mut self, ticket: Ticket) {
        let (request, endpoint) = (&ticket.request, ticket.endpoint);
        let answer = match self.random.random_range(0..7) {
            // Done, and nobody hears of it.
            0 => {
                self.node_behind(endpoint).answer(&mut self.network, request);
                self.advance(Duration::from_secs(10)).await;
                Err(TransportErrorKind::custom_str("timed out"))
            }
            1 => Err(TransportErrorKind::custom_str("connection refused")),
            2 => Err(TransportErrorKind::http_error(503, "busy".into())),
            3 => Ok(node::rate_limited(request)),
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

    /// Nothing is sent that is not written down.
    async fn check_written(&self, raw: &[u8]) -> Verdict {
        let sent = read_signed(raw).ok_or("bytes were sent that are no transaction")?;
        let Some(running) = &self.running else { return Ok(()) };
        let mut reader = running.store.read().await.unwrap();
        let open = crate::store::batches::open(&mut reader, Some(sent.from)).await.unwrap();
        let written = open.iter().flat_map(|batch| &batch.attempts).any(|attempt| *attempt.raw == *raw);
        // A batch that was closed in the meantime may still be on its way.
        let was_written =
            written || crate::store::batches::attempt_exists(&mut reader, sent.hash).await.unwrap();
        if was_written { Ok(()) } else { Err(format!("{} was sent before it was written down", sent.hash)) }
    }

    /// Blocks come by the clock.
    fn tick(&mut self) {
        if Instant::now() >= self.next_block {
            self.mine();
            self.look_around();
        }
    }

    fn mine(&mut self) {
        let interval = Duration::from_secs(self.weather.block_time);
        self.next_block = Instant::now() + interval;
        self.network.mine(self.time());
    }

    /// The nodes see the newest block, or some of them do not.
    fn look_around(&mut self) {
        for node in &mut self.nodes {
            if !self.stormy || self.random.random_range(0..100) >= self.weather.lag {
                node.seen = Arc::clone(&self.network.branch);
            }
        }
    }

    fn see_everything(&mut self) {
        for node in &mut self.nodes {
            node.seen = Arc::clone(&self.network.branch);
        }
    }

    fn time(&self) -> ChainTime {
        ChainTime(u64::try_from(self.wall.now().0).unwrap() / 1_000)
    }

    /// Time passes until something is due.
    async fn pass(&mut self) {
        let until = self.next_due().min(self.next_block);
        self.advance(until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))).await;
    }

    async fn advance(&mut self, time: Duration) {
        tokio::time::advance(time).await;
        if self.running.as_ref().is_some_and(|running| running.sweep_due <= Instant::now()) {
            self.sweep().await;
        }
    }
}
