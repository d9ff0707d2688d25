//! `preauthd pay-link`: links on which payers lock the amount by themselves, by the API of a running daemon.

use clap::{Args, Subcommand};
use reqwest::Method;

use super::preauth::body;
use super::remote::{OneInvoice, RemoteFlags};
use super::surroundings::Surroundings;

const ROOT: &str = "pay-links";

/// Make, look at and withdraw links for payers, in a tenant's name
///
/// Asks a running daemon as the tenant's own system would, with one of the tenant's API keys.
#[derive(Subcommand)]
pub(super) enum PayLink {
    /// Make a link and show it, once
    Create(Box<Create>),
    /// Show what became of a link
    Show(OneInvoice),
    /// Withdraw a link that was not used
    Withdraw(OneInvoice),
}

#[derive(Args)]
pub(super) struct Create {
    /// The invoice
    invoice: String,
    /// The wallet that is paid at settlement
    #[arg(long, value_name = "ADDRESS")]
    receiver: String,
    /// The most that is to be settled, in whole tokens
    #[arg(long, value_name = "AMOUNT")]
    amount: String,
    /// The token's contract
    #[arg(long, value_name = "ADDRESS")]
    token: String,
    /// The only wallet that may pay
    #[arg(long, value_name = "ADDRESS")]
    sender: Option<String>,
    /// What is paid for, shown to the payer
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Where the payer can go on to (https://…)
    #[arg(long, value_name = "URL")]
    return_url: Option<String>,
    /// From when on it can no longer be paid (RFC 3339)
    #[arg(long, value_name = "TIME")]
    link_expires_at: Option<String>,
    /// When the hold expires (RFC 3339)
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
    /// Settle the full amount at this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    settle_at: Option<String>,
    #[command(flatten)]
    daemon: RemoteFlags,
}

impl PayLink {
    pub async fn run(self, around: &Surroundings) -> anyhow::Result<()> {
        match self {
            Self::Create(wish) => wish.run(around).await,
            Self::Show(one) => one.ask(around, Method::GET, ROOT, &[]).await,
            Self::Withdraw(one) => one.ask(around, Method::DELETE, ROOT, &[]).await,
        }
    }
}

impl Create {
    async fn run(self, around: &Surroundings) -> anyhow::Result<()> {
        let remote = self.daemon.remote()?;
        let body = body([
            ("invoiceId", Some(self.invoice)),
            ("sender", self.sender),
            ("receiver", Some(self.receiver)),
            ("amount", Some(self.amount)),
            ("contractAddress", Some(self.token)),
            ("expiresAt", self.expires_at),
            ("settleAt", self.settle_at),
            ("description", self.description),
            ("returnUrl", self.return_url),
            ("linkExpiresAt", self.link_expires_at),
        ]);
        around.output.object(&remote.ask(remote.to(Method::POST, &[ROOT])?.json(&body)).await?)
    }
}
