//! `preauthd preauth`: preauthorizations, by the API of a running daemon.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::remote::{OneInvoice, Remote, RemoteFlags};
use super::surroundings::Surroundings;

/// The resource they are.
const ROOT: &str = "onchain-preauth";

/// Create, settle, cancel and look at preauthorizations, in a tenant's name
///
/// Asks a running daemon as the tenant's own system would, with one of the tenant's API keys.
#[derive(Subcommand)]
pub(super) enum Preauth {
    /// Lock a payer's tokens
    Create(Create),
    /// Show what a creation would lock, and every way in which its payer can consent
    Terms(Terms),
    /// Show a preauthorization
    Show(OneInvoice),
    /// Show preauthorizations, newest first
    List(List),
    /// Pay the receiver and give the rest back; or set a time for that
    Settle(Settle),
    /// Withdraw the time that was set for a settlement
    Withdraw(OneInvoice),
    /// Give everything back
    Cancel(Cancel),
}

/// What is locked.
#[derive(Args)]
pub(super) struct Wish {
    /// The invoice; each can be used once
    invoice: String,
    /// The payer's wallet
    #[arg(long, value_name = "ADDRESS")]
    sender: String,
    /// The wallet that is paid at settlement
    #[arg(long, value_name = "ADDRESS")]
    receiver: String,
    /// The most that is to be settled, in whole tokens
    #[arg(long, value_name = "AMOUNT")]
    amount: String,
    /// The token's contract
    #[arg(long, value_name = "ADDRESS")]
    token: String,
    /// When the hold expires (RFC 3339) [default: the tenant's time to live from now]
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
    /// Settle the full amount at this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    settle_at: Option<String>,
}

/// How an operation is asked for.
#[derive(Args)]
pub(super) struct Asking {
    /// Do not wait for the chain
    #[arg(long = "async")]
    at_once: bool,
    /// A name for this request: repeated under it, it is done once
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

#[derive(Args)]
pub(super) struct Create {
    #[command(flatten)]
    wish: Wish,
    /// The payer's consent: a file with the JSON of the creation's `consent`
    #[arg(long, value_name = "FILE")]
    consent: Option<PathBuf>,
    #[command(flatten)]
    asking: Asking,
    #[command(flatten)]
    daemon: RemoteFlags,
}

#[derive(Args)]
pub(super) struct Terms {
    #[command(flatten)]
    wish: Wish,
    #[command(flatten)]
    daemon: RemoteFlags,
}

#[derive(Args)]
pub(super) struct List {
    /// Only those in this status, such as AUTHORIZED
    #[arg(long)]
    status: Option<String>,
    /// Only those of this sender
    #[arg(long, value_name = "ADDRESS")]
    sender: Option<String>,
    /// Only those for this receiver
    #[arg(long, value_name = "ADDRESS")]
    receiver: Option<String>,
    /// Only those that expire before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    expiring_before: Option<String>,
    #[command(flatten)]
    page: Page,
    #[command(flatten)]
    daemon: RemoteFlags,
}

/// Which part of a list is shown.
#[derive(Args)]
pub(super) struct Page {
    /// How many at most, up to 100
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// Behind this cursor of the page before
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
}

#[derive(Args)]
pub(super) struct Settle {
    /// The invoice
    invoice: String,
    /// What the receiver is paid, in whole tokens
    amount: String,
    /// Settle at this time instead of now (RFC 3339)
    #[arg(long, value_name = "TIME")]
    settle_at: Option<String>,
    #[command(flatten)]
    asking: Asking,
    #[command(flatten)]
    daemon: RemoteFlags,
}

#[derive(Args)]
pub(super) struct Cancel {
    /// The invoice
    invoice: String,
    #[command(flatten)]
    asking: Asking,
    #[command(flatten)]
    daemon: RemoteFlags,
}

impl Page {
    pub fn parameters(&self) -> [(&'static str, Option<String>); 2] {
        [("limit", self.limit.map(|limit| limit.to_string())), ("cursor", self.cursor.clone())]
    }
}

impl Wish {
    fn body(self) -> Map<String, Value> {
        let fields = [
            ("invoiceId", Some(self.invoice)),
            ("sender", Some(self.sender)),
            ("receiver", Some(self.receiver)),
            ("amount", Some(self.amount)),
            ("contractAddress", Some(self.token)),
            ("expiresAt", self.expires_at),
            ("settleAt", self.settle_at),
        ];
        body(fields)
    }
}

impl Asking {
    fn of(self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        let request = if self.at_once { request.header("prefer", "respond-async") } else { request };
        match self.idempotency_key {
            Some(key) => request.header("idempotency-key", key),
            None => request,
        }
    }
}

impl Preauth {
    pub async fn run(self, around: &Surroundings) -> anyhow::Result<()> {
        match self {
            Self::Create(wish) => {
                let remote = wish.daemon.remote()?;
                let mut body = wish.wish.body();
                if let Some(file) = &wish.consent {
                    body.insert("consent".to_owned(), json_in(file)?);
                }
                let request = wish.asking.of(remote.to(Method::POST, &[ROOT])?);
                around.output.object(&remote.ask(request.json(&body)).await?)
            }
            Self::Terms(wish) => {
                let remote = wish.daemon.remote()?;
                let request = remote.to(Method::POST, &["preauth-terms"])?;
                around.output.object(&remote.ask(request.json(&wish.wish.body())).await?)
            }
            Self::Show(one) => one.ask(around, Method::GET, ROOT, &[]).await,
            Self::Withdraw(one) => one.ask(around, Method::DELETE, ROOT, &["settle"]).await,
            Self::List(list) => list.run(around).await,
            Self::Settle(wish) => {
                let remote = wish.daemon.remote()?;
                let body = body([("amount", Some(wish.amount)), ("settleAt", wish.settle_at)]);
                let request = wish.asking.of(remote.to(Method::POST, &[ROOT, &wish.invoice, "settle"])?);
                around.output.object(&remote.ask(request.json(&body)).await?)
            }
            Self::Cancel(wish) => {
                let remote = wish.daemon.remote()?;
                let request = wish.asking.of(remote.to(Method::POST, &[ROOT, &wish.invoice, "cancel"])?);
                around.output.object(&remote.ask(request).await?)
            }
        }
    }
}

impl List {
    async fn run(self, around: &Surroundings) -> anyhow::Result<()> {
        let remote = self.daemon.remote()?;
        let filters = [
            ("status", self.status),
            ("sender", self.sender),
            ("receiver", self.receiver),
            ("expiringBefore", self.expiring_before),
        ];
        let parameters = filters.into_iter().chain(self.page.parameters());
        let answer = ask_for_page(&remote, &[ROOT], parameters).await?;
        around.output.page(
            &answer,
            [
                ("INVOICE", "/invoiceId"),
                ("STATUS", "/status"),
                ("AUTHORIZED", "/authorizedAmount"),
                ("SETTLED", "/settledAmount"),
                ("TOKEN", "/contractAddress"),
                ("SENDER", "/sender"),
                ("RECEIVER", "/receiver"),
                ("EXPIRES", "/expiresAt"),
            ],
        )
    }
}

/// A page of a list, with the parameters that are given.
pub(super) async fn ask_for_page(
    remote: &Remote,
    path: &[&str],
    parameters: impl IntoIterator<Item = (&'static str, Option<String>)>,
) -> anyhow::Result<Value> {
    let given = parameters.into_iter().filter_map(|(name, value)| Some((name, value?)));
    Ok(remote.ask(remote.to_list(path, given)?).await?)
}

/// The fields that are given.
pub(super) fn body(fields: impl IntoIterator<Item = (&'static str, Option<String>)>) -> Map<String, Value> {
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value?)))).collect()
}

fn json_in(file: &Path) -> anyhow::Result<Value> {
    let text = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is no JSON", file.display()))
}
