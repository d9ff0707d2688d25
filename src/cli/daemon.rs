//! Puts the rooms together: what `serve` and `dev` run.

use std::fs::File;
use std::future::IntoFuture;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::Address;
use alloy::signers::local::PrivateKeySigner;
use anyhow::{Context, bail};
use futures::FutureExt;
use secrecy::ExposeSecret;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::numbers;
use super::surroundings::actor;
use crate::approvers::Approvers;
use crate::chain::{Chain, CodeMismatch, RpcEndpoints, WallClock, wall_now};
use crate::config::OnboardingConfig;
use crate::http::{
    AdminState, DevPowers, HttpParts, HttpState, MOST_STREAMS, PaySettings, RateLimits, RateSettings,
    Running, admin_router, router, webhook_body,
};
use crate::keys::OperatorKey;
use crate::lane::{Caretaker, Dates, Desk, Lane, LaneSettings, Meter, Observer, Signals, Standing};
use crate::onboarding::{Gateway, MasterKey, Messenger, Onboarding, OnboardingSettings, Verifier};
use crate::outbound::Post;
use crate::preauth::{Claims, Patrol, PreauthSettings, Preauths, Sweeper};
use crate::store::audit::{self, Act};
use crate::store::{Health, Store, StoreError, instance};
use crate::webhooks::{Courier, WebhookSettings, Webhooks};

/// Held while a daemon runs on a data folder; the system lets go of it when the process ends, however it ends.
const LOCK_FILE: &str = "preauthd.lock";

/// How long requests may wait on for the chain while the daemon stops.
const GRACE: Duration = Duration::from_secs(1);
/// How long connections may take to end once every request was answered.
const FAREWELL: Duration = Duration::from_secs(3);
/// Everything a daemon needs to know, checked.
#[derive(Debug, Clone)]
pub struct DaemonConfig {
    pub data_dir: PathBuf,
    pub listen: SocketAddr,
    /// Where those who run the daemon are let in; `None`: nowhere.
    pub admin_listen: Option<SocketAddr>,
    /// A block explorer, for links.
    pub explorer_url: Option<String>,
    pub rpc: RpcEndpoints,
    /// The chain the node must be on.
    pub chain_id: u64,
    pub escrow: Address,
    /// The block the escrow was deployed in: nothing before it is of interest.
    pub escrow_block: u64,
    /// One lane each; at least one.
    pub operators: Vec<OperatorKey>,
    pub lane: LaneSettings,
    pub request_timeout: Duration,
    /// How often database and chain are compared; `None`: never.
    pub reconcile_every: Option<Duration>,
    /// What payers see before `/pay/…`; `None`: `http://` and where the API listens.
    pub public_url: Option<String>,
    /// A node that a payer's wallet is told where it does not know the chain.
    pub wallet_rpc_url: Option<String>,
    /// How long before its expiry a hold is announced to expire; zero: never.
    pub expiring_before: Duration,
    pub webhooks: WebhookSettings,
    /// How parties are onboarded; `None`: there is no key for personal data, and nobody is.
    pub onboarding: Option<OnboardingConfig>,
    /// How often an API key may be used.
    pub rates: RateSettings,
    /// Only in `dev`: the admin key, so that receivers are allowed on chain at once, and the clock can be moved.
    pub dev_admin: Option<PrivateKeySigner>,
}

/// A running daemon.
pub struct Daemon {
    /// Where the API listens; the port is the real one where 0 was asked for.
    pub address: SocketAddr,
    /// Where the admin listener is, if there is one.
    pub admin_address: Option<SocketAddr>,
    store: Store,
    /// Ends the acceptance of requests.
    close_door: CancellationToken,
    signals: Signals,
    serving: JoinHandle<std::io::Result<()>>,
    /// Ends the workers.
    stop: CancellationToken,
    workers: JoinSet<()>,
    _lock: File,
}

impl Daemon {
    /// Starts; returns once it is ready (the chain was read up to its head) and listening.
    ///
    /// # Errors
    /// Another daemon on the same data folder, a wrong chain, another contract at the escrow's address, or a part that
    /// cannot start: it signs nothing then.
    pub async fn start(config: DaemonConfig) -> anyhow::Result<Self> {
        if config.operators.is_empty() {
            bail!("no operator key is configured");
        }
        // Before anything is counted.
        let metrics = numbers::recorder();
        let lock = lock(&config.data_dir)?;
        let store = Store::open_as_daemon(&config.data_dir).await.context("opening the database")?;
        let chain = Chain::connect(&config.rpc).await.context("connecting to the node")?;
        let identity =
            Identity { chain_id: config.chain_id, escrow: config.escrow, escrow_block: config.escrow_block };
        identity.check_node(&chain).await?;
        identity.bind(&store).await?;

        let signals = Signals::default();
        let standing = Standing::default();
        let mut observer = Observer::prepare(
            store.clone(),
            chain.clone(),
            signals.clone(),
            standing.clone(),
            config.lane.clone(),
            WallClock::system(),
        )
        .await?;
        observer.catch_up().await.context("reading the chain up to its head")?;
        let clock = observer.clock();
        clock.count_age();

        let stop = CancellationToken::new();
        let mut workers = JoinSet::new();
        let desk = Desk::new(store.clone(), standing.clone());
        for key in &config.operators {
            let lane = Lane::new(
                key.clone(),
                store.clone(),
                chain.clone(),
                clock.clone(),
                signals.clone(),
                standing.clone(),
                desk.clone(),
                config.lane.clone(),
            );
            workers.spawn(lane.run(stop.clone()));
        }
        let caretaker = Caretaker::new(
            store.clone(),
            chain.clone(),
            clock.clone(),
            signals.clone(),
            standing.clone(),
            config.operators.iter().map(OperatorKey::address),
        );
        workers.spawn(caretaker.run(stop.clone()));
        workers.spawn(observer.run(stop.clone()));
        workers.spawn(Dates::new(store.clone(), chain.clone(), standing.clone()).run(stop.clone()));
        workers.spawn(watch_disk(store.health(), standing.clone(), stop.clone()));
        let claims = Claims::new(store.clone(), chain.clone(), signals.clone(), standing.clone());
        workers.spawn(claims.run(stop.clone()));
        let meter = Meter::new(
            store.clone(),
            chain.clone(),
            clock.clone(),
            standing.clone(),
            config.operators.iter().map(OperatorKey::address).collect(),
            config.lane.reorg_depth,
        );
        workers.spawn(meter.run(stop.clone()));
        let sweeper = Sweeper::new(
            store.clone(),
            clock.clone(),
            signals.clone(),
            standing.clone(),
            config.expiring_before.as_secs(),
        );
        workers.spawn(sweeper.run(stop.clone()));
        // One for all who send: it reads every certificate there is to trust.
        let post = Post::new(&config.webhooks.outbound).context("making a client for HTTP")?;
        let courier = Courier::new(
            store.clone(),
            signals.clone(),
            standing.clone(),
            config.webhooks.clone(),
            webhook_body,
            post.clone(),
        );
        workers.spawn(courier.run(stop.clone()));

        if let Some(every) = config.reconcile_every {
            let depth = config.lane.reorg_depth;
            let (chain, standing, wall) = (chain.clone(), standing.clone(), WallClock::system());
            let patrol = Patrol::new(config.data_dir.clone(), chain, standing, every, depth, wall);
            workers.spawn(patrol.run(stop.clone()));
        }

        let settings = PreauthSettings {
            escrow: config.escrow,
            permit2: chain.permit2_of(config.escrow).await.context("looking for Permit2")?,
            operators: config.operators.iter().map(OperatorKey::address).collect(),
            request_timeout: config.request_timeout,
        };
        let dev = config.dev_admin.map(|admin| DevPowers::new(chain.clone(), signals.clone(), Some(admin)));
        let operators: Vec<Address> = settings.operators.clone();
        let approvers = Approvers::new(store.clone(), config.webhooks.outbound.clone(), post.clone());
        let preauths = Preauths::new(
            store.clone(),
            chain.clone(),
            clock.clone(),
            signals.clone(),
            standing.clone(),
            approvers.clone(),
            settings,
        );
        workers.spawn(preauths.clone().keep_asking_tokens(stop.clone()));
        let listener = tokio::net::TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("listening on {}", config.listen))?;
        let address = listener.local_addr()?;
        let public_url = config.public_url.unwrap_or_else(|| format!("http://{address}"));
        let onboarding = match config.onboarding {
            Some(settings) => {
                let settings = onboarding_settings(&settings, post, &public_url)?;
                let onboarding = Onboarding::new(store.clone(), signals.clone(), settings);
                onboarding.check_key().await.context("opening personal data (onboarding_key_env)")?;
                workers.spawn(onboarding.clone().examine(stop.clone()));
                Some(onboarding)
            }
            None => {
                tracing::info!(
                    "nobody is onboarded: no key for personal data is configured (onboarding_key_env)"
                );
                None
            }
        };
        let webhooks = Webhooks::new(store.clone(), signals.clone(), config.webhooks);
        let close_door = CancellationToken::new();
        let state = HttpState::new(HttpParts {
            preauths,
            webhooks,
            approvers,
            onboarding,
            store: store.clone(),
            standing,
            signals: signals.clone(),
            closing: close_door.clone(),
            streams: Arc::new(Semaphore::new(MOST_STREAMS)),
            clock,
            chain_id: config.chain_id,
            escrow: config.escrow,
            metrics,
            pay: PaySettings::new(&public_url, config.wallet_rpc_url.as_deref()),
            limits: RateLimits::new(config.rates),
            running: Running::default(),
            dev,
        });
        let mut admin_address = None;
        if let Some(listen) = config.admin_listen {
            let listener = tokio::net::TcpListener::bind(listen)
                .await
                .with_context(|| format!("listening on {listen} (admin_listen)"))?;
            admin_address = Some(listener.local_addr()?);
            let admin = AdminState::new(state.clone(), chain, operators, config.explorer_url);
            workers.spawn(serve_admin(listener, admin, stop.clone()));
        }
        // A bare router is built anew for each connection, with all its layers around each of its routes.
        let service = router(state).into_make_service();
        let serving =
            axum::serve(listener, service).with_graceful_shutdown(close_door.clone().cancelled_owned());
        let serving = tokio::spawn(serving.into_future());
        tracing::info!(%address, chain = config.chain_id, escrow = %config.escrow, lanes = config.operators.len(), "ready");
        Ok(Self { address, admin_address, store, close_door, signals, serving, stop, workers, _lock: lock })
    }

    /// Resolves when a part of the daemon has come to an end by itself: a fault.
    pub async fn failed(&mut self) -> anyhow::Error {
        tokio::select! {
            served = &mut self.serving => match served {
                Ok(Ok(())) => anyhow::anyhow!("the API stopped serving"),
                Ok(Err(error)) => anyhow::Error::new(error).context("serving HTTP"),
                Err(error) => anyhow::Error::new(error).context("the API died"),
            },
            () = self.store.ended() => anyhow::anyhow!("the database takes no more changes"),
            worker = self.workers.join_next() => match worker {
                Some(Err(error)) => anyhow::Error::new(error).context("a worker died"),
                _ => anyhow::anyhow!("a worker ended"),
            },
        }
    }

    /// Stops accepting, lets requests that wait be answered while the workers still run (with 202 where the outcome takes
    /// longer), then stops those and closes the database. What is in flight on chain is found again at the next start.
    pub async fn stop(mut self) {
        self.close_door.cancel();
        if tokio::time::timeout(GRACE, &mut self.serving).await.is_err() {
            self.signals.close();
            if tokio::time::timeout(FAREWELL, &mut self.serving).await.is_err() {
                self.serving.abort();
            }
        }
        self.stop.cancel();
        while self.workers.join_next().await.is_some() {}
        self.store.close().await;
    }
}

/// Reads what is secret in it.
fn onboarding_settings(
    config: &OnboardingConfig,
    post: Post,
    public_url: &str,
) -> anyhow::Result<OnboardingSettings> {
    let master = MasterKey::parse(config.key.expose_secret());
    let master =
        master.context("the key for personal data is not 64 hexadecimal digits (onboarding_key_env)")?;
    let messenger = match &config.gateway {
        Some((url, key)) => {
            let gateway = Gateway::new(url.clone(), key.expose_secret(), post.clone());
            let gateway = gateway.context("the gateway's key is no whsec_… (onboarding_gateway_key_env)")?;
            Messenger::Gateway(Box::new(gateway))
        }
        None if config.sandbox => Messenger::Sandbox,
        None => Messenger::None,
    };
    let verifier = match &config.provider {
        Some((url, key)) => {
            let gateway = Gateway::new(url.clone(), key.expose_secret(), post);
            let gateway =
                gateway.context("the provider's key is no whsec_… (onboarding_provider_key_env)")?;
            Verifier::Provider(Box::new(gateway))
        }
        None if config.sandbox => Verifier::Sandbox,
        None => Verifier::None,
    };
    if config.sandbox {
        tracing::warn!(
            "onboarding is a sandbox: no message is sent, and identities are verified by test values"
        );
    }
    let public_url = public_url.trim_end_matches('/').to_owned();
    Ok(OnboardingSettings { master, messenger, verifier, public_url })
}

/// Lets in those who run the daemon, until it stops.
async fn serve_admin(listener: tokio::net::TcpListener, state: AdminState, stop: CancellationToken) {
    let service = admin_router(state).into_make_service();
    let serving = axum::serve(listener, service).with_graceful_shutdown(stop.clone().cancelled_owned());
    let too_long = async {
        stop.cancelled().await;
        tokio::time::sleep(FAREWELL).await;
    };
    tokio::select! {
        served = serving.into_future() => if let Err(error) = served {
            tracing::error!(%error, "the admin listener failed");
        },
        () = too_long => {}
    }
}

/// Says of the database whether it takes changes.
async fn watch_disk(mut health: watch::Receiver<Health>, standing: Standing, stop: CancellationToken) {
    loop {
        let trouble = health.borrow_and_update().trouble();
        standing.report(Standing::DATABASE, trouble);
        tokio::select! {
            () = stop.cancelled() => return,
            _ = health.changed() => {}
        }
    }
}

/// One daemon per database: two would send each other's work twice, and none may run while the database is repaired.
pub(super) fn lock(data_dir: &Path) -> anyhow::Result<File> {
    std::fs::create_dir_all(data_dir).with_context(|| format!("creating {}", data_dir.display()))?;
    let path = data_dir.join(LOCK_FILE);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("opening {}", path.display()))?;
    if file.try_lock().is_err() {
        bail!("another preauthd runs on the data folder {}", data_dir.display());
    }
    Ok(file)
}

/// The chain and the contract that database, node and configuration must all speak of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Identity {
    pub chain_id: u64,
    pub escrow: Address,
    pub escrow_block: u64,
}

impl Identity {
    /// Makes sure that the node is on this chain and has this escrow.
    pub async fn check_node(&self, chain: &Chain) -> anyhow::Result<()> {
        if chain.chain_id() != self.chain_id {
            bail!("the node is on chain {}, the configuration says {}", chain.chain_id(), self.chain_id);
        }
        match chain.check_escrow_code(self.escrow).await? {
            Ok(()) => Ok(()),
            Err(CodeMismatch::Nothing) => {
                bail!("there is no contract at the escrow's address {}", self.escrow)
            }
            Err(CodeMismatch::Other) => {
                bail!("the contract at {} is not the escrow this version was built with", self.escrow)
            }
        }
    }

    /// Makes sure that the database belongs to this chain; a fresh one does from now on. It serves this escrow from now on,
    /// beside those it served before.
    pub async fn bind(self, store: &Store) -> anyhow::Result<()> {
        let bound = {
            let mut reader = store.read().await?;
            instance::chain_id(&mut reader).await?
        };
        if let Some(bound) = bound.filter(|bound| *bound != self.chain_id) {
            bail!("the database belongs to chain {bound}, the configuration says {}", self.chain_id);
        }
        let actor = actor();
        store
            .write::<_, StoreError, _>(move |tx| {
                async move {
                    let now = wall_now();
                    if bound.is_none() {
                        instance::bind_to_chain(tx, self.chain_id, now).await?;
                    }
                    if instance::add_escrow(tx, self.escrow, self.escrow_block, now).await? {
                        let subject = format!("{} since block {}", self.escrow, self.escrow_block);
                        audit::note(tx, &Act { actor, act: "escrow.serve", subject }, now).await?;
                    }
                    Ok(())
                }
                .boxed()
            })
            .await?;
        Ok(())
    }
}
