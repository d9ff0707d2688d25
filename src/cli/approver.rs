//! `preauthd approver`: who is asked before a hold of a tenant is locked.

use anyhow::{Context, bail};
use clap::{Subcommand, value_parser};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::surroundings::{Surroundings, tenant, unfit_url};
use crate::approvers::{ApproverRefusal, ApproverWish, Approvers, NewApprover, Tried};
use crate::model::{self, ApproverName, Decision, InvoiceId, Tenant};
use crate::outbound::{Post, ShownKey};
use crate::store::{Store, approvals};

/// The least and the most that an approver may be given, in milliseconds.
const LEAST_MS: i64 = *model::Approver::TIME_LIMITS_MS.start() as i64;
const MOST_MS: i64 = *model::Approver::TIME_LIMITS_MS.end() as i64;

/// Who is asked before a hold of a tenant is locked
///
/// All approvers are asked at once, and all must approve. What is changed here counts from the next creation on.
#[derive(Subcommand)]
pub(super) enum Approver {
    /// Add an approver and show its key, once
    Add {
        /// The tenant's name
        tenant: String,
        /// A name for the approver, which refusals show
        #[arg(value_parser = name)]
        name: ApproverName,
        /// Where it is asked
        url: String,
        /// How long its answer may take, in milliseconds
        #[arg(
            long,
            value_name = "MS",
            default_value_t = model::Approver::DEFAULT_TIME_LIMIT_MS,
            value_parser = value_parser!(u32).range(LEAST_MS..=MOST_MS)
        )]
        time_limit_ms: u32,
    },
    /// Show the approvers of a tenant: never their secrets
    List {
        /// The tenant's name
        tenant: String,
    },
    /// Remove an approver: creations go on without it
    Remove {
        /// The tenant's name
        tenant: String,
        /// The approver's name
        name: String,
    },
    /// Make a new key and show it, once; the old one signs beside it for 24 hours
    Rotate {
        /// The tenant's name
        tenant: String,
        /// The approver's name
        name: String,
    },
    /// Ask an approver no more until it is enabled: creations go on without it
    Disable {
        /// The tenant's name
        tenant: String,
        /// The approver's name
        name: String,
    },
    /// Ask an approver again
    Enable {
        /// The tenant's name
        tenant: String,
        /// The approver's name
        name: String,
    },
    /// Ask an approver about a creation there is not, from here: nothing is kept, nothing follows
    Test {
        /// The tenant's name
        tenant: String,
        /// The approver's name
        name: String,
    },
    /// Show what was decided about an invoice, newest first
    Decisions {
        /// The tenant's name
        tenant: String,
        /// The invoice
        invoice: String,
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    id: Uuid,
    name: String,
    url: String,
    time_limit_ms: u32,
    enabled: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Decided {
    approver: String,
    decision: &'static str,
    reason: Option<String>,
    transaction_id: Uuid,
    duration_ms: u64,
    at: String,
}

impl From<&model::Approver> for Listed {
    fn from(approver: &model::Approver) -> Self {
        Self {
            id: approver.id,
            name: approver.name.as_str().to_owned(),
            url: approver.url.clone(),
            time_limit_ms: approver.time_limit_ms,
            enabled: approver.enabled,
        }
    }
}

impl From<model::Approval> for Decided {
    fn from(approval: model::Approval) -> Self {
        Self {
            approver: approval.approver_name.as_str().to_owned(),
            decision: approval.decision.as_str(),
            reason: approval.reason,
            transaction_id: approval.transaction_id,
            duration_ms: approval.duration_ms,
            at: approval.at.to_rfc3339(),
        }
    }
}

impl Approver {
    pub async fn run(self, around: &Surroundings) -> anyhow::Result<()> {
        let store = around.existing_store().await?;
        let outbound = around.config()?.webhooks()?.outbound;
        let post = Post::new(&outbound)?;
        let approvers = Approvers::new(store.clone(), outbound, post);
        let tenant = tenant(&mut *store.read().await?, self.tenant()).await?;
        if let Some(act) = self.act() {
            around.note(act, &tenant.name).await?;
        }
        let done = self.carry_out(around, &store, &approvers, &tenant).await;
        store.close().await;
        done
    }

    /// How the audit log calls it; `None`: nothing is changed.
    fn act(&self) -> Option<&'static str> {
        match self {
            Self::Add { .. } => Some("approver.add"),
            Self::Remove { .. } => Some("approver.remove"),
            Self::Rotate { .. } => Some("approver.rotate"),
            Self::Disable { .. } => Some("approver.disable"),
            Self::Enable { .. } => Some("approver.enable"),
            Self::List { .. } | Self::Test { .. } | Self::Decisions { .. } => None,
        }
    }

    fn tenant(&self) -> &str {
        match self {
            Self::Add { tenant, .. }
            | Self::List { tenant }
            | Self::Remove { tenant, .. }
            | Self::Rotate { tenant, .. }
            | Self::Disable { tenant, .. }
            | Self::Enable { tenant, .. }
            | Self::Test { tenant, .. }
            | Self::Decisions { tenant, .. } => tenant,
        }
    }

    async fn carry_out(
        self,
        around: &Surroundings,
        store: &Store,
        approvers: &Approvers,
        tenant: &Tenant,
    ) -> anyhow::Result<()> {
        let output = &around.output;
        match self {
            Self::Add { name, url, time_limit_ms, .. } => {
                let new = NewApprover { name, url, time_limit_ms };
                let (approver, key) = granted(approvers.add(tenant.id, new).await?)?;
                show_key(around, "Added:", &approver, &key)
            }
            Self::Rotate { name, .. } => {
                let id = named(approvers, tenant, &name).await?;
                let (approver, key) = granted(approvers.rotate(tenant.id, id).await?)?;
                show_key(around, "For 24 hours the old key signs, too:", &approver, &key)
            }
            Self::List { .. } => {
                let listed: Vec<Listed> = approvers.list(tenant.id).await?.iter().map(Into::into).collect();
                output.list(["NAME", "URL", "TIME LIMIT", "ENABLED", "ID"], &listed, |one| {
                    let (limit, enabled) = (format!("{} ms", one.time_limit_ms), one.enabled.to_string());
                    [one.name.clone(), one.url.clone(), limit, enabled, one.id.to_string()]
                })
            }
            Self::Remove { name, .. } => {
                let id = named(approvers, tenant, &name).await?;
                granted(approvers.remove(tenant.id, id).await?)?;
                let sentence = "Removed. Creations go on without it.";
                output.done(sentence, &json!({ "id": id, "removed": true }))
            }
            Self::Disable { name, .. } => set_enabled(around, approvers, tenant, &name, false).await,
            Self::Enable { name, .. } => set_enabled(around, approvers, tenant, &name, true).await,
            Self::Test { name, .. } => {
                let id = named(approvers, tenant, &name).await?;
                show_tried(around, &granted(approvers.test(tenant, id).await?)?)
            }
            Self::Decisions { invoice, limit, .. } => {
                let invoice = InvoiceId::parse(&invoice).context("the invoice")?;
                let mut reader = store.read().await?;
                let page = approvals::page(&mut reader, tenant.id, &invoice, None, limit).await?;
                let decided: Vec<Decided> = page.into_iter().map(Into::into).collect();
                output.list(
                    ["APPROVER", "DECISION", "REASON", "TOOK", "ASKED", "TRANSACTION"],
                    &decided,
                    |one| {
                        let (took, reason) = (format!("{} ms", one.duration_ms), one.reason.clone());
                        let (decision, transaction) =
                            (one.decision.to_owned(), one.transaction_id.to_string());
                        let reason = reason.unwrap_or_default();
                        [one.approver.clone(), decision, reason, took, one.at.clone(), transaction]
                    },
                )
            }
        }
    }
}

/// Which of a tenant's approvers has a name.
async fn named(approvers: &Approvers, tenant: &Tenant, name: &str) -> anyhow::Result<Uuid> {
    let all = approvers.list(tenant.id).await?;
    let found = all.iter().find(|approver| approver.name.as_str() == name);
    found.map(|approver| approver.id).with_context(|| {
        format!(
            "the tenant has no approver {name:?}; `preauthd approver list {}` shows those it has",
            tenant.name
        )
    })
}

async fn set_enabled(
    around: &Surroundings,
    approvers: &Approvers,
    tenant: &Tenant,
    name: &str,
    enabled: bool,
) -> anyhow::Result<()> {
    let id = named(approvers, tenant, name).await?;
    let wish = ApproverWish { enabled: Some(enabled), ..ApproverWish::default() };
    let approver = granted(approvers.change(tenant.id, id, wish).await?)?;
    let sentence = if enabled { "Enabled." } else { "Disabled: creations go on without it." };
    around.output.done(sentence, &Listed::from(&approver))
}

fn show_tried(around: &Surroundings, tried: &Tried) -> anyhow::Result<()> {
    let reason = tried.reason.as_deref();
    let because = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    let decision = tried.decision.as_str();
    around.output.done(
        &format!("{decision} after {} ms{because}", tried.duration_ms),
        &json!({ "decision": decision, "reason": reason, "durationMs": tried.duration_ms }),
    )?;
    // For scripts: an approver that does not answer stops all creations.
    if tried.decision == Decision::Unavailable {
        bail!("the approver gave no answer that counts");
    }
    Ok(())
}

fn show_key(
    around: &Surroundings,
    what: &str,
    approver: &model::Approver,
    key: &ShownKey,
) -> anyhow::Result<()> {
    let secret = match key {
        ShownKey::Secret(secret) => secret.expose_secret(),
        ShownKey::Public(key) => key,
    };
    let (id, name, url) = (approver.id, approver.name.as_str(), &approver.url);
    around.output.done(
        &format!(
            "{what} {name} at {url}\n\n{secret}\n\nIt is shown this once: verify the signature v1 with it."
        ),
        &json!({ "id": id, "name": name, "url": url, "secret": secret }),
    )
}

fn granted<T>(wish: Result<T, ApproverRefusal>) -> anyhow::Result<T> {
    match wish {
        Ok(granted) => Ok(granted),
        Err(ApproverRefusal::Url(why)) => Err(unfit_url(why)),
        Err(ApproverRefusal::NameTaken) => bail!("the tenant has an approver of this name already"),
        Err(ApproverRefusal::TooMany(most)) => bail!("a tenant has at most {most} approvers"),
        Err(ApproverRefusal::Unknown) => bail!("the tenant has no such approver"),
    }
}

fn name(text: &str) -> Result<ApproverName, String> {
    ApproverName::parse(text).map_err(str::to_owned)
}
