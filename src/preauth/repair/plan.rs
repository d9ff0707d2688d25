//! How a row is to be rebuilt: what the chain says of it, and, where the chain is silent, what can still be read.

use alloy::primitives::{Address, B256, Bytes};
use uuid::Uuid;

use super::super::past::Past;
use super::{Plan, Repair, RepairError};
use crate::chain::wall_now;
use crate::model::{
    Account, ChainTime, Drift, History, InvoiceId, Mended, Mending, Millis, Preauth, PreauthKey,
    PreauthStatus, Settlement, TenantId, Terms, TokenAmount, derive_preauth_id,
};
use crate::store::recovery::Remains;
use crate::store::{UnreadableRow, comparison, instance, recovery, tenants, tokens, unclaimed};

/// The most decimals an exact decimal amount can carry.
const MAX_DECIMALS: u8 = 28;

impl Repair<'_> {
    /// How a row is to be mended; `None`: it is as the chain says, or was left.
    pub(super) async fn plan_readable(
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
            if is_renamed && unclaimed::is_taken(&mut *self.store.read().await?, derived).await? {
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
    pub(super) async fn plan_damaged(
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
            if is_renamed && unclaimed::is_taken(&mut *self.store.read().await?, preauth_id).await? {
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
            let is_free = is_mine || !unclaimed::is_taken(&mut reader, terms.preauth_id).await?;
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

    pub(super) async fn plan_recovery(
        &mut self,
        escrow: Address,
        preauth_id: B256,
        past: &Past<'_>,
    ) -> Result<Option<Plan>, RepairError> {
        let (exists, is_taken) = {
            let mut reader = self.store.read().await?;
            (
                comparison::exists(&mut reader, escrow, preauth_id).await?,
                unclaimed::is_taken(&mut reader, preauth_id).await?,
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
