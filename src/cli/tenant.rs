//! `preauthd tenant`: merchant systems.

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use futures::FutureExt;
use serde::Serialize;
use uuid::Uuid;

use super::rules::read;
use super::surroundings::{Surroundings, act, tenant};
use super::tenant_key::Key;
use crate::chain::wall_now;
use crate::model::{self, Rules, TenantId};
use crate::preauth::{DEFAULT_TTL_SECONDS, MAX_TIP_BPS, MAX_TTL_SECONDS, MIN_TTL_SECONDS};
use crate::store::tenants;

/// Characters a tenant's name may have at most.
const MAX_NAME_CHARS: usize = 64;

/// Merchant systems: their API keys, limits and rules
///
/// A tenant has its own API keys, wallets, invoices and rules, and sees nothing of any other.
#[derive(Subcommand)]
pub(super) enum Tenant {
    /// Add a tenant
    Create {
        /// What operators call it; it cannot be changed
        #[arg(value_parser = name)]
        name: String,
        /// The UUID it had before its database was lost: it names the tenant's holds on chain [default: a new one]
        #[arg(long, value_name = "UUID", value_parser = id)]
        id: Option<TenantId>,
        #[command(flatten)]
        settings: Settings,
    },
    /// Show all tenants
    List,
    /// Change a tenant
    Set {
        /// The tenant's name
        name: String,
        #[command(flatten)]
        settings: Settings,
        /// A disabled tenant begins nothing new (403); what is open still settles, cancels and expires
        #[arg(long, value_name = "BOOL")]
        disabled: Option<bool>,
    },
    /// The API keys of a tenant
    #[command(subcommand)]
    Key(Key),
}

#[derive(Args)]
pub(super) struct Settings {
    /// How much a settlement may add to the authorized amount, in hundredths of a percent [0 to 5000; default 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=i64::from(MAX_TIP_BPS)))]
    tip_bps: Option<u16>,
    /// How long a hold lasts where its creation does not say: seconds, or 90m, 24h, 7d [60s to 30d; default 24h]
    #[arg(long, value_name = "TIME", value_parser = ttl)]
    default_ttl: Option<u64>,
    /// Refuse creations without the payer's signature: an allowance alone is no consent then [on or off; default off]
    #[arg(long, value_name = "ON|OFF", value_parser = switch)]
    require_signed_consent: Option<bool>,
    /// Refuse creations whose wallets are not those of verified parties [on or off; default off]
    #[arg(long, value_name = "ON|OFF", value_parser = switch)]
    require_verified_party: Option<bool>,
    /// What the tenant's systems may create: JSON, or a file that holds it
    ///
    /// For example {"maxAmount":{"0xTOKEN":"500"},"maxTtlSeconds":86400}. The rules: maxAmount, maxOpenPerSender (each by
    /// token), allowedTokens, minTtlSeconds, maxTtlSeconds, blockedAddresses, and expressions of your own in CEL, each with its
    /// name, what it allows, and why it refuses: docs/rules.md. {} allows everything; `preauthd rules test` tries them out.
    #[arg(long, value_name = "FILE|JSON", value_parser = read)]
    rules: Option<Rules>,
}

impl Settings {
    fn are_given(&self) -> bool {
        self.tip_bps.is_some()
            || self.default_ttl.is_some()
            || self.require_signed_consent.is_some()
            || self.require_verified_party.is_some()
            || self.rules.is_some()
    }

    fn lay_over(self, tenant: &mut model::Tenant) {
        tenant.allowed_tip_bps = self.tip_bps.unwrap_or(tenant.allowed_tip_bps);
        tenant.default_ttl_seconds = self.default_ttl.unwrap_or(tenant.default_ttl_seconds);
        tenant.require_signed_consent = self.require_signed_consent.unwrap_or(tenant.require_signed_consent);
        tenant.require_verified_party = self.require_verified_party.unwrap_or(tenant.require_verified_party);
        if let Some(rules) = self.rules {
            tenant.rules = rules;
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    name: String,
    id: String,
    disabled: bool,
    allowed_tip_bps: u16,
    default_ttl_seconds: u64,
    require_signed_consent: bool,
    require_verified_party: bool,
    rules: Rules,
}

impl From<model::Tenant> for Listed {
    fn from(tenant: model::Tenant) -> Self {
        Self {
            name: tenant.name,
            id: tenant.id.to_string(),
            disabled: tenant.disabled,
            allowed_tip_bps: tenant.allowed_tip_bps,
            default_ttl_seconds: tenant.default_ttl_seconds,
            require_signed_consent: tenant.require_signed_consent,
            require_verified_party: tenant.require_verified_party,
            rules: tenant.rules,
        }
    }
}

impl Tenant {
    pub async fn run(self, around: &Surroundings) -> anyhow::Result<()> {
        match self {
            Self::Create { name, id, settings } => create(around, name, id, settings).await,
            Self::List => list(around).await,
            Self::Set { name, settings, disabled } => set(around, &name, settings, disabled).await,
            Self::Key(key) => key.run(around).await,
        }
    }
}

async fn create(
    around: &Surroundings,
    name: String,
    id: Option<TenantId>,
    settings: Settings,
) -> anyhow::Result<()> {
    let store = around.store().await?;
    let mut tenant = new_tenant(name.clone());
    tenant.id = id.unwrap_or(tenant.id);
    settings.lay_over(&mut tenant);
    let listed = Listed::from(tenant.clone());
    let added = act(&store, "tenant.create", &name, move |tx| {
        async move { tenants::insert(tx, &tenant, wall_now()).await }.boxed()
    })
    .await;
    store.close().await;
    match added {
        Err(error) if error.is_unique_violation() => {
            bail!("there is a tenant {name:?} already, or one with that UUID")
        }
        other => other?,
    }
    around.output.done(
        &format!(
            "tenant {name} is there\nNext: preauthd tenant key new {name} --scope read --scope write\n\
             Back the database up: the tenant's id ({}) names its holds on chain",
            listed.id
        ),
        &listed,
    )
}

/// A tenant with nothing but its name.
pub(super) fn new_tenant(name: String) -> model::Tenant {
    model::Tenant {
        id: TenantId(Uuid::new_v4()),
        name,
        disabled: false,
        allowed_tip_bps: 0,
        default_ttl_seconds: DEFAULT_TTL_SECONDS,
        require_signed_consent: false,
        require_verified_party: false,
        rules: Rules::default(),
    }
}

async fn list(around: &Surroundings) -> anyhow::Result<()> {
    let store = around.existing_store().await?;
    let all = tenants::all(&mut *store.read().await?).await?;
    store.close().await;
    let listed: Vec<Listed> = all.into_iter().map(Listed::from).collect();
    around.output.list(
        ["NAME", "ID", "STATE", "TIP", "DEFAULT TTL", "CONSENT", "PARTIES", "RULES"],
        &listed,
        |tenant| {
            [
                tenant.name.clone(),
                tenant.id.clone(),
                if tenant.disabled { "disabled" } else { "active" }.to_owned(),
                format!("{}.{:02} %", tenant.allowed_tip_bps / 100, tenant.allowed_tip_bps % 100),
                shown_ttl(tenant.default_ttl_seconds),
                shown_consent(tenant.require_signed_consent).to_owned(),
                shown_parties(tenant.require_verified_party).to_owned(),
                if tenant.rules == Rules::default() { "-".to_owned() } else { rule_names(&tenant.rules) },
            ]
        },
    )
}

async fn set(
    around: &Surroundings,
    name: &str,
    settings: Settings,
    disabled: Option<bool>,
) -> anyhow::Result<()> {
    if !settings.are_given() && disabled.is_none() {
        bail!(
            "nothing to set: give --tip-bps, --default-ttl, --require-signed-consent, --require-verified-party, --rules or \
             --disabled"
        );
    }
    let store = around.existing_store().await?;
    let wanted = tenant(&mut *store.read().await?, name).await?.id;
    // Read again inside the change, so that two that are made at once do not undo each other.
    let changed = act(&store, "tenant.set", name, move |tx| {
        async move {
            let Some(mut tenant) = tenants::by_id(tx, wanted).await? else { return Ok(None) };
            settings.lay_over(&mut tenant);
            tenant.disabled = disabled.unwrap_or(tenant.disabled);
            tenants::update(tx, &tenant).await?;
            Ok(Some(tenant))
        }
        .boxed()
    })
    .await?;
    store.close().await;
    let listed = Listed::from(changed.context("the tenant is gone")?);
    let state = if listed.disabled { "disabled" } else { "active" };
    around.output.done(
        &format!(
            "tenant {name} is {state}: tips up to {} basis points, holds of {} by default, consent: {}, parties: {}, rules: {}",
            listed.allowed_tip_bps,
            shown_ttl(listed.default_ttl_seconds),
            shown_consent(listed.require_signed_consent),
            shown_parties(listed.require_verified_party),
            rule_names(&listed.rules)
        ),
        &listed,
    )
}

fn shown_parties(must_be_verified: bool) -> &'static str {
    if must_be_verified { "verified" } else { "any" }
}

fn rule_names(rules: &Rules) -> String {
    match serde_json::to_value(rules) {
        Ok(serde_json::Value::Object(rules)) if !rules.is_empty() => {
            rules.keys().cloned().collect::<Vec<_>>().join(", ")
        }
        _ => "none".to_owned(),
    }
}

fn name(text: &str) -> Result<String, String> {
    let fits = !text.is_empty()
        && text.chars().count() <= MAX_NAME_CHARS
        && text.trim() == text
        && !text.chars().any(char::is_control);
    if fits {
        Ok(text.to_owned())
    } else {
        Err(format!("must have 1 to {MAX_NAME_CHARS} printable characters"))
    }
}

fn id(text: &str) -> Result<TenantId, String> {
    let id = Uuid::parse_str(text).map(TenantId).map_err(|error| error.to_string())?;
    if id == TenantId::UNCLAIMED { Err("is no tenant's UUID".to_owned()) } else { Ok(id) }
}

fn ttl(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.char_indices().next_back() {
        Some((last, 's')) => (text.get(..last), 1),
        Some((last, 'm')) => (text.get(..last), 60),
        Some((last, 'h')) => (text.get(..last), 60 * 60),
        Some((last, 'd')) => (text.get(..last), 24 * 60 * 60),
        _ => (Some(text), 1),
    };
    digits
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|digits| digits.parse::<u64>().ok())
        .and_then(|number| number.checked_mul(unit))
        .filter(|seconds| (MIN_TTL_SECONDS..=MAX_TTL_SECONDS).contains(seconds))
        .ok_or_else(|| "expected 60s to 30d, such as 3600, 90m, 24h or 7d".to_owned())
}

fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("expected on or off".to_owned()),
    }
}

fn shown_consent(must_be_signed: bool) -> &'static str {
    if must_be_signed { "signed" } else { "any" }
}

/// The largest unit that shows it exactly.
fn shown_ttl(seconds: u64) -> String {
    [(86_400, 'd'), (3_600, 'h'), (60, 'm')]
        .into_iter()
        .find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(*unit))
        .map_or_else(|| format!("{seconds}s"), |(unit, letter)| format!("{}{letter}", seconds / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_and_without_unit() {
        assert_eq!(ttl("3600"), Ok(3_600));
        assert_eq!(ttl("90m"), Ok(5_400));
        assert_eq!(ttl("30d"), Ok(MAX_TTL_SECONDS));
        for text in ["", "h", "59", "31d", "1.5h", "-60", "+60", "99999999999999999999d", "1ü"] {
            assert!(ttl(text).is_err(), "{text}");
        }
        assert_eq!(shown_ttl(86_400), "1d");
        assert_eq!(shown_ttl(5_400), "90m");
        assert_eq!(shown_ttl(61), "61s");
    }
}
