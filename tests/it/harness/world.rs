//! One daemon, its chain, and people around it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use alloy::primitives::{Address, B256, U256};
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::api::Create;
use super::chain::{Effects, Terms, Token};
use super::patience::until_blocking;
use super::process::Process;
use super::{Answer, Api, BadDisk, Client, Eyes, Node, Proxy, Wallet, cli, units, until};

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

    /// Transactions are replaced after so many seconds.
    pub fn replacing_after(self, replace_after: &'static str) -> Self {
        Self { replace_after, ..self }
    }
}

/// A daemon and its chain, and the folder they live in. Gone, all of it, when the last story lets go.
pub struct House {
    // Dropped in this order: the daemon before its chain, the chain before its folder.
    daemon: Mutex<Process>,
    proxies: Vec<Proxy>,
    pub node: Option<Node>,
    pub disk: Option<BadDisk>,
    folder: TempDir,
    plan: Plan,
    next_sender: AtomicUsize,
}

/// One story's view of a daemon.
pub struct World {
    pub house: Arc<House>,
    pub ready: Ready,
    pub api: Api,
    pub chain: Eyes,
}

/// Two parties and what the sender had before.
pub struct Sale {
    pub sender: Wallet,
    pub receiver: Address,
    pub before: U256,
}

/// Several small stories share one daemon; it goes when the last of them ends.
static SHARED: Mutex<Weak<House>> = Mutex::new(Weak::new());
static INVOICES: AtomicUsize = AtomicUsize::new(1);

impl World {
    /// A daemon of the story's own.
    pub async fn start(plan: Plan) -> Self {
        let house = tokio::task::spawn_blocking(move || House::build(plan)).await.expect("a house");
        Self::in_house(Arc::new(house))
    }

    /// The daemon that stories share which neither move the clock nor break anything.
    pub async fn shared() -> Self {
        let house = tokio::task::spawn_blocking(|| {
            let mut shared = SHARED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            shared.upgrade().unwrap_or_else(|| {
                let house = Arc::new(House::build(Plan::quick()));
                *shared = Arc::downgrade(&house);
                house
            })
        });
        Self::in_house(house.await.expect("a house"))
    }

    fn in_house(house: Arc<House>) -> Self {
        let ready = house.ready();
        let api = Api::new(&ready.url, &ready.api_key);
        let node = house.node.as_ref().map_or(&ready.rpc_url, |node| &node.url);
        let chain = Eyes::new(node, ready.escrow, ready.token.address);
        Self { house, ready, api, chain }
    }

    // ------------------------------------------------------------------ people

    pub fn admin(&self) -> Api {
        self.api.with_key(&self.ready.admin_key)
    }

    /// A registered sender with tokens and an allowance, used by nobody else.
    pub async fn sender(&self) -> Wallet {
        let next = self.house.next_sender.fetch_add(1, Ordering::Relaxed);
        if let Some(ready) = self.ready.senders.get(next) {
            return ready.wallet();
        }
        let wallet = self.funded_wallet().await;
        self.register(&self.admin(), wallet.address, "sender").await;
        wallet
    }

    /// A wallet with tokens and an allowance that nobody registered.
    pub async fn funded_wallet(&self) -> Wallet {
        let wallet = Wallet::new();
        self.chain.give(wallet.address, units_of(1_000_000)).await;
        self.chain.allow(wallet.address, U256::MAX).await;
        wallet
    }

    /// A registered receiver that never received anything.
    pub async fn receiver(&self) -> Address {
        let address = Wallet::new().address;
        self.register(&self.admin(), address, "receiver").await;
        address
    }

    pub async fn register(&self, api: &Api, address: Address, role: &str) -> Answer {
        let answer = api.post("/wallets", json!({ "address": address.to_string(), "role": role })).await;
        answer.is(201)
    }

    pub async fn sale(&self) -> Sale {
        let sender = self.sender().await;
        let receiver = self.receiver().await;
        let before = self.chain.balance(sender.address).await;
        Sale { sender, receiver, before }
    }

    /// A sale whose sender has tokens and nothing else: no allowance, and nothing to pay for gas with.
    pub async fn sale_without_allowance(&self) -> Sale {
        let sender = Wallet::new();
        self.chain.give(sender.address, units_of(1_000_000)).await;
        self.register(&self.admin(), sender.address, "sender").await;
        let before = self.chain.balance(sender.address).await;
        Sale { sender, receiver: self.receiver().await, before }
    }

    // -------------------------------------------------------------------- verbs

    pub fn create(&self, invoice: &str, sale: &Sale) -> Create<'_> {
        self.create_by(&self.api, invoice, sale)
    }

    pub fn create_by<'a>(&self, api: &'a Api, invoice: &str, sale: &Sale) -> Create<'a> {
        api.create(invoice)
            .sender(sale.sender.address)
            .receiver(sale.receiver)
            .token(self.ready.token.address)
    }

    /// Creates a preauthorization and returns its invoice.
    pub async fn authorized(&self, sale: &Sale, amount: &str) -> String {
        let invoice = invoice("INV");
        self.create(&invoice, sale).amount(amount).send().await.is(201);
        invoice
    }

    /// Moves the chain's clock.
    pub async fn advance(&self, seconds: u64) {
        self.api.post("/dev/advance", json!({ "seconds": seconds })).await.is(200);
    }

    /// Waits until the API shows a status.
    pub async fn becomes(&self, invoice: &str, status: &str) -> Answer {
        until(&format!("{invoice} is {status}"), || async {
            let answer = self.api.preauth(invoice).await;
            (answer.body["status"] == status).then_some(answer)
        })
        .await
    }

    /// Waits until an invoice exists.
    pub async fn until_known(&self, invoice: &str) {
        until(&format!("{invoice} exists"), || async {
            (self.api.preauth(invoice).await.status == 200).then_some(())
        })
        .await;
    }

    /// Waits until nothing is being done about a preauthorization.
    pub async fn until_settled_down(&self, invoice: &str) {
        until(&format!("nothing is under way for {invoice}"), || async {
            let shown = self.api.preauth(invoice).await;
            let at_rest = shown.body["pendingOperation"].is_null() && shown.body["status"] != "PENDING";
            (shown.status == 200 && at_rest).then_some(())
        })
        .await;
    }

    /// Waits until a preauthorization is settled, cancelled or expired.
    pub async fn until_closed(&self, invoice: &str) {
        until(&format!("{invoice} is closed"), || async {
            let shown = self.api.preauth(invoice).await;
            matches!(shown.body["status"].as_str()?, "SETTLED" | "CANCELLED" | "EXPIRED").then_some(())
        })
        .await;
    }

    /// Waits until the daemon's newest block is the chain's.
    pub async fn until_daemon_stands_at_the_head(&self) {
        until("the daemon stands at the head", || async {
            // Whatever troubles there are, which readiness would show instead.
            let block = self.api.metric("preauthd_block").await?;
            let head = u32::try_from(self.chain.head().await.0).expect("a height");
            (block >= f64::from(head)).then_some(())
        })
        .await;
    }

    /// Asserts what the receiver has got and what is missing in the sender's pocket.
    pub async fn assert_paid(&self, sale: &Sale, paid: &str, still_held: &str) {
        assert_eq!(
            self.chain.balance(sale.receiver).await,
            units(paid),
            "the receiver has exactly what was settled"
        );
        let spent = sale.before - self.chain.balance(sale.sender.address).await;
        assert_eq!(spent, units(paid) + units(still_held), "the sender has exactly the rest");
        self.assert_escrow_holds_what_is_open().await;
    }

    /// Asserts that the escrow holds what is open, neither more nor less.
    pub async fn assert_escrow_holds_what_is_open(&self) {
        let (held, open) = self.chain.held_and_open().await;
        assert_eq!(held, open, "the escrow holds what is open");
    }

    /// An invoice's name on chain.
    pub async fn preauth_id(&self, invoice: &str) -> B256 {
        let shown = self.api.preauth(invoice).await.is(200);
        shown.text("preauthId").parse().expect("32 bytes")
    }

    /// The terms of an invoice's hold, as the contract takes them.
    pub async fn terms(&self, invoice: &str) -> Terms {
        let shown = self.api.preauth(invoice).await.is(200);
        let address = |field| shown.text(field).parse().expect("an address");
        let expires_at: jiff::Timestamp = shown.text("expiresAt").parse().expect("a time");
        Terms {
            sender: address("sender"),
            receiver: address("receiver"),
            token: address("contractAddress"),
            hold: units(shown.text("holdAmount")).to(),
            expiresAt: expires_at
                .as_second()
                .try_into()
                .map(|seconds: u64| U256::from(seconds).to())
                .expect("a time"),
            preauthId: shown.text("preauthId").parse().expect("32 bytes"),
        }
    }

    /// What chain and logs say of an invoice.
    pub async fn effects(&self, invoice: &str) -> Effects {
        self.chain.effects(self.preauth_id(invoice).await).await
    }

    // ----------------------------------------------------------------- operator

    /// A command of the same binary on the same folder.
    pub async fn cli(&self, arguments: &[&str]) -> Value {
        let (data_dir, rpc_url) = (self.house.data_dir(), self.ready.rpc_url.clone());
        let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        let run = tokio::task::spawn_blocking(move || cli::run(&data_dir, &rpc_url, &arguments));
        run.await.expect("a command that ran")
    }

    /// A command of the same binary on the same folder that may fail.
    pub async fn try_cli(&self, arguments: &[&str]) -> std::process::Output {
        let (data_dir, rpc_url) = (self.house.data_dir(), self.ready.rpc_url.clone());
        let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        let run = tokio::task::spawn_blocking(move || cli::try_run(&data_dir, &rpc_url, &arguments));
        run.await.expect("a command that ran")
    }

    /// Another tenant; its caller has the scopes read and write.
    pub async fn tenant(&self) -> OtherTenant {
        let name = invoice("tenant").to_lowercase();
        let made = self.cli(&["tenant", "create", &name]).await;
        assert_eq!(made["name"], name.as_str());
        let key = self.key(&name, &["read", "write"]).await;
        let admin = self.key(&name, &["read", "write", "admin"]).await;
        OtherTenant { name, api: self.api.with_key(&key), admin: self.api.with_key(&admin) }
    }

    /// A new key of a tenant.
    pub async fn key(&self, tenant: &str, scopes: &[&str]) -> String {
        let mut arguments = vec!["tenant", "key", "new", tenant];
        scopes.iter().for_each(|scope| arguments.extend(["--scope", scope]));
        let made = self.cli(&arguments).await;
        made["key"].as_str().expect("a key").to_owned()
    }

    /// Two registered parties of another tenant.
    pub async fn sale_of(&self, tenant: &OtherTenant) -> Sale {
        let sender = self.funded_wallet().await;
        let receiver = Wallet::new().address;
        self.register(&tenant.admin, sender.address, "sender").await;
        self.register(&tenant.admin, receiver, "receiver").await;
        let before = self.chain.balance(sender.address).await;
        Sale { sender, receiver, before }
    }

    /// A sale in a token that refuses accounts on request, admitted by the operator.
    pub async fn sale_in_moody_token(&self) -> (Sale, Address) {
        let sale = self.sale().await;
        let token = self.chain.deploy_moody_token().await;
        let escrow = self.ready.escrow;
        self.chain
            .act(sale.receiver, token, Token::mintCall { to: sale.sender.address, amount: units("1000") })
            .await;
        let (written, payer) = (token.to_string(), sale.sender.address.to_string());
        self.cli(&["token", "add", &written, "--payer", &payer]).await;
        self.chain
            .act(sale.sender.address, token, Token::approveCall { spender: escrow, amount: units("1000") })
            .await;
        (sale, token)
    }

    // ------------------------------------------------------------------ trouble

    /// Everything the daemon has said.
    pub fn log(&self) -> String {
        self.house.with_daemon(|daemon| daemon.said())
    }

    /// The proxy before the node.
    pub fn proxy(&self) -> &Proxy {
        self.endpoint(1)
    }

    /// The proxy that the daemon knows as its endpoint of this number, counted from 1.
    pub fn endpoint(&self, number: usize) -> &Proxy {
        self.house.proxies.get(number - 1).expect("a proxy")
    }

    /// A blow for the daemon that runs when it falls: SIGKILL, from wherever it is called.
    pub fn deadly(&self) -> Arc<dyn Fn() + Send + Sync> {
        let house = Arc::downgrade(&self.house);
        Arc::new(move || {
            if let Some(house) = house.upgrade() {
                super::process::kill(house.with_daemon(|daemon| daemon.pid()));
            }
        })
    }

    /// Starts the daemon again without waiting until it is ready: it may never be.
    pub async fn start_again(&self) {
        let house = Arc::clone(&self.house);
        tokio::task::spawn_blocking(move || house.start_again()).await.expect("a start");
    }

    /// SIGKILL for the daemon; its chain, if it is not its own, goes on.
    pub async fn kill_daemon(&self) {
        self.house.with_daemon(Process::kill);
    }

    /// The disk that fails on command; `None`, with a word about it, where there can be none.
    pub fn disk(&self) -> Option<BadDisk> {
        self.house.disk.clone()
    }

    /// Whether the daemon has come to an end.
    pub fn daemon_has_ended(&self) -> bool {
        self.house.with_daemon(Process::has_ended)
    }

    /// SIGTERM for the daemon. `true`: it obeyed.
    pub async fn stop_daemon(&self) -> bool {
        let house = Arc::clone(&self.house);
        tokio::task::spawn_blocking(move || house.with_daemon(Process::stop)).await.expect("a daemon to stop")
    }

    /// Another daemon on the same folder; returns when it has ended.
    pub async fn second_daemon(&self) -> std::process::Output {
        let mut command = command(self.house.folder(), &self.house.plan, &self.house.endpoints());
        let ended = tokio::task::spawn_blocking(move || command.output());
        let ended = tokio::time::timeout(std::time::Duration::from_secs(60), ended).await;
        ended.expect("it ends by itself").expect("a process").expect("a process")
    }

    /// Lets the chain make blocks again and starts the daemon.
    pub async fn restart_on_a_moving_chain(&mut self) {
        self.chain.mine_every(1).await;
        self.restart().await;
    }

    /// Starts the daemon again on the same folder and chain, and reads the new ready file.
    pub async fn restart(&mut self) {
        let house = Arc::clone(&self.house);
        tokio::task::spawn_blocking(move || house.restart()).await.expect("a restart");
        *self = Self::in_house(Arc::clone(&self.house));
    }
}

/// A tenant that a story made.
pub struct OtherTenant {
    pub name: String,
    pub api: Api,
    pub admin: Api,
}

impl ReadyWallet {
    pub fn wallet(&self) -> Wallet {
        let signer: alloy::signers::local::PrivateKeySigner = self.private_key.parse().expect("a key");
        assert_eq!(signer.address(), self.address, "the key is the address's");
        signer.into()
    }
}

impl House {
    fn build(plan: Plan) -> Self {
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

    fn ready(&self) -> Ready {
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

    fn restart(&self) {
        self.start_again();
        self.wait_until_ready();
    }

    fn start_again(&self) {
        self.with_daemon(Process::kill);
        let _ = std::fs::remove_file(self.ready_file());
        let daemon = spawn(self.folder.path(), &self.plan, &self.endpoints(), self.disk.as_ref());
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
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

/// Whole tokens in base units of a token with six decimals.
fn units_of(tokens: u64) -> U256 {
    U256::from(tokens) * U256::from(1_000_000)
}

/// A name that no other story uses.
pub fn invoice(prefix: &str) -> String {
    format!("{prefix}-{}-{}", std::process::id(), INVOICES.fetch_add(1, Ordering::Relaxed))
}
