//! A daemon, its chain and the folder they live in: how it is laid out, started and ended.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use alloy::primitives::Address;
use serde::Deserialize;
use tempfile::TempDir;

use super::patience::until_blocking;
use super::process::Process;
use super::{BadDisk, Client, Node, Proxy, Wallet, cli};

/// What the daemon writes when it is ready.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ready {
    pub pid: u32,
    pub url: String,
    pub api_key: String,
    pub admin_key: String,
    pub rpc_url: String,
    pub chain_id: u64,
    pub escrow: Address,
    pub token: ReadyToken,
    /// The lanes' keys.
    pub operators: Vec<Address>,
    pub senders: Vec<ReadyWallet>,
    pub receivers: Vec<ReadyWallet>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct ReadyToken {
    pub address: Address,
    pub symbol: String,
    pub decimals: u8,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadyWallet {
    pub address: Address,
    pub private_key: String,
}

/// How a world is laid out.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Whether the chain is a process apart, that outlives the daemon.
    pub own_node: bool,
    /// Seconds between blocks.
    pub block_time: &'static str,
    /// Proxies between the daemon and a node of the world's own, each an endpoint to the daemon.
    pub proxies: usize,
    /// Seconds after which a transaction is replaced.
    pub replace_after: &'static str,
    /// Whether the daemon's disk fails on command.
    pub bad_disk: bool,
    /// What else the daemon is told at its start.
    pub arguments: &'static [&'static str],
    /// What the daemon logs, in the words of `RUST_LOG`; `None`: what it logs by itself.
    pub log: Option<&'static str>,
}

impl Plan {
    /// A chain that the daemon starts for itself, with quick blocks.
    pub fn quick() -> Self {
        Self {
            own_node: false,
            block_time: "0.2",
            proxies: 0,
            replace_after: "30",
            bad_disk: false,
            arguments: &[],
            log: None,
        }
    }

    /// A chain that outlives the daemon.
    pub fn on_node(block_time: &'static str) -> Self {
        Self { own_node: true, block_time, ..Self::quick() }
    }

    /// With a proxy before the node.
    pub fn through_proxy(self) -> Self {
        self.through_proxies(1)
    }

    /// With several ways to the node, which are endpoints to the daemon.
    pub fn through_proxies(self, proxies: usize) -> Self {
        Self { proxies, ..self }
    }

    /// Over a disk that fails on command.
    pub fn on_bad_disk(self) -> Self {
        Self { bad_disk: true, ..self }
    }

    /// With more arguments for the daemon.
    pub fn told(self, arguments: &'static [&'static str]) -> Self {
        Self { arguments, ..self }
    }

    /// Logs what this filter lets through.
    pub fn logging(self, filter: &'static str) -> Self {
        Self { log: Some(filter), ..self }
    }

    /// Transactions are replaced after so many seconds.
    pub fn replacing_after(self, replace_after: &'static str) -> Self {
        Self { replace_after, ..self }
    }
}

/// A daemon and its chain, and the folder they live in. Gone, all of it, when the last story lets go.
pub struct House {
    // Dropped in this order: the daemon before its chain, the chain before its folder.
    daemon: Mutex<Process>,
    pub(super) proxies: Vec<Proxy>,
    pub node: Option<Node>,
    pub disk: Option<BadDisk>,
    folder: TempDir,
    plan: Plan,
    pub(super) next_sender: AtomicUsize,
}

impl ReadyWallet {
    pub fn wallet(&self) -> Wallet {
        let signer: alloy::signers::local::PrivateKeySigner = self.private_key.parse().expect("a key");
        assert_eq!(signer.address(), self.address, "the key is the address's");
        signer.into()
    }
}

impl House {
    pub(super) fn build(plan: Plan) -> Self {
        // Anvil is the only client that the daemon starts for itself.
        let own_node = plan.own_node || Client::chosen() != Client::Anvil;
        let plan = Plan { own_node, ..plan };
        let folder = tempfile::Builder::new().prefix("preauthd-it-").tempdir().expect("a folder");
        let node = plan.own_node.then(|| Node::start(folder.path(), plan.block_time));
        let proxies: Vec<_> =
            node.iter().flat_map(|node| (0..plan.proxies).map(|_| Proxy::start(&node.url))).collect();
        let disk = if plan.bad_disk { BadDisk::build(folder.path()) } else { None };
        let daemon = spawn(folder.path(), &plan, &endpoints(node.as_ref(), &proxies), disk.as_ref());
        let next_sender = AtomicUsize::new(0);
        let house = Self { daemon: Mutex::new(daemon), proxies, node, disk, folder, plan, next_sender };
        house.wait_until_ready();
        house
    }

    /// What starts another daemon on the same folder.
    pub(super) fn another(&self) -> Command {
        command(self.folder(), &self.plan, &self.endpoints())
    }

    /// The URLs the daemon is told; none where it has a chain of its own.
    fn endpoints(&self) -> String {
        endpoints(self.node.as_ref(), &self.proxies)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn with_daemon<T>(&self, act: impl FnOnce(&mut Process) -> T) -> T {
        act(&mut self.daemon.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    fn ready_file(&self) -> PathBuf {
        self.folder.path().join("ready.json")
    }

    pub(super) fn ready(&self) -> Ready {
        let text = std::fs::read(self.ready_file()).expect("a ready file");
        serde_json::from_slice(&text).expect("a ready file in its fixed form")
    }

    fn wait_until_ready(&self) {
        until_blocking("the daemon is ready", || {
            if self.with_daemon(Process::has_ended) {
                panic!("the daemon ended before it was ready:\n{}", self.with_daemon(|daemon| daemon.said()));
            }
            self.ready_file().exists().then_some(())
        });
    }

    pub(super) fn restart(&self) {
        self.start_again();
        self.wait_until_ready();
    }

    /// The same with other arguments.
    pub(super) fn restart_told(&self, arguments: &'static [&'static str]) {
        self.start_as(&self.plan.clone().told(arguments));
        self.wait_until_ready();
    }

    pub(super) fn start_again(&self) {
        self.start_as(&self.plan);
    }

    fn start_as(&self, plan: &Plan) {
        self.with_daemon(Process::kill);
        let _ = std::fs::remove_file(self.ready_file());
        let daemon = spawn(self.folder.path(), plan, &self.endpoints(), self.disk.as_ref());
        self.with_daemon(|old| *old = daemon);
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let said = self.with_daemon(|daemon| daemon.said());
            // Whoever waits asks every few milliseconds.
            let lines: Vec<&str> = said.lines().filter(|line| !line.contains("method=GET")).collect();
            let tail = lines[lines.len().saturating_sub(60)..].join("\n");
            eprintln!("--- the daemon's last words ---\n{tail}\n---");
        }
    }
}

fn endpoints(node: Option<&Node>, proxies: &[Proxy]) -> String {
    if proxies.is_empty() {
        return node.map(|node| node.url.clone()).unwrap_or_default();
    }
    proxies.iter().map(|proxy| proxy.url.as_str()).collect::<Vec<_>>().join(",")
}

fn spawn(folder: &Path, plan: &Plan, endpoints: &str, disk: Option<&BadDisk>) -> Process {
    let mut command = command(folder, plan, endpoints);
    if let Some(disk) = disk {
        disk.lie_under(&mut command);
    }
    Process::start(&mut command, folder, "preauthd")
}

fn command(folder: &Path, plan: &Plan, endpoints: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_preauthd"));
    command.args(["dev", "--port", "0"]);
    command.arg("--data-dir").arg(folder.join("data"));
    command.arg("--ready-file").arg(folder.join("ready.json"));
    command.args(["--replace-after", plan.replace_after]);
    command.args(plan.arguments);
    if plan.own_node {
        command.args(["--rpc-url", endpoints]);
    } else {
        command.args(["--block-time", plan.block_time]);
    }
    cli::clear_environment(&mut command);
    command.envs(plan.log.map(|filter| ("RUST_LOG", filter)));
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}
