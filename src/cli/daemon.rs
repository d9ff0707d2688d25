//! Puts the rooms together: what `serve` and `dev` run.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use alloy::primitives::Address;
use alloy::signers::local::PrivateKeySigner;

use crate::lane::LaneSettings;

/// Everything a daemon needs to know, checked.
#[derive(Debug, Clone)]
pub struct DaemonConfig {
    pub data_dir: PathBuf,
    pub listen: SocketAddr,
    pub rpc_url: String,
    /// The chain the node must be on.
    pub chain_id: u64,
    pub escrow: Address,
    /// The block the escrow was deployed in: nothing before it is of interest.
    pub escrow_block: u64,
    /// One lane each; at least one.
    pub operators: Vec<PrivateKeySigner>,
    pub lane: LaneSettings,
    pub request_timeout: Duration,
    /// Only in `dev`: the admin key, so that receivers are allowed on chain at once, and the clock can be moved.
    pub dev_admin: Option<PrivateKeySigner>,
}

/// A running daemon.
pub struct Daemon {
    /// Where the API listens; the port is the real one where 0 was asked for.
    pub address: SocketAddr,
}

impl Daemon {
    /// Starts; returns once it is ready (the chain was read up to its head) and listening.
    pub async fn start(config: DaemonConfig) -> anyhow::Result<Self> {
        let _ = config;
        todo!()
    }

    /// Resolves when the daemon has come to an end by itself (a fault).
    pub async fn failed(&mut self) -> anyhow::Error {
        todo!()
    }

    /// Stops accepting, finishes what is being written, closes the database.
    pub async fn stop(self) {
        todo!()
    }
}
