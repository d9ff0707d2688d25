//! `preauthd serve`: the daemon, as configured.

use std::io::IsTerminal;

use anyhow::Context;
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::daemon::{Daemon, DaemonConfig};
use super::stop_signal::StopSignal;
use super::surroundings::Surroundings;
use crate::config::{Config, ConfigError, LogFormat, missing};
use crate::trace::Traces;

pub(super) async fn run(around: &Surroundings) -> anyhow::Result<()> {
    let config = around.config()?;
    let traces = config.otlp_endpoint.as_deref().map(Traces::to).transpose().context("sending traces")?;
    start_log(config.log_format, "info", traces.as_ref());
    let ended = run_daemon(&config).await;
    if let Some(traces) = traces {
        traces.end().await;
    }
    ended
}

async fn run_daemon(config: &Config) -> anyhow::Result<()> {
    let mut signal = StopSignal::listen()?;
    let daemon = tokio::select! {
        daemon = Daemon::start(daemon_config(config).await?) => daemon?,
        () = signal.asked() => return Ok(()),
    };
    run_until(daemon, &mut signal).await
}

/// Runs a daemon until it is asked to stop, or fails.
pub(super) async fn run_until(mut daemon: Daemon, signal: &mut StopSignal) -> anyhow::Result<()> {
    let failure = tokio::select! {
        () = signal.asked() => None,
        failure = daemon.failed() => Some(failure),
    };
    tracing::info!("stopping");
    tokio::select! {
        () = daemon.stop() => {}
        // Asked twice: whatever is lost by not waiting is found again at the next start.
        () = signal.asked() => tracing::warn!("stopped without waiting"),
    }
    failure.map_or(Ok(()), |failure| Err(failure).context("the daemon came to an end"))
}

/// Libraries that log every failure they return: a KMS that is away for an hour would fill the log.
const TALKATIVE: &str = "alloy_signer_aws=off,alloy_signer_gcp=off,gcloud_sdk=off";

/// Starts logging to the standard error output; RUST_LOG overrules `default`. Spans go to the collector as well, whatever is
/// logged.
pub(super) fn start_log(format: LogFormat, default: &str, traces: Option<&Traces>) {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(format!("{default},{TALKATIVE}")));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let lines = match format {
        LogFormat::Pretty => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let spans =
        traces.map(|traces| traces.layer().with_filter(Targets::new().with_target("preauthd", Level::INFO)));
    // Fails only where a log was started before.
    let _ = tracing_subscriber::registry().with(spans).with(lines.with_filter(filter)).try_init();
}

/// What the daemon needs, or everything that is missing of it.
async fn daemon_config(config: &Config) -> Result<DaemonConfig, ConfigError> {
    let mut problems = Vec::new();
    let mut need = |key, expected, absent: bool| {
        if absent {
            problems.push(missing(key, expected));
        }
    };
    need("rpc_url", "the http:// or https:// URL of a node", config.rpc.is_none());
    need("chain_id", "the number of the chain, as `preauthd deploy` writes it", config.chain_id.is_none());
    need("escrow", "the escrow's address, as `preauthd deploy` writes it", config.escrow.is_none());
    need("escrow_block", "the block the escrow was deployed in", config.escrow_block.is_none());
    let operators = match config.open_operators().await {
        Ok(operators) => operators,
        Err(ConfigError(more)) => {
            problems.extend(more);
            Vec::new()
        }
    };
    let place = (config.rpc.as_ref(), config.chain_id, config.escrow, config.escrow_block);
    let (Some(rpc), Some(chain_id), Some(escrow), Some(escrow_block)) = place else {
        return Err(ConfigError(problems));
    };
    if !problems.is_empty() {
        return Err(ConfigError(problems));
    }
    Ok(DaemonConfig {
        data_dir: config.data_dir.clone(),
        listen: config.listen,
        admin_listen: config.admin_listen,
        explorer_url: config.explorer_url.clone(),
        rpc: rpc.clone(),
        chain_id,
        escrow,
        escrow_block,
        operators,
        lane: config.lane.clone(),
        request_timeout: config.request_timeout,
        reconcile_every: config.reconcile_every,
        public_url: config.public_url.clone(),
        wallet_rpc_url: config.wallet_rpc_url.clone(),
        expiring_before: config.expiring_before,
        rates: config.rates,
        webhooks: config.webhooks()?,
        onboarding: config.onboarding()?,
        dev_admin: None,
    })
}
