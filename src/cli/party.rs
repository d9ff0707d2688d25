//! `preauthd party`: whom a tenant has onboarded, and what is decided about them.

use anyhow::{Context, anyhow};
use clap::Subcommand;
use futures::FutureExt;
use serde::Serialize;
use uuid::Uuid;

use super::surroundings::{Surroundings, actor, tenant};
use crate::chain::wall_now;
use crate::model::{self, BarEvent, PartyId, TenantId};
use crate::onboarding::{Actor, OnboardingFault, OnboardingRefusal, ShownParty, decide_in, delete_in};
use crate::store::Store;
use crate::store::onboarding::parties;

/// Whom a tenant has onboarded
///
/// Nothing personal is shown: the key it is encrypted with is the daemon's. What is decided here counts at once, and is told as if it
/// had been decided by the API.
#[derive(Subcommand)]
pub(super) enum Party {
    /// Show the parties of a tenant, newest first
    List {
        /// The tenant's name
        tenant: String,
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
    },
    /// Show where a party stands, and what is open
    Show {
        /// The tenant's name
        tenant: String,
        /// The party's id
        id: Uuid,
    },
    /// Let a party's wallets take part in nothing new; what is open goes on
    Suspend {
        /// The tenant's name
        tenant: String,
        /// The party's id
        id: Uuid,
    },
    /// Take back a suspension or a rejection
    Resume {
        /// The tenant's name
        tenant: String,
        /// The party's id
        id: Uuid,
    },
    /// Decide that a party is not verified, whatever it does
    Reject {
        /// The tenant's name
        tenant: String,
        /// The party's id
        id: Uuid,
    },
    /// Destroy the key of a party's personal data; its id remains in events
    Delete {
        /// The tenant's name
        tenant: String,
        /// The party's id
        id: Uuid,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    external_id: Option<String>,
    status: &'static str,
    /// What is mandatory and open.
    open: Vec<&'static str>,
    created_at: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    #[serde(flatten)]
    listed: Listed,
    terms_accepted: Option<String>,
    verification: Option<&'static str>,
    wallets: Vec<String>,
}

impl From<&model::Party> for Listed {
    fn from(party: &model::Party) -> Self {
        Self {
            id: party.id.to_string(),
            kind: party.kind.as_str(),
            external_id: party.external_id.as_ref().map(|id| id.as_str().to_owned()),
            status: party.status().as_str(),
            open: party.open().map(|requirement| requirement.kind.as_str()).collect(),
            created_at: party.created_at.to_rfc3339(),
        }
    }
}

impl From<&ShownParty> for Shown {
    fn from(shown: &ShownParty) -> Self {
        let wallet = |wallet: &crate::onboarding::PartyWallet| {
            format!("{} {}", wallet.role.as_str(), wallet.account.written())
        };
        Self {
            listed: (&shown.party).into(),
            terms_accepted: shown.accepted.as_ref().map(|version| version.name.as_str().to_owned()),
            verification: shown.verification.as_ref().map(|verification| verification.state.as_str()),
            wallets: shown.wallets.iter().map(wallet).collect(),
        }
    }
}

impl Party {
    pub async fn run(self, around: &Surroundings) -> anyhow::Result<()> {
        match self {
            Self::List { tenant, limit } => list(around, &tenant, limit).await,
            Self::Show { tenant, id } => show(around, &tenant, PartyId(id)).await,
            Self::Suspend { tenant, id } => decide(around, &tenant, PartyId(id), BarEvent::Suspend).await,
            Self::Resume { tenant, id } => decide(around, &tenant, PartyId(id), BarEvent::Resume).await,
            Self::Reject { tenant, id } => decide(around, &tenant, PartyId(id), BarEvent::Reject).await,
            Self::Delete { tenant, id } => delete(around, &tenant, PartyId(id)).await,
        }
    }
}

async fn list(around: &Surroundings, name: &str, limit: u32) -> anyhow::Result<()> {
    let store = around.existing_store().await?;
    let page = {
        let mut reader = store.read().await?;
        let tenant = tenant(&mut reader, name).await?.id;
        parties::page(&mut reader, tenant, None, limit).await?
    };
    store.close().await;
    let listed: Vec<Listed> = page.iter().map(Listed::from).collect();
    around.output.list(["ID", "TYPE", "EXTERNAL ID", "STATUS", "OPEN", "CREATED"], &listed, |party| {
        [
            party.id.clone(),
            party.kind.to_owned(),
            party.external_id.clone().unwrap_or_else(|| "-".to_owned()),
            party.status.to_owned(),
            dashed(&party.open),
            party.created_at.clone(),
        ]
    })
}

async fn show(around: &Surroundings, name: &str, id: PartyId) -> anyhow::Result<()> {
    let store = around.existing_store().await?;
    let shown = {
        let mut reader = store.read().await?;
        let tenant = tenant(&mut reader, name).await?.id;
        shown_in(&mut reader, tenant, id).await?
    };
    store.close().await;
    say(around, &shown)
}

async fn decide(around: &Surroundings, name: &str, id: PartyId, event: BarEvent) -> anyhow::Result<()> {
    let store = around.existing_store().await?;
    let tenant = tenant(&mut *store.read().await?, name).await?.id;
    change(&store, move |tx, actor| {
        async move { decide_in(tx, tenant, id, event, &actor, wall_now()).await }.boxed()
    })
    .await?;
    let shown = shown_in(&mut *store.read().await?, tenant, id).await?;
    store.close().await;
    say(around, &shown)
}

async fn delete(around: &Surroundings, name: &str, id: PartyId) -> anyhow::Result<()> {
    let store = around.existing_store().await?;
    let tenant = tenant(&mut *store.read().await?, name).await?.id;
    change(&store, move |tx, actor| {
        async move { delete_in(tx, tenant, id, &actor, wall_now()).await }.boxed()
    })
    .await?;
    store.close().await;
    around.output.done(
        &format!("party {id} is deleted: the key of its personal data is destroyed"),
        &serde_json::json!({ "id": id.to_string(), "deleted": true }),
    )
}

async fn shown_in(
    connection: &mut crate::store::Connection,
    tenant: TenantId,
    id: PartyId,
) -> anyhow::Result<Shown> {
    let party = parties::find(connection, tenant, id).await?;
    let party = party.with_context(|| format!("the tenant has no party {id}"))?;
    Ok((&ShownParty::of(connection, party).await?).into())
}

/// Runs a change on a party, durable when this returns.
async fn change<F>(store: &Store, change: F) -> anyhow::Result<()>
where
    F: for<'c> FnOnce(
            &'c mut crate::store::Connection,
            Actor,
        ) -> futures::future::BoxFuture<
            'c,
            Result<Result<(), OnboardingRefusal>, OnboardingFault>,
        > + Send
        + 'static,
{
    let by = Actor::named(actor());
    let changed = store.write::<_, OnboardingFault, _>(move |tx| change(tx, by)).await?;
    changed.map_err(|refusal| match refusal {
        OnboardingRefusal::UnknownParty => anyhow!("the tenant has no such party"),
        OnboardingRefusal::Rejected => anyhow!("a rejected party cannot be suspended"),
        other => anyhow!("it was refused: {other:?}"),
    })
}

fn say(around: &Surroundings, shown: &Shown) -> anyhow::Result<()> {
    let Shown { listed, terms_accepted, verification, wallets } = shown;
    let none = || "none".to_owned();
    let sentences = format!(
        "{} {} is {}\n  open: {}\n  terms accepted: {}\n  verification: {}\n  wallets: {}",
        listed.kind,
        listed.id,
        listed.status,
        dashed(&listed.open),
        terms_accepted.clone().unwrap_or_else(none),
        verification.map_or_else(none, str::to_owned),
        if wallets.is_empty() { none() } else { wallets.join(", ") },
    );
    around.output.done(&sentences, shown)
}

fn dashed(words: &[&str]) -> String {
    if words.is_empty() { "-".to_owned() } else { words.join(", ") }
}
