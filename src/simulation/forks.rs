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

    /// A reorg may lie in wait for what the daemon believes up to this block: where something happened in it, or not too deep
    /// below it, that is undone.
    /// `chance`: in percent.
    pub(super) fn ambush(&mut self, believed: B256, chance: u32) {
        let believed = self.network.block(believed).header.number;
        let is_eventful = |hash: &B256| {
            let block = self.network.block(*hash);
            block.header.number <= believed && block.mined.iter().any(|mined| !mined.logs.is_empty())
        };
        let newest = self.network.branch.iter().rev().take(self.weather.reorg_depth);
        let needed = newest.map(is_eventful).position(|is_eventful| is_eventful).map(|above| above + 1);
        if let Some(needed) = needed.filter(|_| self.stormy)
            && self.random.random_range(0..100) < chance
        {
            let depth = self.random.random_range(needed..=self.weather.reorg_depth);
            self.reorg(depth);
        }
    }
}
