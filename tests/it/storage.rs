//! What the disk does to a daemon that has made promises.

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions};

use crate::harness::chain::Public;
use crate::harness::world::invoice;
use crate::harness::{Plan, World, until};

/// The database as a disk sees it that changes what it likes.
async fn database(world: &World) -> SqliteConnection {
    let file = world.house.data_dir().join("preauthd.sqlite");
    let options = SqliteConnectOptions::new().filename(file).foreign_keys(false);
    options.connect().await.expect("the daemon's database")
}

async fn change(world: &World, sql: &str) {
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
        .post_async(&format!("/onchain-preauth/{second}/settle"), serde_json::json!({ "amount": "6" }))
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
