//! Preauthorizations.

use std::collections::HashMap;

use alloy::hex;
use alloy::primitives::{Address, B256, Bytes};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};
use uuid::Uuid;

use super::column::{
    account, address, b256, base_units, chain_time, corrupt, json, list, list_of_blobs, millis,
    optional_amount, optional_b256, optional_base_units, optional_failure, tenant_id, token_amount, uuid,
    word,
};
use super::seal::{Sealed, Value, bind};
use super::unreadable::{Table, apart};
use super::{Connection, StoreError, UnreadableRow, bulk};
use crate::model::{
    Account, BaseUnits, ChainTime, InvoiceId, Millis, Preauth, PreauthKey, PreauthStatus, Schedule,
    Settlement, TenantId, TokenAmount,
};

pub(super) const COLUMNS: &str = "id, transaction_id, tenant_id, invoice_id, preauth_id, escrow, sender, sender_written, \
    receiver, receiver_written, token, token_written, decimals, amount_written, hold, expires_at, consent, status, \
    cancel_requested, settle_at, scheduled, scheduled_written, settled, settled_written, lock_transaction, \
    close_transaction, deferred_refund, failure, created_at, updated_at, terms_seal, state_seal";

/// What never changes.
pub(super) const TERMS: Sealed = Sealed {
    domain: "preauthd preauths.terms 1",
    columns: &[
        "transaction_id",
        "tenant_id",
        "invoice_id",
        "preauth_id",
        "escrow",
        "sender",
        "sender_written",
        "receiver",
        "receiver_written",
        "token",
        "token_written",
        "decimals",
        "amount_written",
        "hold",
        "expires_at",
        "consent",
    ],
    column: "terms_seal",
    what: "terms",
};

/// What changes, bound to the preauth id, so that it cannot pass for another row's.
pub(super) const STATE: Sealed = Sealed {
    domain: "preauthd preauths.state 1",
    columns: &[
        "preauth_id",
        "status",
        "cancel_requested",
        "settle_at",
        "scheduled",
        "scheduled_written",
        "settled",
        "settled_written",
        "lock_transaction",
        "close_transaction",
        "deferred_refund",
        "failure",
    ],
    column: "state_seal",
    what: "status and settlement",
};

/// What is fixed about a preauthorization when it is created.
#[derive(Debug, Clone)]
pub struct NewPreauth {
    pub transaction_id: Uuid,
    pub tenant: TenantId,
    pub invoice: InvoiceId,
    pub preauth_id: B256,
    pub escrow: Address,
    pub sender: Account,
    pub receiver: Account,
    pub token: Account,
    pub decimals: u8,
    pub amount: TokenAmount,
    pub hold: BaseUnits,
    pub expires_at: ChainTime,
    pub consent: Bytes,
    pub schedule: Option<Schedule>,
}

impl NewPreauth {
    /// What it is before anything has happened to it. It has no key yet.
    fn pending(&self, now: Millis) -> Preauth {
        Preauth {
            key: PreauthKey(0),
            transaction_id: self.transaction_id,
            tenant: self.tenant,
            invoice: self.invoice.clone(),
            preauth_id: self.preauth_id,
            escrow: self.escrow,
            sender: self.sender.clone(),
            receiver: self.receiver.clone(),
            token: self.token.clone(),
            decimals: self.decimals,
            amount: self.amount,
            hold: self.hold,
            expires_at: self.expires_at,
            consent: self.consent.clone(),
            status: PreauthStatus::Pending,
            cancel_requested: false,
            schedule: self.schedule,
            settlement: None,
            lock_transaction: None,
            close_transaction: None,
            deferred_refund: None,
            failure: None,
            created_at: now,
            updated_at: now,
        }
    }
}

/// Stores a new preauthorization as PENDING. An invoice id that is taken is a unique violation.
pub async fn insert(
    connection: &mut Connection,
    new: &NewPreauth,
    now: Millis,
) -> Result<PreauthKey, StoreError> {
    let insert = sqlx::query(
        "INSERT INTO preauths (transaction_id, tenant_id, invoice_id, preauth_id, escrow, sender, sender_written,
             receiver, receiver_written, token, token_written, decimals, amount_written, hold, expires_at, consent,
             status, cancel_requested, settle_at, scheduled, scheduled_written, settled, settled_written,
             lock_transaction, close_transaction, deferred_refund, failure, terms_seal, state_seal, created_at,
             updated_at, release_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
             $23, $24, $25, $26, $27, $28, $29, $30, $30, $15)
         RETURNING id",
    );
    let row = bind(insert, sealed_values(&new.pending(now))).bind(now.0).fetch_one(connection).await?;
    Ok(PreauthKey(row.try_get("id")?))
}

/// Stores everything that can change about a preauthorization.
pub async fn save(connection: &mut Connection, preauth: &Preauth, now: Millis) -> Result<(), StoreError> {
    save_all(connection, std::slice::from_ref(preauth), now).await
}

// The preauth id finds the row as well as its key does; both must be right.
pub(super) const SAVE: [&str; 2] = [
    "UPDATE preauths SET status = new.column2, cancel_requested = new.column3, settle_at = new.column4,
         scheduled = new.column5, scheduled_written = new.column6, settled = new.column7,
         settled_written = new.column8, lock_transaction = new.column9, close_transaction = new.column10,
         deferred_refund = new.column11, failure = new.column12, state_seal = new.column13, updated_at = new.column14
     FROM (",
    ") AS new WHERE preauths.preauth_id = new.column1 AND preauths.id = new.column15",
];

/// The same for several, none of them twice.
pub async fn save_all(
    connection: &mut Connection,
    preauths: &[Preauth],
    now: Millis,
) -> Result<(), StoreError> {
    let values = |preauth: &Preauth| {
        let state = state_values(preauth);
        let seal = STATE.seal(&state);
        state.into_iter().chain([seal.as_slice().into(), now.0.into(), preauth.key.0.into()]).collect()
    };
    let [before, after] = SAVE;
    let saved = bulk::execute(connection, before, preauths.iter().map(values).collect(), after).await?;
    if usize::try_from(saved) == Ok(preauths.len()) { Ok(()) } else { Err(sqlx::Error::RowNotFound.into()) }
}

/// Writes a row as a whole, whatever it holds now, or where there is none: for who knows from elsewhere what belongs into
/// it.
pub async fn put(connection: &mut Connection, preauth: &Preauth, now: Millis) -> Result<(), StoreError> {
    let insert = sqlx::query(
        "INSERT INTO preauths (transaction_id, tenant_id, invoice_id, preauth_id, escrow, sender, sender_written,
             receiver, receiver_written, token, token_written, decimals, amount_written, hold, expires_at, consent,
             status, cancel_requested, settle_at, scheduled, scheduled_written, settled, settled_written,
             lock_transaction, close_transaction, deferred_refund, failure, terms_seal, state_seal, created_at,
             updated_at, id, release_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
             $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $15)
         ON CONFLICT (id) DO UPDATE SET transaction_id = $1, tenant_id = $2, invoice_id = $3, preauth_id = $4,
             escrow = $5, sender = $6, sender_written = $7, receiver = $8, receiver_written = $9, token = $10,
             token_written = $11, decimals = $12, amount_written = $13, hold = $14, expires_at = $15, consent = $16,
             status = $17, cancel_requested = $18, settle_at = $19, scheduled = $20, scheduled_written = $21,
             settled = $22, settled_written = $23, lock_transaction = $24, close_transaction = $25,
             deferred_refund = $26, failure = $27, terms_seal = $28, state_seal = $29, created_at = $30,
             updated_at = $31, release_at = $15",
    );
    bind(insert, sealed_values(preauth))
        .bind(preauth.created_at.0)
        .bind(now.0)
        .bind(preauth.key.0)
        .execute(connection)
        .await?;
    Ok(())
}

/// The values of [`TERMS`] and [`STATE`], each column once, and their seals.
pub(super) fn sealed_values(preauth: &Preauth) -> impl Iterator<Item = Value> {
    let (terms, state) = (terms_values(preauth), state_values(preauth));
    let seals = [TERMS.seal(&terms), STATE.seal(&state)].map(|seal| seal.as_slice().into());
    // The state's first value is the preauth id, which is among the terms.
    terms.into_iter().chain(state.into_iter().skip(1)).chain(seals)
}

/// The values of [`TERMS`].
fn terms_values(terms: &Preauth) -> [Value; TERMS.columns.len()] {
    [
        terms.transaction_id.as_bytes().as_slice().into(),
        terms.tenant.0.as_bytes().as_slice().into(),
        terms.invoice.as_str().into(),
        terms.preauth_id.as_slice().into(),
        terms.escrow.as_slice().into(),
        terms.sender.address().as_slice().into(),
        terms.sender.written().into(),
        terms.receiver.address().as_slice().into(),
        terms.receiver.written().into(),
        terms.token.address().as_slice().into(),
        terms.token.written().into(),
        i64::from(terms.decimals).into(),
        terms.amount.to_string().into(),
        terms.hold.to_string().into(),
        terms.expires_at.as_i64().into(),
        terms.consent.as_ref().into(),
    ]
}

/// The values of [`STATE`].
fn state_values(state: &Preauth) -> [Value; STATE.columns.len()] {
    [
        state.preauth_id.as_slice().into(),
        state.status.as_str().into(),
        i64::from(state.cancel_requested).into(),
        state.schedule.map(|schedule| schedule.settle_at.as_i64()).into(),
        state.schedule.map(|schedule| schedule.amount.to_string()).into(),
        state.schedule.map(|schedule| schedule.written.to_string()).into(),
        state.settlement.map(|settlement| settlement.amount.to_string()).into(),
        state.settlement.map(|settlement| settlement.written.to_string()).into(),
        state.lock_transaction.as_ref().map(|hash| hash.as_slice()).into(),
        state.close_transaction.as_ref().map(|hash| hash.as_slice()).into(),
        state.deferred_refund.map(|units| units.to_string()).into(),
        state.failure.as_ref().map(ToString::to_string).into(),
    ]
}

/// A tenant's preauthorization by its invoice.
pub async fn by_invoice(
    connection: &mut Connection,
    tenant: TenantId,
    invoice: &InvoiceId,
) -> Result<Option<Preauth>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM preauths WHERE tenant_id = $1 AND invoice_id = $2"
    ));
    let row = sqlx::query(sql)
        .bind(tenant.0.as_bytes().as_slice())
        .bind(invoice.as_str())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(decode).transpose()
}

pub(super) fn keys_sql() -> String {
    format!("SELECT {COLUMNS} FROM preauths WHERE id IN (SELECT value FROM json_each($1))")
}

pub(super) fn preauth_ids_sql() -> String {
    format!("SELECT {COLUMNS} FROM preauths WHERE preauth_id IN (SELECT unhex(value) FROM json_each($1))")
}

pub(super) fn invoices_sql() -> String {
    format!(
        "SELECT {COLUMNS}
         FROM (SELECT value ->> 0 AS asked_tenant, value ->> 1 AS asked_invoice FROM json_each($1)) CROSS JOIN preauths
         WHERE tenant_id = unhex(asked_tenant) AND invoice_id = asked_invoice"
    )
}

/// Preauthorizations by tenant and invoice.
pub(super) async fn by_invoices(
    connection: &mut Connection,
    invoices: &[(TenantId, InvoiceId)],
) -> Result<HashMap<(TenantId, InvoiceId), Result<Preauth, UnreadableRow>>, StoreError> {
    let asked = invoices.iter().map(|(tenant, invoice)| (hex::encode(tenant.0.as_bytes()), invoice.as_str()));
    let rows = sqlx::query(sqlx::AssertSqlSafe(invoices_sql()))
        .bind(json(&asked.collect::<Vec<_>>())?)
        .fetch_all(connection)
        .await?;
    let invoice = |row: &SqliteRow| {
        InvoiceId::parse(row.try_get("invoice_id")?).map_err(|error| corrupt("invoice_id", error))
    };
    rows.iter().map(|row| Ok(((tenant_id(row, "tenant_id")?, invoice(row)?), apart(decode(row))?))).collect()
}

/// Any preauthorization by its database key, for the workers that serve all tenants.
pub async fn by_key(connection: &mut Connection, key: PreauthKey) -> Result<Preauth, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM preauths WHERE id = $1"));
    decode(&sqlx::query(sql).bind(key.0).fetch_one(connection).await?)
}

/// Preauthorizations by their database keys.
pub async fn by_keys(
    connection: &mut Connection,
    keys: &[PreauthKey],
) -> Result<HashMap<PreauthKey, Result<Preauth, UnreadableRow>>, StoreError> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query(sqlx::AssertSqlSafe(keys_sql()))
        .bind(list(keys.iter().map(|key| key.0)))
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| Ok((PreauthKey(row.try_get("id")?), apart(decode(row))?))).collect()
}

/// Any preauthorizations by their names on chain and the escrow that holds each, for the observer. What is not among the
/// answers is not there.
pub async fn by_preauth_ids(
    connection: &mut Connection,
    holds: &[(Address, B256)],
) -> Result<HashMap<(Address, B256), Result<Preauth, UnreadableRow>>, StoreError> {
    let names = list_of_blobs(holds.iter().map(|(_, preauth_id)| preauth_id));
    let rows = sqlx::query(sqlx::AssertSqlSafe(preauth_ids_sql())).bind(names).fetch_all(connection).await?;
    rows.iter()
        .map(|row| Ok(((address(row, "escrow")?, b256(row, "preauth_id")?), apart(decode(row))?)))
        .collect()
}

/// Sum of a sender's open holds of a token with a tenant, in base units. The seals are not verified: it bounds what a
/// tenant allows itself, and one damaged row must not refuse every further sale to this sender.
pub async fn open_total(
    connection: &mut Connection,
    tenant: TenantId,
    sender: Address,
    token: Address,
) -> Result<u128, StoreError> {
    let rows = sqlx::query(
        "SELECT hold FROM preauths
         WHERE tenant_id = $1 AND sender = $2 AND token = $3 AND status IN ('PENDING', 'AUTHORIZED')",
    )
    .bind(tenant.0.as_bytes().as_slice())
    .bind(sender.as_slice())
    .bind(token.as_slice())
    .fetch_all(connection)
    .await?;
    rows.iter().try_fold(0u128, |total, row| Ok(total.saturating_add(base_units(row, "hold")?.get())))
}

/// Which preauthorizations of a tenant to list. An absent filter lets everything pass.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub status: Option<PreauthStatus>,
    pub sender: Option<Address>,
    pub receiver: Option<Address>,
    /// Expires before this second by the chain's clock.
    pub expiring_before: Option<ChainTime>,
    /// Continues after this row of an earlier page.
    pub before: Option<PreauthKey>,
}

/// A page of a tenant's preauthorizations, newest first.
pub async fn page(
    connection: &mut Connection,
    tenant: TenantId,
    filter: &Filter,
    limit: u32,
) -> Result<Vec<Preauth>, StoreError> {
    let rows = page_query(tenant, filter, limit).build().fetch_all(connection).await?;
    rows.iter().map(decode).collect()
}

/// Only what is asked for is in the statement: a filter that may be absent finds nothing by an index, and few rows among many
/// would be looked for in all of them.
fn page_query(tenant: TenantId, filter: &Filter, limit: u32) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(format!("SELECT {COLUMNS} FROM preauths WHERE tenant_id = "));
    query.push_bind(tenant.0.as_bytes().to_vec());
    if let Some(status) = filter.status {
        query.push(" AND status = ").push_bind(status.as_str());
    }
    if let Some(sender) = filter.sender {
        query.push(" AND sender = ").push_bind(sender.to_vec());
    }
    if let Some(receiver) = filter.receiver {
        query.push(" AND receiver = ").push_bind(receiver.to_vec());
    }
    if let Some(before) = filter.expiring_before {
        query.push(" AND expires_at < ").push_bind(before.as_i64());
    }
    if let Some(before) = filter.before {
        query.push(" AND id < ").push_bind(before.0);
    }
    query.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(limit)).push(" + 0");
    query
}

/// Nothing of a row is believed before its seals were verified.
pub(super) fn decode(row: &SqliteRow) -> Result<Preauth, StoreError> {
    let verified = TERMS.verify(row).and_then(|()| STATE.verify(row));
    verified
        .and_then(|()| decode_columns(row))
        .map_err(|error| StoreError::Unreadable(Box::new(Table::Preauths.unreadable(row, &error))))
}

fn decode_columns(row: &SqliteRow) -> Result<Preauth, StoreError> {
    let scheduled = optional_amount(row, "scheduled", "scheduled_written")?;
    let settle_at: Option<i64> = row.try_get("settle_at")?;
    let settled = optional_amount(row, "settled", "settled_written")?;
    Ok(Preauth {
        key: PreauthKey(row.try_get("id")?),
        transaction_id: uuid(row, "transaction_id")?,
        tenant: tenant_id(row, "tenant_id")?,
        invoice: InvoiceId::parse(row.try_get("invoice_id")?)
            .map_err(|error| corrupt("invoice_id", error))?,
        preauth_id: b256(row, "preauth_id")?,
        escrow: address(row, "escrow")?,
        sender: account(row, "sender_written")?,
        receiver: account(row, "receiver_written")?,
        token: account(row, "token_written")?,
        decimals: row.try_get("decimals")?,
        amount: token_amount(row, "amount_written")?,
        hold: base_units(row, "hold")?,
        expires_at: chain_time(row, "expires_at")?,
        consent: Bytes::copy_from_slice(row.try_get("consent")?),
        status: word(row, "status", PreauthStatus::parse)?,
        cancel_requested: row.try_get::<i64, _>("cancel_requested")? != 0,
        schedule: settle_at.zip(scheduled).map(|(settle_at, (amount, written))| Schedule {
            settle_at: ChainTime::from_i64(settle_at),
            amount,
            written,
        }),
        settlement: settled.map(|(amount, written)| Settlement { amount, written }),
        lock_transaction: optional_b256(row, "lock_transaction")?,
        close_transaction: optional_b256(row, "close_transaction")?,
        deferred_refund: optional_base_units(row, "deferred_refund")?,
        failure: optional_failure(row, "failure")?,
        created_at: millis(row, "created_at")?,
        updated_at: millis(row, "updated_at")?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::Store;
    use super::super::testing::plan_of;
    use super::*;

    #[tokio::test]
    async fn a_page_is_found_by_the_index_of_what_is_asked() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let mut reader = store.read().await.unwrap();
        let (status, address) = (Some(PreauthStatus::Pending), Some(Address::ZERO));
        let all = Filter::default();
        for (filter, index) in [
            (all.clone(), "preauths_listed (tenant_id=?)"),
            (Filter { status, ..all.clone() }, "preauths_listed_by_status (tenant_id=? AND status=?)"),
            (
                Filter { sender: address, ..all.clone() },
                "preauths_listed_by_sender (tenant_id=? AND sender=?)",
            ),
            (
                Filter { receiver: address, ..all.clone() },
                "preauths_listed_by_receiver (tenant_id=? AND receiver=?)",
            ),
            (
                Filter { status, before: Some(PreauthKey(7)), ..all },
                "preauths_listed_by_status (tenant_id=? AND status=? AND id<?)",
            ),
        ] {
            let query = page_query(TenantId::UNCLAIMED, &filter, 20);
            let plan = plan_of(&mut reader, query.sql().as_str()).await;
            assert_eq!(plan, [format!("SEARCH preauths USING INDEX {index}")]);
        }
    }
}
