//! `preauthd audit`: what was done by those who run the daemon.

use clap::Args;
use serde::Serialize;

use super::surroundings::Surroundings;
use crate::store::audit;

/// What was done by those who run it
///
/// Acts of the command line and of the admin's API, newest first. Each was written down in the change that it was, or before it
/// had an effect; one that was asked for and changed nothing is here, too.
#[derive(Args)]
pub(super) struct Audit {
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Only those before the one with this id
    #[arg(long, value_name = "ID")]
    before: Option<i64>,
}

#[derive(Serialize)]
struct Listed {
    id: i64,
    at: String,
    actor: String,
    act: String,
    subject: String,
}

impl Audit {
    pub async fn run(self, around: &Surroundings) -> anyhow::Result<()> {
        let store = around.existing_store().await?;
        let page = audit::page(&mut *store.read().await?, self.before, self.limit).await?;
        store.close().await;
        let show = |entry: audit::Entry| Listed {
            id: entry.id,
            at: entry.at.to_rfc3339(),
            actor: entry.actor,
            act: entry.act,
            subject: entry.subject,
        };
        let listed: Vec<Listed> = page.into_iter().map(show).collect();
        around.output.list(["ID", "WHEN", "WHO", "WHAT", "ON WHAT"], &listed, |entry| {
            let Listed { id, at, actor, act, subject } = entry;
            [id.to_string(), at.clone(), actor.clone(), act.clone(), subject.clone()]
        })
    }
}
