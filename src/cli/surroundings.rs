//! What a command finds around it: the configuration, the database, the node.

use std::path::PathBuf;

use alloy::primitives::Address;
use anyhow::{Context, anyhow, bail};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::output::Output;
use crate::chain::{Chain, wall_now};
use crate::config::{Config, ConfigError, missing};
use crate::model::Tenant;
use crate::outbound::UnfitUrl;
use crate::store::audit::{self, Act};
use crate::store::{Connection, Store, StoreError, StoreReader, tenants};

pub(super) struct Surroundings {
    pub config_file: Option<PathBuf>,
    pub output: Output,
}

impl Surroundings {
    pub fn config(&self) -> anyhow::Result<Config> {
        Ok(Config::load(self.config_file.as_deref())?)
    }

    /// The configured database; it is created where there is none.
    pub async fn store(&self) -> anyhow::Result<Store> {
        open(&self.config()?).await
    }

    /// Writes down, before it is done, an act whose effect is not in the database, where there is one: who sends a transaction
    /// may have none.
    pub async fn note(&self, act: &'static str, subject: &str) -> anyhow::Result<()> {
        let config = self.config()?;
        if !Store::is_in(&config.data_dir) {
            return Ok(());
        }
        let store = open(&config).await?;
        let act = by_us(act, subject);
        change(&store, move |tx| async move { audit::note(tx, &act, wall_now()).await }.boxed()).await?;
        store.close().await;
        Ok(())
    }

    /// The configured database, to look at: a mistyped folder shall not look like an empty database.
    pub async fn existing_store(&self) -> anyhow::Result<Store> {
        let config = self.config()?;
        must_exist(&config)?;
        open(&config).await
    }
}

/// The configured database, neither created nor brought up to date nor written to.
pub(super) async fn store_reader(config: &Config) -> anyhow::Result<StoreReader> {
    must_exist(config)?;
    StoreReader::open(&config.data_dir)
        .await
        .with_context(|| format!("reading the database in {} (data_dir)", config.data_dir.display()))
}

/// A mistyped folder shall not look like an empty database.
pub(super) fn must_exist(config: &Config) -> anyhow::Result<()> {
    if Store::is_in(&config.data_dir) {
        return Ok(());
    }
    bail!(
        "there is no database in {} (data_dir); `preauthd tenant create` makes one",
        config.data_dir.display()
    )
}

async fn open(config: &Config) -> anyhow::Result<Store> {
    Store::open(&config.data_dir)
        .await
        .with_context(|| format!("opening the database in {} (data_dir)", config.data_dir.display()))
}

/// The configured node, on the configured chain.
pub(super) async fn connect(config: &Config) -> anyhow::Result<Chain> {
    let Some(rpc) = &config.rpc else {
        return Err(ConfigError(vec![missing("rpc_url", "the http:// or https:// URL of a node")]).into());
    };
    let chain = Chain::connect(rpc).await.context("connecting to the node (rpc_url)")?;
    if let Some(expected) = config.chain_id.filter(|expected| *expected != chain.chain_id()) {
        bail!("the node is on chain {}, the configuration says {expected} (chain_id)", chain.chain_id());
    }
    Ok(chain)
}

/// The configured escrow.
pub(super) fn escrow(config: &Config) -> anyhow::Result<Address> {
    config.escrow.ok_or_else(|| {
        ConfigError(vec![missing("escrow", "the escrow's address, as `preauthd deploy` writes it")]).into()
    })
}

/// A tenant by its name.
pub(super) async fn tenant(connection: &mut Connection, name: &str) -> anyhow::Result<Tenant> {
    tenants::by_name(connection, name)
        .await?
        .with_context(|| format!("there is no tenant {name:?}; `preauthd tenant list` shows those there are"))
}

/// A URL of a merchant's system that is not taken, and what an operator can do about it.
pub(super) fn unfit_url(why: UnfitUrl) -> anyhow::Error {
    let hint = if why.is_for_privacy() {
        " (unless the configuration says webhooks_allow_private = true)"
    } else {
        ""
    };
    anyhow!("the URL {why}{hint}")
}

/// Runs one change of whoever runs this command, and writes it down in the same transaction: that it was done, or that it was asked
/// for where it changed nothing.
pub(super) async fn act<T, F>(
    store: &Store,
    act: &'static str,
    subject: &str,
    change: F,
) -> Result<T, StoreError>
where
    F: for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
    T: Send + 'static,
{
    let act = by_us(act, subject);
    self::change(store, move |tx| {
        async move {
            audit::note(tx, &act, wall_now()).await?;
            change(tx).await
        }
        .boxed()
    })
    .await
}

/// An act of whoever runs this command, by the name of his account.
fn by_us(act: &'static str, subject: &str) -> Act {
    Act { actor: actor(), act, subject: subject.to_owned() }
}

/// Whoever runs this command, as the audit log names him.
pub(super) fn actor() -> String {
    let account = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    format!("cli {}", account.unwrap_or_default()).trim_end().to_owned()
}

/// Runs one change, durable when this returns.
pub(super) async fn change<T, F>(store: &Store, change: F) -> Result<T, StoreError>
where
    F: for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
    T: Send + 'static,
{
    store.write(move |connection| change(connection).boxed()).await
}
