//! What the disk does to a daemon that has made promises.

use futures::future::join_all;
use serde_json::json;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Row};

use crate::crash::{Asked, judge};
use crate::harness::chain::Public;
use crate::harness::disk::Event;
use crate::harness::patience::pause;
use crate::harness::world::invoice;
use crate::harness::{Healing, Plan, Sale, World, until};

/// The database as a disk sees it that changes what it likes.
async fn database(world: &World) -> SqliteConnection {
    let file = world.house.data_dir().join("preauthd.sqlite");
    let options = SqliteConnectOptions::new().filename(file).foreign_keys(false);
    options.connect().await.expect("the daemon's database")
}

pub async fn change(world: &World, sql: &str) {
    let changed = sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&mut database(world).await).await;
    assert_eq!(changed.expect("a change").rows_affected(), 1, "{sql}");
}

/// Waits until the daemon says that it is not ready, in these words.
async fn until_it_says(world: &World, words: &str) {
    until(&format!("the daemon says: {words}"), || async {
        let ready = world.api.get("/health/ready").await;
        (ready.status == 503 && ready.body.to_string().contains(words)).then_some(())
    })
    .await;
}

async fn until_ready(world: &World) {
    until("the daemon is ready", || async {
        (world.api.get("/health/ready").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_damaged_row_is_left_alone_and_holds_up_nobody() {
    let world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    let (first, second) = (world.authorized(&sale, "5").await, world.authorized(&sale, "6").await);
    let terms = world.terms(&first).await;

    // One is damaged while its settlement waits for a block, the other is closed by somebody else.
    world.chain.hold_still().await;
    world
        .api
        .post_async(&format!("/onchain-preauth/{second}/settle"), json!({ "amount": "6" }))
        .await
        .is(202);
    world.chain.until_waiting(1).await;
    change(&world, &format!("UPDATE preauths SET hold = '7000000' WHERE invoice_id = '{first}'")).await;
    change(&world, &format!("UPDATE preauths SET hold = '7000000' WHERE invoice_id = '{second}'")).await;
    world.chain.mine_every(1).await;
    world.chain.act(sale.receiver, world.ready.escrow, Public::cancelCall { terms }).await;

    until_it_says(&world, &format!("(invoice {first}): terms: they do not match their checksum")).await;
    until_it_says(&world, &format!("(invoice {second}): terms: they do not match their checksum")).await;
    until_it_says(&world, "preauthd reconcile --repair").await;
    for damaged in [&first, &second] {
        assert_eq!(world.api.preauth(damaged).await.is(500).code(), "internal_error");
        assert_eq!(world.api.settle(damaged, "1").await.is(500).code(), "internal_error");
    }
    assert!(world.api.get("/metrics").await.body.to_string().contains("preauthd_corrupt_rows_total 2"));

    // Everybody else is served as ever, also after a reorg.
    let sound = world.authorized(&sale, "3").await;
    world.chain.reorg(1).await;
    until("the reorg is noticed", || async {
        world.api.metric("preauthd_reorgs_total").await.filter(|count| *count > 0.0)
    })
    .await;
    world.becomes(&sound, "AUTHORIZED").await;
    world.api.settle(&sound, "3").await.is(200);
    let another = invoice("INV");
    world.create(&another, &sale).amount("2").send().await.is(201);

    // What is as it was can be read again. What the chain did meanwhile is for the comparison to say.
    change(&world, &format!("UPDATE preauths SET hold = '5000000' WHERE invoice_id = '{first}'")).await;
    change(&world, &format!("UPDATE preauths SET hold = '6000000' WHERE invoice_id = '{second}'")).await;
    until_ready(&world).await;
    world.api.preauth(&first).await.is(200);
    let compared = world.try_cli(&["reconcile"]).await;
    let said = String::from_utf8_lossy(&compared.stdout).into_owned();
    assert_eq!(compared.status.code(), Some(1), "{said}");
    assert!(said.contains(&first) && said.contains(&second) && !said.contains(&sound), "{said}");
    assert!(!world.log().contains("panic"), "no panic");
}

/// Creations and settlements, ten each, all at once; some are never answered.
async fn storm(world: &World, sale: &Sale, open: &[String]) -> Vec<Asked> {
    let creations = (0..10).map(|_| async {
        let name = invoice("INV");
        let body = world.create(&name, sale).amount("3").body();
        let answer = world.api.try_post("/onchain-preauth", body).await;
        Asked { invoice: name, what: "create", answer: answer.map(|(status, _)| status) }
    });
    let settlements = open.iter().map(|name| async move {
        let path = format!("/onchain-preauth/{name}/settle");
        let answer = world.api.try_post(&path, json!({ "amount": "1" })).await;
        Asked { invoice: name.clone(), what: "settle", answer: answer.map(|(status, _)| status) }
    });
    let (created, settled) = tokio::join!(join_all(creations), join_all(settlements));
    created.into_iter().chain(settled).collect()
}

async fn ten_open(world: &World, sale: &Sale) -> Vec<String> {
    join_all((0..10).map(|_| world.authorized(sale, "2"))).await
}

/// What was answered with a fault may have happened or not, like what was not answered.
fn as_if_unanswered(mut asked: Vec<Asked>) -> Vec<Asked> {
    for asked in &mut asked {
        asked.answer = asked.answer.filter(|status| !matches!(status, 500 | 503));
    }
    asked
}

async fn refuses_work_and_can_be_read(world: &World, sale: &Sale, open: &str) {
    let name = invoice("INV");
    assert_eq!(world.create(&name, sale).amount("1").send().await.is(503).code(), "not_ready");
    assert_eq!(world.api.settle(open, "1").await.is(503).code(), "not_ready");
    assert_eq!(world.api.cancel(open).await.is(503).code(), "not_ready");
    assert_eq!(world.api.preauth(open).await.is(200).text("status"), "AUTHORIZED");
    world.api.list("limit=5").await.is(200);
    world.api.preauth(&name).await.is(404);
}

#[tokio::test]
async fn a_full_disk_refuses_work_and_loses_nothing() {
    let world = World::start(Plan::on_node("0.2").on_bad_disk()).await;
    let Some(disk) = world.disk() else { return };
    let sale = world.sale().await;
    let (kept, open) = (world.authorized(&sale, "4").await, ten_open(&world, &sale).await);
    let (asked, healing) = tokio::join!(storm(&world, &sale, &open), async {
        pause(15).await;
        disk.obey("full");
        until_it_says(&world, "database: the disk is full").await;
        refuses_work_and_can_be_read(&world, &sale, &kept).await;
        let numbers = world.api.get("/metrics").await.body.to_string();
        assert!(numbers.contains("preauthd_store_commit_failures_total{kind=\\\"full\\\"}"), "{numbers}");
        disk.be_well();
        let healing = Healing::of("a full disk");
        until_ready(&world).await;
        healing
    });
    world.api.settle(&kept, "4").await.is(200);
    world.authorized(&sale, "1").await;
    for asked in as_if_unanswered(asked) {
        judge(&world, "never, over a disk that was full", &asked).await;
    }
    healing.ends();
    world.assert_escrow_holds_what_is_open().await;
}

#[tokio::test]
async fn a_disk_that_failed_to_sync_is_not_trusted_before_a_restart() {
    let mut world = World::start(Plan::on_node("0.2").on_bad_disk()).await;
    let Some(disk) = world.disk() else { return };
    let sale = world.sale().await;
    let (kept, open) = (world.authorized(&sale, "4").await, ten_open(&world, &sale).await);
    let (asked, ()) = tokio::join!(storm(&world, &sale, &open), async {
        disk.obey("sync-fails 2");
        until_it_says(&world, "database: the disk did not keep what was written").await;
        disk.be_well();
        let (block, _) = world.chain.head().await;
        until("the chain has gone on", || async { (world.chain.head().await.0 > block + 5).then_some(()) })
            .await;
        until_it_says(&world, "until a restart").await;
        refuses_work_and_can_be_read(&world, &sale, &kept).await;
        assert!(world.stop_daemon().await, "SIGTERM is obeyed");
    });
    let healing = Healing::of("a failed fsync, by a restart");
    world.restart().await;
    until_ready(&world).await;
    world.api.settle(&kept, "4").await.is(200);
    for asked in as_if_unanswered(asked) {
        judge(&world, "after a sync failed", &asked).await;
    }
    healing.ends();
    world.assert_escrow_holds_what_is_open().await;
}

/// Seconds in which `PREAUTHD_KILLS` kills many times, at the first to the so manyeth sync; a handful otherwise.
fn syncs_to_die_at() -> Vec<u32> {
    match std::env::var("PREAUTHD_KILLS") {
        Ok(kills) => (1..=kills.parse().expect("a number")).collect(),
        Err(_) => vec![1, 2, 4, 7],
    }
}

#[tokio::test]
async fn at_whichever_sync_it_dies_nothing_acknowledged_is_lost() {
    let mut world = World::start(Plan::on_node("0.2").on_bad_disk()).await;
    let Some(disk) = world.disk() else { return };
    for sync in syncs_to_die_at() {
        for side in ["before", "after"] {
            let sale = world.sale().await;
            let open = ten_open(&world, &sale).await;
            disk.obey(&format!("kill-{side} {sync}"));
            let asked = storm(&world, &sale, &open).await;
            until("the daemon is dead", || async { world.daemon_has_ended().then_some(()) }).await;
            disk.be_well();
            world.restart().await;
            for asked in &asked {
                judge(&world, &format!("{side} sync {sync}"), asked).await;
            }
            world.assert_escrow_holds_what_is_open().await;
        }
    }
    assert!(!world.log().contains("panic"), "no panic");
}

/// The first transaction whose bytes left before they were on the disk.
fn sent_unsynced(events: &[Event]) -> Option<Vec<u8>> {
    let (mut handed, mut kept): (Vec<&[u8]>, Vec<&[u8]>) = (Vec::new(), Vec::new());
    for event in events {
        match event {
            Event::Written(bytes) => handed.push(bytes),
            Event::Synced => kept.append(&mut handed),
            Event::Sent(raw) => {
                let is_kept = kept.iter().any(|kept| kept.windows(raw.len()).any(|part| part == raw));
                if !is_kept {
                    return Some(raw.clone());
                }
            }
        }
    }
    None
}

#[tokio::test]
async fn signed_bytes_are_on_the_disk_before_they_leave() {
    let world = World::start(Plan::on_node("0.2").on_bad_disk()).await;
    let Some(disk) = world.disk() else { return };
    let sale = world.sale().await;
    // What an admin's key has sent until now was no operation.
    let setup = disk.seen().len();
    for _ in 0..3 {
        let name = world.authorized(&sale, "2").await;
        world.api.settle(&name, "1").await.is(200);
    }
    assert!(world.stop_daemon().await, "it stops in order");
    let is_send = |event: &Event| matches!(event, Event::Sent(_));
    let events = disk.seen().into_iter().enumerate();
    let events: Vec<Event> =
        events.filter(|(at, event)| *at >= setup || !is_send(event)).map(|(_, event)| event).collect();
    let sent = |events: &[Event]| events.iter().filter(|event| is_send(event)).count();
    assert!(sent(&events) >= 6, "{} were sent", sent(&events));
    assert_eq!(sent_unsynced(&events), None);

    // This can fail: a daemon that syncs never, or after it has sent, is found out.
    let unsynced: Vec<Event> = events.iter().filter(|event| **event != Event::Synced).cloned().collect();
    assert!(sent_unsynced(&unsynced).is_some());
    let last = events.iter().rposition(is_send).expect("a send");
    let raw = &events[last];
    let first = events.iter().position(|event| event == raw).expect("its first send");
    let synced = events[..first].iter().rposition(|event| *event == Event::Synced).expect("its sync");
    let mut late = events.clone();
    late[synced..=first].rotate_right(1);
    assert!(sent_unsynced(&late).is_some(), "sent before the sync it waited for");
}

#[tokio::test]
async fn somebody_who_locks_the_database_costs_time() {
    let world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    let open = world.authorized(&sale, "2").await;
    let mut other = database(&world).await;
    sqlx::query("BEGIN EXCLUSIVE").execute(&mut other).await.expect("the lock");
    let waiting = {
        let (api, path) = (world.api.clone(), format!("/onchain-preauth/{open}/settle"));
        tokio::spawn(async move { api.post(&path, json!({ "amount": "2" })).await })
    };
    until_it_says(&world, "database: another process holds the lock for writing").await;
    let name = invoice("INV");
    assert_eq!(world.create(&name, &sale).amount("1").send().await.is(503).code(), "not_ready");
    world.api.preauth(&open).await.is(200);
    sqlx::query("COMMIT").execute(&mut other).await.expect("its end");
    let healing = Healing::of("a locked database");
    until_ready(&world).await;
    waiting.await.expect("an answer").is(200);
    healing.ends();
    world.create(&name, &sale).amount("1").send().await.is(201);
    world.assert_paid(&sale, "2", "1").await;
}

/// Changes the database's file as a disk would, while nobody has it open.
async fn change_file(world: &World, change: impl FnOnce(&mut Vec<u8>)) {
    let mut open = database(world).await;
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut open).await.expect("a checkpoint");
    sqlx::Connection::close(open).await.expect("an end that leaves one file");
    let file = world.house.data_dir().join("preauthd.sqlite");
    let mut bytes = std::fs::read(&file).expect("the database");
    change(&mut bytes);
    std::fs::write(&file, bytes).expect("the database");
}

#[tokio::test]
async fn a_flipped_bit_in_an_amount_is_noticed() {
    let mut world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    let (damaged, sound) = (world.authorized(&sale, "7.654321").await, world.authorized(&sale, "2").await);
    assert!(world.stop_daemon().await);
    change_file(&world, |bytes| {
        // In its row, and in an index.
        let places: Vec<usize> =
            (0..bytes.len() - 7).filter(|at| &bytes[*at..at + 7] == b"7654321").collect();
        assert!(!places.is_empty(), "the hold stands somewhere");
        places.into_iter().for_each(|place| bytes[place] ^= 1);
    })
    .await;
    world.restart().await;
    assert_eq!(world.api.preauth(&damaged).await.is(500).code(), "internal_error");
    until_it_says(&world, &format!("(invoice {damaged}): terms: they do not match their checksum")).await;
    world.api.settle(&sound, "2").await.is(200);
}

#[tokio::test]
async fn a_corrupt_page_is_said_and_nothing_is_built_upon_it() {
    let mut world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    let known = world.authorized(&sale, "2").await;
    let mut open = database(&world).await;
    let root =
        sqlx::query("SELECT rootpage FROM sqlite_master WHERE name = 'preauths'").fetch_one(&mut open).await;
    let root: i64 = root.expect("the table").get(0);
    sqlx::Connection::close(open).await.expect("an end");
    assert!(world.stop_daemon().await);
    let page = usize::try_from(root - 1).expect("a page") * 4096;
    change_file(&world, |bytes| bytes[page..page + 100].fill(0xa5)).await;
    world.restart().await;
    world.api.preauth(&known).await.is(500);
    until_it_says(&world, "database: the file is corrupt").await;
    let name = invoice("INV");
    assert_eq!(world.create(&name, &sale).amount("1").send().await.is(503).code(), "not_ready");
    world.api.get("/tokens").await.is(200);

    // Without its head it is no database at all.
    assert!(world.stop_daemon().await);
    let file = world.house.data_dir().join("preauthd.sqlite");
    let mut bytes = std::fs::read(&file).expect("the database");
    bytes[..16].fill(0);
    std::fs::write(&file, bytes).expect("the database");
    let refused = world.second_daemon().await;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("file is not a database"), "{said}");
    assert!(!world.log().contains("panic") && !said.contains("panic"), "no panic");
}

/// Rows as an older version has left them, without seals.
async fn age(world: &World, rows: u32) {
    let mut open = database(world).await;
    for sql in [
        "UPDATE preauths SET terms_seal = NULL, state_seal = NULL",
        "UPDATE operations SET seal = NULL",
        "UPDATE sealing SET done = 0, preauths = 0, operations = 0",
    ] {
        sqlx::query(sql).execute(&mut open).await.expect("a change");
    }
    let copies = format!(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {rows})
         INSERT INTO preauths (transaction_id, tenant_id, invoice_id, preauth_id, escrow, sender, sender_written,
             receiver, receiver_written, token, token_written, decimals, amount_written, hold, expires_at, consent,
             status, created_at, updated_at)
         SELECT randomblob(16), tenant_id, 'OLD-' || n, randomblob(32), escrow, sender, sender_written, receiver,
             receiver_written, token, token_written, decimals, amount_written, hold, expires_at, consent, 'REJECTED',
             created_at, updated_at
         FROM n, (SELECT * FROM preauths LIMIT 1)"
    );
    sqlx::query(AssertSqlSafe(copies)).execute(&mut open).await.expect("copies");
}

async fn sealed(world: &World) -> (i64, i64) {
    let row = sqlx::query("SELECT preauths, done FROM sealing").fetch_one(&mut database(world).await).await;
    let row = row.expect("how far it has come");
    (row.get(0), row.get(1))
}

#[tokio::test]
async fn an_upgrade_that_was_killed_goes_on() {
    let mut world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    let name = world.authorized(&sale, "2").await;
    assert!(world.stop_daemon().await);
    age(&world, 20_000).await;
    let mut reached = 0;
    for _ in 0..3 {
        world.start_again().await;
        until("some more rows are sealed", || async { (sealed(&world).await.0 > reached).then_some(()) })
            .await;
        world.kill_daemon().await;
        reached = sealed(&world).await.0;
    }
    assert!(reached < 20_000 && sealed(&world).await.1 == 0, "it was killed half-way: at {reached}");
    world.restart().await;
    assert_eq!(sealed(&world).await, (20_001, 1));
    world.api.preauth("OLD-20000").await.is(200);
    world.api.settle(&name, "2").await.is(200);
    until_ready(&world).await;
}
