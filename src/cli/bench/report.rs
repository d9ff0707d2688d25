//! What was measured: a row for each piece of work, with its ratio to the same work by hand.

use std::cmp::Reverse;
use std::time::Duration;

use serde::Serialize;

use super::by_hand::LONE_LOCK;
use super::plan::Cell;
use super::stopwatch::Lap;
use super::subject::{Done, Work};

/// Everything that was measured, in the order in which it was measured first.
#[derive(Debug, Default)]
pub(super) struct Figures {
    by_hand: Vec<(Hand, Vec<Lap>)>,
    by_daemon: Vec<(Daemon, Vec<Done>)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Hand {
    blocks: String,
    what: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Daemon {
    cell: Cell,
    work: Work,
}

/// One piece of work, over all rounds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    /// `daemon` or `by hand`.
    pub who: &'static str,
    pub what: &'static str,
    /// Seconds between blocks; 0: a block for each transaction.
    pub block_time: String,
    /// Lanes of the daemon.
    pub lanes: Option<u8>,
    /// Preauthorizations of long ago in the daemon's database.
    pub rows: Option<u64>,
    /// Requests at once; `None`: there were none.
    pub at_once: Option<u32>,
    pub count: u64,
    /// The median of all rounds, the least, and the most; `None`: it is done once and takes its time.
    pub per_second: Option<u64>,
    pub least_per_second: Option<u64>,
    pub most_per_second: Option<u64>,
    /// Of what was only accepted, how many a second the chain had in the end; of the median round.
    pub landed_per_second: Option<u64>,
    /// Of what the same work by hand did in the same round; the median.
    pub percent_of_by_hand: Option<u64>,
    /// Of the median round, in microseconds.
    pub p50_us: Option<u64>,
    pub p99_us: Option<u64>,
    /// What a lone creation takes longer than a lone lock by hand: the difference of the medians, in microseconds.
    pub added_us: Option<i64>,
    /// With the most rows: its time, in percent of that with the fewest rows.
    pub percent_of_fewest_rows: Option<u64>,
    /// Of the median round.
    pub transactions: Option<u64>,
    pub commits: Option<u64>,
    pub rpc_requests: Option<u64>,
    /// What the daemon's process used in the median round, in microseconds for each thing.
    pub cpu_us_each: Option<u64>,
    /// The most memory that the daemon had until then in any round, in KiB.
    pub peak_memory_kib: Option<u64>,
    /// The time of each thing in the median round, in nanoseconds.
    #[serde(skip)]
    nanos_each: u128,
}

impl Figures {
    pub fn by_hand(&mut self, blocks: &str, what: &'static str, lap: Lap) {
        push(&mut self.by_hand, Hand { blocks: blocks.to_owned(), what }, lap);
    }

    pub fn by_daemon(&mut self, cell: &Cell, work: Work, done: Done) {
        // A daemon starts without knowing how many will ask it.
        let at_once = if work == Work::Start { 0 } else { cell.at_once };
        push(&mut self.by_daemon, Daemon { cell: Cell { at_once, ..cell.clone() }, work }, done);
    }

    pub fn rows(&self) -> Vec<Row> {
        let by_hand = self.by_hand.iter().filter_map(|(what, laps)| by_hand(what, laps));
        let by_daemon = self.by_daemon.iter().filter_map(|(what, done)| self.of_daemon(what, done));
        let mut rows: Vec<Row> = by_hand.chain(by_daemon).collect();
        let added: Vec<_> = rows.iter().map(|row| added(row, &rows)).collect();
        let ratios: Vec<_> = rows.iter().map(|row| percent_of_fewest_rows(row, &rows)).collect();
        for (row, (added, ratio)) in rows.iter_mut().zip(added.into_iter().zip(ratios)) {
            (row.added_us, row.percent_of_fewest_rows) = (added, ratio);
        }
        rows
    }

    fn of_daemon(&self, what: &Daemon, rounds: &[Done]) -> Option<Row> {
        let middle = median(rounds, |done| Reverse(done.lap.nanos_each()))?;
        let each = |cpu: Duration| micros(cpu) / middle.lap.count.max(1);
        let effort = middle.effort;
        let landed = middle.landed.map(|landed| Lap::whole(middle.lap.count, landed).per_second());
        let row = row(
            "daemon",
            what.work.name(),
            &what.cell.blocks,
            &middle.lap,
            rounds.iter().map(|done| &done.lap),
        );
        let is_start = what.work == Work::Start;
        Some(Row {
            lanes: Some(what.cell.lanes),
            rows: Some(what.cell.rows),
            at_once: Some(what.cell.at_once).filter(|_| what.work.is_requests()),
            per_second: row.per_second.filter(|_| !is_start),
            least_per_second: row.least_per_second.filter(|_| !is_start),
            most_per_second: row.most_per_second.filter(|_| !is_start),
            landed_per_second: landed,
            percent_of_by_hand: self.percent_of_by_hand(what, rounds),
            transactions: effort.map(|effort| effort.transactions).filter(|_| what.work != Work::Read),
            commits: effort.map(|effort| effort.commits),
            rpc_requests: effort.map(|effort| effort.rpc_requests),
            cpu_us_each: middle.cpu.map(each),
            peak_memory_kib: rounds.iter().filter_map(|done| done.peak_kib).max(),
            ..row
        })
    }

    /// Beside the same work by hand in the same round.
    fn percent_of_by_hand(&self, what: &Daemon, rounds: &[Done]) -> Option<u64> {
        let same =
            |(hand, _): &&(Hand, Vec<Lap>)| hand.blocks == what.cell.blocks && hand.what == what.work.name();
        let by_hand = self.by_hand.iter().find(same).map(|(_, laps)| laps.as_slice()).unwrap_or_default();
        let ratios: Vec<u64> = rounds
            .iter()
            .zip(by_hand)
            .map(|(done, lap)| done.lap.per_second() * 100 / lap.per_second().max(1))
            .collect();
        median(&ratios, |ratio| *ratio).copied()
    }
}

impl Row {
    pub const HEADINGS: [&str; 15] = [
        "WHO",
        "WHAT",
        "BLOCKS",
        "LANES",
        "ROWS",
        "AT ONCE",
        "NUMBER",
        "A SECOND",
        "FROM",
        "TO",
        "OF BY HAND",
        "P50",
        "P99",
        "IN TX",
        "COMMITS",
    ];

    pub fn cells(&self) -> [String; 15] {
        let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        let time = |micros: Option<u64>| micros.map_or_else(|| "-".to_owned(), in_milliseconds);
        let ratio = self.percent_of_by_hand.map(|percent| format!("{percent} %"));
        [
            self.who.to_owned(),
            self.what.to_owned(),
            self.blocks(),
            number(self.lanes.map(u64::from)),
            number(self.rows),
            number(self.at_once.map(u64::from)),
            self.count.to_string(),
            number(self.per_second),
            number(self.least_per_second),
            number(self.most_per_second),
            ratio.unwrap_or_else(|| "-".to_owned()),
            time(self.p50_us),
            time(self.p99_us),
            number(self.transactions),
            number(self.commits),
        ]
    }

    fn blocks(&self) -> String {
        if self.block_time == "0" { "each".to_owned() } else { format!("{} s", self.block_time) }
    }

    /// What it is, as far as it differs from others of its kind.
    pub fn name(&self) -> String {
        let blocks = Some(&self.block_time).filter(|blocks| *blocks != "0");
        let parts = [
            blocks.map(|blocks| format!("{blocks} s blocks")),
            self.at_once.map(|at_once| format!("{at_once} at once")),
            self.lanes.filter(|lanes| *lanes > 1).map(|lanes| format!("{lanes} lanes")),
            self.rows.filter(|rows| *rows > 0).map(|rows| format!("{rows} rows")),
        ];
        let parts = parts.into_iter().flatten().map(|part| format!(", {part}")).collect::<String>();
        format!("{}: {}{parts}", self.who, self.what)
    }

    /// What the table has no column for.
    pub fn remark(&self) -> Option<String> {
        let ratio = self
            .percent_of_fewest_rows
            .map(|percent| format!("{percent} % of its time with the fewest rows"));
        let added = self.added_us.map(|added| {
            let sign = if added < 0 { "-" } else { "" };
            format!("{sign}{} more than a lone lock by hand", in_milliseconds(added.unsigned_abs()))
        });
        let landed = self.landed_per_second.map(|landed| format!("{landed} a second on chain"));
        let said = [ratio, added, landed].into_iter().flatten().collect::<Vec<_>>().join("; ");
        (!said.is_empty()).then(|| format!("{}: {said}", self.name()))
    }

    /// Whether another is the same work under the same circumstances, but for the rows.
    fn is_same_but_for_rows(&self, other: &Self) -> bool {
        (self.who, self.what, &self.block_time, self.lanes, self.at_once)
            == (other.who, other.what, &other.block_time, other.lanes, other.at_once)
    }
}

/// What a lone creation takes longer than a lone lock by hand.
fn added(row: &Row, rows: &[Row]) -> Option<i64> {
    if (row.who, row.what, row.at_once) != ("daemon", Work::Create.name(), Some(1)) {
        return None;
    }
    let lock = rows.iter().find(|lock| lock.what == LONE_LOCK && lock.block_time == row.block_time)?;
    let [lone, lock] = [row.p50_us?, lock.p50_us?].map(|micros| i64::try_from(micros).unwrap_or(i64::MAX));
    Some(lone.saturating_sub(lock))
}

/// A row's time in percent of that with the fewest rows, where it has the most.
fn percent_of_fewest_rows(row: &Row, rows: &[Row]) -> Option<u64> {
    let same = || rows.iter().filter(|other| other.is_same_but_for_rows(row));
    let fewest = same().min_by_key(|other| other.rows)?;
    let most = same().max_by_key(|other| other.rows)?;
    if row.rows != most.rows || row.rows == fewest.rows {
        return None;
    }
    let percent = row.nanos_each.checked_mul(100)?.checked_div(fewest.nanos_each)?;
    u64::try_from(percent).ok()
}

fn by_hand(what: &Hand, laps: &[Lap]) -> Option<Row> {
    let middle = median(laps, |lap| Reverse(lap.nanos_each()))?;
    Some(row("by hand", what.what, &what.blocks, middle, laps.iter()))
}

fn row<'a>(
    who: &'static str,
    what: &'static str,
    blocks: &str,
    middle: &Lap,
    all: impl Iterator<Item = &'a Lap>,
) -> Row {
    let rates: Vec<u64> = all.map(Lap::per_second).collect();
    Row {
        who,
        what,
        block_time: blocks.to_owned(),
        lanes: None,
        rows: None,
        at_once: None,
        count: middle.count,
        per_second: Some(middle.per_second()),
        least_per_second: rates.iter().copied().min(),
        most_per_second: rates.iter().copied().max(),
        landed_per_second: None,
        percent_of_by_hand: None,
        p50_us: middle.percentile(50).map(micros),
        p99_us: middle.percentile(99).map(micros),
        added_us: None,
        percent_of_fewest_rows: None,
        transactions: None,
        commits: None,
        rpc_requests: None,
        cpu_us_each: None,
        peak_memory_kib: None,
        nanos_each: middle.nanos_each(),
    }
}

fn push<K: PartialEq, V>(all: &mut Vec<(K, Vec<V>)>, key: K, value: V) {
    match all.iter_mut().find(|(known, _)| *known == key) {
        Some((_, values)) => values.push(value),
        None => all.push((key, vec![value])),
    }
}

/// The middle one; of two, the lesser.
fn median<T, K: Ord>(values: &[T], by: impl Fn(&T) -> K) -> Option<&T> {
    let mut sorted: Vec<&T> = values.iter().collect();
    sorted.sort_by_key(|value| by(value));
    sorted.get(sorted.len().checked_sub(1)? / 2).copied()
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// As people read it.
pub(super) fn in_milliseconds(micros: u64) -> String {
    format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::subject::Effort;

    fn cell(rows: u64, at_once: u32) -> Cell {
        Cell { blocks: "0".to_owned(), lanes: 2, rows, at_once }
    }

    fn lap(count: u64, millis: u64) -> Lap {
        Lap::whole(count, Duration::from_millis(millis))
    }

    /// One after the other.
    fn lone(count: u32, millis: u64) -> Lap {
        let each = Duration::from_millis(millis);
        Lap::new(each * count, vec![each; usize::try_from(count).unwrap()])
    }

    fn done(lap: Lap) -> Done {
        let effort = Some(Effort { transactions: 4, commits: 9, rpc_requests: 20 });
        Done { lap, landed: None, effort, cpu: Some(Duration::from_millis(100)), peak_kib: Some(7) }
    }

    #[test]
    fn a_row_is_the_median_of_its_rounds_beside_the_same_work_by_hand() {
        let mut figures = Figures::default();
        for (by_hand, daemon) in [(500, 1_000), (400, 2_000), (1_000, 1_250)] {
            figures.by_hand("0", "create", lap(100, by_hand));
            figures.by_daemon(&cell(0, 16), Work::Create, done(lap(100, daemon)));
        }
        let rows = figures.rows();
        let [by_hand, daemon] = rows.as_slice() else { panic!("two rows: {rows:?}") };
        let rates = (by_hand.per_second, by_hand.least_per_second, by_hand.most_per_second);
        assert_eq!(rates, (Some(200), Some(100), Some(250)));
        assert_eq!((daemon.per_second, daemon.percent_of_by_hand), (Some(80), Some(50)));
        assert_eq!((daemon.transactions, daemon.commits, daemon.rpc_requests), (Some(4), Some(9), Some(20)));
        assert_eq!((daemon.cpu_us_each, daemon.peak_memory_kib), (Some(1_000), Some(7)));
        assert_eq!(daemon.cells()[..6], ["daemon", "create", "each", "2", "0", "16"]);
        assert_eq!(by_hand.cells()[..6], ["by hand", "create", "each", "-", "-", "-"]);
        assert_eq!(
            (daemon.name(), daemon.remark()),
            ("daemon: create, 16 at once, 2 lanes".to_owned(), None)
        );
    }

    #[test]
    fn a_lone_creation_is_compared_with_a_lone_lock() {
        let mut figures = Figures::default();
        figures.by_hand("0", LONE_LOCK, lone(5, 2));
        figures.by_hand("1", LONE_LOCK, lone(5, 900));
        figures.by_daemon(&cell(0, 1), Work::Create, done(lone(5, 12)));
        figures.by_daemon(&cell(0, 16), Work::Create, done(lone(5, 30)));
        figures.by_daemon(&cell(0, 1), Work::Settle, done(lone(5, 15)));
        let added: Vec<_> =
            figures.rows().iter().filter_map(|row| Some((row.at_once, row.added_us?))).collect();
        assert_eq!(added, [(Some(1), 10_000)]);
        let remarks: Vec<_> = figures.rows().iter().filter_map(Row::remark).collect();
        assert_eq!(remarks, ["daemon: create, 1 at once, 2 lanes: 10.0 ms more than a lone lock by hand"]);
    }

    #[test]
    fn most_rows_are_compared_with_the_fewest() {
        let mut figures = Figures::default();
        for (rows, millis) in [(1_000, 1_000), (5, 800), (1_000_000, 1_200)] {
            figures.by_daemon(&cell(rows, 64), Work::Create, done(lap(100, millis)));
            figures.by_daemon(&cell(rows, 64), Work::Start, done(lone(1, millis * 3)));
        }
        figures.by_daemon(&cell(1_000_000, 16), Work::Create, done(lap(100, 700)));
        let compared: Vec<_> = figures
            .rows()
            .iter()
            .filter_map(|row| Some((row.what, row.rows, row.percent_of_fewest_rows?)))
            .collect();
        assert_eq!(compared, [("create", Some(1_000_000), 150), ("start", Some(1_000_000), 150)]);
    }

    #[test]
    fn a_start_has_a_time_and_no_rate_and_knows_of_no_requests() {
        let mut figures = Figures::default();
        for (at_once, millis) in [(1, 300), (16, 200), (64, 250)] {
            let start = Done { effort: None, cpu: None, ..done(lone(1, millis)) };
            figures.by_daemon(&cell(0, at_once), Work::Start, start);
        }
        let rows = figures.rows();
        let [start] = rows.as_slice() else { panic!("one row: {rows:?}") };
        assert_eq!((start.at_once, start.per_second, start.p50_us), (None, None, Some(250_000)));
        assert_eq!(start.commits, None);
    }

    #[test]
    fn what_was_accepted_has_a_rate_on_chain_as_well() {
        let mut figures = Figures::default();
        let accepted = Done { landed: Some(Duration::from_secs(2)), ..done(lap(100, 500)) };
        figures.by_daemon(&cell(0, 16), Work::Accept, accepted);
        let rows = figures.rows();
        let [accepted] = rows.as_slice() else { panic!("one row: {rows:?}") };
        assert_eq!((accepted.per_second, accepted.landed_per_second), (Some(200), Some(50)));
        assert!(accepted.remark().unwrap().ends_with("50 a second on chain"));
    }

    #[test]
    fn a_median_of_nothing_is_nothing() {
        assert_eq!(median(&[], |value: &u64| *value), None);
        assert_eq!(median(&[3, 1], |value| *value), Some(&1));
        assert_eq!(in_milliseconds(12_345), "12.3 ms");
    }
}
