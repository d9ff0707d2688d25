//! `preauthd tenant key`: the API keys of a tenant.

use anyhow::bail;
use clap::{Subcommand, ValueEnum};
use futures::FutureExt;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::json;

use super::surroundings::{Surroundings, act, tenant};
use crate::chain::wall_now;
use crate::http::api_key;
use crate::model::{self, TenantId};
use crate::store::{Store, StoreError, api_keys};

#[derive(Subcommand)]
pub(super) enum Key {
    /// Make a key and show it, once
    New {
        /// The tenant's name
        tenant: String,
        /// What the key may be used for; may be given several times
        #[arg(long, value_enum, default_values_t = [Scope::Read, Scope::Write])]
        scope: Vec<Scope>,
    },
    /// Show the keys of a tenant: their prefixes, never the keys
    List {
        /// The tenant's name
        tenant: String,
    },
    /// End a key, at once
    Revoke {
        /// The tenant's name
        tenant: String,
        /// The key's prefix: what comes before its second underscore
        prefix: String,
    },
}

#[derive(Clone, Copy, ValueEnum, PartialEq, Eq)]
pub(super) enum Scope {
    /// Look at preauthorizations, wallets and tokens
    Read,
    /// Create, settle, cancel; register wallets with proof
    Write,
    /// Register wallets without proof
    Admin,
    /// Look at parties, personal data included
    #[value(name = "onboarding:read")]
    OnboardingRead,
    /// Onboard parties
    #[value(name = "onboarding:write")]
    OnboardingWrite,
    /// Publish terms; decide about parties; delete them
    #[value(name = "onboarding:staff")]
    Staff,
}

impl From<Scope> for model::Scope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Read => Self::Read,
            Scope::Write => Self::Write,
            Scope::Admin => Self::Admin,
            Scope::OnboardingRead => Self::OnboardingRead,
            Scope::OnboardingWrite => Self::OnboardingWrite,
            Scope::Staff => Self::Staff,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    prefix: String,
    scopes: Vec<&'static str>,
    created_at: String,
    revoked_at: Option<String>,
}

impl Key {
    pub async fn run(self, around: &Surroundings) -> anyhow::Result<()> {
        match self {
            Self::New { tenant, scope } => make(around, &tenant, scope).await,
            Self::List { tenant } => list(around, &tenant).await,
            Self::Revoke { tenant, prefix } => revoke(around, &tenant, prefix).await,
        }
    }
}

async fn make(around: &Surroundings, name: &str, scopes: Vec<Scope>) -> anyhow::Result<()> {
    let store = around.existing_store().await?;
    let tenant = tenant(&mut *store.read().await?, name).await?;
    // In the order of the model, each once.
    let scopes: Vec<model::Scope> = model::Scope::ALL
        .into_iter()
        .filter(|scope| scopes.iter().any(|given| model::Scope::from(*given) == *scope))
        .collect();
    let words: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
    let key = store_new_key(&store, tenant.id, scopes).await?;
    store.close().await;
    around.output.done(
        &format!(
            "{}\n\nA key of {name} with the scopes {}. It is shown this once: only its hash is stored.\n\
             Send it as the header x-api-key, or as Authorization: Bearer.",
            key.expose_secret(),
            words.join(", ")
        ),
        &json!({ "key": key.expose_secret(), "tenant": name, "scopes": words }),
    )
}

/// Makes a key for a tenant and stores what recognises it.
pub(super) async fn store_new_key(
    store: &Store,
    tenant: TenantId,
    scopes: Vec<model::Scope>,
) -> Result<SecretString, StoreError> {
    let key = api_key::generate();
    let (prefix, hash) = (key.prefix, key.hash);
    let named = prefix.clone();
    act(store, "api_key.new", &format!("{prefix} of tenant {}", tenant.0), move |tx| {
        async move { api_keys::insert(tx, tenant, &named, &hash, &scopes, wall_now()).await }.boxed()
    })
    .await?;
    Ok(key.secret)
}

async fn list(around: &Surroundings, name: &str) -> anyhow::Result<()> {
    let store = around.existing_store().await?;
    let mut reader = store.read().await?;
    let tenant = tenant(&mut reader, name).await?;
    let keys = api_keys::of_tenant(&mut reader, tenant.id).await?;
    drop(reader);
    store.close().await;
    let listed: Vec<Listed> = keys
        .into_iter()
        .map(|key| Listed {
            prefix: key.prefix,
            scopes: key.scopes.iter().map(|scope| scope.as_str()).collect(),
            created_at: key.created_at.to_rfc3339(),
            revoked_at: key.revoked_at.map(|time| time.to_rfc3339()),
        })
        .collect();
    around.output.list(["PREFIX", "SCOPES", "CREATED", "REVOKED"], &listed, |key| {
        let revoked = key.revoked_at.clone().unwrap_or_else(|| "-".to_owned());
        [key.prefix.clone(), key.scopes.join(","), key.created_at.clone(), revoked]
    })
}

async fn revoke(around: &Surroundings, name: &str, prefix: String) -> anyhow::Result<()> {
    let store = around.existing_store().await?;
    let tenant = tenant(&mut *store.read().await?, name).await?;
    // Someone in a hurry may give the whole key.
    let prefix = prefix.splitn(3, '_').take(2).collect::<Vec<_>>().join("_");
    let wanted = prefix.clone();
    let revoked = act(&store, "api_key.revoke", &format!("{prefix} of {name}"), move |tx| {
        async move { api_keys::revoke(tx, tenant.id, &wanted, wall_now()).await }.boxed()
    })
    .await?;
    store.close().await;
    if revoked == 0 {
        bail!("{name} has no live key {prefix}; `preauthd tenant key list {name}` shows those there are");
    }
    around
        .output
        .done(&format!("key {prefix} of {name} is revoked"), &json!({ "prefix": prefix, "revoked": revoked }))
}
