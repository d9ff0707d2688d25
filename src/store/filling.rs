//! Preauthorizations of long ago, many at once: a database as it is after years, to measure with.
//!
//! What they leave behind is what the lanes and the observer would have left: sealed rows, operations that are done, the
//! batches that carried them, outcomes, events, the times of their blocks. Only the bytes that were signed are not those of a
//! transaction: nobody reads them once their batch is mined.

use std::path::Path;

use alloy::primitives::{Address, Bytes, keccak256};
use sqlx::Connection as _;
use uuid::Uuid;

use super::batches::{Attempt, Mined, NewBatch};
use super::outcomes::{Outcome, OutcomeKind, Position};
use super::seal::Value;
use super::{
    Connection, StoreError, batches, block_times, bulk, connect, events, operations, outcomes, preauths,
};
use crate::model::{
    BatchId, ChainTime, EventKind, Millis, OperationKind, OperationState, Preauth, PreauthKey, PreauthStatus,
};

/// Lots of one commit: each page of an index is written once in it, however many of its rows are new.
const LOTS_AT_ONCE: usize = 200;
/// Pages that are kept in memory meanwhile, in KiB: names of holds are hashes, and come in no order.
const CACHE_KIB: u32 = 512 * 1_024;

/// Settled preauthorizations that came and went together: locked by one transaction, settled by another.
#[derive(Debug, Clone)]
pub struct Lot {
    /// As they are in the end. Their keys are given by the database.
    pub preauths: Vec<Preauth>,
    pub lock: Carrier,
    pub close: Carrier,
}

/// A transaction of long ago.
#[derive(Debug, Clone)]
pub struct Carrier {
    pub operator: Address,
    pub nonce: u64,
    pub escrow: Address,
    /// Its hash is that of the transaction.
    pub raw: Bytes,
    pub block: u64,
    pub time: ChainTime,
    pub gas_used: u64,
    /// Wei per gas.
    pub gas_price: u128,
}

impl Carrier {
    fn at(&self) -> Millis {
        Millis(self.time.as_i64().saturating_mul(1_000))
    }
}

/// Writes lots into the database in `folder`. It must know their tenants and escrows, and nobody else may have it open.
///
/// # Errors
/// [`StoreError`] when the database cannot be used; what was written by then may stay.
pub async fn fill(folder: &Path, lots: impl Iterator<Item = Lot>) -> Result<(), StoreError> {
    let (mut connection, _) = connect(folder).await?;
    // Every reference is to a row of the same lot, or to one that is there: looking each up again would take a while.
    let settings = format!("PRAGMA cache_size = -{CACHE_KIB}; PRAGMA foreign_keys = 0");
    sqlx::query(sqlx::AssertSqlSafe(settings)).execute(&mut connection).await?;
    let mut next = (
        first_free(&mut connection, "SELECT COALESCE(MAX(id), 0) FROM preauths").await?,
        first_free(&mut connection, "SELECT COALESCE(MAX(id), 0) FROM operations").await?,
    );
    let mut lots = lots.peekable();
    while lots.peek().is_some() {
        let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
        for lot in lots.by_ref().take(LOTS_AT_ONCE) {
            next = write(&mut tx, lot, next).await?;
        }
        tx.commit().await?;
    }
    connection.close().await?;
    Ok(())
}

async fn first_free(connection: &mut Connection, newest: &'static str) -> Result<i64, StoreError> {
    let newest: i64 = sqlx::query_scalar(newest).fetch_one(connection).await?;
    Ok(newest.saturating_add(1))
}

/// Writes a lot whose first preauth and operation have these ids; returns the ids behind its last.
async fn write(
    connection: &mut Connection,
    mut lot: Lot,
    (preauth, operation): (i64, i64),
) -> Result<(i64, i64), StoreError> {
    for (preauth, key) in lot.preauths.iter_mut().zip(preauth..) {
        preauth.key = PreauthKey(key);
    }
    let count = i64::try_from(lot.preauths.len()).unwrap_or(i64::MAX);
    insert_preauths(connection, &lot.preauths).await?;
    let held: Vec<Preauth> = lot.preauths.iter().map(before_its_end).collect();
    LOCK.insert(connection, &lot.lock, &held, operation).await?;
    let operation = operation.saturating_add(count);
    SETTLE.insert(connection, &lot.close, &lot.preauths, operation).await?;
    Ok((preauth.saturating_add(count), operation.saturating_add(count)))
}

/// What it was while it was held.
fn before_its_end(preauth: &Preauth) -> Preauth {
    Preauth {
        status: PreauthStatus::Authorized,
        settlement: None,
        close_transaction: None,
        ..preauth.clone()
    }
}

async fn insert_preauths(connection: &mut Connection, preauths: &[Preauth]) -> Result<(), StoreError> {
    // The preauth id, the first of the state's, is among the terms.
    let columns = preauths::TERMS.columns.iter().chain(preauths::STATE.columns.iter().skip(1));
    let others = ["terms_seal", "state_seal", "created_at", "updated_at", "id", "release_at"];
    let row = |preauth: &Preauth| {
        let others = [preauth.created_at.0, preauth.updated_at.0, preauth.key.0, preauth.expires_at.as_i64()];
        preauths::sealed_values(preauth).chain(others.map(Value::from)).collect()
    };
    insert(connection, "preauths", columns.chain(&others), preauths.iter().map(row)).await
}

/// What a transaction did for each of its preauths.
struct Step {
    operation: OperationKind,
    outcome: OutcomeKind,
    event: EventKind,
    /// The event's number within its preauth.
    sequence: i64,
}

const LOCK: Step = Step {
    operation: OperationKind::Authorize,
    outcome: OutcomeKind::Locked,
    event: EventKind::Authorized,
    sequence: 1,
};
const SETTLE: Step = Step {
    operation: OperationKind::Settle,
    outcome: OutcomeKind::Settled,
    event: EventKind::Settled,
    sequence: 2,
};

impl Step {
    /// Writes what a transaction left behind, its operations counted from `first`.
    async fn insert(
        &self,
        connection: &mut Connection,
        carrier: &Carrier,
        preauths: &[Preauth],
        first: i64,
    ) -> Result<(), StoreError> {
        let batch = insert_batch(connection, carrier).await?;
        self.insert_operations(connection, carrier, batch, preauths, first).await?;
        insert_items(connection, batch, first, preauths.len()).await?;
        self.insert_outcomes(connection, carrier, preauths).await?;
        self.insert_events(connection, carrier, preauths).await?;
        block_times::note(connection, carrier.block, Some(carrier.time)).await
    }

    async fn insert_operations(
        &self,
        connection: &mut Connection,
        carrier: &Carrier,
        batch: BatchId,
        preauths: &[Preauth],
        first: i64,
    ) -> Result<(), StoreError> {
        let columns = operations::SEALED.columns.iter();
        let others = ["seal", "id", "state", "batch_id", "created_at", "updated_at"];
        let row = |(preauth, id): (&Preauth, i64)| {
            let amount = preauth.settlement.map(|settlement| (settlement.amount, settlement.written));
            let values = operations::sealed_values(preauth.key, self.operation, amount, preauth.expires_at);
            let others: [Value; 6] = [
                operations::SEALED.seal(&values).as_slice().into(),
                id.into(),
                OperationState::Done.as_str().into(),
                batch.0.into(),
                carrier.at().0.into(),
                carrier.at().0.into(),
            ];
            values.into_iter().chain(others).collect()
        };
        insert(connection, "operations", columns.chain(&others), preauths.iter().zip(first..).map(row)).await
    }

    async fn insert_outcomes(
        &self,
        connection: &mut Connection,
        carrier: &Carrier,
        preauths: &[Preauth],
    ) -> Result<(), StoreError> {
        let transaction = keccak256(&carrier.raw);
        let outcome = |(preauth, log): (&Preauth, i64)| Outcome {
            preauth: preauth.key,
            kind: self.outcome,
            position: Position { block: carrier.block, log, transaction },
        };
        let outcomes: Vec<_> = preauths.iter().zip(0..).map(outcome).collect();
        outcomes::insert(connection, &outcomes).await
    }

    async fn insert_events(
        &self,
        connection: &mut Connection,
        carrier: &Carrier,
        preauths: &[Preauth],
    ) -> Result<(), StoreError> {
        let columns = events::SAID.columns.iter();
        let others = ["seal", "created_at", "sequence"];
        let row = |preauth: &Preauth| {
            let values = events::values(Uuid::now_v7(), preauth, self.event, None);
            let seal = events::SAID.seal(&values);
            let others: [Value; 3] = [seal.as_slice().into(), carrier.at().0.into(), self.sequence.into()];
            values.into_iter().chain(others).collect()
        };
        insert(connection, "events", columns.chain(&others), preauths.iter().map(row)).await
    }
}

/// A batch that was mined, for now without what it carried.
async fn insert_batch(connection: &mut Connection, carrier: &Carrier) -> Result<BatchId, StoreError> {
    let Carrier { operator, nonce, escrow, .. } = *carrier;
    let now = carrier.at();
    let batch = NewBatch { operator, nonce, escrow, gas_limit: carrier.gas_used, gas_per_call: 0 };
    let id = batches::insert(connection, &batch, &[], now).await?;
    let attempt = Attempt {
        hash: keccak256(&carrier.raw),
        raw: carrier.raw.clone(),
        max_fee: carrier.gas_price,
        max_priority_fee: carrier.gas_price,
        created_at: now,
    };
    batches::add_attempt(connection, id, &attempt).await?;
    let mined = Mined {
        block: carrier.block,
        transaction: attempt.hash,
        succeeded: true,
        gas_used: carrier.gas_used,
        effective_gas_price: carrier.gas_price,
    };
    batches::mark_mined(connection, id, &mined, now).await?;
    Ok(id)
}

async fn insert_items(
    connection: &mut Connection,
    batch: BatchId,
    first: i64,
    count: usize,
) -> Result<(), StoreError> {
    let columns = ["batch_id", "position", "operation_id"];
    let row = |(position, operation): (i64, i64)| vec![batch.0.into(), position.into(), operation.into()];
    insert(connection, "batch_items", columns.iter(), (0..).zip(first..).take(count).map(row)).await
}

async fn insert<'c>(
    connection: &mut Connection,
    table: &str,
    columns: impl Iterator<Item = &'c &'static str>,
    rows: impl Iterator<Item = Vec<Value>>,
) -> Result<(), StoreError> {
    let columns: Vec<&str> = columns.copied().collect();
    let before = format!("INSERT INTO {table} ({}) ", columns.join(", "));
    bulk::execute(connection, &before, rows.collect(), "").await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use alloy::primitives::B256;
    use futures::FutureExt;

    use super::super::{DATABASE_FILE, Store, backup, instance, tenants};
    use super::*;
    use crate::model::{Account, BaseUnits, InvoiceId, Settlement, Tenant, TenantId, TokenAmount};

    const ESCROW: Address = Address::repeat_byte(9);
    const TENANT: TenantId = TenantId(Uuid::from_u128(1));

    fn preauth(number: u128, lock: &Carrier, close: &Carrier) -> Preauth {
        let units = |amount| BaseUnits::new(amount).unwrap();
        let account = |byte| Account::from_address(Address::repeat_byte(byte));
        Preauth {
            key: PreauthKey(0),
            transaction_id: Uuid::from_u128(number),
            tenant: TENANT,
            invoice: InvoiceId::parse(&format!("OLD-{number}")).unwrap(),
            preauth_id: keccak256(number.to_be_bytes()),
            escrow: ESCROW,
            sender: account(1),
            receiver: account(2),
            token: account(3),
            decimals: 0,
            amount: TokenAmount::parse("100").unwrap(),
            hold: units(100),
            expires_at: ChainTime(9_000),
            consent: Bytes::new(),
            status: PreauthStatus::Settled,
            cancel_requested: false,
            schedule: None,
            settlement: Some(Settlement { amount: units(60), written: TokenAmount::parse("60").unwrap() }),
            lock_transaction: Some(keccak256(&lock.raw)),
            close_transaction: Some(keccak256(&close.raw)),
            deferred_refund: None,
            failure: None,
            created_at: lock.at(),
            updated_at: close.at(),
        }
    }

    fn lot(number: u64, count: u64) -> Lot {
        let carrier = |block: u64| Carrier {
            operator: Address::repeat_byte(4),
            nonce: block,
            escrow: ESCROW,
            raw: B256::from(alloy::primitives::U256::from(block)).to_vec().into(),
            block,
            time: ChainTime(1_000 + block),
            gas_used: 100_000,
            gas_price: 7,
        };
        let (lock, close) = (carrier(number * 2), carrier(number * 2 + 1));
        let numbers = number * count..(number + 1) * count;
        let preauths = numbers.map(|number| preauth(u128::from(number), &lock, &close)).collect();
        Lot { preauths, lock, close }
    }

    #[tokio::test]
    async fn what_was_filled_in_reads_as_if_it_had_happened() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let prepared = store.write::<_, StoreError, _>(|tx| {
            async move {
                let tenant = Tenant {
                    id: TENANT,
                    name: "shop".into(),
                    disabled: false,
                    allowed_tip_bps: 0,
                    default_ttl_seconds: 60,
                    require_signed_consent: false,
                    require_verified_party: false,
                    rules: Default::default(),
                };
                tenants::insert(tx, &tenant, Millis(1)).await?;
                instance::add_escrow(tx, ESCROW, 0, Millis(1)).await?;
                Ok(())
            }
            .boxed()
        });
        prepared.await.unwrap();
        store.close().await;
        fill(folder.path(), (0..3).map(|number| lot(number, 240))).await.unwrap();
        fill(folder.path(), std::iter::once(lot(200, 7))).await.unwrap();

        let inspection = backup::inspect(&folder.path().join(DATABASE_FILE)).await.unwrap();
        assert!(inspection.is_sound(), "{:?}", inspection.faults);
        assert_eq!(inspection.preauths.get("SETTLED"), Some(&727));
        let store = Store::open(folder.path()).await.unwrap();
        let mut reader = store.read().await.unwrap();
        let last = InvoiceId::parse("OLD-1406").unwrap();
        let preauth = preauths::by_invoice(&mut reader, TENANT, &last).await.unwrap().unwrap();
        let kinds: Vec<_> = events::timeline(&mut reader, TENANT, preauth.key, 0, 10)
            .await
            .unwrap()
            .iter()
            .map(|event| (event.kind, event.state.status, event.state.settlement.is_some()))
            .collect();
        let told = [
            (EventKind::Authorized, PreauthStatus::Authorized, false),
            (EventKind::Settled, PreauthStatus::Settled, true),
        ];
        assert_eq!(kinds, told);
        let operations = operations::all_of(&mut reader, preauth.key).await.unwrap();
        assert_eq!(operations.len(), 2);
        for operation in operations {
            assert_eq!(operation.state, OperationState::Done);
            let carried = operations::of_batch(&mut reader, operation.batch.unwrap()).await.unwrap();
            assert!(carried.iter().flatten().any(|other| other.id == operation.id));
        }
        assert!(batches::open(&mut reader, None).await.unwrap().is_empty(), "nothing is on its way");
    }
}
