//! `preauthd webhook`: where tenants are told of events.

use anyhow::bail;
use clap::{Subcommand, ValueEnum};
use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::surroundings::{Surroundings, tenant, unfit_url};
use crate::lane::Signals;
use crate::model::{Delivery, Endpoint, EventKind, Millis, SigningScheme, TenantId};
use crate::outbound::ShownKey;
use crate::webhooks::{EndpointRefusal, EndpointWish, NewEndpoint, Resend, Webhooks};

/// Where tenants are told of events
///
/// A running daemon sends; what is changed here it sees within a second.
#[derive(Subcommand)]
pub(super) enum Webhook {
    /// Add an endpoint and show its key, once
    Add {
        /// The tenant's name
        tenant: String,
        /// Where to send to
        url: String,
        /// Only events of this type, such as preauth.settled; may be given several times
        #[arg(long, value_name = "TYPE", value_parser = event)]
        event: Vec<EventKind>,
        /// How messages are signed
        #[arg(long, value_enum, default_value_t = Signing::V1)]
        signing: Signing,
    },
    /// Show the endpoints of a tenant: never their secrets
    List {
        /// The tenant's name
        tenant: String,
    },
    /// Remove an endpoint
    Remove {
        /// The tenant's name
        tenant: String,
        /// The endpoint
        id: Uuid,
    },
    /// Change where an endpoint is, or what it is told
    Set {
        /// The tenant's name
        tenant: String,
        /// The endpoint
        id: Uuid,
        /// Where to send to from now on
        #[arg(long, required_unless_present_any = ["event", "all_events"])]
        url: Option<String>,
        /// Only events of this type from now on; may be given several times
        #[arg(long, value_name = "TYPE", value_parser = event)]
        event: Vec<EventKind>,
        /// Events of every type
        #[arg(long, conflicts_with = "event")]
        all_events: bool,
    },
    /// Make a new key and show it, once; the old one signs beside it for 24 hours
    Rotate {
        /// The tenant's name
        tenant: String,
        /// The endpoint
        id: Uuid,
    },
    /// Send nothing more to an endpoint until it is enabled
    Disable {
        /// The tenant's name
        tenant: String,
        /// The endpoint
        id: Uuid,
    },
    /// Send again to an endpoint what happens from now on, and what was due
    Enable {
        /// The tenant's name
        tenant: String,
        /// The endpoint
        id: Uuid,
    },
    /// Show what was, is and will be sent to an endpoint, newest first
    Deliveries {
        /// The tenant's name
        tenant: String,
        /// The endpoint
        id: Uuid,
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
    },
    /// Send events once more, under the ids they have
    Resend {
        /// The tenant's name
        tenant: String,
        /// The endpoint
        id: Uuid,
        /// One event by its id
        #[arg(long, value_name = "ID", required_unless_present = "since", conflicts_with_all = ["since", "until"])]
        event: Option<Uuid>,
        /// Those from this time on (RFC 3339)
        #[arg(long, value_name = "TIME")]
        since: Option<Timestamp>,
        /// Those before this time (RFC 3339)
        #[arg(long, value_name = "TIME")]
        until: Option<Timestamp>,
    },
}

#[derive(Clone, Copy, ValueEnum, PartialEq, Eq)]
pub(super) enum Signing {
    /// HMAC-SHA256 with a secret
    V1,
    /// Ed25519; the receiver verifies with a public key
    V1a,
}

impl From<Signing> for SigningScheme {
    fn from(signing: Signing) -> Self {
        match signing {
            Signing::V1 => Self::Symmetric,
            Signing::V1a => Self::Asymmetric,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    id: Uuid,
    url: String,
    events: Vec<String>,
    signing: &'static str,
    public_key: Option<String>,
    disabled: Option<String>,
    failing_since: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sent {
    event_id: Uuid,
    #[serde(rename = "type")]
    kind: String,
    state: &'static str,
    attempts: usize,
    status: Option<u16>,
    error: Option<String>,
    next_attempt_at: String,
}

impl From<Delivery> for Sent {
    fn from(delivery: Delivery) -> Self {
        let last = delivery.attempts.first();
        Self {
            event_id: delivery.event_id,
            kind: delivery.event_kind.public_name(),
            state: delivery.state.as_str(),
            attempts: delivery.attempts.len(),
            status: last.and_then(|attempt| attempt.status),
            error: last.and_then(|attempt| attempt.error.clone()),
            next_attempt_at: delivery.next_at.to_rfc3339(),
        }
    }
}

impl Webhook {
    pub async fn run(self, around: &Surroundings) -> anyhow::Result<()> {
        let store = around.existing_store().await?;
        // Nobody in this process listens: the daemon looks by itself.
        let webhooks = Webhooks::new(store.clone(), Signals::default(), around.config()?.webhooks()?);
        let tenant = tenant(&mut *store.read().await?, self.tenant()).await?.id;
        if let Some(act) = self.act() {
            around.note(act, self.tenant()).await?;
        }
        let done = self.carry_out(around, &webhooks, tenant).await;
        store.close().await;
        done
    }

    /// How the audit log calls it; `None`: nothing is done.
    fn act(&self) -> Option<&'static str> {
        match self {
            Self::Add { .. } => Some("webhook.add"),
            Self::Remove { .. } => Some("webhook.remove"),
            Self::Set { .. } => Some("webhook.set"),
            Self::Rotate { .. } => Some("webhook.rotate"),
            Self::Disable { .. } => Some("webhook.disable"),
            Self::Enable { .. } => Some("webhook.enable"),
            Self::Resend { .. } => Some("webhook.resend"),
            Self::List { .. } | Self::Deliveries { .. } => None,
        }
    }

    fn tenant(&self) -> &str {
        match self {
            Self::Add { tenant, .. }
            | Self::List { tenant }
            | Self::Remove { tenant, .. }
            | Self::Set { tenant, .. }
            | Self::Rotate { tenant, .. }
            | Self::Disable { tenant, .. }
            | Self::Enable { tenant, .. }
            | Self::Deliveries { tenant, .. }
            | Self::Resend { tenant, .. } => tenant,
        }
    }

    async fn carry_out(
        self,
        around: &Surroundings,
        webhooks: &Webhooks,
        tenant: TenantId,
    ) -> anyhow::Result<()> {
        let output = &around.output;
        match self {
            Self::Add { url, event, signing, .. } => {
                let new = NewEndpoint { url, kinds: event, scheme: signing.into() };
                let (endpoint, key) = granted(webhooks.add(tenant, new).await?)?;
                show_key(around, "Added", &endpoint, &key)
            }
            Self::Rotate { id, .. } => {
                let (endpoint, key) = granted(webhooks.rotate(tenant, id).await?)?;
                show_key(around, "For 24 hours the old key signs, too:", &endpoint, &key)
            }
            Self::Set { id, url, event, all_events, .. } => {
                let kinds = (all_events || !event.is_empty()).then_some(event);
                let wish = EndpointWish { url, kinds, ..EndpointWish::default() };
                let endpoint = granted(webhooks.change(tenant, id, wish).await?)?;
                output.done("Changed.", &listed(webhooks, &endpoint))
            }
            Self::List { .. } => {
                let listed: Vec<Listed> =
                    webhooks.list(tenant).await?.iter().map(|one| listed(webhooks, one)).collect();
                output.list(["ID", "URL", "EVENTS", "SIGNING", "DISABLED", "FAILING SINCE"], &listed, |one| {
                    let events = if one.events.is_empty() { "all".to_owned() } else { one.events.join(" ") };
                    let text = |text: &Option<String>| text.clone().unwrap_or_default();
                    let (disabled, failing) = (text(&one.disabled), text(&one.failing_since));
                    [one.id.to_string(), one.url.clone(), events, one.signing.to_owned(), disabled, failing]
                })
            }
            Self::Remove { id, .. } => {
                granted(webhooks.remove(tenant, id).await?)?;
                output.done("Removed. Nothing more is sent to it.", &json!({ "id": id, "removed": true }))
            }
            Self::Disable { id, .. } => set_disabled(around, webhooks, tenant, id, true).await,
            Self::Enable { id, .. } => set_disabled(around, webhooks, tenant, id, false).await,
            Self::Deliveries { id, limit, .. } => {
                let page = granted(webhooks.deliveries(tenant, id, None, None, limit).await?)?;
                let sent: Vec<Sent> = page.into_iter().map(Into::into).collect();
                output.list(["EVENT", "TYPE", "STATE", "ATTEMPTS", "STATUS", "ERROR", "DUE"], &sent, |one| {
                    let status = one.status.map(|status| status.to_string()).unwrap_or_default();
                    let due =
                        if one.state == "pending" { one.next_attempt_at.clone() } else { String::new() };
                    let error = one.error.clone().unwrap_or_default();
                    let (id, attempts) = (one.event_id.to_string(), one.attempts.to_string());
                    [id, one.kind.clone(), one.state.to_owned(), attempts, status, error, due]
                })
            }
            Self::Resend { id, event, since, until, .. } => {
                let millis = |time: Timestamp| Millis(time.as_millisecond());
                let what = match (event, since) {
                    (Some(event), _) => Resend::One(event),
                    (None, Some(since)) => Resend::Range { since: millis(since), until: until.map(millis) },
                    (None, None) => bail!("either --event or --since must be given"),
                };
                let count = granted(webhooks.resend(tenant, id, what).await?)?;
                output.done(&format!("{count} events are sent again."), &json!({ "count": count }))
            }
        }
    }
}

async fn set_disabled(
    around: &Surroundings,
    webhooks: &Webhooks,
    tenant: TenantId,
    id: Uuid,
    disabled: bool,
) -> anyhow::Result<()> {
    let wish = EndpointWish { disabled: Some(disabled), ..EndpointWish::default() };
    let endpoint = granted(webhooks.change(tenant, id, wish).await?)?;
    let sentence = if disabled { "Disabled: nothing is sent to it." } else { "Enabled." };
    around.output.done(sentence, &listed(webhooks, &endpoint))
}

fn show_key(around: &Surroundings, what: &str, endpoint: &Endpoint, key: &ShownKey) -> anyhow::Result<()> {
    let (secret, public, note) = match key {
        ShownKey::Secret(secret) => {
            (Some(secret.expose_secret()), None, "It is shown this once: verify the signature v1 with it.")
        }
        ShownKey::Public(key) => (None, Some(key.as_str()), "Verify the signature v1a with it."),
    };
    let shown = secret.or(public).unwrap_or_default();
    around.output.done(
        &format!("{what} {} to {}\n\n{shown}\n\n{note}", endpoint.id, endpoint.url),
        &json!({ "id": endpoint.id, "url": endpoint.url, "secret": secret, "publicKey": public }),
    )
}

fn listed(webhooks: &Webhooks, endpoint: &Endpoint) -> Listed {
    Listed {
        id: endpoint.id,
        url: endpoint.url.clone(),
        events: endpoint.kinds.iter().map(|kind| kind.public_name()).collect(),
        signing: endpoint.scheme.as_str(),
        public_key: webhooks.public_key(endpoint),
        disabled: endpoint.disabled.clone(),
        failing_since: endpoint.failing_since.map(|since| since.to_rfc3339()),
    }
}

fn granted<T>(wish: Result<T, EndpointRefusal>) -> anyhow::Result<T> {
    match wish {
        Ok(granted) => Ok(granted),
        Err(EndpointRefusal::Url(why)) => Err(unfit_url(why)),
        Err(EndpointRefusal::TooMany(most)) => bail!("a tenant has at most {most} endpoints"),
        Err(EndpointRefusal::Unknown) => bail!("the tenant has no such endpoint"),
        Err(EndpointRefusal::UnknownEvent) => bail!("the tenant has no such event"),
        Err(EndpointRefusal::Disabled) => bail!("the endpoint is disabled; enable it first"),
    }
}

/// Reads the type of an event, such as preauth.settled.
pub(super) fn event(text: &str) -> Result<EventKind, String> {
    EventKind::parse_public(text).ok_or_else(|| {
        let known: Vec<String> = EventKind::ALL.iter().map(|kind| kind.public_name()).collect();
        format!("expected one of {}", known.join(", "))
    })
}
