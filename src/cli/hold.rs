//! `preauthd hold`: holds that were recovered from the chain and that nobody has claimed.

use alloy::primitives::{Address, B256};
use anyhow::bail;
use clap::Subcommand;
use futures::FutureExt;
use serde::Serialize;
use serde_json::json;

use super::surroundings::{Surroundings, act};
use crate::chain::wall_now;
use crate::model::Preauth;
use crate::preauth::{Cancellation, cancel_unclaimed};
use crate::store::unclaimed;

/// Holds recovered from the chain that no tenant has claimed yet
///
/// `preauthd reconcile --repair` gives every hold a row that has none. Whose it is shows when a tenant under its old UUID
/// names the invoice; until then it belongs to nobody here. It returns to its sender at expiry, by the daemon.
#[derive(Subcommand)]
pub(super) enum Hold {
    /// Show unclaimed open holds, nearest expiry first
    List {
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 1_000)]
        limit: u32,
    },
    /// Give an unclaimed hold back to its sender before it expires; the running daemon does it
    Cancel {
        /// The hold's name on chain
        preauth_id: B256,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    preauth_id: B256,
    escrow: Address,
    sender: String,
    receiver: String,
    token: String,
    /// Whole tokens.
    hold: String,
    expires_at: String,
}

impl From<Preauth> for Listed {
    fn from(preauth: Preauth) -> Self {
        Self {
            preauth_id: preauth.preauth_id,
            escrow: preauth.escrow,
            sender: preauth.sender.written().to_owned(),
            receiver: preauth.receiver.written().to_owned(),
            token: preauth.token.written().to_owned(),
            hold: preauth.hold.in_tokens(preauth.decimals).to_string(),
            expires_at: preauth.expires_at.to_rfc3339(),
        }
    }
}

impl Hold {
    pub async fn run(self, around: &Surroundings) -> anyhow::Result<()> {
        match self {
            Self::List { limit } => list(around, limit).await,
            Self::Cancel { preauth_id } => cancel(around, preauth_id).await,
        }
    }
}

async fn list(around: &Surroundings, limit: u32) -> anyhow::Result<()> {
    let store = around.existing_store().await?;
    let holds = unclaimed::open(&mut *store.read().await?, limit).await?;
    store.close().await;
    let listed: Vec<Listed> = holds.into_iter().map(Listed::from).collect();
    around.output.list(["PREAUTH ID", "SENDER", "RECEIVER", "HOLD", "TOKEN", "EXPIRES"], &listed, |hold| {
        let Listed { sender, receiver, hold: units, token, expires_at, .. } = hold;
        let texts = [sender, receiver, units, token, expires_at].map(String::clone);
        let [sender, receiver, units, token, expires_at] = texts;
        [hold.preauth_id.to_string(), sender, receiver, units, token, expires_at]
    })
}

async fn cancel(around: &Surroundings, preauth_id: B256) -> anyhow::Result<()> {
    let store = around.existing_store().await?;
    let begun = act(&store, "hold.cancel", &preauth_id.to_string(), move |tx| {
        async move { cancel_unclaimed(tx, preauth_id, wall_now()).await }.boxed()
    })
    .await;
    store.close().await;
    match begun? {
        Cancellation::Begun => {}
        Cancellation::Busy(kind) => bail!("its {} is being decided", kind.as_str()),
        Cancellation::NotOpen(status) => bail!("it is {status}"),
        Cancellation::Unknown => {
            bail!("no unclaimed hold has this preauth id; `preauthd hold list` shows them")
        }
    }
    around.output.done(
        &format!("the cancellation of {preauth_id} is written down; the running daemon carries it out"),
        &json!({ "preauthId": preauth_id, "cancellation": "begun" }),
    )
}
