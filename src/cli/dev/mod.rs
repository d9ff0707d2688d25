//! `preauthd dev`: a whole system on a chain for development, to try out and to test against.
//!
//! Everything in it is real but the chain: the same daemon as `serve` runs, on an anvil of its own or on a node for
//! development that is there already.

mod anvil;
mod cast;
mod clock;
mod saved;
mod stage;
mod summary;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use alloy::primitives::Address;
use alloy::signers::local::PrivateKeySigner;
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use secrecy::SecretString;

use super::daemon::{Daemon, DaemonConfig};
use super::output::say;
use super::serve::{run_until, start_log};
use super::stop_signal::StopSignal;
use super::surroundings::Surroundings;
use crate::chain::{Chain, RpcEndpoints};
use crate::config::{DEFAULT_RECONCILE_EVERY, LogFormat, OnboardingConfig};
use crate::http::{Rate, RateSettings};
use crate::lane::LaneSettings;
use crate::outbound::Outbound;
use crate::store::Store;
use crate::webhooks::WebhookSettings;
use clock::Clock;

pub(super) use anvil::{Anvil, find as find_anvil};
pub(super) use cast::{MOST_LANES, admin, operator};
pub(super) use saved::{Ready, Saved};
pub(super) use stage::set as set_stage;

/// Held while `dev` uses a data folder, so that a second one does not delete the first one's database.
const LOCK_FILE: &str = "dev.lock";
/// A local node answers at once: ask it often.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Requests a second, and at once: a merchant's tests are in a hurry, and see the headers all the same.
const DEV_RATE: u32 = 1_000_000;

/// A whole system on a private chain, to try out and to test against
///
/// Starts an anvil of its own and begins afresh, chain and database both: the escrow, a demo token, funded and registered
/// wallets, a tenant with API keys, the API. Prints a curl for each endpoint. With --rpc-url it uses the anvil or Hardhat
/// node there, and goes on where the data folder knows an escrow that is still on that chain: so a restart after a crash
/// can be tried.
///
/// The keys are those of anvil's well-known mnemonic. Never send anything of value to them.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Dev {
    #[command(subcommand)]
    errand: Option<Errand>,
    /// Where the API listens on 127.0.0.1; 0 takes any free port
    #[arg(long, value_name = "P", default_value_t = 8080)]
    port: u16,
    /// Where the dashboard and the admin's API listen on 127.0.0.1 [default: any free port]
    #[arg(long, value_name = "P", default_value_t = 0, hide_default_value = true)]
    admin_port: u16,
    /// The folder of the database; without --rpc-url what it holds is deleted
    #[arg(long, value_name = "D", default_value = "./.dev")]
    data_dir: PathBuf,
    /// Seconds between the blocks of the private anvil, fractions allowed; 0 mines a block for each transaction and none
    /// otherwise [default: a block for each transaction, and one every 2 seconds]
    #[arg(long, value_name = "S", value_parser = seconds)]
    block_time: Option<String>,
    /// Lanes: operator keys that share the work, each with one transaction on its way at a time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=MOST_LANES))]
    lanes: u8,
    /// Use the anvil or Hardhat node at this URL; several ways to the same node, separated by commas, are endpoints that
    /// must agree
    #[arg(long, value_name = "U", value_delimiter = ',')]
    rpc_url: Vec<String>,
    /// Seconds after which a transaction that is not mined is sent again with higher fees
    #[arg(long, value_name = "S", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    replace_after: u64,
    /// Seconds before its expiry at which a hold is announced to expire
    #[arg(long, value_name = "S", default_value_t = 3_600)]
    expiring_before: u64,
    /// Pauses in seconds before each attempt to deliver a webhook [default: ten in about three days]
    #[arg(long, value_name = "S", value_delimiter = ',')]
    webhook_retries: Vec<u64>,
    /// Send webhooks to public addresses only, by https, as `serve` does; otherwise this machine's own will do
    #[arg(long)]
    public_webhooks: bool,
    /// A file to write as soon as the API answers: JSON with URL, keys, addresses (mode 0600)
    #[arg(long, value_name = "F")]
    ready_file: Option<PathBuf>,
}

/// What is asked of a `preauthd dev` that runs.
#[derive(Subcommand)]
enum Errand {
    Clock(Clock),
}

impl Dev {
    pub async fn run(mut self, around: &Surroundings) -> anyhow::Result<()> {
        match self.errand.take() {
            Some(Errand::Clock(clock)) => clock.run(around).await,
            None => self.run_daemon().await,
        }
    }

    async fn run_daemon(self) -> anyhow::Result<()> {
        start_log(LogFormat::Pretty, "warn,preauthd=info", None);
        let mut signal = StopSignal::listen()?;
        let mut anvil = None;
        let started = tokio::select! {
            started = self.start(&mut anvil) => Some(started),
            () = signal.asked() => None,
        };
        let ended = match started {
            Some(Ok(daemon)) => run_beside(daemon, &mut signal, anvil.as_mut()).await,
            Some(Err(error)) => Err(error),
            None => Ok(()),
        };
        if let Some(anvil) = anvil {
            anvil.stop().await;
        }
        // Whoever looks for a running daemon shall not find one that is gone.
        saved::remove(&Ready::file_in(&self.data_dir))?;
        ended
    }

    async fn start(&self, anvil: &mut Option<Anvil>) -> anyhow::Result<Running> {
        // A file of an earlier run would tell a waiting test that this one is ready.
        if let Some(file) = &self.ready_file {
            saved::remove(file)?;
        }
        let lock = lock(&self.data_dir)?;
        self.check_data_dir()?;
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        drop(std::net::TcpListener::bind(listen).with_context(|| {
            format!("port {} cannot be used; choose another with --port (0: any)", self.port)
        })?);

        let urls = if self.rpc_url.is_empty() {
            let path = anvil::find()?;
            say(&format!("  starting a private chain: {}", path.display()));
            vec![anvil.insert(Anvil::start(&path, self.block_time.as_deref()).await?).url.clone()]
        } else {
            if self.block_time.is_some() {
                say("  --block-time is for a private anvil: the node at --rpc-url keeps its own");
            }
            self.rpc_url.clone()
        };
        let rpc = RpcEndpoints::new(urls.iter().map(|url| SecretString::from(url.as_str())).collect());
        let rpc_url = urls.into_iter().next().unwrap_or_default();
        let chain = Chain::connect(&rpc).await.with_context(|| format!("connecting to {rpc_url}"))?;
        if !chain.is_for_development().await? {
            bail!(
                "the node at {rpc_url} is neither anvil nor Hardhat's: dev uses keys that everyone knows, and none but a \
                 chain for development will do"
            );
        }
        let saved = self.saved(&chain).await?;
        let keys = cast::operators(self.lanes)?;
        let operators: Vec<Address> = keys.iter().map(PrivateKeySigner::address).collect();
        stage::allow(&chain, saved.escrow, &operators).await.context("allowing the lanes' keys")?;

        say("  starting the daemon");
        let daemon = Daemon::start(self.daemon_config(listen, rpc, &rpc_url, &saved, keys)?).await?;
        let url = format!("http://{}", daemon.address);
        let admin_url = daemon.admin_address.map(|address| format!("http://{address}"));
        let data_dir = std::path::absolute(&self.data_dir).context("naming the data folder")?;
        let ready = Ready { pid: std::process::id(), url, admin_url, rpc_url, data_dir, operators, saved };
        ready.write(&Ready::file_in(&self.data_dir))?;
        if let Some(file) = &self.ready_file {
            ready.write(file)?;
        }
        say(&summary::of(&ready, chain.head().await?.timestamp));
        Ok(Running { daemon, _lock: lock })
    }

    /// What there is to go on with, or what was set up afresh.
    async fn saved(&self, chain: &Chain) -> anyhow::Result<Saved> {
        if !self.rpc_url.is_empty()
            && let Some(saved) = Saved::read(&self.data_dir)?
        {
            if Store::is_in(&self.data_dir) && stage::still_stands(chain, &saved).await? {
                say(&format!(
                    "  going on with the escrow {} and the database in {}",
                    saved.escrow,
                    self.data_dir.display()
                ));
                return Ok(saved);
            }
            say("  the escrow this data folder knows is not on that chain: beginning afresh");
        }
        Saved::begin(&self.data_dir)?;
        Store::delete_from(&self.data_dir)?;
        let saved = stage::set(chain, &self.data_dir, !self.rpc_url.is_empty(), say).await?;
        saved.write(&self.data_dir)?;
        Ok(saved)
    }

    /// Never deletes a database that `dev` did not make.
    fn check_data_dir(&self) -> anyhow::Result<()> {
        if Store::is_in(&self.data_dir) && !Saved::is_in(&self.data_dir) {
            bail!(
                "{} holds a database that dev did not make, and dev would delete it; choose another --data-dir",
                self.data_dir.display()
            );
        }
        Ok(())
    }

    fn webhooks(&self) -> WebhookSettings {
        let default = WebhookSettings::default();
        let pauses: Vec<Duration> = self.webhook_retries.iter().copied().map(Duration::from_secs).collect();
        WebhookSettings {
            outbound: Outbound { allow_private: !self.public_webhooks, ..default.outbound },
            retry_schedule: if pauses.is_empty() { default.retry_schedule } else { pauses.into() },
            ..default
        }
    }

    /// A sandbox. Its key lies beside the database: what is onboarded here is made up.
    fn onboarding(&self) -> anyhow::Result<OnboardingConfig> {
        let key = saved::onboarding_key(&self.data_dir)?;
        Ok(OnboardingConfig { key, sandbox: true, gateway: None, provider: None })
    }

    fn daemon_config(
        &self,
        listen: SocketAddr,
        rpc: RpcEndpoints,
        rpc_url: &str,
        saved: &Saved,
        operators: Vec<PrivateKeySigner>,
    ) -> anyhow::Result<DaemonConfig> {
        Ok(DaemonConfig {
            data_dir: self.data_dir.clone(),
            listen,
            admin_listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, self.admin_port))),
            explorer_url: None,
            rpc,
            chain_id: saved.chain_id,
            escrow: saved.escrow,
            escrow_block: saved.escrow_block,
            operators: operators.into_iter().map(Into::into).collect(),
            lane: LaneSettings {
                poll_interval: POLL_INTERVAL,
                replace_after: Duration::from_secs(self.replace_after),
                ..LaneSettings::default()
            },
            request_timeout: REQUEST_TIMEOUT,
            reconcile_every: Some(DEFAULT_RECONCILE_EVERY),
            public_url: None,
            wallet_rpc_url: Some(rpc_url.to_owned()),
            expiring_before: Duration::from_secs(self.expiring_before),
            webhooks: self.webhooks(),
            onboarding: Some(self.onboarding()?),
            rates: RateSettings {
                reads: Rate::new(DEV_RATE, DEV_RATE),
                writes: Rate::new(DEV_RATE, DEV_RATE),
            },
            dev_admin: Some(cast::admin()?),
        })
    }
}

struct Running {
    daemon: Daemon,
    _lock: File,
}

async fn run_beside(
    running: Running,
    signal: &mut StopSignal,
    anvil: Option<&mut Anvil>,
) -> anyhow::Result<()> {
    let anvil_ends = async {
        match anvil {
            Some(anvil) => anvil.ended().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = run_until(running.daemon, signal) => ended,
        () = anvil_ends => Err(anyhow::anyhow!("the private anvil came to an end by itself")),
    }
}

fn lock(data_dir: &Path) -> anyhow::Result<File> {
    std::fs::create_dir_all(data_dir).with_context(|| format!("creating {}", data_dir.display()))?;
    let path = data_dir.join(LOCK_FILE);
    let file = File::create(&path).with_context(|| format!("opening {}", path.display()))?;
    if file.try_lock().is_err() {
        bail!("another preauthd dev uses {}; choose another --data-dir", data_dir.display());
    }
    Ok(file)
}

/// Checks a number of seconds; it travels to anvil as it was written.
pub(super) fn seconds(text: &str) -> Result<String, String> {
    crate::model::TokenAmount::parse(text)
        .map(|_| text.to_owned())
        .map_err(|_| "expected a number of seconds, such as 1 or 0.5".to_owned())
}
