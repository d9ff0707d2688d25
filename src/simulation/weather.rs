//! How bad a life is: what a seed decides once for all of it.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use crate::lane::LaneSettings;

/// Seconds after which nothing is ever replaced: then what is stuck must be sent again as it is.
const PATIENT: u32 = 86_400;

/// What can go wrong, each as one in so many chances; 0: never.
#[derive(Debug, Clone)]
pub struct Weather {
    /// Operator keys there are.
    pub keys: usize,
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
    /// No block comes for a while.
    pub halts: u32,
    pub spikes: u32,
    pub deeds: u32,
    pub time_jumps: u32,
    /// Of blocks that the daemon takes in, in percent: a reorg undoes the newest in which something happened.
    pub ambushes: u32,
    /// Of restarts, in percent: keys are taken out of the configuration, or put back.
    pub rotations: u32,
    /// Of steps, in permille: the service that keeps the keys signs nothing from now on, or signs again.
    pub silences: u32,
    /// Sales before the storm.
    pub fair_sales: u32,
    /// Whether strangers use the operators' nonces.
    pub strangers: bool,
    pub patrol_every: Option<Duration>,
    /// Deepest reorg, in blocks.
    pub reorg_depth: usize,
    pub settings: LaneSettings,
}

impl Weather {
    /// Whether fees are never raised.
    pub fn is_patient(&self) -> bool {
        self.settings.replace_after.as_secs() == u64::from(PATIENT)
    }

    pub fn of(random: &mut StdRng) -> Self {
        let mut one_of = |choices: &[u32]| *choices.choose(random).unwrap();
        let block_time = u64::from(one_of(&[1, 2, 12]));
        let replace_after = u64::from(one_of(&[6, 30, PATIENT]));
        let settings = LaneSettings {
            confirmations: u64::from(one_of(&[1, 1, 2, 3])),
            // Deeper than any reorg here, also where one follows the other.
            reorg_depth: 64,
            replace_after: Duration::from_secs(replace_after),
            poll_interval: Duration::from_millis(block_time * 500),
            max_batch_items: one_of(&[2, 5, 240]) as usize,
            ..LaneSettings::default()
        };
        let endpoints = one_of(&[1, 1, 2, 3]) as usize;
        let nodes = one_of(&[1, 1, 2, 3]) as usize;
        Self {
            keys: one_of(&[1, 2, 3]) as usize,
            endpoints,
            nodes: nodes.max(endpoints),
            block_time,
            block_gas_limit: u64::from(one_of(&[30_000_000, 30_000_000, 2_000_000])),
            sick_requests: one_of(&[0, 5, 25]),
            lag: one_of(&[0, 20, 60]),
            crashes: one_of(&[0, 4, 20]),
            reorgs: one_of(&[0, 8, 30]),
            forgetful_pools: one_of(&[0, 10, 30]),
            halts: one_of(&[0, 5]),
            spikes: one_of(&[0, 10]),
            deeds: one_of(&[0, 10, 40]),
            time_jumps: one_of(&[0, 5]),
            ambushes: one_of(&[5, 20, 50]),
            rotations: one_of(&[0, 60]),
            fair_sales: one_of(&[0, 2, 3, 4]),
            // A nonce that a stranger used and a reorg made free again is filled when patience ends.
            strangers: one_of(&[0, 1]) == 1 && replace_after != u64::from(PATIENT),
            patrol_every: Some(one_of(&[0, 60, 600]))
                .filter(|every| *every > 0)
                .map(|every| Duration::from_secs(every.into())),
            reorg_depth: one_of(&[4, 4, 8]) as usize,
            silences: one_of(&[0, 0, 10]),
            settings,
        }
    }
}
