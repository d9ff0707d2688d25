//! A node of our own, for stories in which the chain must outlive the daemon.

use std::path::Path;

use super::client::Client;
use super::patience::until_blocking;
use super::process::Process;

pub struct Node {
    pub process: Process,
    pub url: String,
}

impl Node {
    /// `block_time` in seconds, or [`AT_ONCE`](super::client::AT_ONCE).
    pub fn start(folder: &Path, block_time: &str) -> Self {
        let client = Client::chosen();
        let process = Process::start(&mut client.command(block_time), folder, client.name());
        let url = until_blocking("the node listens", || client.url(&process.said()));
        Self { process, url }
    }
}
