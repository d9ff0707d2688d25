//! What a daemon has on its own machine: configuration, disk, database, keys.

use std::path::{Path, PathBuf};

use super::finding::Finding;
use crate::cli::daemon;
use crate::config::{Config, ConfigError, DEFAULT_FILE};
use crate::keys::OperatorKey;
use crate::model::{Rulebook, Tenant};
use crate::store::{Store, StoreError, StoreReader, instance, tenants};

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
    match config.onboarding() {
        Err(error) => findings.extend(refused_configuration(&error)),
        Ok(None) => {}
        Ok(Some(onboarding)) if onboarding.sandbox => findings.push(Finding::doubtful(
            "onboarding",
            "a sandbox: no message is sent, every code is 123456, and identities are verified by test values",
            "leave onboarding_sandbox out where real people are onboarded",
        )),
        Ok(Some(onboarding)) if onboarding.gateway.is_none() => findings.push(Finding::doubtful(
            "onboarding",
            "there is no gateway: neither codes nor links can be sent",
            "set onboarding_gateway_url and onboarding_gateway_key_env",
        )),
        Ok(Some(onboarding)) if onboarding.provider.is_none() => findings.push(Finding::doubtful(
            "onboarding",
            "there is no provider: neither identities nor documents can be verified",
            "set onboarding_provider_url and onboarding_provider_key_env",
        )),
        Ok(Some(_)) => {
            let message = "there is a key for personal data, a gateway and a provider";
            findings.push(Finding::good("onboarding", message));
        }
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

/// Whether every tenant's rules can be read: those that cannot refuse everything.
pub(super) async fn rules(folder: &Path) -> Vec<Finding> {
    // What is wrong with the database as a whole was found before.
    let Ok(tenants) = tenants_of_database(folder).await else { return Vec::new() };
    let flaws = tenants.into_iter().filter_map(|tenant| {
        let flaw = Rulebook::open(tenant.rules).flaw().map(ToString::to_string)?;
        let found = format!("tenant {} can create nothing: {flaw}", tenant.name);
        let advice = "mend it with `preauthd tenant set NAME --rules` (docs/rules.md)";
        Some(Finding::doubtful("rules", found, advice))
    });
    flaws.collect()
}

async fn tenants_of_database(folder: &Path) -> Result<Vec<Tenant>, StoreError> {
    let reader = StoreReader::open(folder).await?;
    let mut snapshot = reader.snapshot().await?;
    tenants::all(&mut snapshot).await
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

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::chain::wall_now;
    use crate::cli::tenant::new_tenant;
    use crate::model::Expression;

    #[tokio::test]
    async fn rules_that_cannot_be_read_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        for (name, allow) in [("sound", "amount > tokens(1)"), ("torn", "amount > tokens(")] {
            let mut tenant = new_tenant(name.to_owned());
            let (name, allow, why) = ("mine".to_owned(), allow.to_owned(), "because".to_owned());
            tenant.rules.expressions.push(Expression { name, allow, why });
            let added = store.write::<_, StoreError, _>(move |tx| {
                async move { tenants::insert(tx, &tenant, wall_now()).await }.boxed()
            });
            added.await.unwrap();
        }
        store.close().await;
        let found = rules(folder.path()).await;
        assert_eq!(found.len(), 1);
        assert!(found[0].found.starts_with("tenant torn can create nothing: the expression \"mine\""));
    }
}
