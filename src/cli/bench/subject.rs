//! The daemon at work, asked over HTTP as merchants ask it.

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::Address;
use anyhow::{Context, bail, ensure};
use futures::FutureExt;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::house::House;
use super::stopwatch::{Lap, lap};
use crate::cli::remote::Remote;
use crate::model::BaseUnits;

/// What is held and what of it is settled, in whole tokens and in base units of dev's token.
pub(super) const AMOUNT: &str = "1";
pub(super) const SETTLED_AMOUNT: &str = "0.6";
pub(super) const HOLD: BaseUnits = units(1_000_000);
pub(super) const SETTLED: BaseUnits = units(600_000);
/// A day is how long dev holds unless it is told otherwise.
const PAST_EVERY_EXPIRY_S: u64 = 2 * 86_400;
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long a chain may take for all that it was given at once, and for each thing of it.
const PATIENCE: Duration = Duration::from_secs(600);
const PATIENCE_EACH: Duration = Duration::from_millis(20);
/// Reads for each creation: they take so much less.
const READS_PER_HOLD: u64 = 5;

/// What is done to a daemon, in this order: half of what was created is settled, and the rest expires, with what was only
/// accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Work {
    /// Its process begins, and is ready.
    Start,
    Create,
    Read,
    /// Creations that are answered before the chain knows of them.
    Accept,
    Settle,
    Expire,
    /// As [`Self::Expire`], of very many.
    Sweep,
}

impl Work {
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Create => "create",
            Self::Read => "read",
            Self::Accept => "accept",
            Self::Settle => "settle",
            Self::Expire => "expire",
            Self::Sweep => "sweep",
        }
    }

    /// Whether it is done by requests, so many at once.
    pub fn is_requests(self) -> bool {
        matches!(self, Self::Create | Self::Read | Self::Accept | Self::Settle)
    }
}

/// A piece of work that was done.
#[derive(Debug, Clone)]
pub(super) struct Done {
    pub lap: Lap,
    /// Of what was only accepted: from the first request until the chain had all.
    pub landed: Option<Duration>,
    /// What it took; `None`: that was not counted.
    pub effort: Option<Effort>,
    /// What the daemon's process used for it; `None` where the system does not tell.
    pub cpu: Option<Duration>,
    /// The most memory that the process had until then, in KiB.
    pub peak_kib: Option<u64>,
}

/// What a daemon counts as it works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Effort {
    /// Transactions it has signed.
    pub transactions: u64,
    /// Durable commits.
    pub commits: u64,
    /// Requests to its node.
    pub rpc_requests: u64,
}

/// A piece of work as it was timed.
struct Timed {
    lap: Lap,
    landed: Option<Duration>,
}

impl From<Lap> for Timed {
    fn from(lap: Lap) -> Self {
        Self { lap, landed: None }
    }
}

/// Has a daemon do a piece of work on `count` holds.
pub(super) async fn perform(house: &House, work: Work, count: u64, at_once: u32) -> anyhow::Result<Done> {
    let (cpu, effort) = (house.usage().map(|usage| usage.cpu), Effort::of(house).await?);
    let timed = match work {
        Work::Start => Ok(house.start.clone().into()),
        Work::Create => create(house, count, at_once).await.map(Timed::from),
        Work::Read => read(house, count, at_once).await.map(Timed::from),
        Work::Accept => accept(house, count, at_once).await,
        Work::Settle => settle(house, count, at_once).await.map(Timed::from),
        Work::Expire | Work::Sweep => expire(house, count).await.map(Timed::from),
    };
    let Timed { lap, landed } = timed.with_context(|| format!("{}, {at_once} at once", work.name()))?;
    let usage = house.usage();
    // A start is over before anything can be counted.
    let is_counted = work != Work::Start;
    let effort = if is_counted { Some(Effort::of(house).await?.since(effort)) } else { None };
    let cpu = usage.map(|usage| usage.cpu).zip(cpu).filter(|_| is_counted);
    Ok(Done {
        lap,
        landed,
        effort,
        cpu: cpu.map(|(after, before)| after.saturating_sub(before)),
        peak_kib: usage.map(|usage| usage.peak_kib),
    })
}

/// The invoice of a hold whose creation is waited for.
fn invoice(number: u64) -> String {
    format!("BENCH-{number}")
}

async fn create(house: &House, count: u64, at_once: u32) -> anyhow::Result<Lap> {
    let merchant = Arc::new(house.merchant()?);
    let sale = Arc::new(Sale::of(house)?);
    let one = move |number: u64| {
        let (merchant, sale) = (Arc::clone(&merchant), Arc::clone(&sale));
        async move {
            let created = merchant.post("/onchain-preauth", &sale.creation(invoice(number), number)?).await?;
            ensure_status(&created, "AUTHORIZED")
        }
        .boxed()
    };
    lap(count, at_once, one).await
}

/// Creates without waiting for the chain, and goes on when the chain has all.
async fn accept(house: &House, count: u64, at_once: u32) -> anyhow::Result<Timed> {
    let merchant = Arc::new(house.merchant()?);
    let sale = Arc::new(Sale::of(house)?);
    let asked = Arc::clone(&merchant);
    let one = move |number: u64| {
        let (merchant, sale) = (Arc::clone(&asked), Arc::clone(&sale));
        async move {
            let creation = sale.creation(format!("ACCEPT-{number}"), number)?;
            let request = merchant.to(Method::POST, &["onchain-preauth"])?.header("prefer", "respond-async");
            merchant.ask(request.json(&creation)).await?;
            Ok(())
        }
        .boxed()
    };
    let begun = Instant::now();
    let lap = lap(count, at_once, one).await?;
    until_none_is(&merchant, "PENDING", count).await.context("not everything landed")?;
    let landed = Some(begun.elapsed());
    ensure!(is_none(&merchant, "REJECTED").await?, "a lock was refused after its creation was accepted");
    Ok(Timed { lap, landed })
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
    until_none_is(&admin, "AUTHORIZED", count).await.context("not everything expired")?;
    Ok(Lap::whole(count, begun.elapsed()))
}

/// Between whom, and in what.
struct Sale {
    senders: Vec<Address>,
    receiver: Address,
    token: Address,
}

impl Sale {
    fn of(house: &House) -> anyhow::Result<Self> {
        let saved = &house.ready.saved;
        let receiver = saved.receivers.first().context("dev has no receiver")?.address;
        let senders = saved.senders.iter().map(|sender| sender.address).collect();
        Ok(Self { senders, receiver, token: saved.token.address })
    }

    /// The body of a creation; senders take turns.
    fn creation(&self, invoice: String, number: u64) -> anyhow::Result<Value> {
        let sender = usize::try_from(number)?.checked_rem(self.senders.len());
        let sender = sender.and_then(|sender| self.senders.get(sender)).context("dev has no sender")?;
        Ok(json!({
            "invoiceId": invoice,
            "amount": AMOUNT,
            "sender": sender,
            "receiver": self.receiver,
            "contractAddress": self.token,
        }))
    }
}

/// Waits until nothing is in a status that `count` things were in.
async fn until_none_is(merchant: &Remote, status: &str, count: u64) -> anyhow::Result<()> {
    let none_left = async {
        while !is_none(merchant, status).await? {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        anyhow::Ok(())
    };
    let patience = PATIENCE + PATIENCE_EACH * u32::try_from(count).unwrap_or(u32::MAX);
    tokio::time::timeout(patience, none_left)
        .await
        .with_context(|| format!("there is what is still {status}"))?
}

/// Whether nothing is in a status.
async fn is_none(merchant: &Remote, status: &str) -> anyhow::Result<bool> {
    let page = merchant.get(&format!("/onchain-preauth?status={status}&limit=1")).await?;
    Ok(page.get("data").and_then(Value::as_array).is_some_and(Vec::is_empty))
}

fn ensure_status(answer: &Value, wanted: &str) -> anyhow::Result<()> {
    match answer.get("status").and_then(Value::as_str) {
        Some(status) if status == wanted => Ok(()),
        other => bail!("it is {other:?} and not {wanted}: the daemon answered before the chain did"),
    }
}

impl Effort {
    /// What a daemon has counted since its start.
    async fn of(house: &House) -> anyhow::Result<Self> {
        let merchant = house.merchant()?;
        Ok(Self::read(&merchant.to(Method::GET, &["metrics"])?.send().await?.text().await?))
    }

    fn read(metrics: &str) -> Self {
        let sum = |name: &str| metrics.lines().filter_map(|line| counted(line, name)).sum();
        Self {
            transactions: sum("preauthd_batches_total"),
            commits: sum("preauthd_store_changes_per_commit_count"),
            rpc_requests: sum("preauthd_rpc_requests_total"),
        }
    }

    fn since(self, before: Self) -> Self {
        Self {
            transactions: self.transactions.saturating_sub(before.transactions),
            commits: self.commits.saturating_sub(before.commits),
            rpc_requests: self.rpc_requests.saturating_sub(before.rpc_requests),
        }
    }
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

    #[test]
    fn an_effort_is_what_was_counted_since() {
        let before = Effort::read("preauthd_batches_total 7\npreauthd_store_changes_per_commit_sum 50\n");
        let after = Effort::read(
            "preauthd_batches_total 9\npreauthd_store_changes_per_commit_sum 90\n\
             preauthd_store_changes_per_commit_count 30\n\
             preauthd_rpc_requests_total{endpoint=\"1\",method=\"eth_call\"} 3\n\
             preauthd_rpc_requests_total{endpoint=\"1\",method=\"eth_getLogs\"} 4\n",
        );
        assert_eq!(after.since(before), Effort { transactions: 2, commits: 30, rpc_requests: 7 });
    }
}
