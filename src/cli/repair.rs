//! `preauthd reconcile --repair`: brings the database to what the chain says, an empty one too.

use std::fs::File;

use alloy::primitives::B256;
use anyhow::{Context, bail};
use futures::FutureExt;
use serde::Serialize;

use super::daemon::{Identity, lock};
use super::output::table;
use super::progress::shown;
use super::surroundings::{act, connect};
use crate::chain::Chain;
use crate::config::{Config, ConfigError, missing};
use crate::model::{Mended, Repairs};
use crate::preauth::{Progress, repair};
use crate::store::{Store, instance};

/// What was repaired, as scripts read it.
#[derive(Serialize)]
pub(super) struct RepairReport {
    rewritten: u64,
    recovered: u64,
    left: u64,
    /// The first 1,000.
    rows: Vec<MendedLine>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MendedLine {
    what: &'static str,
    preauth_id: Option<B256>,
    invoice_id: Option<String>,
    was: Option<&'static str>,
    is: Option<&'static str>,
    why: String,
}

/// Repairs the configured database. The lock says that no daemon may start yet.
pub(super) async fn run(config: &Config) -> anyhow::Result<(RepairReport, File)> {
    let lock = lock(&config.data_dir).context("--repair needs the daemon stopped")?;
    let chain = connect(config).await?;
    let store = open(config, &chain).await?;
    act(&store, "database.repair", &format!("on chain {}", chain.chain_id()), |_| async { Ok(()) }.boxed())
        .await?;
    let progress = Progress::default();
    let repaired = shown(&progress, repair(&store, &chain, &config.lane, &progress).boxed_local()).await;
    store.close().await;
    let repaired = repaired.context("repairing (what was repaired so far stays; begin it again)")?;
    Ok((RepairReport::from(repaired), lock))
}

/// The configured database, bound to the configured chain and escrow; where neither is configured, to those that it knows.
async fn open(config: &Config, chain: &Chain) -> anyhow::Result<Store> {
    let identity = match (config.chain_id, config.escrow, config.escrow_block) {
        (Some(chain_id), Some(escrow), Some(escrow_block)) => {
            let identity = Identity { chain_id, escrow, escrow_block };
            identity.check_node(chain).await?;
            Some(identity)
        }
        _ if Store::is_in(&config.data_dir) => None,
        (chain_id, escrow, escrow_block) => {
            let absent = [
                ("chain_id", chain_id.is_none()),
                ("escrow", escrow.is_none()),
                ("escrow_block", escrow_block.is_none()),
            ];
            let needed = "what `preauthd deploy` wrote: an empty database is rebuilt from it";
            let problems = absent.iter().filter(|(_, absent)| *absent).map(|(key, _)| missing(key, needed));
            return Err(ConfigError(problems.collect()).into());
        }
    };
    let store = Store::open(&config.data_dir)
        .await
        .with_context(|| format!("opening the database in {} (data_dir)", config.data_dir.display()))?;
    match identity {
        Some(identity) => identity.bind(&store).await?,
        None => check_bound(&store, chain).await?,
    }
    Ok(store)
}

async fn check_bound(store: &Store, chain: &Chain) -> anyhow::Result<()> {
    let (bound, escrows) = {
        let mut reader = store.read().await?;
        (instance::chain_id(&mut reader).await?, instance::escrows(&mut reader).await?)
    };
    let Some(chain_id) = bound.filter(|_| !escrows.is_empty()) else {
        bail!("the database belongs to no chain yet: configure chain_id, escrow and escrow_block");
    };
    for (escrow, escrow_block) in escrows {
        Identity { chain_id, escrow, escrow_block }.check_node(chain).await?;
    }
    Ok(())
}

impl From<Repairs> for RepairReport {
    fn from(repairs: Repairs) -> Self {
        let Repairs { rewritten, recovered, left, rows } = repairs;
        Self { rewritten, recovered, left, rows: rows.kept.into_iter().map(MendedLine::from).collect() }
    }
}

impl From<Mended> for MendedLine {
    fn from(row: Mended) -> Self {
        Self {
            what: row.mending.as_str(),
            preauth_id: row.preauth_id,
            invoice_id: row.invoice,
            was: row.was.map(|status| status.as_str()),
            is: row.is.map(|status| status.as_str()),
            why: row.why,
        }
    }
}

impl RepairReport {
    pub fn in_words(&self) -> String {
        let Self { rewritten, recovered, left, rows } = self;
        let summary =
            format!("Repaired: {rewritten} rewritten, {recovered} recovered, {left} left as they were.");
        if rows.is_empty() {
            return summary;
        }
        let or = |text: Option<&str>, other: &str| text.unwrap_or(other).to_owned();
        let cells: Vec<_> = rows
            .iter()
            .map(|row| {
                [
                    row.what.to_owned(),
                    row.preauth_id.map_or_else(|| "?".to_owned(), |preauth_id| preauth_id.to_string()),
                    or(row.invoice_id.as_deref(), "?"),
                    or(row.was, "-"),
                    or(row.is, "-"),
                    row.why.clone(),
                ]
            })
            .collect();
        let mut text = table(["REPAIR", "PREAUTH ID", "INVOICE", "WAS", "IS", "WHY"], &cells);
        let unseen = (rewritten + recovered + left).saturating_sub(rows.len() as u64);
        if unseen > 0 {
            text = format!("{text}\n{unseen} more are not shown.");
        }
        format!("{text}\n{summary}")
    }
}
