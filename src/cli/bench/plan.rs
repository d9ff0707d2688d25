//! Which cells are measured. All of every dimension with all of every other would take hours, so each is varied where it tells
//! something.

use crate::model::TokenAmount;

/// Under blocks by the clock, what waits for its block is done in as many rounds of requests as blocks come in so long, but in
/// a few in any case.
const BY_THE_CLOCK_MS: u64 = 5_000;
const LEAST_WAVES: u64 = 3;
/// Where each transaction gets a block at once, in so many.
const WAVES: u64 = 500;
/// What does not wait for its block is done so often in any case: one transaction carries as many.
const LEAST_ACCEPTED: u64 = 240;

/// A daemon with a chain and a database of its own, and how it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cell {
    /// Seconds between blocks; 0: a block for each transaction.
    pub blocks: String,
    pub lanes: u8,
    /// Preauthorizations of long ago in the database.
    pub rows: u64,
    /// Requests at once.
    pub at_once: u32,
}

/// What is asked for; none is empty.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dimensions<'a> {
    pub blocks: &'a [String],
    pub at_once: &'a [u32],
    pub lanes: &'a [u8],
    pub rows: &'a [u64],
}

impl Dimensions<'_> {
    /// The cells of a block time. Requests at once are varied with the first number of lanes and of rows; other numbers of lanes
    /// are measured where they have most to share, and other numbers of rows at the first block time.
    pub fn cells(&self, blocks: &str) -> Vec<Cell> {
        let (Some(lanes), Some(rows)) = (self.lanes.first(), self.rows.first()) else { return Vec::new() };
        let cell = |lanes: &u8, rows: &u64, at_once: &u32| Cell {
            blocks: blocks.to_owned(),
            lanes: *lanes,
            rows: *rows,
            at_once: *at_once,
        };
        let most = self.at_once.iter().max();
        let is_first = self.blocks.first().is_some_and(|first| first == blocks);
        let other_rows = self.rows.iter().skip(1).filter(|_| is_first);
        let plain = self.at_once.iter().map(|at_once| cell(lanes, rows, at_once));
        let other_lanes = self.lanes.iter().skip(1).filter_map(|lanes| Some(cell(lanes, rows, most?)));
        let other_rows =
            other_rows.flat_map(|rows| self.at_once.iter().map(|at_once| cell(lanes, rows, at_once)));
        plain.chain(other_lanes).chain(other_rows).collect()
    }

    /// Where many holds expire at once.
    pub fn sweep(&self) -> Option<Cell> {
        Some(Cell {
            blocks: self.blocks.first()?.clone(),
            lanes: *self.lanes.first()?,
            rows: *self.rows.first()?,
            at_once: *self.at_once.iter().max()?,
        })
    }
}

/// How much of each work is done in a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numbers {
    pub created: u64,
    pub accepted: u64,
    pub settled: u64,
    /// All that is left.
    pub expired: u64,
}

impl Numbers {
    /// `count` of each where that does not take for ever, and at least two.
    pub fn of(cell: &Cell, count: u64) -> Self {
        let waves = match millis(&cell.blocks) {
            0 => WAVES,
            block => (BY_THE_CLOCK_MS / block).max(LEAST_WAVES),
        };
        let created = count.min(waves.saturating_mul(u64::from(cell.at_once))).max(2);
        let accepted = count.min(created.max(LEAST_ACCEPTED));
        let settled = created / 2;
        Self { created, accepted, settled, expired: created - settled + accepted }
    }
}

/// Whether each transaction gets a block at once.
pub(super) fn is_automine(block_time: &str) -> bool {
    block_time.bytes().all(|byte| matches!(byte, b'0' | b'.'))
}

/// A block time in milliseconds, 0 only where each transaction gets a block at once.
fn millis(block_time: &str) -> u64 {
    if is_automine(block_time) {
        return 0;
    }
    let nanos = TokenAmount::parse(block_time).ok().and_then(|seconds| seconds.in_base_units(9).ok());
    nanos.and_then(|nanos| u64::try_from(nanos.get() / 1_000_000).ok()).unwrap_or_default().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(blocks: &str, at_once: u32) -> Cell {
        Cell { blocks: blocks.to_owned(), lanes: 1, rows: 0, at_once }
    }

    #[test]
    fn each_dimension_is_varied_where_it_tells_something() {
        let blocks = ["0".to_owned(), "1".to_owned()];
        let dimensions =
            Dimensions { blocks: &blocks, at_once: &[1, 64, 16], lanes: &[1, 2, 4], rows: &[0, 1_000] };
        let short = |cell: Cell| (cell.at_once, cell.lanes, cell.rows);
        let first: Vec<_> = dimensions.cells("0").into_iter().map(short).collect();
        let later: Vec<_> = dimensions.cells("1").into_iter().map(short).collect();
        assert_eq!(later, [(1, 1, 0), (64, 1, 0), (16, 1, 0), (64, 2, 0), (64, 4, 0)]);
        assert_eq!(first[..5], later);
        assert_eq!(first[5..], [(1, 1, 1_000), (64, 1, 1_000), (16, 1, 1_000)]);
        assert_eq!(dimensions.sweep(), Some(cell("0", 64)));
    }

    #[test]
    fn what_waits_for_blocks_by_the_clock_is_done_less_often() {
        let numbers = |blocks, at_once, count| Numbers::of(&cell(blocks, at_once), count);
        let full = Numbers { created: 2_000, accepted: 2_000, settled: 1_000, expired: 3_000 };
        assert_eq!(numbers("0", 64, 2_000), full);
        assert_eq!(numbers("0", 1, 2_000).created, 500);
        assert_eq!(
            numbers("1", 16, 2_000),
            Numbers { created: 80, accepted: 240, settled: 40, expired: 280 }
        );
        assert_eq!(numbers("2", 1, 2_000).created, 3);
        assert_eq!(numbers("0.5", 1, 2_000).created, 10);
        assert_eq!(numbers("1", 1, 12), Numbers { created: 5, accepted: 12, settled: 2, expired: 15 });
        assert_eq!(numbers("0", 4, 2).expired, 3);
    }

    #[test]
    fn block_times_are_read_as_anvil_reads_them() {
        assert_eq!(
            [millis("0"), millis("0.0"), millis("2"), millis("0.25"), millis("0.0001")],
            [0, 0, 2_000, 250, 1]
        );
    }
}
