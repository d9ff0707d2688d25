//! The operator's way from nothing to a daemon that serves: commands, a configuration, two keys that share the work.

use std::path::Path;
use std::process::{Command, Output};

use alloy::primitives::{Address, U256};
use futures::future::join_all;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::api::Create;
use crate::harness::chain::Token;
use crate::harness::patience::pause;
use crate::harness::process::Process;
use crate::harness::world::invoice;
use crate::harness::{Api, Eyes, Node, Wallet, cli, units, until};

/// A folder with a configuration, and the secrets it names.
pub(crate) struct Office {
    pub folder: TempDir,
    secrets: Vec<(&'static str, String)>,
}

impl Office {
    fn open(config: &str, secrets: Vec<(&'static str, String)>) -> Self {
        let folder = tempfile::Builder::new().prefix("preauthd-it-").tempdir().expect("a folder");
        std::fs::write(folder.path().join("preauthd.toml"), config).expect("a configuration");
        Self { folder, secrets }
    }

    /// Puts a variable into the environment of what is run from now on.
    #[cfg(any(feature = "aws-kms", feature = "gcp-kms"))]
    pub fn tell(&mut self, name: &'static str, value: &str) {
        self.secrets.push((name, value.to_owned()));
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_preauthd"));
        cli::clear_environment(&mut command);
        command.current_dir(self.folder.path()).args(arguments);
        command.envs(self.secrets.iter().map(|(name, secret)| (name, secret)));
        command
    }

    pub async fn try_run(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        tokio::task::spawn_blocking(move || command.output()).await.expect("a task").expect("a process")
    }

    pub async fn run(&self, arguments: &[&str]) -> Value {
        let output = self.try_run(&[arguments, &["--json"]].concat()).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
        for (_, secret) in &self.secrets {
            assert!(!said.contains(secret.trim_start_matches("0x")), "{arguments:?} shows a secret");
        }
        serde_json::from_str(&said).unwrap_or(Value::Null)
    }

    /// Starts `serve` and returns it with the URL it logs.
    async fn serve(&self) -> (Process, String) {
        // Each daemon has a log of its own: the address of an earlier one must not be taken for this one's.
        let is_new = |name: &String| !self.folder.path().join(format!("{name}.err")).exists();
        let name = (1..).map(|run| format!("serve-{run}")).find(is_new).expect("a name");
        let mut process = Process::start(&mut self.command(&["serve"]), self.folder.path(), &name);
        let look = until("serve is ready or has ended", || {
            let said = process.said();
            let ended = process.has_ended();
            async move { address_in(&said).map(Ok).or(ended.then_some(Err(said))) }
        });
        match look.await {
            Ok(address) => (process, format!("http://{address}")),
            Err(said) => panic!("serve ended: {said}"),
        }
    }
}

/// The address a daemon listens on, out of its log.
fn address_in(log: &str) -> Option<String> {
    let plain: String = strip_colours(log);
    let line = plain.lines().find(|line| line.contains("ready") && line.contains("address="))?;
    let address = line.split("address=").nth(1)?.split_whitespace().next()?;
    Some(address.trim_matches('"').to_owned())
}

fn strip_colours(text: &str) -> String {
    let mut plain = String::new();
    let mut escape = false;
    for char in text.chars() {
        match (escape, char) {
            (false, '\u{1b}') => escape = true,
            (false, char) => plain.push(char),
            (true, 'm') => escape = false,
            (true, _) => {}
        }
    }
    plain
}

fn key_of(wallet: &Wallet) -> String {
    wallet.signer.to_bytes().to_string()
}

/// A merchant on a chain that was set up by commands.
pub(crate) struct Shop {
    // Dropped in this order.
    _node: Node,
    _chain_folder: TempDir,
    pub office: Office,
    pub chain: Eyes,
    pub operators: [Address; 2],
    pub sender: Address,
    pub receiver: Address,
    key: String,
}

impl Shop {
    /// `more` goes into the configuration.
    pub async fn open(more: &str) -> Self {
        let chain_folder = tempfile::Builder::new().prefix("preauthd-it-").tempdir().expect("a folder");
        let node = Node::start(chain_folder.path(), "0.5");
        let (admin, one, two) = (Wallet::new(), Wallet::new(), Wallet::new());
        let config = format!(
            "rpc_url = \"{}\"\nlisten = \"127.0.0.1:0\"\npoll_interval_ms = 100\n{more}\n\
             [[operators]]\nenv = \"PREAUTHD_ONE_KEY\"\n[[operators]]\nenv = \"PREAUTHD_TWO_KEY\"\n",
            node.url
        );
        let secrets = vec![
            ("ADMIN_SECRET", key_of(&admin)),
            ("PREAUTHD_ONE_KEY", key_of(&one)),
            ("PREAUTHD_TWO_KEY", key_of(&two)),
        ];
        let office = Office::open(&config, secrets);
        let nowhere = Eyes::new(&node.url, Address::ZERO, Address::ZERO);
        for wallet in [&admin, &one, &two] {
            nowhere.set_gas_money(wallet.address, 10u128.pow(20)).await;
        }
        let token = nowhere.deploy_moody_token().await;
        let deployed = office.run(&["deploy", "--key-env", "ADMIN_SECRET", "--receiver-delay", "0"]).await;
        assert_eq!(deployed["permit2"], Value::Null, "a bare chain has none");
        let escrow: Address = deployed["escrow"].as_str().expect("an address").parse().expect("an address");
        let chain = Eyes::new(&node.url, escrow, token);
        assert_eq!(chain.admin().await, admin.address);

        let (sender, receiver) = (Wallet::new().address, Wallet::new().address);
        chain.act(receiver, token, Token::mintCall { to: sender, amount: units("1000") }).await;
        chain.approve(sender, U256::MAX).await;
        let (payer, payee) = (sender.to_string(), receiver.to_string());
        office.run(&["token", "add", &token.to_string(), "--payer", &payer]).await;
        office.run(&["tenant", "create", "shop", "--default-ttl", "2h"]).await;
        office.run(&["wallet", "register", "shop", &payer, "--role", "sender"]).await;
        office.run(&["wallet", "register", "shop", &payee, "--role", "receiver"]).await;
        office.run(&["wallet", "allow", &payee, "--key-env", "ADMIN_SECRET"]).await;
        let key = office.run(&["tenant", "key", "new", "shop", "--scope", "read", "--scope", "write"]).await;
        let key = key["key"].as_str().expect("a key").to_owned();
        let operators = [one.address, two.address];
        Self { _node: node, _chain_folder: chain_folder, office, chain, operators, sender, receiver, key }
    }

    /// Takes an operator key out of the configuration.
    pub fn dismiss(&self, operator: Address) {
        let name = if operator == self.operators[0] { "PREAUTHD_ONE_KEY" } else { "PREAUTHD_TWO_KEY" };
        self.reconfigure(|config| config.replace(&format!("[[operators]]\nenv = \"{name}\"\n"), ""));
    }

    /// Changes the configuration for the next daemon.
    pub fn reconfigure(&self, change: impl FnOnce(String) -> String) {
        let file = self.office.folder.path().join("preauthd.toml");
        let config = std::fs::read_to_string(&file).expect("a configuration");
        let changed = change(config.clone());
        assert_ne!(changed, config, "the change changes something");
        std::fs::write(&file, changed).expect("a configuration");
    }

    pub async fn serve(&self) -> (Process, Api) {
        let (process, url) = self.office.serve().await;
        (process, Api::new(&url, &self.key))
    }

    pub fn create<'a>(&self, api: &'a Api, name: &str) -> Create<'a> {
        api.create(name).sender(self.sender).receiver(self.receiver).token(self.chain.token).amount("1")
    }
}

pub(crate) async fn status(api: &Api, name: &str) -> String {
    api.preauth(name).await.is(200).text("status").to_owned()
}

#[tokio::test]
async fn a_chain_is_set_up_by_commands_and_two_keys_share_the_work() {
    let shop = Shop::open("").await;
    let chain = &shop.chain;
    let (mut known, mut expected) = (chain.operators().await, shop.operators);
    known.sort_unstable();
    expected.sort_unstable();
    assert_eq!(known, expected, "the configured keys are the operators");

    let (mut daemon, api) = shop.serve().await;
    api.post("/dev/advance", serde_json::json!({ "seconds": 1 })).await.envelope(404);
    let names: Vec<String> = (0..400).map(|_| invoice("INV")).collect();
    let created = join_all(names.iter().map(|name| shop.create(&api, name).send())).await;
    created.into_iter().for_each(|answer| drop(answer.is(201)));
    let settled = join_all(names.iter().map(|name| api.settle(name, "0.5"))).await;
    settled.into_iter().for_each(|answer| drop(answer.is(200)));
    assert_eq!(chain.balance(shop.receiver).await, units("200"));
    assert_eq!(chain.balance(shop.sender).await, units("800"));
    assert_eq!(chain.held_and_open().await, (U256::ZERO, U256::ZERO));
    for operator in shop.operators {
        assert!(chain.sent_by(operator).await > 0, "both keys have worked");
    }

    let log = daemon.said();
    for (_, secret) in &shop.office.secrets {
        assert!(!log.contains(secret.trim_start_matches("0x")), "no key is logged");
    }
    assert!(!log.contains(&shop.key) && !log.contains("panic"));
    assert!(daemon.stop(), "SIGTERM is obeyed");
}

#[tokio::test]
async fn an_outcome_counts_when_enough_blocks_stand_on_it() {
    let shop = Shop::open("confirmations = 3").await;
    let (_daemon, api) = shop.serve().await;
    let name = invoice("INV");
    shop.chain.hold_still().await;
    shop.create(&api, &name).respond_async().send().await.is(202);
    shop.chain.until_waiting(1).await;
    for _ in 0..2 {
        shop.chain.mine().await;
        // Twice the interval at which the daemon looks: long enough to have drawn the wrong conclusion.
        pause(250).await;
        assert_eq!(status(&api, &name).await, "PENDING", "not deep enough yet");
    }
    assert_eq!(shop.chain.balance(shop.chain.escrow).await, units("1"), "although the chain has it");
    shop.chain.mine().await;
    until("three blocks deep it counts", || async {
        (status(&api, &name).await == "AUTHORIZED").then_some(())
    })
    .await;

    // What is undone before it counted was never told.
    let path = format!("/onchain-preauth/{name}/settle");
    api.post_async(&path, serde_json::json!({ "amount": "1" })).await.is(202);
    shop.chain.until_waiting(1).await;
    shop.chain.mine().await;
    shop.chain.mine().await;
    shop.chain.reorg(2).await;
    assert_eq!(status(&api, &name).await, "AUTHORIZED");
    shop.chain.mine_every(1).await;
    until("the settlement lands after all", || async {
        (status(&api, &name).await == "SETTLED").then_some(())
    })
    .await;
    assert_eq!(shop.chain.balance(shop.receiver).await, units("1"));
}

#[tokio::test]
async fn past_the_time_out_the_answer_is_accepted_and_never_failed() {
    let shop = Shop::open("request_timeout_s = 1").await;
    let (_daemon, api) = shop.serve().await;
    let name = invoice("INV");
    shop.chain.hold_still().await;
    let created = shop.create(&api, &name).send().await.is(202);
    assert_eq!(created.text("status"), "PENDING");
    shop.chain.mine_every(1).await;
    until("the lock lands", || async { (status(&api, &name).await == "AUTHORIZED").then_some(()) }).await;

    shop.chain.hold_still().await;
    let settling = api.settle(&name, "0.4").await.is(202);
    assert_eq!((settling.text("status"), settling.text("pendingOperation")), ("AUTHORIZED", "settle"));
    api.cancel(&name).await.refused_naming(409, "settle");
    shop.chain.mine_every(1).await;
    until("the settlement lands", || async { (status(&api, &name).await == "SETTLED").then_some(()) }).await;
    assert_eq!(shop.chain.balance(shop.receiver).await, units("0.4"));
}

#[tokio::test]
async fn a_bad_configuration_is_refused_with_what_is_wrong_and_where() {
    let config = "listen = \"nowhere\"\nrpc_url = 7\nconfirmation = 2\nreplace_after_s = 0\n";
    let office = Office::open(config, Vec::new());
    let refused = office.try_run(&["serve"]).await;
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    for (key, line) in [
        ("listen", "line 1"),
        ("rpc_url", "line 2"),
        ("confirmation", "line 3"),
        ("replace_after_s", "line 4"),
    ] {
        let named = said.lines().any(|told| told.contains(key) && told.contains(line));
        assert!(named, "{key} in {line} is named:\n{said}");
    }
    assert!(!Path::new(&office.folder.path().join("preauthd-data")).exists(), "nothing was made");
}

#[tokio::test]
async fn the_daemon_refuses_a_chain_that_is_not_its_own() {
    let chain_folder = tempfile::Builder::new().prefix("preauthd-it-").tempdir().expect("a folder");
    let node = Node::start(chain_folder.path(), "1");
    let operator = Wallet::new();
    let config = |chain_id: u64, escrow: &str| {
        format!(
            "rpc_url = \"{}\"\nlisten = \"127.0.0.1:0\"\nchain_id = {chain_id}\nescrow = \"{escrow}\"\nescrow_block = 0\n\
             [[operators]]\nenv = \"PREAUTHD_ONE_KEY\"\n",
            node.url
        )
    };
    let nobody = "0x41c528683845350e9bfc937e0f6c72bc999b5cdc";
    for (config, why) in [(config(1, nobody), "chain"), (config(31_337, nobody), "escrow")] {
        let office = Office::open(&config, vec![("PREAUTHD_ONE_KEY", key_of(&operator))]);
        let refused = office.try_run(&["serve"]).await;
        assert!(!refused.status.success());
        let said = String::from_utf8_lossy(&refused.stderr).to_lowercase();
        assert!(said.contains(why), "{why} is named:\n{said}");
        assert!(!said.contains("panic"));
    }
}
