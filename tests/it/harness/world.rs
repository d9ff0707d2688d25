//! A story's view of a daemon and its chain, and the people around them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use alloy::primitives::{Address, B256, U256};
use serde_json::{Value, json};

use super::api::Create;
use super::chain::{Effects, Terms, Token};
use super::house::{House, Plan, Ready};
use super::process::Process;
use super::{Answer, Api, BadDisk, Eyes, Proxy, Wallet, cli, units, until};

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
        let mut command = self.house.another();
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

    /// The same with other arguments.
    pub async fn restart_told(&mut self, arguments: &'static [&'static str]) {
        let house = Arc::clone(&self.house);
        tokio::task::spawn_blocking(move || house.restart_told(arguments)).await.expect("a restart");
        *self = Self::in_house(Arc::clone(&self.house));
    }
}

/// A tenant that a story made.
pub struct OtherTenant {
    pub name: String,
    pub api: Api,
    pub admin: Api,
}

/// Whole tokens in base units of a token with six decimals.
fn units_of(tokens: u64) -> U256 {
    U256::from(tokens) * U256::from(1_000_000)
}

/// A name that no other story uses.
pub fn invoice(prefix: &str) -> String {
    format!("{prefix}-{}-{}", std::process::id(), INVOICES.fetch_add(1, Ordering::Relaxed))
}
