//! The operator's way from nothing to a daemon that serves: commands, a configuration, two keys that share the work.

use std::path::Path;
use std::process::{Command, Output};

use alloy::primitives::{Address, U256};
use alloy::providers::ext::AnvilApi;
use futures::future::join_all;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::chain::Token;
use crate::harness::process::Process;
use crate::harness::world::invoice;
use crate::harness::{Api, Eyes, Node, Wallet, cli, units, until};

/// A folder with a configuration, and the secrets it names.
struct Office {
    folder: TempDir,
    secrets: Vec<(&'static str, String)>,
}

impl Office {
    fn open(config: &str, secrets: Vec<(&'static str, String)>) -> Self {
        let folder = tempfile::Builder::new().prefix("preauthd-it-").tempdir().expect("a folder");
        std::fs::write(folder.path().join("preauthd.toml"), config).expect("a configuration");
        Self { folder, secrets }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_preauthd"));
        cli::clear_environment(&mut command);
        command.current_dir(self.folder.path()).args(arguments);
        command.envs(self.secrets.iter().map(|(name, secret)| (name, secret)));
        command
    }

    async fn try_run(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        tokio::task::spawn_blocking(move || command.output()).await.expect("a task").expect("a process")
    }

    async fn run(&self, arguments: &[&str]) -> Value {
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
        let mut process = Process::start(&mut self.command(&["serve"]), self.folder.path(), "serve");
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

#[tokio::test]
async fn a_chain_is_set_up_by_commands_and_two_keys_share_the_work() {
    let chain_folder = tempfile::Builder::new().prefix("preauthd-it-").tempdir().expect("a folder");
    let node = Node::start(chain_folder.path(), "1");
    let (admin, one, two) = (Wallet::new(), Wallet::new(), Wallet::new());
    let config = format!(
        "rpc_url = \"{}\"\nlisten = \"127.0.0.1:0\"\npoll_interval_ms = 100\n\
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
        nowhere
            .provider
            .anvil_set_balance(wallet.address, U256::from(10u128.pow(20)))
            .await
            .expect("gas money");
    }
    let token = nowhere.deploy_moody_token().await;
    let deployed = office.run(&["deploy", "--key-env", "ADMIN_SECRET", "--receiver-delay", "0"]).await;
    let escrow: Address = deployed["escrow"].as_str().expect("an address").parse().expect("an address");
    let chain = Eyes::new(&node.url, escrow, token);
    assert_eq!(chain.admin().await, admin.address);
    let mut operators = chain.operators().await;
    operators.sort_unstable();
    let mut expected = [one.address, two.address];
    expected.sort_unstable();
    assert_eq!(operators, expected, "the configured keys are the operators");

    let (sender, receiver) = (Wallet::new(), Wallet::new().address);
    chain.act(receiver, token, Token::mintCall { to: sender.address, amount: units("1000") }).await;
    chain.approve(sender.address, U256::MAX).await;
    let (payer, payee) = (sender.address.to_string(), receiver.to_string());
    office.run(&["token", "add", &token.to_string(), "--payer", &payer]).await;
    office.run(&["tenant", "create", "shop", "--default-ttl", "2h"]).await;
    office.run(&["wallet", "register", "shop", &payer, "--role", "sender"]).await;
    office.run(&["wallet", "register", "shop", &payee, "--role", "receiver"]).await;
    office.run(&["wallet", "allow", &payee, "--key-env", "ADMIN_SECRET"]).await;
    let key = office.run(&["tenant", "key", "new", "shop", "--scope", "read", "--scope", "write"]).await;
    let key = key["key"].as_str().expect("a key").to_owned();

    let (mut daemon, url) = office.serve().await;
    let api = Api::new(&url, &key);
    let create = |name: &str| api.create(name).sender(&payer).receiver(&payee).token(token).amount("1");
    api.get("/dev/advance").await.envelope(404);
    let names: Vec<String> = (0..400).map(|_| invoice("INV")).collect();
    let created = join_all(names.iter().map(|name| create(name).send())).await;
    created.into_iter().for_each(|answer| drop(answer.is(201)));
    let settled = join_all(names.iter().map(|name| api.settle(name, "0.5"))).await;
    settled.into_iter().for_each(|answer| drop(answer.is(200)));
    assert_eq!(chain.balance(receiver).await, units("200"));
    assert_eq!(chain.balance(sender.address).await, units("800"));
    assert_eq!(chain.held_and_open().await, (U256::ZERO, U256::ZERO));
    for operator in [&one, &two] {
        assert!(chain.sent_by(operator.address).await > 0, "both keys have worked");
    }

    let log = daemon.said();
    for (_, secret) in &office.secrets {
        assert!(!log.contains(secret.trim_start_matches("0x")), "no key is logged");
    }
    assert!(!log.contains(&key) && !log.contains("panic"));
    assert!(daemon.stop(), "SIGTERM is obeyed");
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
