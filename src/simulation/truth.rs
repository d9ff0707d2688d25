//! What must be true whatever happens, checked against the database and the chain while a life goes on.

use std::collections::BTreeMap;

use alloy::primitives::B256;

use super::life::Report;
use super::network::Network;
use super::stage::TOKENS;
use crate::model::{
    ChainTime, Drift, Event, EventKind, FeedEvent, OperationKind, Preauth, PreauthKey, PreauthStatus,
};
use crate::store::{Store, batches, blocks, comparison, events, operations};

/// What merchants were told, by invoice.
#[derive(Debug, Default)]
pub struct Told {
    /// Answered with 2xx: it exists for ever.
    pub accepted: bool,
    /// Was seen as REJECTED, so that its caller gave up, with no settlement signed that could pay it after a reorg.
    pub rejected: bool,
    /// Was answered as cancelled, likewise.
    pub cancelled: bool,
}

pub type Ledger = BTreeMap<String, Told>;

pub async fn rows(store: &Store) -> Vec<Preauth> {
    let mut reader = store.read().await.unwrap();
    let rows = comparison::page_of_all(&mut reader, PreauthKey(0), 10_000).await.unwrap();
    rows.into_iter().map(Result::unwrap).collect()
}

/// The database at its cursor says what the chain said in that very block, and knows everything that was promised.
/// Returns the block, which is not looked at again as long as the cursor stays there.
pub async fn check_projection(
    store: &Store,
    network: &Network,
    ledger: &mut Ledger,
    seen: Option<B256>,
) -> Result<B256, String> {
    let tip = {
        let mut reader = store.read().await.unwrap();
        blocks::tip(&mut reader).await.unwrap().unwrap()
    };
    if seen == Some(tip.hash) {
        return Ok(tip.hash);
    }
    let block = network.blocks.get(&tip.hash).ok_or("the cursor stands on a block that never was")?;
    let rows = rows(store).await;
    for row in &rows {
        let contracts = &block.state.contracts;
        if let Some(drift) = Drift::between(row, contracts.word(row.preauth_id)) {
            return Err(format!(
                "{} is {} in the database, and the chain says {} in block {}",
                row.invoice,
                row.status,
                drift.word_of(drift.found),
                tip.number
            ));
        }
        let paid = contracts.settled.get(&row.preauth_id).copied();
        if row.settlement.map(|settlement| settlement.amount.get()) != paid {
            return Err(format!(
                "{} was settled with {paid:?}, the database says {:?}",
                row.invoice, row.settlement
            ));
        }
        if let Some(told) = ledger.get_mut(row.invoice.as_str())
            && row.status == PreauthStatus::Rejected
            && !told.rejected
        {
            told.rejected = !may_be_paid_by_what_is_signed(store, row.key).await;
        }
    }
    check_events(store, &rows).await?;
    for (invoice, told) in ledger.iter() {
        if told.accepted && !rows.iter().any(|row| row.invoice.as_str() == invoice) {
            return Err(format!("{invoice} was accepted and is gone"));
        }
    }
    Ok(tip.hash)
}

/// Whoever follows the events of a preauth knows what it is: each tells of one step from what the one before told, none is
/// missing and none is told twice.
async fn check_events(store: &Store, rows: &[Preauth]) -> Result<(), String> {
    let mut by_preauth: BTreeMap<PreauthKey, Vec<Event>> = BTreeMap::new();
    {
        let mut reader = store.read().await.unwrap();
        for event in events::page(&mut reader, super::stage::tenant().id, None, 0, 100_000).await.unwrap() {
            let FeedEvent::Preauth(event) = event else { return Err("an event of a party".to_owned()) };
            by_preauth.entry(event.preauth).or_default().push(*event);
        }
    }
    for row in rows {
        let told = by_preauth.remove(&row.key).unwrap_or_default();
        let complaint = |why: &str| {
            let told: Vec<_> =
                told.iter().map(|event| (event.sequence, event.kind, event.state.status)).collect();
            Err(format!("the events of {} {why}: it is {}, told was {told:?}", row.invoice, row.status))
        };
        let mut known = PreauthStatus::Pending;
        for (event, sequence) in told.iter().zip(1..) {
            if event.sequence != sequence {
                return complaint("have a gap");
            }
            let status = event.state.status;
            let fits = match event.kind {
                EventKind::Expiring | EventKind::SettlementFailed => {
                    status == PreauthStatus::Authorized && status == known
                }
                EventKind::Reorged => event.status_before == Some(known),
                kind => kind == EventKind::of_status(status) && status != known,
            };
            if !fits {
                return complaint(&format!("do not follow from each other at {sequence}"));
            }
            known = status;
        }
        if known != row.status {
            return complaint("end elsewhere");
        }
        let last_settled = told.last().map(|event| event.state.settlement);
        if last_settled.is_some_and(|settlement| settlement != row.settlement) {
            return complaint("tell another amount");
        }
        if told.iter().filter(|event| event.kind == EventKind::Expiring).count() > 1 {
            return complaint("announce the expiry twice");
        }
    }
    Ok(())
}

/// Nothing is returned before it has expired: `at` is the latest time the daemon can know of.
pub async fn check_expiries(store: &Store, at: ChainTime) {
    let mut reader = store.read().await.unwrap();
    for row in rows(store).await.iter().filter(|row| row.expires_at > at) {
        let open = operations::open_of(&mut reader, row.key).await.unwrap();
        let expires = open.is_some_and(|open| open.kind == OperationKind::Expire);
        assert!(!expires, "{} is being returned, and expires only at {}", row.invoice, row.expires_at.0);
    }
}

/// What keeps the daemon from being at rest; `None`: nothing is left to do.
pub async fn unfinished(store: &Store, now: ChainTime) -> Option<String> {
    let mut reader = store.read().await.unwrap();
    if let Some(batch) = batches::open(&mut reader, None).await.unwrap().first() {
        return Some(format!("batch {} of nonce {} is open", batch.id, batch.nonce));
    }
    for row in rows(store).await {
        let invoice = &row.invoice;
        if row.status == PreauthStatus::Pending {
            return Some(format!("{invoice} is PENDING"));
        }
        if let Some(open) = operations::open_of(&mut reader, row.key).await.unwrap() {
            return Some(format!("{invoice} has an open {:?}: {open:?}", open.kind));
        }
        if row.status == PreauthStatus::Authorized {
            let schedule_is_due = row.schedule.is_some_and(|schedule| schedule.settle_at <= now);
            if row.expires_at <= now || row.cancel_requested || schedule_is_due {
                return Some(format!("{invoice} is overdue"));
            }
        }
    }
    None
}

/// Whether a settlement was signed once. What is signed cannot be taken back: after a reorg it may be mined before what had
/// beaten it, and its merchant had been told of.
pub async fn may_be_paid_by_what_is_signed(store: &Store, preauth: PreauthKey) -> bool {
    let mut reader = store.read().await.unwrap();
    let operations = operations::all_of(&mut reader, preauth).await.unwrap();
    operations.iter().any(|operation| operation.kind == OperationKind::Settle && operation.batch.is_some())
}

/// When nothing is left to do: every promise is kept, and the tokens are where they belong.
pub async fn check_end(store: &Store, network: &Network, ledger: &Ledger) -> Result<(), String> {
    let head = network.head();
    let contracts = &head.state.contracts;
    for row in rows(store).await {
        if let Some(drift) = Drift::between(&row, contracts.word(row.preauth_id)) {
            return Err(format!(
                "in the end {} is {} and the chain says {}",
                row.invoice,
                row.status,
                drift.word_of(drift.found)
            ));
        }
        if matches!(row.status, PreauthStatus::Pending | PreauthStatus::Authorized) {
            return Err(format!("in the end {} is still {}", row.invoice, row.status));
        }
        let told = ledger.get(row.invoice.as_str());
        if row.status == PreauthStatus::Settled && told.is_some_and(|told| told.rejected || told.cancelled) {
            return Err(format!(
                "{} was paid although its merchant had been told that it was over: {told:?}",
                row.invoice
            ));
        }
    }
    for token in TOKENS {
        let held =
            contracts.tokens[&token].balances.get(&super::contract::ESCROW).copied().unwrap_or_default();
        if held != contracts.claimable_of(token) {
            return Err(format!("in the end the escrow holds {held} of {token}"));
        }
    }
    network.assert_effects_are_single();
    Ok(())
}

/// What became of everything, for the report.
pub async fn tally(store: &Store, report: &mut Report) {
    for row in rows(store).await {
        *report.tally.entry(row.status.to_string()).or_default() += 1;
    }
    let mut reader = store.read().await.unwrap();
    let shop = super::stage::tenant().id;
    let corrections = events::page(&mut reader, shop, Some(EventKind::Reorged), 0, 100_000).await.unwrap();
    report.corrections = corrections.len() as u64;
    for kind in OperationKind::ALL {
        let open = operations::count_open(&mut reader, kind).await.unwrap();
        assert_eq!(open, 0, "{kind:?} is open although all is at rest");
    }
}
