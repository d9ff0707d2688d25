//! Damage to rows of money, of every kind a column can suffer, and what reading makes of it.

use alloy::primitives::{Address, B256, Bytes, keccak256};
use futures::FutureExt;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection as _};
use uuid::Uuid;

use super::batches::{Attempt, NewBatch};
use super::preauths::NewPreauth;
use super::{
    Connection, Steps, Store, StoreError, StoreReader, Table, UnreadableRow, batches, comparison, due,
    instance, operations, preauths, sealing, tenants,
};
use crate::model::{
    Account, BaseUnits, ChainTime, InvoiceId, Millis, Operation, OperationId, OperationKind, Preauth,
    PreauthKey, PreauthStatus, Schedule, Tenant, TenantId, TokenAmount,
};

const NOW: Millis = Millis(1_000);
const ESCROW: Address = Address::repeat_byte(9);

struct World {
    folder: tempfile::TempDir,
    store: Store,
    /// A connection that looks at no rule of the schema.
    vandal: Connection,
}

fn units(amount: u128) -> BaseUnits {
    BaseUnits::new(amount).unwrap()
}

fn schedule() -> Schedule {
    Schedule { settle_at: ChainTime(500), amount: units(7), written: TokenAmount::parse("7.0").unwrap() }
}

/// Preauths 1 to `count`, each AUTHORIZED, with a lock that is due and a schedule.
async fn world(count: u8) -> World {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    store
        .write::<_, StoreError, _>(move |tx| {
            async move {
                let tenant = Tenant {
                    id: TenantId(Uuid::from_u128(1)),
                    name: "shop".into(),
                    disabled: false,
                    allowed_tip_bps: 0,
                    default_ttl_seconds: 60,
                    require_signed_consent: false,
                    require_verified_party: false,
                    rules: Default::default(),
                };
                tenants::insert(tx, &tenant, NOW).await?;
                instance::add_escrow(tx, ESCROW, 0, NOW).await?;
                for number in 1..=count {
                    let new = NewPreauth {
                        transaction_id: Uuid::from_u128(u128::from(number)),
                        tenant: tenant.id,
                        invoice: InvoiceId::parse(&format!("INV-{number}")).unwrap(),
                        preauth_id: B256::repeat_byte(number),
                        escrow: ESCROW,
                        sender: Account::from_address(Address::repeat_byte(1)),
                        receiver: Account::from_address(Address::repeat_byte(2)),
                        token: Account::from_address(Address::repeat_byte(3)),
                        decimals: 0,
                        amount: TokenAmount::parse("100").unwrap(),
                        hold: units(100),
                        expires_at: ChainTime(9_000),
                        consent: Bytes::new(),
                        schedule: Some(schedule()),
                    };
                    let key = preauths::insert(tx, &new, NOW).await?;
                    let mut preauth = preauths::by_key(tx, key).await?;
                    preauth.status = PreauthStatus::Authorized;
                    preauths::save(tx, &preauth, NOW).await?;
                    let amount = Some((units(7), TokenAmount::parse("7").unwrap()));
                    operations::insert(tx, key, OperationKind::Settle, amount, ChainTime(9_000), NOW).await?;
                }
                Ok(())
            }
            .boxed()
        })
        .await
        .unwrap();
    let vandal = SqliteConnectOptions::new()
        .filename(folder.path().join(super::DATABASE_FILE))
        .foreign_keys(false)
        .pragma("ignore_check_constraints", "1")
        .connect()
        .await
        .unwrap();
    World { folder, store, vandal }
}

impl World {
    async fn damage(&mut self, sql: &str) {
        let done = sqlx::query(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut self.vandal).await.unwrap();
        assert!(done.rows_affected() > 0, "{sql}");
    }

    /// Damages, reads, and takes the damage back.
    async fn read_damaged(
        &mut self,
        sql: &str,
    ) -> (Result<Preauth, StoreError>, Result<Operation, StoreError>) {
        let mut tx = self.vandal.begin().await.unwrap();
        let done = sqlx::query(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut *tx).await.unwrap();
        assert_eq!(done.rows_affected(), 1, "{sql}");
        let preauth = preauths::by_key(&mut tx, PreauthKey(1)).await;
        let operation = operations::by_id(&mut tx, OperationId(1)).await;
        tx.rollback().await.unwrap();
        (preauth, operation)
    }

    async fn due(&self) -> Vec<Result<PreauthKey, UnreadableRow>> {
        let mut reader = self.store.read().await.unwrap();
        let due = operations::due(&mut reader, OperationKind::Settle, ESCROW, NOW, 100).await.unwrap();
        due.into_iter().map(|read| read.map(|operation| operation.preauth)).collect()
    }
}

fn unreadable<T: std::fmt::Debug>(read: Result<T, StoreError>) -> UnreadableRow {
    match read {
        Err(StoreError::Unreadable(row)) => *row,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_change_of_any_sealed_column_is_noticed() {
    let mut world = world(1).await;
    let changes = [
        ("transaction_id", "x'00'"),
        ("tenant_id", "x'00000000000000000000000000000002'"),
        ("invoice_id", "'INV-2'"),
        ("preauth_id", "zeroblob(32)"),
        ("escrow", "zeroblob(20)"),
        ("sender", "zeroblob(20)"),
        ("sender_written", "'0x0000000000000000000000000000000000000000'"),
        ("receiver", "zeroblob(20)"),
        ("receiver_written", "'0x0000000000000000000000000000000000000000'"),
        ("token", "zeroblob(20)"),
        ("token_written", "'0x0000000000000000000000000000000000000000'"),
        ("decimals", "1"),
        ("amount_written", "'101'"),
        ("hold", "'101'"),
        ("hold", "100.5"),
        ("hold", "x'31ff30'"),
        ("expires_at", "9001"),
        ("consent", "x'01'"),
        ("status", "'SETTLED'"),
        ("cancel_requested", "1"),
        ("settle_at", "NULL"),
        ("scheduled", "'8'"),
        ("scheduled_written", "'8'"),
        ("settled", "'1'"),
        ("settled_written", "'1'"),
        ("lock_transaction", "zeroblob(32)"),
        ("close_transaction", "zeroblob(32)"),
        ("deferred_refund", "'1'"),
        ("failure", "'no'"),
        ("terms_seal", "zeroblob(16)"),
        ("terms_seal", "NULL"),
        ("state_seal", "state_seal || x'00'"),
        ("state_seal", "NULL"),
    ];
    for column in preauths::TERMS.columns.iter().chain(preauths::STATE.columns) {
        assert!(changes.iter().any(|(changed, _)| changed == column), "{column} is tried");
    }
    for (column, value) in changes {
        let (preauth, operation) =
            world.read_damaged(&format!("UPDATE preauths SET {column} = {value} WHERE id = 1")).await;
        let row = unreadable(preauth);
        assert_eq!((row.table, row.id), (Table::Preauths, 1), "{column} = {value}");
        operation.unwrap();
    }
    let changes = [
        ("preauth", "2"),
        ("kind", "'cancel'"),
        ("amount", "'8'"),
        ("amount_written", "'7.0'"),
        ("deadline", "9001"),
        ("seal", "NULL"),
    ];
    for column in operations::SEALED.columns {
        assert!(changes.iter().any(|(changed, _)| changed == column), "{column} is tried");
    }
    for (column, value) in changes {
        let (preauth, operation) =
            world.read_damaged(&format!("UPDATE operations SET {column} = {value} WHERE id = 1")).await;
        let row = unreadable(operation);
        assert_eq!((row.table, row.id), (Table::Operations, 1), "{column} = {value}");
        preauth.unwrap();
    }
    let (preauth, operation) = world.read_damaged("UPDATE preauths SET updated_at = 7 WHERE id = 1").await;
    preauth.unwrap();
    operation.unwrap();
}

#[tokio::test]
async fn what_cannot_be_read_says_which_row_and_what_of_it() {
    let mut world = world(1).await;
    let (preauth, _) = world.read_damaged("UPDATE preauths SET hold = '1000' WHERE id = 1").await;
    let row = unreadable(preauth);
    assert_eq!(row.to_string(), "preauths row 1 (invoice INV-1): terms: they do not match their checksum");
    assert_eq!(row.preauth_id, Some(B256::repeat_byte(1)));
    let (preauth, _) = world.read_damaged("UPDATE preauths SET settled = '1' WHERE id = 1").await;
    assert_eq!(&*unreadable(preauth).why, "status and settlement: they do not match their checksum");
    let (_, operation) = world.read_damaged("UPDATE operations SET amount = '1' WHERE id = 1").await;
    assert_eq!(
        unreadable(operation).to_string(),
        "operations row 1 (of preauths row 1): kind, amount and deadline: they do not match their checksum"
    );
}

#[tokio::test]
async fn the_state_of_one_row_does_not_pass_for_that_of_another() {
    let mut world = world(2).await;
    world.damage("UPDATE preauths SET settled = '9', settled_written = '9' WHERE id = 2").await;
    let state = preauths::STATE.columns.iter().skip(1).chain([&preauths::STATE.column]);
    let set: Vec<String> =
        state.map(|column| format!("{column} = (SELECT {column} FROM preauths WHERE id = 2)")).collect();
    let (preauth, _) =
        world.read_damaged(&format!("UPDATE preauths SET {} WHERE id = 1", set.join(", "))).await;
    assert_eq!(&*unreadable(preauth).why, "status and settlement: they do not match their checksum");
}

#[tokio::test]
async fn a_damaged_row_does_not_hide_the_others() {
    let mut world = world(5).await;
    world.damage("UPDATE preauths SET hold = '1' WHERE id = 1").await;
    world.damage("UPDATE operations SET amount = '1' WHERE id = 3").await;
    let due = world.due().await;
    let readable: Vec<i64> = due.iter().flatten().map(|key| key.0).collect();
    assert_eq!(readable, [2, 4, 5]);
    let left_out: Vec<(Table, i64)> =
        due.iter().filter_map(|read| read.as_ref().err()).map(|row| (row.table, row.id)).collect();
    assert_eq!(left_out, [(Table::Preauths, 1), (Table::Operations, 3)]);
    world.damage("DELETE FROM operations").await;
    let mut reader = world.store.read().await.unwrap();
    let pages = [
        due::scheduled(&mut reader, ChainTime(600), 10).await.unwrap(),
        due::overdue(&mut reader, ChainTime(9_000), 10).await.unwrap(),
        comparison::page_of_all(&mut reader, PreauthKey(0), 10).await.unwrap(),
    ];
    for page in pages {
        assert_eq!(page.iter().flatten().count(), 4);
        assert_eq!(page[0].as_ref().unwrap_err().invoice, InvoiceId::parse("INV-1").ok());
    }
}

#[tokio::test]
async fn a_step_that_meets_a_damaged_row_is_undone_alone() {
    let mut world = world(3).await;
    world.damage("UPDATE preauths SET hold = '1' WHERE id = 2").await;
    let cancel_all = |steps: fn() -> Steps| {
        world.store.write::<_, StoreError, _>(move |tx| {
            async move {
                let mut steps = steps();
                for key in 1..=3 {
                    steps.begin(tx).await?;
                    let step = async {
                        operations::defer(tx, OperationId(key), Millis(5_000), NOW).await?;
                        preauths::by_key(tx, PreauthKey(key)).await.map(drop)
                    };
                    let done = step.await;
                    steps.end(tx, done).await?;
                }
                Ok(steps.unreadable())
            }
            .boxed()
        })
    };
    assert!(matches!(cancel_all(Steps::together).await, Err(StoreError::Unreadable(_))));
    assert_eq!(world.due().await.len(), 3, "nothing was done");
    let unreadable = cancel_all(Steps::apart).await.unwrap();
    assert_eq!(unreadable.len(), 1);
    assert_eq!(world.due().await.len(), 1, "only the damaged one is still due");
}

#[tokio::test]
async fn a_row_that_is_written_anew_can_be_read_again() {
    let mut world = world(2).await;
    let before = preauths::by_key(&mut world.vandal, PreauthKey(1)).await.unwrap();
    world.damage("UPDATE preauths SET hold = '1', terms_seal = NULL, consent = x'07' WHERE id = 1").await;
    let row = unreadable(preauths::by_key(&mut world.vandal, PreauthKey(1)).await);
    assert!(!row.is_healed(&mut world.vandal).await.unwrap());
    preauths::put(&mut world.vandal, &before, NOW).await.unwrap();
    let after = preauths::by_key(&mut world.vandal, PreauthKey(1)).await.unwrap();
    assert_eq!(after.terms(), before.terms());
    assert!(row.is_healed(&mut world.vandal).await.unwrap());
}

#[tokio::test]
async fn bytes_that_are_not_what_was_signed_are_left_out() {
    let mut world = world(1).await;
    let raw = Bytes::from_static(b"signed");
    let attempt = Attempt { hash: keccak256(&raw), raw, max_fee: 1, max_priority_fee: 1, created_at: NOW };
    let batch = NewBatch { operator: ESCROW, nonce: 0, escrow: ESCROW, gas_limit: 1, gas_per_call: 1 };
    let tx = &mut world.vandal;
    let id = batches::insert(tx, &batch, &[], NOW).await.unwrap();
    batches::add_attempt(tx, id, &attempt).await.unwrap();
    assert_eq!(batches::open(tx, None).await.unwrap()[0].attempts.len(), 1);
    world.damage("UPDATE attempts SET raw = x'00'").await;
    let tx = &mut world.vandal;
    let open = batches::open(tx, None).await.unwrap();
    assert_eq!((open[0].attempts.len(), open[0].unreadable.len()), (0, 1));
    assert!(!open[0].unreadable[0].is_healed(tx).await.unwrap());
    batches::add_attempt(tx, id, &attempt).await.unwrap();
    assert_eq!(batches::open(tx, None).await.unwrap()[0].attempts.len(), 1, "signed again, it is as it was");
}

#[tokio::test]
async fn rows_from_before_are_sealed_once() {
    let mut world = world(3).await;
    let unseal = "UPDATE preauths SET terms_seal = NULL, state_seal = NULL";
    world.damage(unseal).await;
    world.damage("UPDATE operations SET seal = NULL").await;
    // As an upgrade that was interrupted after two rows leaves it.
    world.damage("UPDATE sealing SET done = 0, preauths = 1, operations = 2").await;
    world.store.close().await;
    assert!(matches!(StoreReader::open(world.folder.path()).await, Err(StoreError::OtherVersion)));

    world.store = Store::open(world.folder.path()).await.unwrap();
    let page = comparison::page_of_all(&mut world.vandal, PreauthKey(0), 10).await.unwrap();
    assert_eq!(page.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, true, true]);
    assert_eq!(world.due().await.iter().flatten().map(|key| key.0).collect::<Vec<_>>(), [3]);
    assert!(sealing::is_done(&mut world.vandal).await.unwrap());
    StoreReader::open(world.folder.path()).await.unwrap();

    world.damage(unseal).await;
    world.store.close().await;
    world.store = Store::open(world.folder.path()).await.unwrap();
    let page = comparison::page_of_all(&mut world.vandal, PreauthKey(0), 10).await.unwrap();
    assert_eq!(page.iter().flatten().count(), 0, "what lost its seal gets none");
}

#[tokio::test]
async fn a_database_of_a_newer_version_or_half_migrated_is_refused() {
    let refusal = async |sql: &str| {
        let mut world = world(1).await;
        world.store.close().await;
        world.damage(sql).await;
        Store::open(world.folder.path()).await.err().expect("a refusal").to_string()
    };
    let newer = "INSERT INTO _sqlx_migrations VALUES (9999, 'later', CURRENT_TIMESTAMP, 1, x'00', 0)";
    assert!(refusal(newer).await.contains("version 9999 by a newer preauthd"));
    let half = "UPDATE _sqlx_migrations SET success = 0 WHERE version = 2";
    assert!(refusal(half).await.contains("left half done"));
}
