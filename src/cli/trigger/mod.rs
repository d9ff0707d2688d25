//! `preauthd trigger`: makes an event happen in a running `preauthd dev`.
//!
//! Nothing is made up: each kind of event is brought about on the chain, by the API and by what the chain for development
//! allows, and told by the daemon as it always is.

mod ways;

use std::time::Duration;

use anyhow::bail;
use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::remote::DevFlags;
use super::surroundings::Surroundings;
use super::webhook::event;
use crate::model::EventKind;
use ways::Till;

/// How long the event may take.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Make an event happen in a running `preauthd dev`
///
/// Creates a preauthorization of 10 tokens and brings it to where the daemon tells the event: it settles, cancels, moves
/// the chain's clock, or has the chain refuse or take back. Prints what is told on the way. Without an event it lists
/// those there are.
#[derive(Args)]
pub(super) struct Trigger {
    /// The event, such as preauth.expired
    #[arg(value_name = "EVENT", value_parser = event)]
    event: Option<EventKind>,
    #[command(flatten)]
    dev: DevFlags,
}

#[derive(Serialize)]
struct Way {
    event: String,
    how: &'static str,
}

impl Trigger {
    pub async fn run(self, around: &Surroundings) -> anyhow::Result<()> {
        match self.event {
            Some(kind) => trigger(around, kind, &self.dev).await,
            None => list(around),
        }
    }
}

fn list(around: &Surroundings) -> anyhow::Result<()> {
    let way = |kind: EventKind| Some(Way { event: kind.public_name(), how: ways::how(kind)? });
    let ways: Vec<Way> = EventKind::ALL.into_iter().filter_map(way).collect();
    around.output.list(["EVENT", "HOW"], &ways, |way| [way.event.clone(), way.how.to_owned()])
}

async fn trigger(around: &Surroundings, kind: EventKind, dev: &DevFlags) -> anyhow::Result<()> {
    let till = Till::open(dev.ready()?).await?;
    till.bring_about(kind).await?;
    let mut told = 0;
    let watch = async {
        loop {
            for event in till.timeline().await?.into_iter().skip(told) {
                told += 1;
                if tell(around, &event)? == kind.public_name() {
                    return Ok::<_, anyhow::Error>(());
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    match tokio::time::timeout(PATIENCE, watch).await {
        Ok(done) => done,
        Err(_) => {
            bail!("{kind} did not come in {} seconds; {}", PATIENCE.as_secs(), till.where_it_stands().await)
        }
    }
}

/// Prints an event, and answers its type.
fn tell(around: &Surroundings, event: &Value) -> anyhow::Result<String> {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let kind = text("/type").to_owned();
    let line = format!("{}  {kind:<25}  {}", text("/timestamp"), text("/data/invoiceId"));
    around.output.line(&line, event)?;
    Ok(kind)
}
