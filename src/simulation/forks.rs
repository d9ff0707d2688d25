//! Reorgs: where the weather decides, and where they hurt.

use alloy::primitives::B256;
use rand::RngExt;

use super::life::Life;

/// Blocks that were there before the daemon.
const GROUND: usize = 8;

impl Life {
    /// Undoes so many of the newest blocks.
    pub(super) fn reorg(&mut self, depth: usize) {
        let depth = depth.min(self.network.branch.len().saturating_sub(GROUND));
        tracing::debug!(depth, "reorg");
        self.report.reorgs += 1;
        self.network.reorg(depth, self.time());
        self.look_around();
    }

    /// A reorg may lie in wait for what the daemon has just believed: if things happened in this block, it is undone.
    pub(super) fn ambush(&mut self, block: B256) {
        let block = self.network.block(block);
        let is_eventful = block.mined.iter().any(|mined| !mined.logs.is_empty());
        let height = usize::try_from(block.header.number).unwrap();
        if !self.stormy || !is_eventful || self.network.branch.get(height) != Some(&block.header.hash) {
            return;
        }
        let needed = self.network.branch.len() - height;
        if needed <= self.weather.reorg_depth && self.random.random_range(0..100) < self.weather.ambushes {
            let depth = self.random.random_range(needed..=self.weather.reorg_depth);
            self.reorg(depth);
        }
    }
}
