//! The clients that the stories are told on, and everything in which they differ. `PREAUTHD_TEST_CLIENT=hardhat` chooses
//! Hardhat's node instead of anvil.
//!
//! What both know by the same name (`hardhat_…`, `evm_…`) is asked for where it is needed. What one of them cannot do at
//! all is a need: a story that has it says so by [`needs!`](crate::needs).

use std::path::{Path, PathBuf};
use std::process::Command;

use alloy::primitives::TxHash;
use serde_json::{Value, json};

use super::Eyes;

const VARIABLE: &str = "PREAUTHD_TEST_CLIENT";
/// In place of the time between blocks: a block for each transaction as it comes, and none otherwise.
pub const AT_ONCE: &str = "at once";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    Anvil,
    Hardhat,
}

impl Client {
    /// The one this run is about.
    pub fn chosen() -> Self {
        match std::env::var(VARIABLE).as_deref() {
            Err(_) | Ok("" | "anvil") => Self::Anvil,
            Ok("hardhat") => Self::Hardhat,
            Ok(other) => panic!("{VARIABLE} is {other}: it can be anvil or hardhat"),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Anvil => "anvil",
            Self::Hardhat => "hardhat",
        }
    }

    /// A node on any free port with a block every so many seconds, or [`AT_ONCE`]; mining by fees.
    pub fn command(self, block_time: &str) -> Command {
        match self {
            Self::Anvil => {
                let mut command = Command::new(anvil());
                command.args(["--port", "0", "--accounts", "40", "--order", "fees"]);
                if block_time != AT_ONCE {
                    command.args(["--block-time", block_time]);
                }
                command
            }
            Self::Hardhat => {
                let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hardhat");
                let program = "node_modules/hardhat/internal/cli/cli.js";
                assert!(
                    folder.join(program).is_file(),
                    "Hardhat is missing: run `npm ci --prefix tests/hardhat`"
                );
                let mut command = Command::new("node");
                command.current_dir(folder).args([program, "node", "--hostname", "127.0.0.1", "--port", "0"]);
                command.env("BLOCK_TIME", block_time).env("HARDHAT_DISABLE_TELEMETRY_PROMPT", "true");
                // Where `CI` is set it would colour its address, though nobody looks at it.
                command.env("NO_COLOR", "1").env_remove("FORCE_COLOR");
                command
            }
        }
    }

    /// The node's URL, once it has said where it listens.
    pub fn url(self, said: &str) -> Option<String> {
        match self {
            Self::Anvil => {
                let address = said.lines().find_map(|line| line.strip_prefix("Listening on "))?;
                Some(format!("http://{}", address.trim()))
            }
            Self::Hardhat => {
                let (_, line) = said.split_once("JSON-RPC server at ")?;
                Some(line.lines().next()?.trim().trim_end_matches('/').to_owned())
            }
        }
    }

    /// Makes a block every so many seconds; zero stops it.
    pub async fn mine_every(self, chain: &Eyes, seconds: u64) {
        let interval = match self {
            Self::Anvil => seconds,
            Self::Hardhat => seconds * 1_000,
        };
        let _: Value = chain.rpc("evm_setAutomine", json!([false])).await;
        let _: Value = chain.rpc("evm_setIntervalMining", json!([interval])).await;
    }

    /// The transactions that wait to be mined.
    pub async fn waiting(self, chain: &Eyes) -> Vec<TxHash> {
        let hash = |transaction: &Value| transaction["hash"].as_str()?.parse().ok();
        match self {
            Self::Anvil => {
                let pool: Value = chain.rpc("txpool_content", json!([])).await;
                let of_senders = pool["pending"].as_object().into_iter().flatten();
                let transactions =
                    of_senders.flat_map(|(_, nonces)| nonces.as_object().into_iter().flatten());
                transactions.filter_map(|(_, transaction)| hash(transaction)).collect()
            }
            Self::Hardhat => {
                let pool: Vec<Value> = chain.rpc("eth_pendingTransactions", json!([])).await;
                pool.iter().filter_map(hash).collect()
            }
        }
    }

    /// Drops what waits at this moment.
    pub async fn drop_pool(self, chain: &Eyes) {
        match self {
            Self::Anvil => {
                let _: Value = chain.rpc("anvil_dropAllTransactions", json!([])).await;
            }
            Self::Hardhat => {
                for transaction in self.waiting(chain).await {
                    let _: bool = chain.rpc("hardhat_dropTransaction", json!([transaction])).await;
                }
            }
        }
    }
}

/// The anvil that `npm ci` brings, or the one named by `PREAUTHD_ANVIL`.
fn anvil() -> PathBuf {
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

/// Makes a test of a story that needs what not every client can do; it takes the place of `#[tokio::test]`.
///
/// The need is the last word of the test's name (`house::a_killed_daemon_takes_its_own_anvil_along::needs_anvil`), by which a run
/// on a client that lacks it leaves the story out and counts it as skipped (`.config/nextest.toml`).
#[macro_export]
macro_rules! needs {
    (anvil: $story:ident) => {
        mod $story {
            #[tokio::test]
            async fn needs_anvil() {
                super::$story().await;
            }
        }
    };
}
