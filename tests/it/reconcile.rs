//! The comparison of the database with the chain: silent where they agree, and right where they do not.

use futures::future::join_all;
use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use crate::harness::chain::Token;
use crate::harness::world::invoice;
use crate::harness::{Plan, World, units};

/// The exit code and what was found.
async fn reconcile(world: &World) -> (i32, Value) {
    let output = world.try_cli(&["reconcile", "--json"]).await;
    let found = serde_json::from_slice(&output.stdout);
    let found = found.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().expect("it ends by itself"), found)
}

#[track_caller]
fn assert_equal((code, found): &(i32, Value), checked: u64) {
    assert_eq!(*code, 0, "{found:#}");
    let counts = ["checked", "agreeing", "drifted", "unknown"].map(|name| found[name].as_u64());
    assert_eq!(counts, [Some(checked), Some(checked), Some(0), Some(0)], "{found:#}");
    assert_eq!(found["equal"], true);
}

#[track_caller]
fn balance_of(found: &Value, token: &str) -> [String; 5] {
    let lines = found["balances"].as_array().expect("balances");
    let line = lines.iter().find(|line| line["symbol"] == token);
    let line = line.unwrap_or_else(|| panic!("no balance of {token}: {found:#}"));
    ["held", "open", "claimable", "surplus", "missing"]
        .map(|name| line[name].as_str().expect("an amount").to_owned())
}

/// The database as somebody with too many rights sees it.
async fn database(world: &World) -> SqliteConnection {
    let file = world.house.data_dir().join("preauthd.sqlite");
    let options = SqliteConnectOptions::new().filename(file).foreign_keys(false);
    options.connect().await.expect("the daemon's database")
}

async fn tamper(world: &World, sql: &'static str, invoice: &str) {
    let changed = sqlx::query(sql).bind(invoice).execute(&mut database(world).await).await;
    assert_eq!(changed.expect("a change").rows_affected(), 1);
}

#[tokio::test]
async fn a_database_that_follows_its_chain_equals_it() {
    let world = World::start(Plan::on_node("0.2")).await;
    let symbol = world.ready.token.symbol.clone();
    assert_equal(&reconcile(&world).await, 0);

    let sale = world.sale().await;
    let expiring = invoice("INV");
    let soon = world.chain.in_seconds(600).await;
    world.create(&expiring, &sale).amount("4").expires_at(&soon).send().await.is(201);
    let (settled, cancelled) = (world.authorized(&sale, "2").await, world.authorized(&sale, "3").await);
    world.api.settle(&settled, "1.5").await.is(200);
    world.api.cancel(&cancelled).await.is(200);
    world.advance(601).await;
    world.becomes(&expiring, "EXPIRED").await;
    world.authorized(&sale, "1.25").await;
    let found = reconcile(&world).await;
    assert_equal(&found, 4);
    assert_eq!(balance_of(&found.1, &symbol), ["1250000", "1250000", "0", "0", "0"]);

    // What a sender can claim is owed as well, until he has claimed it.
    let (moody, token) = world.sale_in_moody_token().await;
    let refused = invoice("INV");
    world.create(&refused, &moody).token(token).amount("10").send().await.is(201);
    let block = Token::blockCall { account: moody.sender.address, isBlocked: true };
    world.chain.act(moody.receiver, token, block).await;
    world.api.settle(&refused, "4").await.is(200);
    let found = reconcile(&world).await;
    assert_equal(&found, 5);
    assert_eq!(balance_of(&found.1, "MOOD"), ["6000000", "0", "6000000", "0", "0"]);
    let unblock = Token::blockCall { account: moody.sender.address, isBlocked: false };
    world.chain.act(moody.receiver, token, unblock).await;
    world.chain.claim(moody.sender.address, token).await;
    world.until_daemon_stands_at_the_head().await;
    let found = reconcile(&world).await;
    assert_equal(&found, 5);
    assert_eq!(balance_of(&found.1, "MOOD"), ["0"; 5]);

    // A present to the escrow is nobody's loss.
    let present = Token::transferCall { to: world.ready.escrow, amount: units("7") };
    world.chain.act(sale.sender.address, world.ready.token.address, present).await;
    world.until_daemon_stands_at_the_head().await;
    let found = reconcile(&world).await;
    assert_equal(&found, 5);
    assert_eq!(balance_of(&found.1, &symbol), ["8250000", "1250000", "0", "7000000", "0"]);

    // The chain knows nothing of what waits for a block.
    world.chain.hold_still().await;
    let pending = invoice("INV");
    world.create(&pending, &sale).amount("1").respond_async().send().await.is(202);
    assert_equal(&reconcile(&world).await, 6);
    // Nor does it matter that the chain goes on without the daemon.
    assert!(world.stop_daemon().await, "it stops in order");
    let mut database = database(&world).await;
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut database).await.expect("a checkpoint");
    database.close().await.expect("an end that leaves one file");
    assert!(!world.house.data_dir().join("preauthd.sqlite-wal").exists());
    world.chain.mine_many(5).await;
    assert_equal(&reconcile(&world).await, 6);
    let words = world.try_cli(&["reconcile"]).await;
    let words = String::from_utf8_lossy(&words.stdout).into_owned();
    assert!(words.contains("6 preauthorizations checked: 6 equal, 0 drifted."), "{words}");
}

#[tokio::test]
async fn a_row_that_was_changed_or_deleted_is_found() {
    let world = World::start(Plan::on_node("0.2")).await;
    let symbol = world.ready.token.symbol.clone();
    let sale = world.sale().await;
    let (open, lost) = (world.authorized(&sale, "5").await, world.authorized(&sale, "8").await);
    let closed = world.authorized(&sale, "2").await;
    world.api.cancel(&closed).await.is(200);
    let lost_id = world.preauth_id(&lost).await;
    world.kill_daemon().await;
    assert_equal(&reconcile(&world).await, 3);

    // A row that was changed does not match its checksum, and is not believed; it hides no other.
    for damage in [
        "UPDATE preauths SET status = 'SETTLED' WHERE invoice_id = $1",
        "UPDATE preauths SET status = 'AUTHORIZED', hold = '6000000' WHERE invoice_id = $1",
        "UPDATE preauths SET hold = 'five' WHERE invoice_id = $1",
    ] {
        tamper(&world, damage, &open).await;
        let (code, found) = reconcile(&world).await;
        assert_eq!((code, &found["equal"]), (1, &Value::Bool(false)), "{damage}");
        let counts = ["checked", "agreeing", "drifted"].map(|name| found[name].as_u64());
        assert_eq!(counts, [Some(3), Some(2), Some(1)], "{damage}");
        let row = &found["drifts"][0];
        assert_eq!(
            [&row["database"], &row["invoiceId"], &row["chain"]],
            ["UNREADABLE", open.as_str(), "OPEN"]
        );
        assert!(row["why"].as_str().expect("a reason").contains("checksum"), "{row}");
    }
    let words = world.try_cli(&["reconcile"]).await;
    assert_eq!(words.status.code(), Some(1));
    let words = String::from_utf8_lossy(&words.stdout).into_owned();
    assert!(words.contains("DIFFER") && words.contains(&open), "{words}");
    tamper(&world, "UPDATE preauths SET hold = '5000000' WHERE invoice_id = $1", &open).await;
    assert_equal(&reconcile(&world).await, 3);

    // A closed hold whose row is gone binds nobody's tokens; an open one does.
    tamper(&world, "DELETE FROM preauths WHERE invoice_id = $1", &closed).await;
    assert_equal(&reconcile(&world).await, 2);
    tamper(&world, "DELETE FROM preauths WHERE invoice_id = $1", &lost).await;
    let (code, found) = reconcile(&world).await;
    assert_eq!((code, &found["checked"], &found["drifted"]), (1, &1.into(), &0.into()));
    assert_eq!(found["unknown"], 1);
    let hold = &found["unknownHolds"][0];
    assert_eq!(hold["preauthId"], lost_id.to_string());
    assert_eq!(hold["hold"], "8000000");
    assert_eq!(balance_of(&found, &symbol), ["13000000", "5000000", "0", "8000000", "0"]);
}

#[tokio::test]
async fn what_cannot_be_compared_is_a_fault_and_no_drift() {
    let world = World::start(Plan::on_node("0.2")).await;
    let nowhere = tempfile::Builder::new().prefix("preauthd-it-").tempdir().expect("a folder");
    let run = |folder: std::path::PathBuf, rpc_url: String| async move {
        let run = move || crate::harness::cli::try_run(&folder, &rpc_url, &["reconcile".to_owned()]);
        let output = tokio::task::spawn_blocking(run).await.expect("a command that ran");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = run(nowhere.path().to_owned(), world.ready.rpc_url.clone()).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("no database"), "{said}");
    assert_eq!(std::fs::read_dir(nowhere.path()).expect("a folder").count(), 0, "nothing was made");
    let (code, said) = run(world.house.data_dir(), "http://127.0.0.1:1".to_owned()).await;
    assert_eq!(code, Some(2), "{said}");

    // Another chain, with other blocks under the same numbers.
    let other = World::start(Plan::on_node("0.2")).await;
    let (code, said) = run(world.house.data_dir(), other.ready.rpc_url.clone()).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("the node does not have block"), "{said}");
}

#[tokio::test]
async fn a_chain_that_moves_on_or_back_is_no_drift() {
    let world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    let before = world.authorized(&sale, "1").await;
    let names: Vec<String> = (0..600).map(|_| invoice("INV")).collect();
    let work = async {
        for some in names.chunks(60) {
            let created =
                join_all(some.iter().map(|name| world.create(name, &sale).amount("1").send())).await;
            created.into_iter().for_each(|answer| drop(answer.is(201)));
            join_all(some.iter().step_by(2).map(|name| world.api.settle(name, "0.5"))).await;
        }
    };
    let looks = async {
        let mut checked = Vec::new();
        for look in 0..12 {
            if look % 4 == 3 {
                world.chain.reorg(1).await;
            }
            let (code, found) = reconcile(&world).await;
            assert_eq!(code, 0, "{found:#}");
            checked.push(found["checked"].as_u64().expect("a number"));
        }
        checked
    };
    let ((), checked) = tokio::join!(work, looks);
    assert!(checked.first() < checked.last(), "the looks fell into the work: {checked:?}");
    world.until_settled_down(&before).await;
    for name in &names {
        world.until_settled_down(name).await;
    }
    assert_equal(&reconcile(&world).await, 601);
}
