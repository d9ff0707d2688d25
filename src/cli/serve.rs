//! `preauthd serve`: the daemon, as configured.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use super::daemon::{Daemon, DaemonConfig};
use super::stop_signal::StopSignal;
use super::surroundings::Surroundings;
use crate::config::{Config, ConfigError, LogFormat, missing};

pub(super) async fn run(around: &Surroundings) -> anyhow::Result<()> {
    let config = around.config()?;
    start_log(config.log_format, "info");
    let mut signal = StopSignal::listen()?;
    let daemon = tokio::select! {
        daemon = Daemon::start(daemon_config(&config)?) => daemon?,
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

/// Starts logging to the standard error output; RUST_LOG overrules `default`.
pub(super) fn start_log(format: LogFormat, default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // Fails only where a log was started before.
    let _ = match format {
        LogFormat::Pretty => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}

/// What the daemon needs, or everything that is missing of it.
fn daemon_config(config: &Config) -> Result<DaemonConfig, ConfigError> {
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
    let operators = match config.open_operators() {
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
        webhooks: config.webhooks()?,
        dev_admin: None,
    })
}
