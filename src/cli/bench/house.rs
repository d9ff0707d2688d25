//! The daemon that is measured: a process of its own, with a chain and a database of its own.
//!
//! It is started twice: once to set everything up, and again on the database as it is to be, so that its start can be measured.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::Method;
use secrecy::SecretString;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::past;
use super::plan::Cell;
use super::scratch::Scratch;
use super::stopwatch::Lap;
use crate::cli::dev::{Anvil, Ready, find_anvil};
use crate::cli::remote::Remote;

const START_PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(2);

pub(super) struct House {
    pub ready: Ready,
    /// From the beginning of its process until it said that it is ready.
    pub start: Lap,
    child: Child,
    anvil: Anvil,
    _folder: Scratch,
}

/// What a process has used so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    pub cpu: Duration,
    /// The most memory it ever had, in KiB.
    pub peak_kib: u64,
}

impl House {
    /// Starts `dev` from this very binary, on a chain of its own and with a past, and returns once it is ready.
    pub async fn open(cell: &Cell) -> anyhow::Result<Self> {
        let folder = Scratch::new()?;
        let first_block = past::blocks(cell.rows);
        let anvil = Anvil::start_at(&find_anvil()?, Some(&cell.blocks), first_block).await?;
        let (mut child, ready) = start(folder.path(), &anvil.url, cell.lanes).await?;
        child.kill().await.context("ending the daemon")?;
        past::write(&ready.data_dir, &ready.saved, cell.rows).await?;
        let begun = Instant::now();
        let (child, ready) = start(folder.path(), &anvil.url, cell.lanes).await?;
        until_healthy(&Remote::new(&ready.url, SecretString::default())?).await?;
        let start = Lap::new(begun.elapsed(), vec![begun.elapsed()]);
        Ok(Self { ready, start, child, anvil, _folder: folder })
    }

    pub fn merchant(&self) -> anyhow::Result<Remote> {
        Remote::new(&self.ready.url, SecretString::from(self.ready.saved.api_key.as_str()))
    }

    pub fn admin(&self) -> anyhow::Result<Remote> {
        Remote::new(&self.ready.url, SecretString::from(self.ready.saved.admin_key.as_str()))
    }

    /// `None` where the system does not tell as Linux does.
    pub fn usage(&self) -> Option<Usage> {
        let pid = self.child.id()?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        usage(&stat, &status, rustix::param::clock_ticks_per_second())
    }

    /// Ends it and its chain.
    pub async fn close(mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("ending the daemon")?;
        self.anvil.stop().await;
        Ok(())
    }
}

/// Starts a daemon on what is in the folder, and waits until it says where it is.
async fn start(folder: &Path, rpc_url: &str, lanes: u8) -> anyhow::Result<(Child, Ready)> {
    let program = std::env::current_exe().context("finding this program")?;
    let file = folder.join("bench-ready.json");
    if file.exists() {
        std::fs::remove_file(&file).context("removing what the daemon before has said")?;
    }
    let mut child = Command::new(program)
        .args(["dev", "--port", "0", "--rpc-url", rpc_url, "--lanes", &lanes.to_string(), "--data-dir"])
        .arg(folder.join("data"))
        .arg("--ready-file")
        .arg(&file)
        .env("RUST_LOG", "error")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("starting the daemon")?;
    let ready = ready(&mut child, &file).await?;
    Ok((child, ready))
}

async fn until_healthy(daemon: &Remote) -> anyhow::Result<()> {
    let healthy = async {
        while !daemon.to(Method::GET, &["health", "ready"])?.send().await?.status().is_success() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(START_PATIENCE, healthy).await.context("the daemon does not become ready")?
}

async fn ready(child: &mut Child, file: &Path) -> anyhow::Result<Ready> {
    let begun = Instant::now();
    loop {
        if file.exists() {
            return Ready::read(file);
        }
        if let Some(status) = child.try_wait()? {
            bail!("the daemon ended before it was ready: {status}");
        }
        if begun.elapsed() > START_PATIENCE {
            bail!("the daemon is not ready after {} seconds", START_PATIENCE.as_secs());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Reads what Linux tells of a process.
fn usage(stat: &str, status: &str, ticks_per_second: u64) -> Option<Usage> {
    // The program's name, which may hold anything, ends with the last parenthesis.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let peak_kib = peak.trim().strip_suffix(" kB")?.parse().ok()?;
    let cpu = Duration::from_millis((user + system).checked_mul(1_000)?.checked_div(ticks_per_second)?);
    Some(Usage { cpu, peak_kib })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_linux_tells_of_a_process_is_read() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 900 0 0 0 150 50 0 0 20 0 9 0 1 2 3";
        let used = usage(stat, "Name:\ta\nVmPeak:\t  9 kB\nVmHWM:\t   51234 kB\n", 100).unwrap();
        assert_eq!((used.cpu, used.peak_kib), (Duration::from_secs(2), 51_234));
        assert!(usage("42 (a) S", "", 100).is_none());
    }
}
