//! `preauthd claims`: refunds that a token refused, by the API of a running daemon.

use clap::Args;

use super::preauth::{Page, ask_for_page};
use super::remote::RemoteFlags;
use super::surroundings::Surroundings;

/// Show refunds of a tenant that a token refused and that wait for their payers
///
/// Asks a running daemon with one of the tenant's API keys.
#[derive(Args)]
pub(super) struct Claims {
    #[command(flatten)]
    page: Page,
    #[command(flatten)]
    daemon: RemoteFlags,
}

impl Claims {
    pub async fn run(self, around: &Surroundings) -> anyhow::Result<()> {
        let answer = ask_for_page(&self.daemon.remote()?, &["claims"], self.page.parameters()).await?;
        around.output.page(
            &answer,
            [
                ("INVOICE", "/invoiceId"),
                ("SENDER", "/sender"),
                ("AMOUNT", "/amount"),
                ("TOKEN", "/contractAddress"),
                ("ESCROW", "/escrow"),
                ("PUT OFF BY", "/transactionHash"),
            ],
        )
    }
}
