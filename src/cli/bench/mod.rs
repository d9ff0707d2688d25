//! `preauthd bench`: how fast the daemon is on this machine, beside what the chain itself can take.
//!
//! The daemon is a process of its own, asked over HTTP; beside it the same work is done by hand on a chain of its own, so
//! that each figure is also a ratio. Rounds take turns, because machines are noisy: what is printed are medians.

mod by_hand;
mod chart;
mod house;
mod report;
mod scratch;
mod stopwatch;
mod subject;

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, value_parser};

use super::progress;
use super::stop_signal::StopSignal;
use super::surroundings::Surroundings;
use crate::model::OperationKind;
use crate::preauth::Progress;
use by_hand::{Hand, is_automine};
use house::House;
use report::{Figures, Row};
use subject::Work;

/// Locks that are made one by one, to know how long one takes; where each waits for a block that comes by the clock, fewer.
const LONE_LOCKS: u64 = 50;
const LONE_LOCKS_BY_THE_CLOCK: u64 = 5;
/// Where blocks come by the clock, so many rounds of requests are enough: each waits for its block.
const WAVES: u64 = 12;

/// How fast the daemon is here, beside what the chain itself can take
///
/// For each block time and each number of requests at once it starts a `preauthd dev` with a chain of its own, creates
/// preauthorizations, reads them, settles half and lets the rest expire, over HTTP; and beside it does the same by hand, in
/// full batches signed beforehand, on another chain. All of it shares this machine. Build it with --release first.
#[derive(Args)]
pub(super) struct Bench {
    /// Preauthorizations of each measurement
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = value_parser!(u64).range(2..=1_000_000))]
    count: u64,
    /// Requests at once
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1, 16, 64, 256], value_parser = value_parser!(u32).range(1..=4_096))]
    at_once: Vec<u32>,
    /// Seconds between blocks; 0: a block for each transaction
    #[arg(long, value_name = "S", value_delimiter = ',', default_values_t = ["0".to_owned(), "1".to_owned()], value_parser = super::dev::seconds)]
    block_time: Vec<String>,
    /// How often everything is repeated
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// A folder for the figures (bench.json) and a chart of them (bench.svg)
    #[arg(long, value_name = "D")]
    out: Option<PathBuf>,
}

impl Bench {
    pub async fn run(self, around: &Surroundings) -> anyhow::Result<()> {
        let progress = Progress::default();
        let mut signal = StopSignal::listen()?;
        // Whoever has seen enough leaves no daemon, no chain and no folder behind.
        let figures = tokio::select! {
            figures = progress::shown(&progress, Box::pin(self.measure(&progress))) => figures?,
            () = signal.asked() => bail!("stopped before everything was measured"),
        };
        let rows = figures.rows();
        if let Some(folder) = &self.out {
            std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
            for (name, text) in
                [("bench.json", serde_json::to_string_pretty(&rows)?), ("bench.svg", chart::of(&rows))]
            {
                let file = folder.join(name);
                std::fs::write(&file, text).with_context(|| format!("writing {}", file.display()))?;
            }
        }
        around.output.list(Row::HEADINGS, &rows, Row::cells)
    }

    async fn measure(&self, progress: &Progress) -> anyhow::Result<Figures> {
        let mut figures = Figures::default();
        let cells = u64::from(self.rounds)
            * u64::try_from(self.block_time.len() * (1 + self.at_once.len())).unwrap_or(u64::MAX);
        let mut done = 0..;
        let mut go_on = |what| progress.at(what, done.next().unwrap_or_default(), cells);
        for _ in 0..self.rounds {
            for blocks in &self.block_time {
                go_on("by hand");
                self.by_hand(blocks, &mut figures).await?;
                for at_once in &self.at_once {
                    go_on("the daemon");
                    self.by_daemon(blocks, *at_once, &mut figures).await?;
                }
            }
        }
        Ok(figures)
    }

    async fn by_hand(&self, blocks: &str, figures: &mut Figures) -> anyhow::Result<()> {
        let hand = Hand::open(blocks).await?;
        let (count, settled) = (self.count, self.count / 2);
        figures.by_hand(blocks, "transfers, one by one", hand.transfers(count).await?);
        let lone = if is_automine(blocks) { LONE_LOCKS } else { LONE_LOCKS_BY_THE_CLOCK };
        figures.by_hand(blocks, "locks, each awaited", hand.lone_locks(lone.min(count)).await?);
        let lap = hand.batches(OperationKind::Authorize, 0, count).await.context("locking by hand")?;
        figures.by_hand(blocks, Work::Create.name(), lap);
        let lap = hand.batches(OperationKind::Settle, 0, settled).await.context("settling by hand")?;
        figures.by_hand(blocks, Work::Settle.name(), lap);
        hand.expire().await?;
        let lap = hand
            .batches(OperationKind::Expire, settled, count - settled)
            .await
            .context("expiring by hand")?;
        figures.by_hand(blocks, Work::Expire.name(), lap);
        hand.close().await;
        Ok(())
    }

    async fn by_daemon(&self, blocks: &str, at_once: u32, figures: &mut Figures) -> anyhow::Result<()> {
        let house = House::open(blocks).await?;
        let enough = if is_automine(blocks) { u64::MAX } else { u64::from(at_once) * WAVES };
        let created = self.count.min(enough.max(2));
        let settled = created / 2;
        for work in Work::ALL {
            let count = match work {
                Work::Create | Work::Read => created,
                Work::Settle => settled,
                Work::Expire => created - settled,
            };
            let done = subject::perform(&house, work, count, at_once).await?;
            figures.by_daemon(blocks, at_once, work, done);
        }
        figures.memory(house.usage().map(|usage| usage.peak_kib));
        house.close().await
    }
}
