//! What can be done about a preauthorization whose lock is still under way.

use serde_json::json;

use crate::harness::world::invoice;
use crate::harness::{Plan, World};

#[tokio::test]
async fn a_pending_preauthorization_can_be_cancelled() {
    let world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    let name = invoice("INV");
    world.chain.hold_still().await;
    world.create(&name, &sale).amount("10").respond_async().send().await.is(202);
    world.chain.until_waiting(1).await;

    let shown = world.api.preauth(&name).await.is(200);
    assert_eq!(shown.text("status"), "PENDING");
    assert_eq!(shown.text("pendingOperation"), "authorize");
    world.api.settle(&name, "1").await.refused(409, "Invalid settlement state: PENDING");

    let cancelling = {
        let (api, name) = (world.api.clone(), name.clone());
        tokio::spawn(async move { api.cancel(&name).await })
    };
    world.chain.mine_every(1).await;
    let cancelled = cancelling.await.expect("an answer").is(200);
    assert_eq!(cancelled.text("status"), "CANCELLED");
    world.assert_paid(&sale, "0", "0").await;
    let effects = world.effects(&name).await;
    assert_eq!((effects.locked, effects.cancelled), (1, 1), "what was signed lands, and is undone at once");
}

#[tokio::test]
async fn what_was_never_signed_is_dropped() {
    let world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    let (first, second) = (invoice("INV"), invoice("INV"));
    world.chain.hold_still().await;
    world.create(&first, &sale).amount("10").respond_async().send().await.is(202);
    world.chain.until_waiting(1).await;
    // The lane has one open batch; this one waits behind it.
    world.create(&second, &sale).amount("20").respond_async().send().await.is(202);
    let cancelled = world.api.cancel(&second).await.is(200);
    assert_eq!(cancelled.text("status"), "CANCELLED");
    world.chain.mine_every(1).await;
    world.becomes(&first, "AUTHORIZED").await;
    assert_eq!(world.effects(&second).await, Default::default(), "the chain never heard of it");
    world.assert_paid(&sale, "0", "10").await;
    world.create(&second, &sale).amount("20").send().await.refused(409, "Invoice already exists");
}

#[tokio::test]
async fn a_caller_who_lost_patience_finds_his_answer_later() {
    let world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    let name = world.authorized(&sale, "10").await;
    world.chain.hold_still().await;
    let path = format!("/onchain-preauth/{name}/settle");
    let accepted = world.api.post_async(&path, json!({ "amount": "4" })).await.is(202);
    assert_eq!(accepted.text("status"), "AUTHORIZED", "the status moves only on chain");
    assert_eq!(accepted.text("pendingOperation"), "settle");
    let cancel = world.api.post_async(&path.replace("/settle", "/cancel"), json!({})).await;
    cancel.refused_naming(409, "settle");
    world.chain.mine_every(1).await;
    let settled = world.becomes(&name, "SETTLED").await;
    assert_eq!(settled.text("settledAmount"), "4");
    assert!(settled.body["pendingOperation"].is_null());
    world.assert_paid(&sale, "4", "0").await;
}
