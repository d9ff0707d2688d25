//! An anvil of our own, for stories in which the chain must outlive the daemon.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::patience::until_blocking;
use super::process::Process;

pub struct Node {
    pub process: Process,
    pub url: String,
}

impl Node {
    /// `block_time` in seconds.
    pub fn start(folder: &Path, block_time: &str) -> Self {
        let mut command = Command::new(binary());
        command.args(["--port", "0", "--accounts", "40", "--order", "fees"]);
        command.args(["--block-time", block_time]);
        let process = Process::start(&mut command, folder, "anvil");
        let url = until_blocking("anvil listens", || {
            let said = process.said();
            let line = said.lines().find_map(|line| line.strip_prefix("Listening on "))?;
            Some(format!("http://{}", line.trim()))
        });
        Self { process, url }
    }
}

/// The anvil that `npm ci` brings, or the one named by `PREAUTHD_ANVIL`.
fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("PREAUTHD_ANVIL") {
        return path.into();
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("node_modules/@foundry-rs");
    std::fs::read_dir(&folder)
        .unwrap_or_else(|_| panic!("{} is missing: run `npm ci`", folder.display()))
        .filter_map(|entry| Some(entry.ok()?.path().join("bin/anvil")))
        .find(|path| path.parent().and_then(Path::parent).is_some_and(is_platform_package) && path.is_file())
        .expect("an anvil under node_modules/@foundry-rs")
}

fn is_platform_package(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("anvil-"))
}
