//! The accounts of a day: what the observer took in, added up, and what carrying it out has cost.
//!
//! The figures are those of the outcomes in the database: seen at `confirmations` deep, and taken back where a reorg takes
//! them back. A day is read in one snapshot, so its figures belong together.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;

use alloy::primitives::Address;

use super::Preauths;
use crate::model::{Account, Day, InvoiceId, Preauth, PreauthKey, Tally, TenantId, equal_part};
use crate::store::accounts::{self, Place, Scope};
use crate::store::outcomes::OutcomeKind;
use crate::store::{Connection, StoreError, block_times, blocks, comparison, preauths, refunds};

/// Outcomes of one page.
const OUTCOMES: u32 = 1_000;
/// Batches of one page.
const BATCHES: u32 = 100;

/// What to report.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReportScope {
    /// Of one tenant, or of all.
    pub tenant: Option<TenantId>,
    pub token: Option<Address>,
    pub receiver: Option<Address>,
    /// A line for each preauthorization, instead of one for each token and receiver.
    pub by_invoice: bool,
}

/// One line: a day, a tenant's token and receiver, and perhaps one invoice.
#[derive(Debug, Clone)]
pub struct ReportLine {
    pub day: Day,
    pub tenant: TenantId,
    pub token: Account,
    pub receiver: Account,
    pub decimals: u8,
    pub invoice: Option<InvoiceId>,
    pub tally: Tally,
}

/// The lines of one day.
#[derive(Debug, Clone)]
pub struct DayReport {
    pub day: Day,
    pub lines: Vec<ReportLine>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A report that left them out would look like a whole one.
    #[error("the times of some old blocks are not known yet: the running daemon looks them up")]
    Undated,
}

type Key = (TenantId, Address, Address, Option<InvoiceId>);

/// What has gathered for a day so far.
struct Ledger {
    scope: ReportScope,
    day: Day,
    lines: BTreeMap<Key, ReportLine>,
}

impl Ledger {
    fn line(&mut self, preauth: &Preauth) -> &mut Tally {
        let invoice = self.scope.by_invoice.then(|| preauth.invoice.clone());
        let key = (preauth.tenant, preauth.token.address(), preauth.receiver.address(), invoice.clone());
        let line = self.lines.entry(key).or_insert_with(|| ReportLine {
            day: self.day,
            tenant: preauth.tenant,
            token: preauth.token.clone(),
            receiver: preauth.receiver.clone(),
            decimals: preauth.decimals,
            invoice,
            tally: Tally::default(),
        });
        &mut line.tally
    }
}

/// The first day from `from` to `last`, both included, on which something happened that counts; `None`: there is no such
/// day. The connection must be a snapshot.
///
/// # Errors
/// [`ReportError`]; a row that cannot be read is one, because sums that left something out would be wrong.
pub async fn next_day(
    connection: &mut Connection,
    scope: &ReportScope,
    from: Day,
    last: Day,
) -> Result<Option<DayReport>, ReportError> {
    if !block_times::unknown(connection, 1).await?.is_empty() {
        return Err(ReportError::Undated);
    }
    let (mut from, end) = (from.start(), last.next().start());
    while let Some(time) = block_times::first(connection, from, end).await? {
        let day = Day::of(time);
        from = day.next().start();
        let Some(blocks) = block_times::range(connection, day.start(), from).await? else { continue };
        let lines = lines(connection, scope, day, &blocks).await?;
        if !lines.is_empty() {
            return Ok(Some(DayReport { day, lines }));
        }
    }
    Ok(None)
}

async fn lines(
    connection: &mut Connection,
    scope: &ReportScope,
    day: Day,
    blocks: &RangeInclusive<u64>,
) -> Result<Vec<ReportLine>, StoreError> {
    let mut ledger = Ledger { scope: *scope, day, lines: BTreeMap::new() };
    let filter = Scope { tenant: scope.tenant, token: scope.token, receiver: scope.receiver };
    let mut place = Some(Place::START);
    while let Some(after) = place {
        let (happened, next) = accounts::outcomes(connection, blocks, &filter, after, OUTCOMES).await?;
        let keys = happened.iter().map(|(_, key)| *key);
        let preauths = by_keys(connection, keys).await?;
        for (kind, key) in happened {
            let preauth = found(&preauths, key)?;
            // What is still owed is known only for what was put off.
            let waits = kind == OutcomeKind::RefundDeferred && refunds::is_waiting(connection, key).await?;
            enter(&mut ledger, kind, preauth, waits);
        }
        place = next;
    }
    let mut place = Some(Place::START);
    while let Some(after) = place {
        let (mined, next) = accounts::mined(connection, blocks, after, BATCHES).await?;
        for batch in mined {
            let carried = accounts::carried(connection, batch.id, &filter).await?;
            let preauths = by_keys(connection, carried.iter().copied().flatten()).await?;
            for (position, key) in carried.iter().enumerate() {
                let Some(key) = key else { continue };
                let share = equal_part(batch.fee, carried.len(), position);
                ledger.line(found(&preauths, *key)?).carry(share);
            }
        }
        place = next;
    }
    Ok(ledger.lines.into_values().collect())
}

fn enter(ledger: &mut Ledger, kind: OutcomeKind, preauth: &Preauth, waits: bool) {
    match kind {
        OutcomeKind::Locked => ledger.line(preauth).lock(preauth),
        OutcomeKind::Settled => ledger.line(preauth).settle(preauth),
        OutcomeKind::Cancelled => ledger.line(preauth).cancel(preauth),
        OutcomeKind::Expired => ledger.line(preauth).expire(preauth),
        OutcomeKind::RefundDeferred => {
            if let Some(refund) = preauth.deferred_refund {
                ledger.line(preauth).defer(refund, waits);
            }
        }
        // No tokens moved; what it cost is among the fees.
        OutcomeKind::LockFailed | OutcomeKind::CallFailed => {}
    }
}

type Found = HashMap<PreauthKey, comparison::Reading>;

async fn by_keys(
    connection: &mut Connection,
    keys: impl Iterator<Item = PreauthKey>,
) -> Result<Found, StoreError> {
    let mut keys: Vec<PreauthKey> = keys.collect();
    keys.sort_unstable();
    keys.dedup();
    preauths::by_keys(connection, &keys).await
}

fn found(preauths: &Found, key: PreauthKey) -> Result<&Preauth, StoreError> {
    match preauths.get(&key) {
        Some(Ok(preauth)) => Ok(preauth),
        Some(Err(unreadable)) => Err(StoreError::Unreadable(Box::new(unreadable.clone()))),
        None => Err(StoreError::Corrupt(format!("preauths: row {} is gone", key.0))),
    }
}

impl Preauths {
    /// The accounts of the next day on which something happened, and the newest block they rest on. See [`next_day`].
    ///
    /// # Errors
    /// As [`next_day`].
    pub async fn report(
        &self,
        scope: &ReportScope,
        from: Day,
        last: Day,
    ) -> Result<(Option<DayReport>, u64), ReportError> {
        let read = async {
            let mut snapshot = self.inner.store.snapshot().await?;
            let tip = blocks::tip(&mut snapshot).await?.map_or(0, |block| block.number);
            Ok((next_day(&mut snapshot, scope, from, last).await?, tip))
        };
        let read: Result<_, ReportError> = read.await;
        if let Err(ReportError::Store(error)) = &read {
            self.inner.standing.note(&self.inner.store, error);
        }
        read
    }
}
