//! Rebuild the projection from the chain, where it is not as the chain says. No daemon may run meanwhile.
//!
//! An empty database is one in which every row is missing: it gets a cursor at the head, and then what any other gets. The
//! observer's cursor is brought to the head before rows are judged, so that what happened after an old backup counts too.
//! Rows are written in bounded changes, each durable and each the same when it is made twice: a repair that dies is begun
//! again.

use std::collections::{BTreeSet, HashMap};

use alloy::primitives::{Address, B256, Bytes};
use backon::{ConstantBuilder, Retryable};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use uuid::Uuid;

use super::past::{Past, Reading};
use super::reconcile::{self, ReconcileError};
use crate::chain::{Chain, ChainError, WallClock, wall_now};
use crate::lane::{LaneSettings, Observer, ObserverError, Signals, Standing, rebuild};
use crate::model::{
    Account, ChainTime, Drift, History, InvoiceId, Mended, Mending, Millis, OperationId, OperationState,
    Preauth, PreauthKey, PreauthStatus, Record, Repairs, Settlement, TenantId, Terms, TokenAmount,
    derive_preauth_id,
};
use crate::store::blocks::Block;
use crate::store::histories::Place;
use crate::store::recovery::Remains;
use crate::store::{
    Connection, Store, StoreError, UnreadableRow, blocks, instance, operations, preauths, recovery, tenants,
    tokens,
};

/// Rows that are read at once.
const PAGE: u32 = 500;
/// Rows that are written by one change.
const CHUNK: usize = 50;
/// Headers that are asked for at once.
const CONCURRENCY: usize = 32;
/// The most decimals an exact decimal amount can carry.
const MAX_DECIMALS: u8 = 28;
/// The chain moves on, and back, while it is read.
const RETRY: ConstantBuilder =
    ConstantBuilder::new().with_delay(std::time::Duration::from_millis(500)).with_max_times(4);

/// Why a repair could not be carried through. What it did so far stays.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Compare(#[from] ReconcileError),
    #[error("following the chain: {0}")]
    Follow(#[from] ObserverError),
    #[error("the chain changed while its newest blocks were read, or too few endpoints show them yet")]
    Moved,
}

/// Rewrites every row that is not as the chain says, and gives every hold a row that has none.
///
/// The database must be bound to the node's chain and know its escrows.
///
/// # Errors
/// [`RepairError`]; what was repaired until then is durable, and the repair can be begun again.
pub async fn repair(store: &Store, chain: &Chain, settings: &LaneSettings) -> Result<Repairs, RepairError> {
    let mut repair = Repair { store, chain, settings, decimals: HashMap::new(), done: Repairs::default() };
    (|| repair.place_cursor()).retry(RETRY).when(|error| !matches!(error, RepairError::Store(_))).await?;
    let orphans = store.write::<_, StoreError, _>(|tx| recovery::end_orphans(tx, wall_now()).boxed()).await?;
    if orphans > 0 {
        tracing::warn!(orphans, "operations and outcomes of rows that are gone were ended");
    }
    // The observer leaves out what it cannot read; the pass tells all of it.
    repair.catch_up().await?;
    repair.pass().await?;
    Ok(repair.done)
}

/// A row as it is to be rebuilt.
struct Plan {
    told: Preauth,
    history: History,
    /// It has no row yet; its key is chosen when it is written.
    is_new: bool,
    /// Its terms are not to be relied on: whatever is under way for it ends.
    is_doubtful: bool,
    mended: Mended,
}

struct Repair<'a> {
    store: &'a Store,
    chain: &'a Chain,
    settings: &'a LaneSettings,
    /// By token, as far as they were asked for.
    decimals: HashMap<Address, u8>,
    done: Repairs,
}

impl Repair<'_> {
    /// Gives a database that never followed the chain its place at the head, with the blocks below it that a reorg may
    /// still take back. Everything up to there is recovered from logs, everything after it the observer takes in.
    async fn place_cursor(&self) -> Result<(), RepairError> {
        let (tip, escrows) = {
            let mut reader = self.store.read().await?;
            (blocks::tip(&mut reader).await?, instance::escrows(&mut reader).await?)
        };
        if tip.is_some() {
            return Ok(());
        }
        let head = self.chain.head().await?.number;
        let top = head.saturating_sub(self.settings.confirmations.saturating_sub(1));
        let oldest = escrows.iter().map(|(_, block)| *block).min().unwrap_or(top);
        let lowest = top.saturating_sub(self.settings.reorg_depth).max(oldest.saturating_sub(1)).min(top);
        let asked = (lowest..=top).map(|number| self.chain.block_at(number));
        let found: Vec<_> = stream::iter(asked).buffered(CONCURRENCY).try_collect().await?;
        let found: Vec<_> = found.into_iter().flatten().collect();
        let newest = found.last().filter(|block| block.header.number == top).ok_or(RepairError::Moved)?;
        let served: Vec<_> = escrows.iter().map(|(escrow, _)| *escrow).collect();
        let logs = self.chain.logs_of_block(&served, newest.header.hash).await?;
        if !self.chain.agrees_on_block(&served, newest, &logs, &[]).await? {
            return Err(RepairError::Moved);
        }
        let headers: Vec<_> = found.iter().map(|block| block.header).collect();
        let is_linked = headers.iter().zip(headers.iter().skip(1)).all(|(one, next)| next.parent == one.hash);
        if !is_linked {
            return Err(RepairError::Moved);
        }
        self.store
            .write::<_, StoreError, _>(move |tx| {
                async move {
                    for header in headers {
                        let (number, hash, timestamp) = (header.number, header.hash, header.timestamp);
                        blocks::insert(tx, &Block { number, hash, timestamp }).await?;
                    }
                    Ok(())
                }
                .boxed()
            })
            .await?;
        Ok(())
    }

    async fn catch_up(&self) -> Result<(), ObserverError> {
        let observer = Observer::prepare(
            self.store.clone(),
            self.chain.clone(),
            Signals::default(),
            Standing::default(),
            self.settings.clone(),
            WallClock::system(),
        );
        observer.await?.catch_up().await
    }

    /// Every row, then every lock without one, as of the cursor.
    async fn pass(&mut self) -> Result<(), RepairError> {
        let escrows = instance::escrows(&mut *self.store.read().await?).await?;
        let past = Past::open(self.chain, escrows, self.settings.reorg_depth, Reading::WholeAgreed).await?;
        let follow = || async {
            let tip = reconcile::tip(&mut *self.store.read().await?).await?;
            past.follow(&tip).await
        };
        follow.retry(RETRY).when(reconcile::may_pass).await?;
        let tip = reconcile::tip(&mut *self.store.read().await?).await?;
        self.mend_rows(&past, &tip).await?;
        self.recover_holds(&past, &tip).await
    }

    /// The preauths of operations that cannot be read.
    async fn lost_operations(&self) -> Result<BTreeSet<PreauthKey>, RepairError> {
        let mut found = BTreeSet::new();
        let mut after = OperationId(0);
        loop {
            let mut reader = self.store.read().await?;
            let (unreadable, last) = operations::unreadable_after(&mut reader, after, PAGE).await?;
            found.extend(unreadable);
            let Some(last) = last else { return Ok(found) };
            after = last;
        }
    }

    async fn mend_rows(&mut self, past: &Past<'_>, tip: &Block) -> Result<(), RepairError> {
        let has_lost = self.lost_operations().await?;
        let mut after = PreauthKey(0);
        loop {
            let page = preauths::page_of_all(&mut *self.store.read().await?, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = preauths::key_of(last);
            let mut plans = Vec::new();
            for row in page {
                let has_lost = has_lost.contains(&preauths::key_of(&row));
                plans.extend(match row {
                    Ok(preauth) => self.plan_readable(preauth, has_lost, past).await?,
                    Err(row) => self.plan_damaged(&row, past).await?,
                });
            }
            let plans = self.confirmed(plans, tip).await?;
            self.carry_out(plans).await?;
        }
    }

    /// How a row is to be mended; `None`: it is as the chain says, or was left.
    async fn plan_readable(
        &mut self,
        preauth: Preauth,
        has_lost_operation: bool,
        past: &Past<'_>,
    ) -> Result<Option<Plan>, RepairError> {
        let history = past.of(preauth.escrow, preauth.preauth_id).await?;
        let drift = Drift::with_history(&preauth, history.record(), &history, true);
        let why = match &drift {
            Some(drift) => in_words(drift),
            None if has_lost_operation => "an operation of it cannot be read, and is given up".to_owned(),
            None => return Ok(None),
        };
        let mut mended = Mended {
            mending: Mending::Rewritten,
            preauth_id: Some(preauth.preauth_id),
            invoice: Some(preauth.invoice.to_string()),
            was: Some(preauth.status),
            is: None,
            why,
        };
        let mut told = preauth;
        if told.tenant != TenantId::UNCLAIMED {
            // Tenant and invoice name the hold; a preauth id that does not follow from them is what is wrong.
            let derived = derive_preauth_id(told.tenant, &told.invoice);
            let is_renamed = derived != told.preauth_id;
            if is_renamed && preauths::is_taken(&mut *self.store.read().await?, derived).await? {
                mended.why = "another row has the preauth id that follows from its tenant and invoice".into();
                self.leave(mended);
                return Ok(None);
            }
            told.preauth_id = derived;
            mended.preauth_id = Some(derived);
        }
        let found = past.found(Some(told.escrow), told.preauth_id).await?;
        let (escrow, history) = found.unwrap_or((told.escrow, History::default()));
        told.escrow = escrow;
        if let Some((_, terms)) = history.lock() {
            self.take_terms(&mut told, &terms).await?;
        }
        Ok(Some(Plan { told, history, is_new: false, is_doubtful: false, mended }))
    }

    /// What the chain cannot give back is kept where it can be read; tenant and invoice only where the preauth id follows
    /// from them.
    async fn plan_damaged(
        &mut self,
        row: &UnreadableRow,
        past: &Past<'_>,
    ) -> Result<Option<Plan>, RepairError> {
        let key = PreauthKey(row.id);
        let (remains, tenant) = {
            let mut reader = self.store.read().await?;
            let remains = recovery::remains(&mut reader, key).await?;
            let tenant = match remains.tenant {
                Some(tenant) => tenants::by_id(&mut reader, tenant).await?.map(|tenant| tenant.id),
                None => None,
            };
            (remains, tenant.filter(|tenant| *tenant != TenantId::UNCLAIMED))
        };
        let named = tenant.zip(remains.invoice.clone());
        let derived = named.as_ref().map(|(tenant, invoice)| derive_preauth_id(*tenant, invoice));
        let mut mended = Mended {
            mending: Mending::Rewritten,
            preauth_id: remains.preauth_id,
            invoice: remains.invoice.as_ref().map(ToString::to_string),
            was: None,
            is: None,
            why: row.why.to_string(),
        };
        for preauth_id in derived.into_iter().chain(remains.preauth_id) {
            let Some((escrow, history)) = past.found(remains.escrow, preauth_id).await? else { continue };
            let Some((lock, terms)) = history.lock() else { continue };
            let is_renamed = Some(preauth_id) != remains.preauth_id;
            if is_renamed && preauths::is_taken(&mut *self.store.read().await?, preauth_id).await? {
                continue;
            }
            let owner = named.clone().filter(|_| derived == Some(preauth_id));
            let created_at = remains.created_at.unwrap_or_else(|| created(lock.time));
            let mut told = self.recovered(escrow, &terms, created_at).await?;
            told.key = key;
            (told.tenant, told.invoice) = owner.unwrap_or((told.tenant, told.invoice));
            keep_remains(&mut told, &remains);
            mended.preauth_id = Some(preauth_id);
            mended.invoice = Some(told.invoice.to_string());
            return Ok(Some(Plan { told, history, is_new: false, is_doubtful: false, mended }));
        }
        self.plan_unlocked(key, named, &remains, mended).await
    }

    /// A damaged row of which the chain knows nothing: nothing is locked from it any more. What it shows besides is as it
    /// was found.
    async fn plan_unlocked(
        &mut self,
        key: PreauthKey,
        named: Option<(TenantId, InvoiceId)>,
        remains: &Remains,
        mended: Mended,
    ) -> Result<Option<Plan>, RepairError> {
        let Some(told) = self.as_found(named, remains).await? else {
            self.leave(Mended { why: format!("{}; the chain knows nothing of it", mended.why), ..mended });
            return Ok(None);
        };
        let told = Preauth { key, ..told };
        Ok(Some(Plan { told, history: History::default(), is_new: false, is_doubtful: true, mended }))
    }

    async fn as_found(
        &mut self,
        named: Option<(TenantId, InvoiceId)>,
        remains: &Remains,
    ) -> Result<Option<Preauth>, RepairError> {
        let Some((tenant, invoice)) = named else { return Ok(None) };
        let accounts = remains.sender.as_ref().zip(remains.receiver.as_ref()).zip(remains.token.as_ref());
        let figures = remains.hold.zip(remains.expires_at).zip(remains.escrow);
        let Some((((sender, receiver), token), ((hold, expires_at), escrow))) = accounts.zip(figures) else {
            return Ok(None);
        };
        let terms = Terms {
            sender: sender.address(),
            receiver: receiver.address(),
            token: token.address(),
            hold,
            expires_at,
            preauth_id: derive_preauth_id(tenant, &invoice),
        };
        {
            let mut reader = self.store.read().await?;
            let is_mine = remains.preauth_id == Some(terms.preauth_id);
            let is_free = is_mine || !preauths::is_taken(&mut reader, terms.preauth_id).await?;
            let served = instance::escrows(&mut reader).await?;
            if !is_free || !served.iter().any(|(address, _)| *address == escrow) {
                return Ok(None);
            }
        }
        let created_at = remains.created_at.unwrap_or_else(wall_now);
        let mut told = self.recovered(escrow, &terms, created_at).await?;
        (told.tenant, told.invoice) = (tenant, invoice);
        keep_remains(&mut told, remains);
        Ok(Some(told))
    }

    async fn recover_holds(&mut self, past: &Past<'_>, tip: &Block) -> Result<(), RepairError> {
        let mut place = Place::START;
        loop {
            let page = past.locks_after(place, PAGE).await?;
            let Some((last, ..)) = page.last() else { return Ok(()) };
            place = *last;
            let mut plans = Vec::new();
            for (_, escrow, preauth_id) in page {
                plans.extend(self.plan_recovery(escrow, preauth_id, past).await?);
            }
            let plans = self.confirmed(plans, tip).await?;
            self.carry_out(plans).await?;
        }
    }

    async fn plan_recovery(
        &mut self,
        escrow: Address,
        preauth_id: B256,
        past: &Past<'_>,
    ) -> Result<Option<Plan>, RepairError> {
        let (exists, is_taken) = {
            let mut reader = self.store.read().await?;
            (
                preauths::exists(&mut reader, escrow, preauth_id).await?,
                preauths::is_taken(&mut reader, preauth_id).await?,
            )
        };
        if exists {
            return Ok(None);
        }
        let history = past.of(escrow, preauth_id).await?;
        let Some((lock, terms)) = history.lock() else { return Ok(None) };
        let told = self.recovered(escrow, &terms, created(lock.time)).await?;
        let mut mended = Mended {
            mending: Mending::Recovered,
            preauth_id: Some(preauth_id),
            invoice: None,
            was: None,
            is: None,
            why: "the hold had no row".into(),
        };
        if is_taken {
            mended.mending = Mending::Left;
            mended.why = format!("{escrow} has a hold of the same preauth id as another escrow's row");
            self.leave(mended);
            return Ok(None);
        }
        Ok(Some(Plan { told, history, is_new: true, is_doubtful: false, mended }))
    }

    /// A hold of which nothing is known but the chain's word.
    async fn recovered(
        &mut self,
        escrow: Address,
        terms: &Terms,
        created_at: Millis,
    ) -> Result<Preauth, RepairError> {
        let decimals = self.decimals_of(terms.token).await?;
        Ok(Preauth {
            key: PreauthKey(0),
            transaction_id: Uuid::new_v4(),
            tenant: TenantId::UNCLAIMED,
            invoice: InvoiceId::from(terms.preauth_id),
            preauth_id: terms.preauth_id,
            escrow,
            sender: Account::from_address(terms.sender),
            receiver: Account::from_address(terms.receiver),
            token: Account::from_address(terms.token),
            decimals,
            amount: terms.hold.in_tokens(decimals),
            hold: terms.hold,
            expires_at: terms.expires_at,
            // It was given, and is needed for a lock only.
            consent: Bytes::new(),
            status: PreauthStatus::Pending,
            cancel_requested: false,
            schedule: None,
            settlement: None,
            lock_transaction: None,
            close_transaction: None,
            deferred_refund: None,
            failure: None,
            created_at,
            updated_at: created_at,
        })
    }

    /// The terms that were locked, in place of those that are believed.
    async fn take_terms(&mut self, told: &mut Preauth, terms: &Terms) -> Result<(), RepairError> {
        if told.terms() == *terms {
            return Ok(());
        }
        let right = self.recovered(told.escrow, terms, told.created_at).await?;
        if told.token.address() != terms.token {
            told.decimals = right.decimals;
        }
        told.hold = terms.hold;
        told.expires_at = terms.expires_at;
        for (account, right) in [
            (&mut told.sender, right.sender),
            (&mut told.receiver, right.receiver),
            (&mut told.token, right.token),
        ] {
            if account.address() != right.address() {
                *account = right;
            }
        }
        told.amount = fitting(told.amount, told).unwrap_or_else(|| terms.hold.in_tokens(told.decimals));
        told.schedule = told.schedule.filter(|schedule| schedule.amount <= terms.hold);
        Ok(())
    }

    /// As admitted, or as the token says. One that says nothing usable is counted in base units.
    async fn decimals_of(&mut self, token: Address) -> Result<u8, RepairError> {
        if let Some(known) = self.decimals.get(&token) {
            return Ok(*known);
        }
        let admitted = tokens::by_address(&mut *self.store.read().await?, token).await?;
        let decimals = match admitted {
            Some(admitted) => Some(admitted.decimals),
            None => self.chain.token_decimals(token).await?,
        };
        let decimals = decimals.filter(|decimals| *decimals <= MAX_DECIMALS).unwrap_or(0);
        self.decimals.insert(token, decimals);
        Ok(decimals)
    }

    /// Leaves out what the contract does not confirm: a node that has forgotten old logs must not have holds given up.
    async fn confirmed(&mut self, plans: Vec<Plan>, tip: &Block) -> Result<Vec<Plan>, RepairError> {
        let asked: Vec<_> = plans.iter().map(|plan| (plan.told.escrow, plan.told.preauth_id)).collect();
        let words = self.chain.preauth_words(&asked, tip.hash, CONCURRENCY).await?;
        let mut confirmed = Vec::with_capacity(plans.len());
        for (plan, word) in plans.into_iter().zip(words) {
            let stored = Record::from_word(word);
            if plan.history.record() == stored {
                confirmed.push(plan);
                continue;
            }
            let why = format!(
                "the node's logs make it {}, and the contract stores {}: it may lack the logs of old blocks",
                plan.history.record().word(),
                stored.word()
            );
            self.leave(Mended { why, ..plan.mended });
        }
        Ok(confirmed)
    }

    async fn carry_out(&mut self, mut plans: Vec<Plan>) -> Result<(), RepairError> {
        while !plans.is_empty() {
            let rest = plans.split_off(plans.len().min(CHUNK));
            let chunk = std::mem::replace(&mut plans, rest);
            let done = self
                .store
                .write::<_, StoreError, _>(move |tx| write_down(tx, chunk, wall_now()).boxed())
                .await?;
            for mended in done {
                tracing::info!(what = mended.mending.as_str(), invoice = mended.invoice,
                    preauth_id = ?mended.preauth_id, status = ?mended.is, why = mended.why, "repaired");
                self.done.note(mended);
            }
        }
        Ok(())
    }

    fn leave(&mut self, mended: Mended) {
        // The pass that comes after a catch-up meets the same rows again.
        let names = |row: &Mended| (row.preauth_id, row.invoice.clone(), row.why.clone());
        let is_known = |row: &Mended| row.mending == Mending::Left && names(row) == names(&mended);
        if !self.done.rows.kept.iter().any(is_known) {
            self.done.note(Mended { mending: Mending::Left, ..mended });
        }
    }
}

async fn write_down(tx: &mut Connection, chunk: Vec<Plan>, now: Millis) -> Result<Vec<Mended>, StoreError> {
    tenants::insert_unclaimed(tx, now).await?;
    let mut done = Vec::with_capacity(chunk.len());
    for Plan { mut told, history, is_new, is_doubtful, mended } in chunk {
        if is_new {
            told.key = recovery::free_key(tx).await?;
        }
        if is_doubtful {
            operations::end_unreadable(tx, told.key, now).await?;
            if let Some(open) = operations::open_of(tx, told.key).await? {
                operations::set_state(tx, open.id, OperationState::Superseded, None, now).await?;
            }
        }
        let rebuilt = rebuild(tx, &told, &history, now).await?;
        done.push(Mended { is: Some(rebuilt.status), ..mended });
    }
    Ok(done)
}

fn keep_remains(told: &mut Preauth, remains: &Remains) {
    for (account, left) in [
        (&mut told.sender, &remains.sender),
        (&mut told.receiver, &remains.receiver),
        (&mut told.token, &remains.token),
    ] {
        if let Some(left) = left.as_ref().filter(|left| left.address() == account.address()) {
            *account = left.clone();
        }
    }
    told.transaction_id = remains.transaction_id.unwrap_or(told.transaction_id);
    told.amount = remains.amount.and_then(|amount| fitting(amount, told)).unwrap_or(told.amount);
    // For its spelling; the rebuilding keeps that only where the chain settled just as much.
    told.settlement = remains.settled.and_then(|written| {
        let amount = written.in_base_units(told.decimals).ok()?;
        Some(Settlement { amount, written })
    });
}

/// An authorized amount that the hold can cover.
fn fitting(amount: TokenAmount, told: &Preauth) -> Option<TokenAmount> {
    let units = amount.in_base_units(told.decimals).ok()?;
    (!units.is_zero() && units <= told.hold).then_some(amount)
}

fn created(time: Option<ChainTime>) -> Millis {
    time.map_or_else(wall_now, |time| Millis(time.as_i64().saturating_mul(1_000)))
}

fn in_words(drift: &Drift) -> String {
    let record = (drift.expected != drift.found).then(|| format!("{} on chain", drift.word_of(drift.found)));
    let differences = drift.differences.iter().map(|difference| {
        format!("{} was {}, on chain {}", difference.field, difference.database, difference.chain)
    });
    record.into_iter().chain(differences).collect::<Vec<_>>().join("; ")
}
