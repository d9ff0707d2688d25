//! One life of a daemon, from its first start through bad weather to the day on which everything has ended, in an order
//! that a seed decides.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alloy::primitives::B256;
use alloy::signers::local::PrivateKeySigner;
use alloy::transports::BoxTransport;
use futures::future::BoxFuture;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;

use super::gate::{Gate, Wire, Worker};
use super::network::Network;
use super::node::Node;
use super::stage;
use super::truth::{self, Ledger};
use super::weather::Weather;
use super::workers::{Done, Running};
use crate::chain::{Chain, WallClock};
use crate::model::ChainTime;
use crate::store::Fate;

/// Least seconds between blocks in calm weather.
pub(super) const CALM_BLOCK_TIME: u64 = 4;
/// How often the storm begins with a reorg of what was there before it, in percent.
const FIRST_BLOW: u32 = 70;

/// A life that came to its end.
#[derive(Debug, Default)]
pub struct Report {
    pub tally: BTreeMap<String, u64>,
    /// Blocks from the last fault until nothing was left to do.
    pub healing: u64,
    pub crashes: u64,
    /// Of these, while it waited for its database.
    pub deaths: u64,
    pub reorgs: u64,
    /// Events that told what a reorg had undone.
    pub corrections: u64,
    /// Comparisons with the chain that came to their end.
    pub looks: u64,
    pub steps: u64,
    /// Requests to nodes.
    pub requests: u64,
}

pub struct Life {
    pub(super) random: StdRng,
    pub(super) weather: Weather,
    pub(super) network: Network,
    pub(super) nodes: Vec<Node>,
    pub(super) ledger: Ledger,
    pub(super) report: Report,
    pub(super) invoices: u32,
    pub(super) gate: Gate,
    pub(super) chain: Chain,
    pub(super) folder: PathBuf,
    pub(super) operators: Vec<PrivateKeySigner>,
    /// Whether none of them signs at present.
    pub(super) are_silent: Arc<AtomicBool>,
    /// Which of them the daemon is configured with when it starts next.
    pub(super) configured: Vec<bool>,
    pub(super) wall: WallClock,
    /// Of the daemon that runs, or starts next.
    pub(super) fate: Fate,
    pub(super) busy: BTreeMap<Worker, BoxFuture<'static, Done>>,
    pub(super) running: Option<Running>,
    pub(super) start_due: Instant,
    pub(super) stormy: bool,
    pub(super) next_block: Instant,
    /// The latest time at which the daemon has looked for what is due.
    pub(super) swept_at: ChainTime,
    /// The block that database and chain were last compared at.
    pub(super) checked: Option<B256>,
}

pub type Verdict = Result<(), String>;

impl Life {
    /// A life in `folder`, where the database is furnished already.
    pub fn begin(seed: u64, folder: PathBuf) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let weather = Weather::of(&mut random);
        let operators = stage::operators(weather.keys);
        let mut network = Network::new(
            seed,
            weather.nodes,
            stage::first_block_time(),
            stage::genesis(&operators),
            weather.block_gas_limit,
        );
        network.strangers = weather.strangers;
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
            wall: stage::wall(now, gate.clone()),
            gate,
            chain,
            folder,
            configured: vec![true; operators.len()],
            operators,
            are_silent: Arc::default(),
            fate: Fate::default(),
            busy: BTreeMap::new(),
            running: None,
            start_due: now,
            stormy: false,
            next_block: now,
            swept_at: ChainTime(0),
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
        self.begin_in_calm().await?;
        self.stormy = true;
        if let Some(believed) = self.checked {
            self.ambush(believed, FIRST_BLOW);
        }
        for _ in 0..steps {
            self.storm().await?;
        }
        self.clear_up().await;
        let last_stormy = self.network.head().header.number;
        self.until_at_rest().await?;
        self.report.healing = self.network.head().header.number - last_stormy;
        self.until_the_last_second().await?;
        self.advance(Duration::from_secs(40 * 24 * 3_600)).await;
        self.mine();
        self.see_everything();
        self.until_at_rest().await?;
        let Some(running) = &self.running else { return Err("it is not even running".into()) };
        if let Some(why) = running.standing.must_refuse() {
            return Err(format!("it refuses work: {why}"));
        }
        let store = running.store.clone();
        truth::check_end(&store, &self.network, &self.ledger).await?;
        self.audit().await?;
        truth::tally(&store, &mut self.report).await;
        store.close().await;
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
        let Weather { crashes, reorgs, forgetful_pools, halts, spikes, deeds, time_jumps, silences, .. } =
            self.weather;
        if is(crashes) {
            if self.random.random_range(0..2) == 0 {
                self.crash().await;
            } else {
                self.ordain_death();
            }
        } else if is(reorgs) {
            let depth = self.random.random_range(1..=self.weather.reorg_depth);
            self.reorg(depth);
        } else if is(forgetful_pools) {
            let pool = self.random.random_range(0..self.network.pools.len());
            self.network.pools[pool].forget();
        } else if is(halts) {
            self.next_block = Instant::now() + Duration::from_secs(self.random.random_range(20..300));
        } else if is(spikes) {
            self.network.base_fee *= u128::from(self.random.random_range(2..12u32));
        } else if is(deeds) {
            self.deed().await;
        } else if is(time_jumps) {
            let seconds = self.random.random_range(30..2_000);
            self.advance(Duration::from_secs(seconds)).await;
        } else if is(silences) {
            self.are_silent.fetch_not(Ordering::Relaxed);
        } else if is(260) {
            self.request().await?;
        } else if is(100) {
            let millis = self.random.random_range(1..2_000);
            self.advance(Duration::from_millis(millis)).await;
        } else {
            self.go_on().await?;
        }
        self.tick();
        Ok(())
    }

    /// Lets a few things happen that are due anyway: a request goes on, a worker takes its turn, time passes.
    async fn go_on(&mut self) -> Verdict {
        for _ in 0..self.random.random_range(1..8) {
            self.run_stragglers().await?;
            let due = self.due();
            let waiting = self.gate.waiting();
            let choice = self.random.random_range(0..(waiting * 3 + due.len()).max(1));
            if choice < waiting * 3 {
                self.release(choice / 3).await?;
            } else if let Some(worker) = due.get(choice - waiting * 3) {
                self.begin_turn(*worker).await?;
            } else {
                self.pass().await;
            }
            self.tick();
        }
        Ok(())
    }

    /// Blocks come by the clock.
    pub(super) fn tick(&mut self) {
        if Instant::now() >= self.next_block {
            self.mine();
            self.look_around();
        }
    }

    pub(super) fn mine(&mut self) {
        // In calm weather more blocks would show nothing that fewer do not.
        let seconds =
            if self.stormy { self.weather.block_time } else { self.weather.block_time.max(CALM_BLOCK_TIME) };
        let interval = Duration::from_secs(seconds);
        self.next_block = Instant::now() + interval;
        self.network.mine(self.time());
    }

    /// The nodes see the newest block, or some of them do not.
    pub(super) fn look_around(&mut self) {
        for node in &mut self.nodes {
            if !self.stormy || self.random.random_range(0..100) >= self.weather.lag {
                node.seen = Arc::clone(&self.network.branch);
            }
        }
    }

    pub(super) fn see_everything(&mut self) {
        for node in &mut self.nodes {
            node.seen = Arc::clone(&self.network.branch);
        }
    }

    pub(super) fn time(&self) -> ChainTime {
        ChainTime(u64::try_from(self.wall.now().0).unwrap() / 1_000)
    }

    /// Time passes until something is due; in calm weather until the next block, because what happens in between happens
    /// then as well.
    pub(super) async fn pass(&mut self) {
        let due = if self.stormy { self.next_due() } else { self.next_block };
        let until = due.min(self.next_block);
        self.advance(until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))).await;
    }

    pub(super) async fn advance(&mut self, time: Duration) {
        tokio::time::advance(time).await;
        if self.running.as_ref().is_some_and(|running| running.sweep_due <= Instant::now()) {
            self.sweep().await;
        }
    }
}
