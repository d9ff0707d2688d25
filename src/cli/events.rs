//! `preauthd events`: what happened, by the API of a running daemon.

use clap::Args;

use super::preauth::{Page, ask_for_page};
use super::remote::RemoteFlags;
use super::surroundings::Surroundings;
use super::webhook::event;
use crate::model::EventKind;

/// Show what happened to a tenant's preauthorizations, oldest first
///
/// Asks a running daemon with one of the tenant's API keys. With --json the answer has a `nextCursor` even at the end: asked
/// again with it, nothing is missed and nothing seen twice. `preauthd listen` follows events as they happen.
#[derive(Args)]
pub(super) struct Events {
    /// Only those of this invoice
    invoice: Option<String>,
    /// Only events of this type, such as preauth.settled
    #[arg(long, value_name = "TYPE", value_parser = event, conflicts_with = "invoice")]
    kind: Option<EventKind>,
    #[command(flatten)]
    page: Page,
    #[command(flatten)]
    daemon: RemoteFlags,
}

impl Events {
    pub async fn run(self, around: &Surroundings) -> anyhow::Result<()> {
        let remote = self.daemon.remote()?;
        let path = match &self.invoice {
            Some(invoice) => vec!["onchain-preauth", invoice.as_str(), "events"],
            None => vec!["events"],
        };
        let kind = [("kind", self.kind.map(|kind| kind.public_name()))];
        let answer = ask_for_page(&remote, &path, kind.into_iter().chain(self.page.parameters())).await?;
        around.output.page(
            &answer,
            [
                ("WHEN", "/timestamp"),
                ("TYPE", "/type"),
                ("INVOICE", "/data/invoiceId"),
                ("STATUS", "/data/status"),
                ("SETTLED", "/data/settledAmount"),
                ("ID", "/id"),
            ],
        )
    }
}
