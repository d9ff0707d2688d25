//! `preauthd bench`: how fast the daemon is on this machine, beside what the chain itself can take.
//!
//! The daemon is a process of its own, asked over HTTP; beside it the same work is done by hand on a chain of its own, so
//! that each figure is also a ratio. Rounds take turns, because machines are noisy: what is printed are medians.

mod by_hand;
mod chart;
mod house;
mod past;
mod plan;
mod report;
mod scratch;
mod stopwatch;
mod subject;

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, value_parser};

use super::dev::MOST_LANES;
use super::progress;
use super::stop_signal::StopSignal;
use super::surroundings::Surroundings;
use crate::model::OperationKind;
use crate::preauth::Progress;
use by_hand::{Hand, LONE_LOCK};
use house::House;
use plan::{Cell, Dimensions, Numbers, is_automine};
use report::{Figures, Row};
use subject::{Work, perform};

/// Locks that are made one by one, to know how long one takes; where each waits for a block that comes by the clock, fewer.
const LONE_LOCKS: u64 = 50;
const LONE_LOCKS_BY_THE_CLOCK: u64 = 5;

/// How fast the daemon is here, beside what the chain itself can take
///
/// For each block time and each number of requests at once it starts a `preauthd dev` with a chain of its own, creates
/// preauthorizations, reads them, creates as many without waiting for the chain, settles half of the first and lets the rest
/// expire, over HTTP; and beside it does the same by hand, in full batches signed beforehand, on another chain. Other numbers
/// of lanes than the first are measured with the most requests at once only, and other numbers of rows than the first at the
/// first block time only. Where each creation waits for a block by the clock, there are as many as fit into some 5 seconds.
///
/// All of it shares this machine. Build it with --release first; what is measured unless told otherwise takes some 25 minutes.
#[derive(Args)]
pub(super) struct Bench {
    /// Preauthorizations of each measurement
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = value_parser!(u64).range(2..=1_000_000))]
    count: u64,
    /// Requests at once
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1, 16, 64, 256, 1_024], value_parser = value_parser!(u32).range(1..=4_096))]
    at_once: Vec<u32>,
    /// Seconds between blocks; 0: a block for each transaction
    #[arg(long, value_name = "S", value_delimiter = ',', default_values_t = ["0", "1", "2"].map(str::to_owned), value_parser = super::dev::seconds)]
    block_time: Vec<String>,
    /// Lanes: operator keys that share the work
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1, 2, 4], value_parser = value_parser!(u8).range(1..=MOST_LANES))]
    lanes: Vec<u8>,
    /// Preauthorizations of long ago that the database holds before anything is measured, such as 0,1000000
    ///
    /// Each was created and settled, with all that this leaves behind. A million takes a minute or two to write, for each
    /// number of requests at once.
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [0], value_parser = value_parser!(u64).range(0..=10_000_000))]
    rows: Vec<u64>,
    /// Lock so many holds and let them expire at once, beside the same by hand, at the first block time
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..=1_000_000))]
    expire: Option<u64>,
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
        around.output.list(Row::HEADINGS, &rows, Row::cells)?;
        rows.iter().filter_map(Row::remark).for_each(|remark| around.output.remark(&remark));
        Ok(())
    }

    async fn measure(&self, progress: &Progress) -> anyhow::Result<Figures> {
        let dimensions = Dimensions {
            blocks: &self.block_time,
            at_once: &self.at_once,
            lanes: &self.lanes,
            rows: &self.rows,
        };
        let plan: Vec<(&String, Vec<Cell>)> =
            self.block_time.iter().map(|blocks| (blocks, dimensions.cells(blocks))).collect();
        let sweep = self.expire.zip(dimensions.sweep());
        let steps =
            plan.iter().map(|(_, cells)| 1 + cells.len()).sum::<usize>() + usize::from(sweep.is_some());
        let steps = u64::from(self.rounds) * u64::try_from(steps).unwrap_or(u64::MAX);
        let mut done = 0..;
        let mut go_on = |what| progress.at(what, done.next().unwrap_or_default(), steps);
        let mut figures = Figures::default();
        for _ in 0..self.rounds {
            for (blocks, cells) in &plan {
                go_on("by hand");
                self.by_hand(blocks, &mut figures).await?;
                for cell in cells {
                    go_on("the daemon");
                    self.by_daemon(cell, &mut figures).await?;
                }
            }
            if let Some((count, cell)) = &sweep {
                go_on("the sweep");
                sweep_by_hand(&cell.blocks, *count, &mut figures).await?;
                sweep_by_daemon(cell, *count, &mut figures).await?;
            }
        }
        Ok(figures)
    }

    async fn by_hand(&self, blocks: &str, figures: &mut Figures) -> anyhow::Result<()> {
        let hand = Hand::open(blocks).await?;
        let (count, settled) = (self.count, self.count / 2);
        figures.by_hand(blocks, "transfers, one by one", hand.transfers(count).await?);
        let lone = if is_automine(blocks) { LONE_LOCKS } else { LONE_LOCKS_BY_THE_CLOCK };
        figures.by_hand(blocks, LONE_LOCK, hand.lone_locks(lone.min(count)).await?);
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

    async fn by_daemon(&self, cell: &Cell, figures: &mut Figures) -> anyhow::Result<()> {
        let house = House::open(cell).await?;
        let numbers = Numbers::of(cell, self.count);
        for (work, count) in [
            (Work::Start, 1),
            (Work::Create, numbers.created),
            (Work::Read, numbers.created),
            (Work::Accept, numbers.accepted),
            (Work::Settle, numbers.settled),
            (Work::Expire, numbers.expired),
        ] {
            figures.by_daemon(cell, work, perform(&house, work, count, cell.at_once).await?);
        }
        house.close().await
    }
}

async fn sweep_by_hand(blocks: &str, count: u64, figures: &mut Figures) -> anyhow::Result<()> {
    let hand = Hand::open(blocks).await?;
    hand.batches(OperationKind::Authorize, 0, count).await.context("locking by hand")?;
    hand.expire().await?;
    let lap = hand.batches(OperationKind::Expire, 0, count).await.context("expiring by hand")?;
    figures.by_hand(blocks, Work::Sweep.name(), lap);
    hand.close().await;
    Ok(())
}

async fn sweep_by_daemon(cell: &Cell, count: u64, figures: &mut Figures) -> anyhow::Result<()> {
    let house = House::open(cell).await?;
    perform(&house, Work::Accept, count, cell.at_once).await?;
    figures.by_daemon(cell, Work::Sweep, perform(&house, Work::Sweep, count, cell.at_once).await?);
    house.close().await
}
