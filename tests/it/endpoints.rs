//! Several nodes of which one is sick. Each way to the chain is a proxy of its own before the same anvil.

use serde_json::{Value, json};

use crate::harness::world::invoice;
use crate::harness::{Fault, Plan, World, until};

async fn metric(world: &World, line: &str) -> Option<String> {
    let numbers = world.api.get("/metrics").await.is(200);
    let text = numbers.body.as_str().unwrap_or_default().to_owned();
    text.lines().find_map(|found| Some(found.strip_prefix(line)?.trim().to_owned()))
}

async fn until_ready(world: &World) {
    until("the daemon is ready", || async {
        (world.api.get("/health/ready").await.status == 200).then_some(())
    })
    .await;
}

/// Waits until `/health/ready` says this.
async fn until_said(world: &World, words: &str) {
    until(&format!("the daemon says: {words}"), || async {
        world.api.get("/health/ready").await.body.to_string().contains(words).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_sale_goes_on_when_the_endpoint_that_is_read_fails() {
    for fault in [Fault::Status(503), Fault::Garbage, Fault::Drop, Fault::Silence] {
        let world = World::start(Plan::on_node("0.2").through_proxies(3)).await;
        let sale = world.sale().await;
        let before = world.authorized(&sale, "10").await;
        let sick = world.endpoint(1).on("").fault(fault);
        world.api.settle(&before, "4").await.is(200);
        let after = world.authorized(&sale, "3").await;
        sick.until_caught(1).await;
        until_ready(&world).await;
        until("the failover is counted", || async {
            (metric(&world, "preauthd_rpc_failovers_total").await? != "0").then_some(())
        })
        .await;
        assert_eq!(metric(&world, "preauthd_rpc_endpoint_up{endpoint=\"1\"}").await.as_deref(), Some("0"));
        assert_eq!(metric(&world, "preauthd_rpc_endpoint_up{endpoint=\"2\"}").await.as_deref(), Some("1"));
        let log = world.house.with_daemon(|daemon| daemon.logged());
        assert!(!log.contains(world.endpoint(1).url.as_str()), "endpoints are named by their place");
        world.api.cancel(&after).await.is(200);
        world.assert_paid(&sale, "4", "0").await;
    }
}

#[tokio::test]
async fn an_endpoint_that_lags_delays_and_loses_nothing() {
    let world = World::start(Plan::on_node("0.2").through_proxies(2)).await;
    let sale = world.sale().await;
    let first = world.authorized(&sale, "1").await;
    let head = world.chain.head().await.0;
    let away = world.endpoint(2).on("").fault(Fault::StandStill(head));
    let name = invoice("INV");
    world.create(&name, &sale).amount("2").respond_async().send().await.is(202);
    until("it is locked on chain", || async {
        (world.chain.status_of(world.preauth_id(&name).await).await == "AUTHORIZED").then_some(())
    })
    .await;
    until_said(&world, "endpoint 2 does not show block").await;
    assert_eq!(world.api.preauth(&name).await.text("status"), "PENDING", "what one shows is not enough");
    away.heal();
    world.becomes(&name, "AUTHORIZED").await;
    until_ready(&world).await;

    // Always a little behind: everything goes on, a little later.
    let _behind = world.endpoint(2).on("").fault(Fault::Lag(2));
    world.api.settle(&name, "2").await.is(200);
    world.api.cancel(&first).await.is(200);
    world.assert_paid(&sale, "2", "0").await;
}

#[tokio::test]
async fn an_endpoint_that_is_down_delays_two_and_is_waited_for() {
    let mut world = World::start(Plan::on_node("0.2").through_proxies(2)).await;
    let sale = world.sale().await;
    let down = world.endpoint(2).on("").fault(Fault::Status(503));
    let name = invoice("INV");
    world.create(&name, &sale).amount("2").respond_async().send().await.is(202);
    until_said(&world, "waits for endpoint 2").await;
    // Nor does it keep the daemon from starting.
    world.kill_daemon().await;
    world.restart().await;
    assert_eq!(world.api.preauth(&name).await.text("status"), "PENDING");
    down.heal();
    world.becomes(&name, "AUTHORIZED").await;
    world.assert_paid(&sale, "0", "2").await;
}

/// Another hash than the node's for every block.
fn another_hash(_: &Value, block: &mut Value) {
    if let Some(hash) = block["hash"].as_str() {
        let other = if hash.ends_with('0') { "1" } else { "0" };
        block["hash"] = json!(format!("{}{other}", &hash[..hash.len() - 1]));
    }
}

fn no_logs(_: &Value, logs: &mut Value) {
    *logs = json!([]);
}

fn no_receipt_logs(_: &Value, receipt: &mut Value) {
    if receipt.is_object() {
        receipt["logs"] = json!([]);
    }
}

#[tokio::test]
async fn a_liar_is_not_believed_while_two_must_agree() {
    for liar in [1, 2] {
        let world = World::start(Plan::on_node("0.2").through_proxies(2)).await;
        let sale = world.sale().await;
        let kept = world.authorized(&sale, "5").await;
        let lie = world.endpoint(liar).on("eth_getBlockByNumber").fault(Fault::alter(another_hash));
        let name = invoice("INV");
        world.create(&name, &sale).amount("2").respond_async().send().await.is(202);
        until_said(&world, "the endpoints disagree about block").await;
        assert_eq!(world.api.preauth(&kept).await.text("status"), "AUTHORIZED", "one alone undoes nothing");
        lie.heal();
        world.becomes(&name, "AUTHORIZED").await;
        until_ready(&world).await;

        let lies = [
            world.endpoint(liar).on("eth_getLogs").fault(Fault::alter(no_logs)),
            world.endpoint(liar).on("eth_getTransactionReceipt").fault(Fault::alter(no_receipt_logs)),
        ];
        let path = format!("/onchain-preauth/{name}/settle");
        world.api.post_async(&path, json!({ "amount": "2" })).await.is(202);
        until_said(&world, "the endpoints disagree about block").await;
        assert_eq!(world.api.preauth(&name).await.text("status"), "AUTHORIZED");
        drop(lies);
        world.becomes(&name, "SETTLED").await;
        world.assert_paid(&sale, "2", "5").await;
    }
}

#[tokio::test]
async fn of_three_one_that_lies_or_stands_still_holds_nobody_up() {
    let world = World::start(Plan::on_node("0.2").through_proxies(3)).await;
    let sale = world.sale().await;
    let name = world.authorized(&sale, "5").await;
    let lie = world.endpoint(1).on("eth_getBlockByNumber").fault(Fault::alter(another_hash));
    world.api.settle(&name, "5").await.is(200);
    lie.heal();
    for endpoint in [1, 2] {
        let head = world.chain.head().await.0;
        let _still = world.endpoint(endpoint).on("").fault(Fault::StandStill(head));
        let name = invoice("INV");
        world.create(&name, &sale).amount("1").respond_async().send().await;
        world.becomes(&name, "AUTHORIZED").await;
    }
}

#[tokio::test]
async fn an_endpoint_of_another_chain_is_refused_at_start() {
    let world = World::start(Plan::on_node("0.2").through_proxies(2)).await;
    let other = |_: &Value, chain_id: &mut Value| *chain_id = json!("0x1");
    let _wrong = world.endpoint(2).on("eth_chainId").fault(Fault::alter(other));
    world.kill_daemon().await;
    let ended = world.second_daemon().await;
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success() && said.contains("endpoint 2 is on chain 1"), "{said}");
}

#[tokio::test]
async fn endpoints_that_agree_are_followed_through_reorgs_and_long_absences() {
    let mut world = World::start(Plan::on_node("0.2").through_proxies(2)).await;
    let sale = world.sale().await;
    let name = invoice("INV");
    world.chain.hold_still().await;
    let (locked, ()) = tokio::join!(world.create(&name, &sale).amount("2").send(), async {
        world.chain.until_waiting(1).await;
        world.chain.mine().await;
    });
    locked.is(201);
    world.until_daemon_stands_at_the_head().await;
    world.chain.reorg(1).await;
    world.becomes(&name, "PENDING").await;
    world.chain.mine_every(1).await;
    world.becomes(&name, "AUTHORIZED").await;

    // What was sent is mined while the daemon is away, and lies deep when it is back: read in ranges.
    world.chain.hold_still().await;
    let path = format!("/onchain-preauth/{name}/settle");
    world.api.post_async(&path, json!({ "amount": "2" })).await.is(202);
    world.chain.until_waiting(1).await;
    world.kill_daemon().await;
    world.chain.mine_many(400).await;
    world.restart_on_a_moving_chain().await;
    world.becomes(&name, "SETTLED").await;
    let log = world.house.with_daemon(|daemon| daemon.logged());
    assert!(log.contains("catching up"), "deep blocks are read in ranges");
    world.assert_paid(&sale, "2", "0").await;
    assert_eq!(world.effects(&name).await.settled, 1);
}
