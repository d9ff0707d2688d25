//! The repair: whatever became of the database, the chain's word is written into it again, and the holds go on.

use futures::future::join_all;
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use crate::harness::proxy::{Fault, Proxy};
use crate::harness::world::invoice;
use crate::harness::{Plan, World, cli};

/// Repairs; what was done and found, in which all must agree again.
async fn repair(world: &World) -> Value {
    let output = world.try_cli(&["reconcile", "--repair", "--json"]).await;
    answer(&output)
}

#[track_caller]
pub(crate) fn answer(output: &std::process::Output) -> Value {
    let found: Result<Value, _> = serde_json::from_slice(&output.stdout);
    let found = found.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(output.status.code(), Some(0), "{found:#}");
    assert_eq!(found["equal"], true, "{found:#}");
    found
}

#[track_caller]
pub(crate) fn assert_counts(found: &Value, rewritten: u64, recovered: u64) {
    let repairs = &found["repairs"];
    let counts = ["rewritten", "recovered", "left"].map(|name| repairs[name].as_u64());
    assert_eq!(counts, [Some(rewritten), Some(recovered), Some(0)], "{repairs:#}");
}

async fn database(folder: &std::path::Path) -> SqliteConnection {
    let file = folder.join("preauthd.sqlite");
    let options = SqliteConnectOptions::new().filename(file).foreign_keys(false);
    options.connect().await.expect("the daemon's database")
}

/// Somebody with too many rights changes a row.
async fn tamper(world: &World, sql: &'static str, invoice: &str) {
    let mut database = database(&world.house.data_dir()).await;
    let changed = sqlx::query(sql).bind(invoice).execute(&mut database).await.expect("a change");
    assert!(changed.rows_affected() > 0, "{sql}");
    database.close().await.expect("an end");
}

#[tokio::test]
async fn rows_that_were_changed_are_repaired_and_go_on() {
    let mut world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    let names = ["1", "2", "3", "4", "5"].map(|amount| world.authorized(&sale, amount));
    let [one, two, three, four, five]: [String; 5] = join_all(names).await.try_into().expect("five");
    world.api.settle(&four, "1.50").await.is(200);
    world.api.cancel(&five).await.is(200);
    let before = world.api.preauth(&four).await.is(200).body;
    world.kill_daemon().await;

    tamper(&world, "UPDATE preauths SET status = 'SETTLED' WHERE invoice_id = $1", &one).await;
    tamper(&world, "UPDATE preauths SET hold = '9000000' WHERE invoice_id = $1", &two).await;
    tamper(&world, "UPDATE preauths SET hold = 'three', sender_written = 'x' WHERE invoice_id = $1", &three)
        .await;
    tamper(&world, "UPDATE preauths SET settled = '2500000' WHERE invoice_id = $1", &four).await;
    let gone = "UPDATE preauths SET lock_transaction = NULL, close_transaction = NULL WHERE invoice_id = $1";
    tamper(&world, gone, &five).await;
    let found = world.try_cli(&["reconcile", "--json"]).await;
    assert_eq!(found.status.code(), Some(1));
    let found: Value = serde_json::from_slice(&found.stdout).expect("findings");
    assert_eq!(found["drifted"], 5, "{found:#}");

    assert_counts(&repair(&world).await, 5, 0);
    assert_counts(&repair(&world).await, 0, 0);

    world.restart().await;
    assert_eq!(world.api.preauth(&four).await.is(200).body["settledAmount"], "1.50", "as it was written");
    let mut after = world.api.preauth(&four).await.is(200).body;
    after["updatedAt"] = before["updatedAt"].clone();
    assert_eq!(after, before);
    assert_eq!(world.api.preauth(&five).await.is(200).text("status"), "CANCELLED");
    for name in [&one, &two, &three] {
        assert_eq!(world.api.preauth(name).await.is(200).text("status"), "AUTHORIZED", "{name}");
    }
    world.api.settle(&one, "0.5").await.is(200);
    world.api.settle(&two, "9").await.refused_naming(409, "exceeds");
    world.api.cancel(&two).await.is(200);
    world.advance(2 * 24 * 60 * 60).await;
    world.becomes(&three, "EXPIRED").await;
    world.assert_paid(&sale, "2", "0").await;
    assert_eq!(world.try_cli(&["reconcile"]).await.status.code(), Some(0));
}

#[tokio::test]
async fn a_damaged_row_that_is_not_on_chain_is_rejected_and_locks_nothing() {
    let mut world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    world.chain.hold_still().await;
    let (signed, unsigned) = (invoice("INV"), invoice("INV"));
    world.create(&signed, &sale).amount("1").respond_async().send().await.is(202);
    world.chain.until_waiting(1).await;
    world.create(&unsigned, &sale).amount("1").respond_async().send().await.is(202);
    world.kill_daemon().await;
    world.chain.drop_pool().await;
    world.chain.mine_every(1).await;
    for name in [&signed, &unsigned] {
        tamper(&world, "UPDATE preauths SET status = 'AUTHORIZED' WHERE invoice_id = $1", name).await;
    }
    assert_counts(&repair(&world).await, 2, 0);
    assert_counts(&repair(&world).await, 0, 0);

    world.restart().await;
    // What was signed may land, and goes back at once; what was not is never made.
    world.becomes(&signed, "CANCELLED").await;
    world.becomes(&unsigned, "REJECTED").await;
    assert_eq!(world.effects(&unsigned).await.locked, 0, "nobody's tokens are taken by a repair");
    world.assert_paid(&sale, "0", "0").await;
}

#[tokio::test]
async fn an_operation_that_cannot_be_read_is_given_up() {
    let mut world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    let name = world.authorized(&sale, "3").await;
    world.chain.hold_still().await;
    // The lane waits for this one, so that the settlement stays unsigned.
    let busy = invoice("INV");
    world.create(&busy, &sale).amount("1").respond_async().send().await.is(202);
    world.chain.until_waiting(1).await;
    world.api.post_async(&format!("/onchain-preauth/{name}/settle"), json!({ "amount": "2" })).await.is(202);
    world.kill_daemon().await;
    let more = "UPDATE operations SET amount = '3000000'
                WHERE kind = 'settle' AND preauth = (SELECT id FROM preauths WHERE invoice_id = $1)";
    tamper(&world, more, &name).await;
    world.chain.mine_every(1).await;
    assert_counts(&repair(&world).await, 1, 0);
    world.restart().await;
    world.becomes(&busy, "AUTHORIZED").await;
    let shown = world.api.preauth(&name).await.is(200);
    assert_eq!((shown.text("status"), &shown.body["pendingOperation"]), ("AUTHORIZED", &Value::Null));
    world.api.settle(&name, "1").await.is(200);
    world.assert_paid(&sale, "1", "1").await;
}

#[tokio::test]
async fn rows_that_are_gone_are_recovered_and_belong_to_whoever_can_name_them() {
    let mut world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    let open = world.authorized(&sale, "3").await;
    let settled = world.authorized(&sale, "2").await;
    world.api.settle(&settled, "1.25").await.is(200);
    let open_id = world.preauth_id(&open).await;
    let stranger = world.tenant().await;
    world.kill_daemon().await;
    for name in [&open, &settled] {
        tamper(&world, "DELETE FROM preauths WHERE invoice_id = $1", name).await;
    }
    assert_counts(&repair(&world).await, 0, 2);
    world.restart().await;

    let listed = world.cli(&["hold", "list"]).await;
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "the settled one is no hold any more: {listed}");
    assert_eq!((&listed[0]["preauthId"], &listed[0]["hold"]), (&json!(open_id), &json!("3")));
    let api = world.api.with_key(&world.key(&stranger.name, &["read", "write"]).await);
    for name in [&open, &settled] {
        assert_eq!(api.preauth(name).await.status, 404, "another tenant's name does not lead to it");
        api.settle(name, "1").await.refused(404, "Preauthorization not found");
    }
    assert_eq!(world.api.list("").await.is(200).body["data"], json!([]), "nobody has asked for them yet");

    world.create(&open, &sale).amount("3").send().await.refused(409, "Invoice already exists");
    let shown = world.api.preauth(&open).await.is(200);
    assert_eq!((shown.text("status"), shown.text("authorizedAmount")), ("AUTHORIZED", "3"));
    let shown = world.api.preauth(&settled).await.is(200);
    assert_eq!((shown.text("status"), shown.text("settledAmount")), ("SETTLED", "1.25"));
    let all = world.api.list("").await.is(200);
    assert_eq!(all.body["data"].as_array().map(Vec::len), Some(2));
    assert_eq!(world.cli(&["hold", "list"]).await, json!([]));
    let claimed = world.try_cli(&["hold", "cancel", &open_id.to_string()]).await;
    assert!(!claimed.status.success(), "what is claimed is its tenant's to cancel");
    world.api.settle(&open, "2.5").await.is(200);
    world.assert_paid(&sale, "3.75", "0").await;
}

#[tokio::test]
async fn a_settlement_that_finds_its_lost_hold_pays() {
    let mut world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    let [one, two] = [world.authorized(&sale, "3").await, world.authorized(&sale, "4").await];
    world.kill_daemon().await;
    for name in [&one, &two] {
        tamper(&world, "DELETE FROM preauths WHERE invoice_id = $1", name).await;
    }
    repair(&world).await;
    world.restart().await;
    assert_eq!(world.api.settle(&one, "1").await.is(200).text("status"), "SETTLED");
    assert_eq!(world.api.cancel(&two).await.is(200).text("status"), "CANCELLED");
    world.assert_paid(&sale, "1", "0").await;
}

#[tokio::test]
async fn an_old_backup_is_brought_up_to_date() {
    let mut world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    let [kept, closed] = [world.authorized(&sale, "3").await, world.authorized(&sale, "4").await];
    assert!(world.stop_daemon().await, "it stops in order");
    let folder = world.house.data_dir();
    let files =
        ["preauthd.sqlite", "preauthd.sqlite-wal", "preauthd.sqlite-shm"].map(|name| folder.join(name));
    let backup: Vec<_> = files.iter().map(|file| std::fs::read(file).ok()).collect();
    world.restart().await;
    world.api.settle(&closed, "4").await.is(200);
    let later = world.authorized(&sale, "2").await;
    world.kill_daemon().await;
    for (file, content) in files.iter().zip(backup) {
        match content {
            Some(content) => std::fs::write(file, content).expect("a restored file"),
            None => drop(std::fs::remove_file(file)),
        }
    }
    assert_counts(&repair(&world).await, 0, 1);
    world.restart().await;
    assert_eq!(world.api.preauth(&kept).await.is(200).text("status"), "AUTHORIZED");
    assert_eq!(world.api.preauth(&closed).await.is(200).text("settledAmount"), "4");
    assert_eq!(world.api.preauth(&later).await.is(200).text("status"), "AUTHORIZED");
    world.api.settle(&later, "1").await.is(200);
    world.assert_paid(&sale, "5", "3").await;
}

#[tokio::test]
async fn nothing_is_repaired_beside_a_running_daemon() {
    let world = World::start(Plan::on_node("0.2")).await;
    let refused = world.try_cli(&["reconcile", "--repair"]).await;
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("--repair needs the daemon stopped"), "{said}");
}

#[tokio::test]
async fn a_node_that_has_forgotten_old_logs_has_nothing_given_up() {
    let mut world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    let [open, settled] = [world.authorized(&sale, "3").await, world.authorized(&sale, "4").await];
    world.api.settle(&settled, "1").await.is(200);
    world.kill_daemon().await;
    let proxy = Proxy::start(&world.ready.rpc_url);
    let forgetful = proxy.on("eth_getLogs").fault(Fault::alter(|_, logs| *logs = json!([])));
    let run = || {
        let (folder, url) = (world.house.data_dir(), proxy.url.clone());
        let arguments = ["reconcile", "--repair", "--json"].map(str::to_owned);
        tokio::task::spawn_blocking(move || cli::try_run(&folder, &url, &arguments))
    };
    let output = run().await.expect("a command that ran");
    assert_eq!(output.status.code(), Some(1));
    let found: Value = serde_json::from_slice(&output.stdout).expect("findings");
    let counts = ["rewritten", "recovered", "left"].map(|name| found["repairs"][name].as_u64());
    assert_eq!(counts, [Some(0), Some(0), Some(2)], "{found:#}");
    forgetful.heal();

    // One that refuses large ranges is asked for smaller ones.
    let is_large = |request: &Value| {
        let height = |name: &str| {
            let text = request["params"][0][name].as_str()?.trim_start_matches("0x").to_owned();
            u64::from_str_radix(&text, 16).ok()
        };
        height("fromBlock").zip(height("toBlock")).is_some_and(|(first, last)| last - first > 3)
    };
    let picky = proxy.on("eth_getLogs").where_(is_large).fault(Fault::Refuse(-32_005, "range too large"));
    let found = answer(&run().await.expect("a command that ran"));
    assert_counts(&found, 0, 0);
    assert!(picky.caught() > 0, "it had been asked for more");
    world.restart().await;
    assert_eq!(world.api.preauth(&open).await.is(200).text("status"), "AUTHORIZED");
    assert_eq!(world.api.preauth(&settled).await.is(200).text("status"), "SETTLED");
}
