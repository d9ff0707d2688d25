//! What a daemon has on its own machine: configuration, disk, database, keys.

use std::path::{Path, PathBuf};

use super::finding::Finding;
use crate::cli::daemon;
use crate::config::{Config, ConfigError, DEFAULT_FILE};
use crate::keys::OperatorKey;
use crate::store::{Store, StoreError, StoreReader, instance};

const MIB: u64 = 1024 * 1024;
/// Free space below which a daemon may soon have to stop.
const SCARCE: u64 = 1024 * MIB;
/// Free space below which the write-ahead log may not fit.
const TOO_LITTLE: u64 = 100 * MIB;

/// A finding for each problem of a configuration that is refused.
pub(super) fn refused_configuration(ConfigError(problems): &ConfigError) -> Vec<Finding> {
    let advice = "preauthd.example.toml explains every key";
    problems.iter().map(|problem| Finding::bad("configuration", problem.to_string(), advice)).collect()
}

pub(super) fn configuration(config: &Config, file: Option<&Path>) -> Vec<Finding> {
    let path = file.unwrap_or(Path::new(DEFAULT_FILE));
    let from = if path.exists() { path.display().to_string() } else { "the environment alone".to_owned() };
    let mut findings = vec![Finding::good("configuration", format!("{from}, every key understood"))];
    if let Err(error) = config.webhooks() {
        findings.extend(refused_configuration(&error));
    }
    if config.public_url.is_none() && !config.listen.ip().is_loopback() {
        findings.push(Finding::doubtful(
            "public_url",
            format!("not set: links for payers would begin with http://{}", config.listen),
            "set it to what payers see of the proxy with TLS before the API",
        ));
    }
    findings
}

/// Whether the data folder can be written to, and how much fits.
pub(super) fn data_folder(config: &Config) -> Vec<Finding> {
    let check = "data folder";
    let folder = &config.data_dir;
    let Some(existing) = nearest_existing(folder) else {
        let advice = "give data_dir a place that exists";
        return vec![Finding::bad(
            check,
            format!("{} and no folder above it exists", folder.display()),
            advice,
        )];
    };
    if let Err(error) = rustix::fs::access(&existing, rustix::fs::Access::WRITE_OK) {
        let found = format!("{} cannot be written to: {error}", existing.display());
        return vec![Finding::bad(check, found, "let the user of the daemon own it")];
    }
    let free = match rustix::fs::statvfs(&existing) {
        Ok(disk) => disk.f_bavail.saturating_mul(disk.f_frsize),
        Err(error) => {
            let found = format!("{}: its free space is not known: {error}", folder.display());
            return vec![Finding::doubtful(check, found, "look at the disk by hand")];
        }
    };
    let found = format!("{}, {} MiB free", folder.display(), free / MIB);
    let advice = "make room: on a full disk the daemon refuses all work";
    vec![match free {
        ..TOO_LITTLE => Finding::bad(check, found, advice),
        TOO_LITTLE..SCARCE => Finding::doubtful(check, found, advice),
        _ => Finding::good(check, found),
    }]
}

fn nearest_existing(folder: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(folder).ok()?;
    absolute.ancestors().find(|folder| folder.is_dir()).map(Path::to_owned)
}

/// Whether the database is one of this version and of the configured chain.
pub(super) async fn database(config: &Config) -> Vec<Finding> {
    let check = "database";
    if !Store::is_in(&config.data_dir) {
        let found = format!("there is none in {} yet", config.data_dir.display());
        let advice =
            "`preauthd tenant create` makes one; if there was one, look for its folder before anything else";
        return vec![Finding::doubtful(check, found, advice)];
    }
    let bound = match chain_of_database(&config.data_dir).await {
        Ok(bound) => bound,
        Err(StoreError::OtherVersion) => {
            let found = "its tables are those of another version of preauthd";
            let advice = "an older one is brought up to date by the next `preauthd serve`; for a newer one install that version";
            return vec![Finding::doubtful(check, found, advice)];
        }
        Err(error) => {
            let advice = "restore the latest backup, then `preauthd reconcile --repair` (docs/operations.md)";
            return vec![Finding::bad(check, format!("it cannot be read: {error}"), advice)];
        }
    };
    if let (Some(bound), Some(configured)) = (bound, config.chain_id)
        && bound != configured
    {
        let found = format!("it belongs to chain {bound}, the configuration says {configured}");
        return vec![Finding::bad(check, found, "give each chain a data folder of its own")];
    }
    let user = match daemon::lock(&config.data_dir) {
        Ok(_) => "no daemon runs on it",
        Err(_) => "a daemon runs on it",
    };
    vec![Finding::good(check, format!("readable, of this version; {user}"))]
}

async fn chain_of_database(folder: &Path) -> Result<Option<u64>, StoreError> {
    let reader = StoreReader::open(folder).await?;
    let mut snapshot = reader.snapshot().await?;
    instance::chain_id(&mut snapshot).await
}

/// The operator keys that could be opened, and what is wrong with the others.
pub(super) async fn operator_keys(config: &Config) -> (Vec<OperatorKey>, Vec<Finding>) {
    let check = "operator keys";
    match config.open_operators().await {
        Ok(keys) => {
            let mut findings = vec![Finding::good(check, format!("{} opened", keys.len()))];
            for key in &keys {
                if let Err(fault) = key.try_out().await {
                    let advice = "let this machine reach its service, and who asks sign with the key (docs/operations.md)";
                    findings.push(Finding::bad(
                        check,
                        format!("{} does not sign: {fault}", key.address()),
                        advice,
                    ));
                }
            }
            (keys, findings)
        }
        Err(ConfigError(problems)) => {
            let advice = "each operator is a keystore with its password, a variable that holds the key, or a key in a KMS (preauthd.example.toml)";
            let bad = |problem: &crate::config::Problem| Finding::bad(check, problem.to_string(), advice);
            (Vec::new(), problems.iter().map(bad).collect())
        }
    }
}
