//! How bad a life is: what a seed decides once for all of it.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use crate::lane::LaneSettings;

/// What can go wrong, each as one in so many chances; 0: never.
#[derive(Debug, Clone)]
pub struct Weather {
    pub lanes: usize,
    pub endpoints: usize,
    /// Nodes, each with its own pool and its own view: all behind a single endpoint, or each behind its own.
    pub nodes: usize,
    /// Seconds between blocks.
    pub block_time: u64,
    pub block_gas_limit: u64,
    /// Of requests, in percent: not answered as they should be.
    pub sick_requests: u32,
    /// Of blocks, in percent: a node does not see it yet.
    pub lag: u32,
    /// Of steps, in permille each.
    pub crashes: u32,
    pub reorgs: u32,
    pub forgetful_pools: u32,
    pub spikes: u32,
    pub deeds: u32,
    pub time_jumps: u32,
    /// Deepest reorg, in blocks.
    pub reorg_depth: usize,
    pub settings: LaneSettings,
}

impl Weather {
    pub fn of(random: &mut StdRng) -> Self {
        let mut one_of = |choices: &[u32]| *choices.choose(random).unwrap();
        let block_time = u64::from(one_of(&[1, 2, 12]));
        let settings = LaneSettings {
            confirmations: u64::from(one_of(&[1, 1, 2, 3])),
            // Deeper than any reorg here, also where one follows the other.
            reorg_depth: 64,
            replace_after: Duration::from_secs(u64::from(one_of(&[6, 30]))),
            poll_interval: Duration::from_millis(block_time * 500),
            max_batch_items: one_of(&[2, 5, 240]) as usize,
            ..LaneSettings::default()
        };
        let endpoints = one_of(&[1, 1, 2, 3]) as usize;
        let nodes = one_of(&[1, 1, 2, 3]) as usize;
        Self {
            lanes: one_of(&[1, 1, 2]) as usize,
            endpoints,
            nodes: nodes.max(endpoints),
            block_time,
            block_gas_limit: u64::from(one_of(&[30_000_000, 30_000_000, 2_000_000])),
            sick_requests: one_of(&[0, 5, 25]),
            lag: one_of(&[0, 20, 60]),
            crashes: one_of(&[0, 4, 20]),
            reorgs: one_of(&[0, 8, 30]),
            forgetful_pools: one_of(&[0, 10]),
            spikes: one_of(&[0, 10]),
            deeds: one_of(&[0, 10, 40]),
            time_jumps: one_of(&[0, 5]),
            reorg_depth: one_of(&[1, 3, 8]) as usize,
            settings,
        }
    }
}
