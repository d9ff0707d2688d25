//! The daemon at work, asked over HTTP as merchants ask it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use futures::FutureExt;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::house::House;
use super::stopwatch::{Lap, lap};
use crate::cli::remote::Remote;
use crate::model::BaseUnits;

/// What is held and what of it is settled, in whole tokens and in base units of dev's token.
const AMOUNT: &str = "1";
const SETTLED_AMOUNT: &str = "0.6";
pub(super) const HOLD: BaseUnits = units(1_000_000);
pub(super) const SETTLED: BaseUnits = units(600_000);
/// A day is how long dev holds unless it is told otherwise.
const PAST_EVERY_EXPIRY_S: u64 = 2 * 86_400;
const LOOK_EVERY: Duration = Duration::from_millis(5);
const SWEEP_PATIENCE: Duration = Duration::from_secs(600);
/// Reads for each creation: they take so much less.
const READS_PER_HOLD: u64 = 5;

/// What is done to a daemon, in this order: half of what was created is settled, and the rest expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Work {
    Create,
    Read,
    Settle,
    Expire,
}

impl Work {
    pub const ALL: [Self; 4] = [Self::Create, Self::Read, Self::Settle, Self::Expire];

    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Read => "read",
            Self::Settle => "settle",
            Self::Expire => "expire",
        }
    }
}

/// A piece of work that was done.
#[derive(Debug, Clone)]
pub(super) struct Done {
    pub lap: Lap,
    /// Transactions it took; 0 for reads.
    pub transactions: u64,
    /// What the daemon's process used for it; `None` where the system does not tell.
    pub cpu: Option<Duration>,
}

/// Has a daemon do a piece of work on `count` holds.
pub(super) async fn perform(house: &House, work: Work, count: u64, at_once: u32) -> anyhow::Result<Done> {
    let (cpu, transactions) = (cpu(house), transactions(house).await?);
    let lap = match work {
        Work::Create => create(house, count, at_once).await,
        Work::Read => read(house, count, at_once).await,
        Work::Settle => settle(house, count, at_once).await,
        Work::Expire => expire(house, count).await,
    };
    let lap = lap.with_context(|| format!("{}, {at_once} at once", work.name()))?;
    Ok(Done {
        lap,
        transactions: self::transactions(house).await?.saturating_sub(transactions),
        cpu: self::cpu(house).zip(cpu).map(|(after, before)| after.saturating_sub(before)),
    })
}

fn invoice(number: u64) -> String {
    format!("BENCH-{number}")
}

async fn create(house: &House, count: u64, at_once: u32) -> anyhow::Result<Lap> {
    let merchant = Arc::new(house.merchant()?);
    let saved = &house.ready.saved;
    let senders: Vec<_> = saved.senders.iter().map(|sender| sender.address).collect();
    let receiver = saved.receivers.first().context("dev has no receiver")?.address;
    let token = saved.token.address;
    let one = move |number: u64| {
        let merchant = Arc::clone(&merchant);
        let sender =
            usize::try_from(number).ok().and_then(|number| senders.get(number % senders.len()).copied());
        async move {
            let body = json!({
                "invoiceId": invoice(number),
                "amount": AMOUNT,
                "sender": sender.context("dev has no such sender")?,
                "receiver": receiver,
                "contractAddress": token,
            });
            let created = merchant.post("/onchain-preauth", &body).await?;
            ensure_status(&created, "AUTHORIZED")
        }
        .boxed()
    };
    lap(count, at_once, one).await
}

async fn read(house: &House, count: u64, at_once: u32) -> anyhow::Result<Lap> {
    let merchant = Arc::new(house.merchant()?);
    let one = move |number: u64| {
        let merchant = Arc::clone(&merchant);
        async move {
            merchant.get(&format!("/onchain-preauth/{}", invoice(number % count))).await?;
            Ok(())
        }
        .boxed()
    };
    lap(count * READS_PER_HOLD, at_once, one).await
}

async fn settle(house: &House, count: u64, at_once: u32) -> anyhow::Result<Lap> {
    let merchant = Arc::new(house.merchant()?);
    let one = move |number: u64| {
        let merchant = Arc::clone(&merchant);
        async move {
            let path = format!("/onchain-preauth/{}/settle", invoice(number));
            let settled = merchant.post(&path, &json!({ "amount": SETTLED_AMOUNT })).await?;
            ensure_status(&settled, "SETTLED")
        }
        .boxed()
    };
    lap(count, at_once, one).await
}

/// Moves the chain's clock past every expiry, and waits until nothing is held any more.
async fn expire(house: &House, count: u64) -> anyhow::Result<Lap> {
    let admin = house.admin()?;
    let begun = Instant::now();
    admin.post("/dev/advance", &json!({ "seconds": PAST_EVERY_EXPIRY_S })).await?;
    let none_left = async {
        while !is_empty(&admin).await? {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(SWEEP_PATIENCE, none_left).await.context("not everything expired")??;
    Ok(Lap::whole(count, begun.elapsed()))
}

/// Whether nothing is authorized.
async fn is_empty(merchant: &Remote) -> anyhow::Result<bool> {
    let page = merchant.get("/onchain-preauth?status=AUTHORIZED&limit=1").await?;
    Ok(page.get("data").and_then(Value::as_array).is_some_and(Vec::is_empty))
}

fn ensure_status(answer: &Value, wanted: &str) -> anyhow::Result<()> {
    match answer.get("status").and_then(Value::as_str) {
        Some(status) if status == wanted => Ok(()),
        other => bail!("it is {other:?} and not {wanted}: the daemon answered before the chain did"),
    }
}

fn cpu(house: &House) -> Option<Duration> {
    house.usage().map(|usage| usage.cpu)
}

/// How many transactions the daemon has had mined.
async fn transactions(house: &House) -> anyhow::Result<u64> {
    let merchant = house.merchant()?;
    let text = merchant.to(Method::GET, &["metrics"])?.send().await?.text().await?;
    Ok(text.lines().filter_map(|line| counted(line, "preauthd_batches_total")).sum())
}

/// The value of a counter in a line of the metrics.
fn counted(line: &str, name: &str) -> Option<u64> {
    let rest = line.strip_prefix(name).filter(|rest| rest.starts_with([' ', '{']))?;
    rest.rsplit_once(' ')?.1.parse().ok()
}

const fn units(units: u128) -> BaseUnits {
    match BaseUnits::new(units) {
        Some(units) => units,
        None => BaseUnits::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TokenAmount;

    #[test]
    fn whole_tokens_and_base_units_say_the_same() {
        for (text, units) in [(AMOUNT, HOLD), (SETTLED_AMOUNT, SETTLED)] {
            assert_eq!(TokenAmount::parse(text).unwrap().in_base_units(6), Ok(units));
        }
    }

    #[test]
    fn a_counter_is_read_whatever_its_labels() {
        let read = |line| counted(line, "preauthd_batches_total");
        assert_eq!(read("preauthd_batches_total 7"), Some(7));
        assert_eq!(read("preauthd_batches_total{operator=\"0x00\"} 7"), Some(7));
        assert_eq!(read("preauthd_batches_total_of_another 7"), None);
        assert_eq!(read("# HELP preauthd_batches_total transactions"), None);
    }
}
