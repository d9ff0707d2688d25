//! The daemon's workers, each of which takes its turn until it stands at the gate or comes back.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use alloy::signers::local::PrivateKeySigner;
use futures::future::BoxFuture;
use rand::RngExt;
use tokio::sync::watch;
use tokio::time::Instant;

use super::gate::Worker;
use super::life::{Life, Verdict};
use super::stage::{self, Configuration, Daemon};
use super::truth;
use crate::chain::ChainClock;
use crate::keys::OperatorKey;
use crate::lane::{Caretaker, Lane, Next, Observer, Rest, Signals, Standing};
use crate::model::Reconciliation;
use crate::preauth::{Ending, Fault, Patrol, Preauths, ReconcileError, Sweeper};
use crate::store::{Fate, Store};

/// How often the sweep looks without being asked.
const SWEEP: Duration = Duration::from_secs(5);
/// Connections that read. A lane may keep one while it stands at the gate, because it asks node and database at once.
const READERS: u32 = 6;
/// A death that is ordained comes within so many waits for the database.
const DEATH_WITHIN: u64 = 40;

/// What a worker has done when it comes back.
pub(super) enum Done {
    Observer(Box<Observer>, Rest),
    Lane(usize, Box<Lane>, Next),
    Caretaker(Box<Caretaker>, Duration),
    Patrol(Box<Patrol>),
    Audit(Box<Result<Reconciliation, ReconcileError>>),
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
pub(super) struct Running {
    pub preauths: Preauths,
    pub store: Store,
    pub clock: ChainClock,
    pub signals: Signals,
    pub standing: Standing,
    sweeper: Sweeper,
    pub sweep_due: Instant,
    sweep_bell: watch::Receiver<u64>,
    observer: Option<Idle<Box<Observer>>>,
    lanes: Vec<Option<IdleLane>>,
    bells: Vec<(watch::Receiver<u64>, watch::Receiver<u64>)>,
    caretaker: Option<Idle<Box<Caretaker>>>,
    caretaker_bell: watch::Receiver<u64>,
    patrol: Option<Idle<Box<Patrol>>>,
}

impl Life {
    /// Workers that may take a turn now.
    pub(super) fn due(&mut self) -> Vec<Worker> {
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
        let bell = &running.caretaker_bell;
        if running.caretaker.as_ref().is_some_and(|idle| idle.due <= now || bell.has_changed().unwrap()) {
            due.push(Worker::Caretaker);
        }
        if running.patrol.as_ref().is_some_and(|patrol| patrol.due <= now) {
            due.push(Worker::Patrol);
        }
        due
    }

    /// When the next worker wants to take a turn.
    pub(super) fn next_due(&self) -> Instant {
        let Some(running) = &self.running else { return self.start_due };
        let observer = running.observer.iter().map(|idle| idle.due);
        let lanes = running.lanes.iter().flatten().map(|idle| idle.due);
        let caretaker = running.caretaker.iter().map(|idle| idle.due);
        let patrol = running.patrol.iter().map(|idle| idle.due);
        observer.chain(lanes).chain(caretaker).chain(patrol).chain([running.sweep_due]).min().unwrap()
    }

    pub(super) async fn begin_turn(&mut self, worker: Worker) -> Verdict {
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
            (Worker::Caretaker, Some(running)) => {
                let Idle { worker: mut caretaker, .. } = running.caretaker.take().unwrap();
                running.caretaker_bell.mark_unchanged();
                Box::pin(async move {
                    let rest = caretaker.turn().await;
                    Done::Caretaker(caretaker, rest)
                })
            }
            (Worker::Patrol, Some(running)) => {
                let Idle { worker: mut patrol, .. } = running.patrol.take().unwrap();
                Box::pin(async move {
                    patrol.turn().await;
                    Done::Patrol(patrol)
                })
            }
            _ => {
                let store =
                    Store::open_for(&self.folder, READERS).await.map_err(|error| error.to_string())?;
                let store = store.of_a_mortal(self.fate.clone());
                let (chain, wall) = (self.chain.clone(), self.wall.clone());
                let has = |(key, is_configured): (&PrivateKeySigner, &bool)| {
                    is_configured.then(|| OperatorKey::moody(key.clone(), Arc::clone(&self.are_silent)))
                };
                let configuration = Configuration {
                    folder: self.folder.clone(),
                    settings: self.weather.settings.clone(),
                    operators: self.operators.iter().zip(&self.configured).filter_map(has).collect(),
                    patrol_every: self.weather.patrol_every,
                };
                Box::pin(async move {
                    Done::Start(Box::new(stage::start(store, chain, wall, configuration).await))
                })
            }
        };
        self.set_out(worker, turn).await
    }

    pub(super) async fn set_out(&mut self, worker: Worker, turn: BoxFuture<'static, Done>) -> Verdict {
        self.busy.insert(worker, turn);
        self.until_it_stands(worker).await
    }

    /// Runs a worker until it waits at the gate, or is done.
    pub(super) async fn until_it_stands(&mut self, worker: Worker) -> Verdict {
        let Some(mut turn) = self.busy.remove(&worker) else { return Ok(()) };
        tracing::trace!(?worker, waiting = self.gate.waiting_of(worker), "goes on");
        let (gate, fate) = (self.gate.clone(), self.fate.clone());
        let goes_on = poll_fn(|context| {
            gate.wake_at_request(context.waker());
            gate.run(worker);
            let polled = turn.as_mut().poll(context);
            // What asks without being driven is the task that checks creations.
            gate.run(Worker::Creation);
            match polled {
                Poll::Ready(done) => Poll::Ready(Some(done)),
                Poll::Pending if gate.stands(worker) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        });
        match fate.allows(goes_on).await.flatten() {
            None => drop(self.busy.insert(worker, turn)),
            Some(done) => self.take_back(done).await?,
        }
        if fate.has_struck() {
            self.die().await;
        }
        Ok(())
    }

    /// It died while it waited for its database.
    pub(super) async fn die(&mut self) {
        self.report.deaths += 1;
        self.crash().await;
    }

    /// Runs the workers whose requests have come to an end without an answer, by the time that passed.
    pub(super) async fn run_stragglers(&mut self) -> Verdict {
        let stands = |worker: &Worker| self.gate.waiting_of(*worker) > 0;
        let stragglers: Vec<Worker> = self.busy.keys().copied().filter(|worker| !stands(worker)).collect();
        for worker in stragglers {
            self.until_it_stands(worker).await?;
        }
        Ok(())
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
                let seen = seen.await?;
                self.sweep().await;
                if self.checked.replace(seen) != Some(seen) {
                    self.ambush(seen, self.weather.ambushes);
                }
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
            Done::Caretaker(worker, rest) => {
                let Some(running) = &mut self.running else { return Ok(()) };
                running.caretaker = Some(Idle { worker, due: now + rest });
            }
            Done::Patrol(worker) => {
                let Some(running) = &mut self.running else { return Ok(()) };
                let every = self.weather.patrol_every.unwrap();
                running.patrol = Some(Idle { worker, due: now + every });
                self.report.looks += 1;
                let troubles = running.standing.troubles();
                if let Some((_, drift)) = troubles.iter().find(|(part, _)| part == "reconcile") {
                    return Err(format!("the daemon finds that database and chain differ: {drift}"));
                }
            }
            Done::Audit(found) => {
                let found = found.map_err(|error| error.to_string())?;
                self.report.looks += 1;
                let missing = found.balances.iter().any(|balance| !balance.missing().is_zero());
                if found.drifted() > 0 || found.unknown.count > 0 || missing {
                    return Err(format!("in the end database and chain differ: {found:?}"));
                }
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
        let Daemon { store, clock, signals, standing, preauths, sweeper, observer, lanes, caretaker, patrol } =
            daemon;
        let bells = lanes.iter().map(|_| (signals.work(), signals.blocks())).collect();
        let lanes = lanes
            .into_iter()
            .map(|lane| Some(IdleLane { lane: Box::new(lane), due: now, wakes_for_work: true }))
            .collect();
        // The driver looks at it without dying of it.
        let store = store.of_a_mortal(Fate::default());
        self.checked = Some(truth::check_projection(&store, &self.network, &mut self.ledger, None).await?);
        self.running = Some(Running {
            preauths,
            store,
            clock,
            sweep_bell: signals.blocks(),
            caretaker_bell: signals.blocks(),
            signals,
            standing,
            sweeper,
            sweep_due: now,
            observer: Some(Idle { worker: Box::new(observer), due: now }),
            lanes,
            bells,
            caretaker: Some(Idle { worker: Box::new(caretaker), due: now }),
            patrol: patrol.map(|patrol| Idle { due: now + patrol.first_pause(), worker: Box::new(patrol) }),
        });
        self.sweep().await;
        Ok(())
    }

    /// What falls due asks no node, so it happens in one go.
    pub(super) async fn sweep(&mut self) {
        let Some(running) = &mut self.running else { return };
        let asked = running.sweep_bell.has_changed().unwrap() || running.sweep_due <= Instant::now();
        if !asked {
            return;
        }
        running.sweep_bell.mark_unchanged();
        running.sweep_due = Instant::now() + SWEEP;
        self.swept_at = self.swept_at.max(running.clock.now());
        let (fate, swept_at) = (self.fate.clone(), self.swept_at);
        let sweep = async {
            if running.sweeper.sweep().await.unwrap() > 0 {
                running.signals.work_arrived();
                truth::check_expiries(&running.store, swept_at).await;
            }
            running.sweeper.warn().await.unwrap();
        };
        if fate.allows(sweep).await.is_none() {
            self.die().await;
        }
    }

    /// kill -9: whatever was under way is gone.
    pub(super) async fn crash(&mut self) {
        tracing::debug!("crash");
        self.report.crashes += 1;
        self.busy.clear();
        self.gate.clear();
        if let Some(running) = self.running.take() {
            running.store.close().await;
        }
        self.fate = Fate::default();
        if self.stormy && self.random.random_range(0..4) == 0 {
            // A start may fail as well.
            self.ordain_death();
        }
        self.start_due = Instant::now() + Duration::from_millis(self.random.random_range(0..5_000));
        if self.stormy && self.random.random_range(0..100) < self.weather.rotations {
            self.rotate();
        }
    }

    /// It will die while it waits for its database, soon.
    pub(super) fn ordain_death(&mut self) {
        self.fate.ordain(self.random.random_range(0..DEATH_WITHIN));
    }

    /// Some keys are taken out of the configuration, or put back; one is always left.
    fn rotate(&mut self) {
        for is_configured in &mut self.configured {
            *is_configured = self.random.random_range(0..2) == 0;
        }
        let one = self.random.random_range(0..self.configured.len());
        self.configured[one] = true;
        tracing::debug!(keys = ?self.configured, "the next start has other keys");
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
}
