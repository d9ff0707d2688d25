//! What was measured: a row for each piece of work, with its ratio to the same work by hand.

use std::time::Duration;

use serde::Serialize;

use super::stopwatch::Lap;
use super::subject::{Done, Work};

/// Everything that was measured, in the order in which it was measured first.
#[derive(Debug, Default)]
pub(super) struct Figures {
    by_hand: Vec<(Hand, Vec<Lap>)>,
    by_daemon: Vec<(Daemon, Vec<Done>)>,
    peak_kib: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Hand {
    blocks: String,
    what: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Daemon {
    blocks: String,
    at_once: u32,
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
    /// Requests at once; `None`: not asked for by requests.
    pub at_once: Option<u32>,
    pub count: u64,
    /// The median of all rounds, the least, and the most.
    pub per_second: u64,
    pub least_per_second: u64,
    pub most_per_second: u64,
    /// Of what the same work by hand did in the same round; the median.
    pub percent_of_by_hand: Option<u64>,
    /// Of the median round, in microseconds.
    pub p50_us: Option<u64>,
    pub p99_us: Option<u64>,
    /// Of the median round.
    pub transactions: Option<u64>,
    /// What the daemon's process used in the median round, in microseconds for each thing.
    pub cpu_us_each: Option<u64>,
    /// The most memory that any daemon had, in KiB.
    pub peak_memory_kib: Option<u64>,
}

impl Figures {
    pub fn by_hand(&mut self, blocks: &str, what: &'static str, lap: Lap) {
        push(&mut self.by_hand, Hand { blocks: blocks.to_owned(), what }, lap);
    }

    pub fn by_daemon(&mut self, blocks: &str, at_once: u32, work: Work, done: Done) {
        push(&mut self.by_daemon, Daemon { blocks: blocks.to_owned(), at_once, work }, done);
    }

    pub fn memory(&mut self, peak_kib: Option<u64>) {
        self.peak_kib = self.peak_kib.max(peak_kib);
    }

    pub fn rows(&self) -> Vec<Row> {
        let by_hand = self.by_hand.iter().filter_map(|(what, laps)| by_hand(what, laps));
        let by_daemon = self.by_daemon.iter().filter_map(|(what, done)| self.of_daemon(what, done));
        by_hand.chain(by_daemon).collect()
    }

    fn of_daemon(&self, what: &Daemon, rounds: &[Done]) -> Option<Row> {
        let middle = median(rounds, |done| done.lap.per_second())?;
        let same =
            |(hand, _): &&(Hand, Vec<Lap>)| hand.blocks == what.blocks && hand.what == what.work.name();
        let by_hand = self.by_hand.iter().find(same).map(|(_, laps)| laps.as_slice()).unwrap_or_default();
        let ratios: Vec<u64> = rounds
            .iter()
            .zip(by_hand)
            .map(|(done, lap)| done.lap.per_second() * 100 / lap.per_second().max(1))
            .collect();
        let each = |cpu: Duration| micros(cpu) / middle.lap.count.max(1);
        Some(Row {
            at_once: (what.work != Work::Expire).then_some(what.at_once),
            percent_of_by_hand: median(&ratios, |ratio| *ratio).copied(),
            transactions: (what.work != Work::Read).then_some(middle.transactions),
            cpu_us_each: middle.cpu.map(each),
            peak_memory_kib: self.peak_kib,
            ..row("daemon", what.work.name(), &what.blocks, &middle.lap, rounds.iter().map(|done| &done.lap))
        })
    }
}

impl Row {
    pub const HEADINGS: [&str; 12] = [
        "WHO",
        "WHAT",
        "BLOCKS",
        "AT ONCE",
        "NUMBER",
        "A SECOND",
        "FROM",
        "TO",
        "OF BY HAND",
        "P50",
        "P99",
        "IN TX",
    ];

    pub fn cells(&self) -> [String; 12] {
        let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        let time = |micros: Option<u64>| micros.map_or_else(|| "-".to_owned(), in_milliseconds);
        let blocks =
            if self.block_time == "0" { "each".to_owned() } else { format!("{} s", self.block_time) };
        let ratio = self.percent_of_by_hand.map(|percent| format!("{percent} %"));
        [
            self.who.to_owned(),
            self.what.to_owned(),
            blocks,
            number(self.at_once.map(u64::from)),
            self.count.to_string(),
            self.per_second.to_string(),
            self.least_per_second.to_string(),
            self.most_per_second.to_string(),
            ratio.unwrap_or_else(|| "-".to_owned()),
            time(self.p50_us),
            time(self.p99_us),
            number(self.transactions),
        ]
    }
}

fn by_hand(what: &Hand, laps: &[Lap]) -> Option<Row> {
    let middle = median(laps, Lap::per_second)?;
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
        at_once: None,
        count: middle.count,
        per_second: middle.per_second(),
        least_per_second: rates.iter().copied().min().unwrap_or_default(),
        most_per_second: rates.iter().copied().max().unwrap_or_default(),
        percent_of_by_hand: None,
        p50_us: middle.percentile(50).map(micros),
        p99_us: middle.percentile(99).map(micros),
        transactions: None,
        cpu_us_each: None,
        peak_memory_kib: None,
    }
}

fn push<K: PartialEq, V>(all: &mut Vec<(K, Vec<V>)>, key: K, value: V) {
    match all.iter_mut().find(|(known, _)| *known == key) {
        Some((_, values)) => values.push(value),
        None => all.push((key, vec![value])),
    }
}

/// The middle one; of two, the lesser.
fn median<T>(values: &[T], by: impl Fn(&T) -> u64) -> Option<&T> {
    let mut sorted: Vec<&T> = values.iter().collect();
    sorted.sort_by_key(|value| by(value));
    sorted.get(sorted.len().checked_sub(1)? / 2).copied()
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn in_milliseconds(micros: u64) -> String {
    format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lap(count: u64, millis: u64) -> Lap {
        Lap::whole(count, Duration::from_millis(millis))
    }

    fn done(millis: u64) -> Done {
        let cpu = Some(Duration::from_millis(100));
        Done { lap: lap(100, millis), transactions: 4, cpu }
    }

    #[test]
    fn a_row_is_the_median_of_its_rounds_beside_the_same_work_by_hand() {
        let mut figures = Figures::default();
        for (by_hand, daemon) in [(500, 1_000), (400, 2_000), (1_000, 1_250)] {
            figures.by_hand("0", "create", lap(100, by_hand));
            figures.by_daemon("0", 16, Work::Create, done(daemon));
        }
        figures.memory(Some(7));
        let rows = figures.rows();
        let [by_hand, daemon] = rows.as_slice() else { panic!("two rows: {rows:?}") };
        assert_eq!((by_hand.per_second, by_hand.least_per_second, by_hand.most_per_second), (200, 100, 250));
        assert_eq!((daemon.per_second, daemon.percent_of_by_hand), (80, Some(50)));
        assert_eq!((daemon.transactions, daemon.cpu_us_each), (Some(4), Some(1_000)));
        assert_eq!((daemon.at_once, daemon.peak_memory_kib), (Some(16), Some(7)));
        assert_eq!(daemon.cells()[..4], ["daemon", "create", "each", "16"]);
    }

    #[test]
    fn a_median_of_nothing_is_nothing() {
        assert_eq!(median(&[], |value: &u64| *value), None);
        assert_eq!(median(&[3, 1], |value| *value), Some(&1));
        assert_eq!(in_milliseconds(12_345), "12.3 ms");
    }
}
