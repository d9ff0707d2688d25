//! What `dev` remembers between runs, and what it tells those who wait for it.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use alloy::primitives::{Address, B256};
use anyhow::Context;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::cast::KnownWallet;

/// Lies beside the database: API keys cannot be had back from their hashes. Also marks a database that `dev` made.
const FILE: &str = "dev.json";
/// Lies beside it as long as `dev` runs.
const READY_FILE: &str = "ready.json";
/// Lies beside the database for as long: what is onboarded here is made up.
const ONBOARDING_KEY_FILE: &str = "onboarding-key";

/// A system that was set up.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct Saved {
    /// Read and write, onboarding included.
    pub api_key: String,
    /// Everything.
    pub admin_key: String,
    /// Opens the dashboard and the admin's API, and nothing else.
    pub dashboard_key: String,
    pub tenant: String,
    pub chain_id: u64,
    pub escrow: Address,
    pub escrow_block: u64,
    /// Tells a chain from another that deployed the same at the same address.
    pub escrow_block_hash: B256,
    pub token: DemoTokenInfo,
    pub admin: Address,
    pub operator: Address,
    pub senders: Vec<KnownWallet>,
    pub receivers: Vec<KnownWallet>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(in crate::cli) struct DemoTokenInfo {
    pub address: Address,
    pub symbol: String,
    pub decimals: u8,
}

impl Saved {
    /// Whether `dev` has been at work in the folder.
    pub fn is_in(folder: &Path) -> bool {
        folder.join(FILE).exists()
    }

    /// What an earlier run set up; `None`: nothing, or it did not get to the end.
    pub fn read(folder: &Path) -> anyhow::Result<Option<Self>> {
        match std::fs::read(folder.join(FILE)) {
            Ok(text) => Ok(serde_json::from_slice(&text).ok()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("reading {FILE} in {}", folder.display())),
        }
    }

    /// Marks the folder as `dev`'s, before anything is made or deleted there.
    pub fn begin(folder: &Path) -> anyhow::Result<()> {
        write_private(&folder.join(FILE), b"\n")
    }

    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        write_private(&folder.join(FILE), &serde_json::to_vec_pretty(self)?)
    }
}

/// A system that runs.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct Ready {
    pub pid: u32,
    pub url: String,
    /// Where the dashboard and the admin's API are.
    pub admin_url: Option<String>,
    pub rpc_url: String,
    pub data_dir: PathBuf,
    /// One for each lane.
    pub operators: Vec<Address>,
    #[serde(flatten)]
    pub saved: Saved,
}

impl Ready {
    /// Where it is written in any case, for the commands that speak to a running `dev`.
    pub fn file_in(folder: &Path) -> PathBuf {
        folder.join(READY_FILE)
    }

    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is no ready file", file.display()))
    }

    /// Writes the ready file: it is there whole, or not at all.
    pub fn write(&self, file: &Path) -> anyhow::Result<()> {
        write_private(file, &serde_json::to_vec_pretty(self)?)
    }
}

/// What personal data are encrypted with, in hexadecimal digits; made where there is none.
pub(super) fn onboarding_key(folder: &Path) -> anyhow::Result<SecretString> {
    let file = folder.join(ONBOARDING_KEY_FILE);
    match std::fs::read_to_string(&file) {
        Ok(key) => Ok(key.into()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let key = alloy::hex::encode(rand::random::<[u8; 32]>());
            write_private(&file, key.as_bytes())?;
            Ok(key.into())
        }
        Err(error) => Err(error).with_context(|| format!("reading {}", file.display())),
    }
}

/// Removes a file that may not be there.
pub(super) fn remove(file: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", file.display()))
        }
        _ => Ok(()),
    }
}

/// Writes a file that only its owner may read, by way of one beside it that takes its place.
fn write_private(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    let write = || {
        // A leftover would keep its own mode.
        let _ = std::fs::remove_file(&beside);
        let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        new.write_all(bytes)?;
        std::fs::rename(&beside, file)
    };
    write().with_context(|| format!("writing {}", file.display()))
}
