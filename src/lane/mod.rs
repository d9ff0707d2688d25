//! From due operations to transactions, and from logs back to outcomes.
//!
//! A lane is one operator key; it forms batches, writes the signed bytes down, sends them and replaces what gets stuck
//! (`lane`). What a key has left behind that is not configured any more, the caretaker looks after. The observer reads
//! the escrow's logs block by block and is the only writer of outcomes (`observer`).

mod backoff;
mod caretaker;
mod claiming;
mod dates;
mod desk;
mod endings;
mod fees;
mod flight;
mod forming;
mod gap;
mod gas;
mod holds;
mod journal;
mod meter;
mod nonce;
mod observer;
mod projection;
#[cfg(test)]
mod projection_tests;
mod rebuild;
#[cfg(test)]
mod rebuild_tests;
mod rhythm;
mod rollback;
mod signals;
mod signing;
mod standing;
mod traces;
mod unreadable;
mod worker;

use std::time::Duration;

pub use caretaker::Caretaker;
pub use dates::Dates;
pub use desk::Desk;
pub use gas::{CallNeed, call_gas, fitting, transaction_gas};
pub use meter::{Meter, as_gauge};
#[cfg(test)]
pub(crate) use observer::Rest;
pub use observer::{Observer, ObserverError};
pub use rebuild::rebuild;
pub use signals::{Signals, Watch};
pub use standing::Standing;
pub use worker::Lane;
#[cfg(test)]
pub(crate) use worker::Next;

/// How lanes and observer behave.
#[derive(Debug, Clone)]
pub struct LaneSettings {
    /// Blocks, its own included, that must stand on an outcome before it counts. At least 1.
    pub confirmations: u64,
    /// How deep a reorg may be that is still followed, in blocks.
    pub reorg_depth: u64,
    /// How often the node is asked for a new block.
    pub poll_interval: Duration,
    /// How long an attempt may stay unmined before its fees are raised.
    pub replace_after: Duration,
    /// Never offer more than this, in wei per gas.
    pub max_fee_cap: u128,
    /// Never tip less than this, in wei per gas.
    pub min_tip: u128,
    /// Most that one transaction may cost, in wei. Many nodes relay none above one whole coin (their RPC fee cap).
    pub max_transaction_fee: u128,
    /// Gas of one transaction at most; EIP-7825 allows 16,777,216.
    pub max_batch_gas: u64,
    /// Operations of one transaction at most.
    pub max_batch_items: usize,
}

impl Default for LaneSettings {
    fn default() -> Self {
        Self {
            confirmations: 1,
            reorg_depth: 64,
            poll_interval: Duration::from_millis(500),
            replace_after: Duration::from_secs(30),
            max_fee_cap: 500_000_000_000,
            min_tip: 100_000_000,
            max_transaction_fee: 1_000_000_000_000_000_000,
            max_batch_gas: 16_777_216,
            max_batch_items: 240,
        }
    }
}
