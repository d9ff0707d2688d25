//! A mountain of overdue holds: the daemon starts as fast as without it, takes it down in pages, and lets nobody wait for it.
//!
//! The holds are written into the database while the daemon is down. The oldest of them are on chain, too (written into
//! the contract's storage); the rest are not, as after a loss of the chain's node: nothing can be done about those.
//!
//! `PREAUTHD_BACKLOG=1000000 cargo nextest run backlog --no-capture` makes it as high, and prints what it took.

use std::time::{Duration, Instant};

use alloy::primitives::{B256, U256};
use alloy::providers::Provider;
use futures::{FutureExt, StreamExt, stream};
use preauthd::chain::PreauthEscrow::PreauthEscrowEvents;
use preauthd::model::{ChainTime, InvoiceId, Preauth, PreauthKey, derive_preauth_id};
use preauthd::store::{Store, StoreError, preauths};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};
use uuid::Uuid;

use crate::harness::powers::entry;
use crate::harness::world::invoice;
use crate::harness::{Plan, Sale, World, units};

/// Overdue holds in `make test`.
const HOLDS: i64 = 20_000;
/// Those of them that are on chain.
const ON_CHAIN: i64 = 2_000;
/// Rows of one commit while the database is filled.
const PAGE: i64 = 20_000;
/// Expiries that may be open at once.
const OPEN_EXPIRIES: i64 = 1_000;
/// Expiries that one transaction carries at most.
const BATCH: usize = 240;
/// Blocks until a request is done: one may hold a batch that was signed before it, the next one carries it.
const BLOCKS: usize = 2;

fn holds() -> i64 {
    std::env::var("PREAUTHD_BACKLOG").ok().and_then(|holds| holds.parse().ok()).unwrap_or(HOLDS)
}

#[tokio::test]
async fn a_backlog_is_worked_off_in_pages_and_delays_nobody() {
    let mut world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    let model = world.authorized(&sale, "1").await;
    let model = world.preauth_id(&model).await;
    world.until_daemon_stands_at_the_head().await;
    world.chain.hold_still().await;
    assert!(world.stop_daemon().await);
    let holds = holds();
    let filling = stopwatch();
    let on_chain = fill(&world, model, holds, ON_CHAIN).await;
    println!("{holds} overdue holds written in {:.1?}", filling.elapsed());

    let first = timed_start(&mut world).await;
    world.chain.until_waiting(1).await;
    let mut database = look_into(&world).await;
    let (lock_blocks, settle_blocks) = sell_beside_it(&world, &sale, &mut database).await;
    let meanwhile = expired_on_chain(&world).await;
    assert!(meanwhile <= (lock_blocks + settle_blocks) * BATCH, "{meanwhile} expiries went before one sale");
    assert!(meanwhile < on_chain, "the backlog was still being worked off");
    let peak = peak_memory(&world);
    drop(database);

    world.kill_daemon().await;
    let again = timed_start(&mut world).await;
    let mut database = look_into(&world).await;
    while expired_on_chain(&world).await < on_chain {
        next_block(&world, &mut database).await;
    }
    world.until_daemon_stands_at_the_head().await;
    assert_eq!(count(&mut database, "preauths WHERE status = 'EXPIRED'").await, ON_CHAIN);
    assert_eq!(count(&mut database, "preauths WHERE status = 'AUTHORIZED'").await, holds - ON_CHAIN + 1);
    world.assert_escrow_holds_what_is_open().await;
    // What is left can only be tried again and again. That holds nobody up, either.
    sell_beside_it(&world, &sale, &mut database).await;
    assert!(count(&mut database, "operations WHERE kind = 'expire' AND tries > 0").await > 0);
    assert_eq!(count(&mut database, "operations WHERE state = 'failed' AND kind <> 'expire'").await, 0);

    println!(
        "| holds | start to ready | after kill -9 | peak memory | blocks to lock | blocks to settle | expiries before it |"
    );
    println!("|---|---|---|---|---|---|---|");
    println!(
        "| {holds} | {:.2} s | {:.2} s | {} MB | {lock_blocks} | {settle_blocks} | {meanwhile} |",
        first.as_secs_f64(),
        again.as_secs_f64(),
        peak / 1024,
    );
}

#[tokio::test]
async fn rows_the_chain_knows_nothing_of_keep_nobody_from_his_money() {
    let mut world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    let real = world.authorized(&sale, "12.34").await;
    let id = world.preauth_id(&real).await;
    world.until_daemon_stands_at_the_head().await;
    assert!(world.stop_daemon().await);
    // More than there are places, and all of them longer overdue.
    fill(&world, id, OPEN_EXPIRIES + OPEN_EXPIRIES / 2, 0).await;
    world.restart().await;
    world.advance(3 * 24 * 60 * 60).await;
    world.becomes(&real, "EXPIRED").await;
    world.assert_paid(&sale, "0", "0").await;
}

/// Writes overdue holds that are like a real one, the oldest of them on chain; returns how many of them are.
async fn fill(world: &World, id: B256, holds: i64, on_chain: i64) -> usize {
    let store = Store::open(&world.house.data_dir()).await.expect("the daemon's database");
    let model = {
        let mut reader = store.read().await.expect("a reader");
        let hold = (world.ready.escrow, id);
        let mut found = preauths::by_preauth_ids(&mut reader, &[hold]).await.expect("rows");
        found.remove(&hold).expect("the model").expect("a row that is whole")
    };
    let overdue = ChainTime(world.chain.now().await - 1_000_000);
    let like_model = move |number: i64| like(&model, number, overdue);
    let on_chain: Vec<Preauth> = (1..=on_chain).map(&like_model).collect();
    lock_by_hand(world, id, &on_chain).await;
    for start in (1..=holds).step_by(usize::try_from(PAGE).expect("a page")) {
        let rows: Vec<Preauth> = (start..(start + PAGE).min(holds + 1)).map(&like_model).collect();
        let written = store.write::<_, StoreError, _>(move |tx| {
            async move {
                for row in &rows {
                    preauths::put(tx, row, row.created_at).await?;
                }
                Ok(())
            }
            .boxed()
        });
        written.await.expect("rows that can be written");
    }
    store.close().await;
    on_chain.len()
}

/// The `number`-th hold of the backlog, oldest first.
fn like(model: &Preauth, number: i64, overdue: ChainTime) -> Preauth {
    let invoice = InvoiceId::parse(&format!("OLD-{number}")).expect("an invoice");
    Preauth {
        key: PreauthKey(model.key.0 + number),
        transaction_id: Uuid::from_u128(number.unsigned_abs().into()),
        preauth_id: derive_preauth_id(model.tenant, &invoice),
        invoice,
        expires_at: ChainTime(overdue.0 + number.unsigned_abs() / 10),
        ..model.clone()
    }
}

/// Locks holds by writing them into the contract's storage, where a real one shows the place.
async fn lock_by_hand(world: &World, real: B256, holds: &[Preauth]) {
    let (provider, escrow) = (&world.chain.provider, world.ready.escrow);
    let slot = |id: B256, base: u64| entry(id, U256::from(base));
    let mut base = 0;
    while provider.get_storage_at(escrow, slot(real, base)).await.expect("a slot").is_zero() {
        base += 1;
        assert!(base < 16, "the contract keeps its holds in a mapping");
    }
    let locks = holds
        .iter()
        .map(|hold| world.chain.set_storage(escrow, slot(hold.preauth_id, base), hold.terms().hash()));
    stream::iter(locks).buffer_unordered(16).collect::<Vec<()>>().await;
    let held = world.chain.balance(escrow).await + units("1") * U256::from(holds.len());
    world.chain.give(escrow, held).await;
}

/// Time is printed here, and nothing is judged by it.
#[allow(clippy::disallowed_methods)]
fn stopwatch() -> Instant {
    Instant::now()
}

async fn timed_start(world: &mut World) -> Duration {
    let start = stopwatch();
    world.restart().await;
    start.elapsed()
}

/// Locks and settles; returns in how many blocks each was done.
async fn sell_beside_it(world: &World, sale: &Sale, database: &mut SqliteConnection) -> (usize, usize) {
    let name = invoice("INV");
    world.create(&name, sale).amount("5").respond_async().send().await.is(202);
    let lock_blocks = blocks_until(world, &name, "AUTHORIZED", database).await;
    let path = format!("/onchain-preauth/{name}/settle");
    world.api.post_async(&path, serde_json::json!({ "amount": "3" })).await.is(202);
    let settle_blocks = blocks_until(world, &name, "SETTLED", database).await;
    let effects = world.effects(&name).await;
    assert_eq!((effects.locked, effects.settled), (1, 1));
    (lock_blocks, settle_blocks)
}

async fn blocks_until(world: &World, name: &str, status: &str, database: &mut SqliteConnection) -> usize {
    for blocks in 1..=BLOCKS {
        next_block(world, database).await;
        if world.api.preauth(name).await.text("status") == status {
            return blocks;
        }
    }
    panic!("{name} is not {status} after {BLOCKS} blocks");
}

/// Mines what waits, once something does.
async fn next_block(world: &World, database: &mut SqliteConnection) {
    world.chain.until_waiting(1).await;
    let open = count(database, "operations WHERE kind = 'expire' AND state IN ('due', 'batched')").await;
    assert!(open <= OPEN_EXPIRIES, "{open} expiries are open at once");
    world.chain.mine().await;
    world.until_daemon_stands_at_the_head().await;
}

async fn expired_on_chain(world: &World) -> usize {
    let logs = world.chain.logs().await;
    logs.iter().filter(|seen| matches!(seen.event, PreauthEscrowEvents::Expired(_))).count()
}

async fn look_into(world: &World) -> SqliteConnection {
    let file = world.house.data_dir().join("preauthd.sqlite");
    SqliteConnectOptions::new().filename(file).read_only(true).connect().await.expect("the daemon's database")
}

/// Rows of a table under a condition.
async fn count(database: &mut SqliteConnection, rows: &str) -> i64 {
    let sql = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {rows}"));
    sqlx::query_scalar(sql).fetch_one(database).await.expect("a count")
}

/// The most memory the daemon ever had, in KiB.
fn peak_memory(world: &World) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", world.ready.pid)).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
