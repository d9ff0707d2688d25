//! `preauthd admin key`: keys of those who run the daemon.

use anyhow::bail;
use clap::Subcommand;
use futures::FutureExt;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::json;

use super::surroundings::{Surroundings, act};
use super::tenant_key::Scope;
use crate::chain::wall_now;
use crate::http::api_key;
use crate::model;
use crate::store::admin_keys::{self, AdminKey};
use crate::store::{Store, StoreError};

/// Keys of those who run the daemon, for the dashboard
///
/// They open the listener of `admin_listen` and nothing else; the keys of tenants open nothing there.
#[derive(Subcommand)]
pub(super) enum Admin {
    /// Admin keys
    #[command(subcommand)]
    Key(Key),
}

#[derive(Subcommand)]
pub(super) enum Key {
    /// Make a key and show it, once
    New {
        /// Whose it is, or what it is for: the audit log says it
        name: String,
        /// read: look; write: send webhooks again; admin: make and end keys. May be given several times
        #[arg(long, value_enum, hide_possible_values = true, default_values_t = [Scope::Read, Scope::Write])]
        scope: Vec<Scope>,
    },
    /// Show all keys: their prefixes, never the keys
    List,
    /// End a key, at once
    Revoke {
        /// The key's prefix: what comes before its second underscore
        prefix: String,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    name: String,
    prefix: String,
    scopes: Vec<&'static str>,
    created_at: String,
    revoked_at: Option<String>,
}

impl Admin {
    pub async fn run(self, around: &Surroundings) -> anyhow::Result<()> {
        match self {
            Self::Key(Key::New { name, scope }) => make(around, name, scope).await,
            Self::Key(Key::List) => list(around).await,
            Self::Key(Key::Revoke { prefix }) => revoke(around, &prefix).await,
        }
    }
}

async fn make(around: &Surroundings, name: String, scopes: Vec<Scope>) -> anyhow::Result<()> {
    let store = around.store().await?;
    let of_tenants =
        scopes.iter().find(|scope| !model::Scope::OF_ADMINS.contains(&model::Scope::from(**scope)));
    if let Some(scope) = of_tenants {
        bail!(
            "admin keys onboard nobody: {} is a scope of tenants' keys",
            model::Scope::from(*scope).as_str()
        );
    }
    let scopes: Vec<model::Scope> = model::Scope::OF_ADMINS
        .into_iter()
        .filter(|scope| scopes.iter().any(|given| model::Scope::from(*given) == *scope))
        .collect();
    let words: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
    let key = store_new_key(&store, name.clone(), scopes).await?;
    store.close().await;
    around.output.done(
        &format!(
            "{}\n\nAn admin key for {name} with the scopes {}. It is shown this once: only its hash is stored.\n\
             It opens the dashboard, and what listens at admin_listen.",
            key.expose_secret(),
            words.join(", ")
        ),
        &json!({ "key": key.expose_secret(), "name": name, "scopes": words }),
    )
}

/// Makes an admin key and stores what recognises it.
pub(super) async fn store_new_key(
    store: &Store,
    name: String,
    scopes: Vec<model::Scope>,
) -> Result<SecretString, StoreError> {
    let new = api_key::generate_admin();
    let hash = new.hash;
    let subject = format!("{} {name}", new.prefix);
    let key = AdminKey { name, prefix: new.prefix, scopes, created_at: wall_now(), revoked_at: None };
    act(store, "admin_key.new", &subject, move |tx| {
        async move { admin_keys::insert(tx, &key, &hash).await }.boxed()
    })
    .await?;
    Ok(new.secret)
}

async fn list(around: &Surroundings) -> anyhow::Result<()> {
    let store = around.existing_store().await?;
    let keys = admin_keys::all(&mut *store.read().await?).await?;
    store.close().await;
    let listed: Vec<Listed> = keys
        .into_iter()
        .map(|key| Listed {
            name: key.name,
            prefix: key.prefix,
            scopes: key.scopes.iter().map(|scope| scope.as_str()).collect(),
            created_at: key.created_at.to_rfc3339(),
            revoked_at: key.revoked_at.map(|time| time.to_rfc3339()),
        })
        .collect();
    around.output.list(["NAME", "PREFIX", "SCOPES", "CREATED", "REVOKED"], &listed, |key| {
        let revoked = key.revoked_at.clone().unwrap_or_else(|| "-".to_owned());
        [key.name.clone(), key.prefix.clone(), key.scopes.join(","), key.created_at.clone(), revoked]
    })
}

async fn revoke(around: &Surroundings, prefix: &str) -> anyhow::Result<()> {
    let store = around.existing_store().await?;
    // Someone in a hurry may give the whole key, which must not come to stand in the audit log.
    let prefix = prefix.splitn(3, '_').take(2).collect::<Vec<_>>().join("_");
    let wanted = prefix.clone();
    let was_live = act(&store, "admin_key.revoke", &prefix, move |tx| {
        async move { admin_keys::revoke(tx, &wanted, wall_now()).await }.boxed()
    })
    .await?;
    store.close().await;
    if !was_live {
        bail!("there is no live admin key {prefix}; `preauthd admin key list` shows those there are");
    }
    around.output.done(&format!("admin key {prefix} is revoked"), &json!({ "prefix": prefix }))
}
