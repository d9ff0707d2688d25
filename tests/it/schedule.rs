//! Settlements that wait for their time: made, replaced, withdrawn, done.

use serde_json::Value;

use crate::harness::world::invoice;
use crate::harness::{Plan, World};

/// The scheduled settlement as an answer shows it: amount and time.
fn scheduled(body: &Value) -> Option<(String, String)> {
    let scheduled = &body["scheduledSettlement"];
    Some((scheduled["amount"].as_str()?.to_owned(), scheduled["settleAt"].as_str()?.to_owned()))
}

fn shown(amount: &str, time: &str) -> Option<(String, String)> {
    Some((amount.to_owned(), time.replace('Z', ".000Z")))
}

#[tokio::test]
async fn a_creation_can_carry_its_settlement() {
    let world = World::start(Plan::quick()).await;
    let sale = world.sale().await;
    let invoice = invoice("INV");
    let settle_at = world.chain.in_seconds(300).await;
    let create = world.create(&invoice, &sale).amount("40.40").settle_at(&settle_at);
    create.send().await.is(201);
    assert_eq!(scheduled(&world.api.preauth(&invoice).await.body), shown("40.40", &settle_at));
    world.assert_paid(&sale, "0", "40.40").await;

    world.advance(301).await;
    let settled = world.becomes(&invoice, "SETTLED").await;
    assert_eq!(settled.text("settledAmount"), "40.40");
    assert_eq!(scheduled(&settled.body), None);
    world.assert_paid(&sale, "40.40", "0").await;
}

#[tokio::test]
async fn a_scheduled_settlement_can_be_replaced() {
    let world = World::start(Plan::quick()).await;
    let sale = world.sale().await;
    let invoice = world.authorized(&sale, "50").await;
    let (first, second) = (world.chain.in_seconds(300).await, world.chain.in_seconds(900).await);

    let accepted = world.api.settle_at(&invoice, "20", &first).await.is(202);
    assert_eq!(accepted.text("status"), "AUTHORIZED");
    assert_eq!(scheduled(&accepted.body), shown("20", &first));
    let replaced = world.api.settle_at(&invoice, "30.5", &second).await.is(202);
    assert_eq!(scheduled(&replaced.body), shown("30.5", &second));

    world.advance(400).await;
    world.advance(1).await;
    assert_eq!(
        world.api.preauth(&invoice).await.text("status"),
        "AUTHORIZED",
        "the replaced one does not run"
    );
    world.advance(600).await;
    let settled = world.becomes(&invoice, "SETTLED").await;
    assert_eq!(settled.text("settledAmount"), "30.5");
    world.assert_paid(&sale, "30.5", "0").await;
}

#[tokio::test]
async fn a_scheduled_settlement_can_be_withdrawn() {
    let world = World::start(Plan::quick()).await;
    let sale = world.sale().await;
    let invoice = invoice("INV");
    let (settle_at, expires_at) = (world.chain.in_seconds(300).await, world.chain.in_seconds(900).await);
    world.create(&invoice, &sale).amount("50").expires_at(&expires_at).send().await.is(201);
    world.api.settle_at(&invoice, "20", &settle_at).await.is(202);

    let withdrawn = world.api.withdraw_settlement(&invoice).await.is(200);
    assert_eq!(scheduled(&withdrawn.body), None);
    world.api.withdraw_settlement(&invoice).await.envelope(409);

    world.advance(301).await;
    world.advance(1).await;
    assert_eq!(world.api.preauth(&invoice).await.text("status"), "AUTHORIZED");
    world.advance(600).await;
    world.becomes(&invoice, "EXPIRED").await;
    world.assert_paid(&sale, "0", "0").await;
}

#[tokio::test]
async fn settling_now_overtakes_the_schedule() {
    let world = World::start(Plan::quick()).await;
    let sale = world.sale().await;
    let invoice = world.authorized(&sale, "50").await;
    let settle_at = world.chain.in_seconds(300).await;
    world.api.settle_at(&invoice, "20", &settle_at).await.is(202);
    world.api.settle(&invoice, "11").await.is(200);
    world.advance(301).await;
    world.advance(1).await;
    world.assert_paid(&sale, "11", "0").await;
    assert_eq!(world.effects(&invoice).await.settled, 1);
}

#[tokio::test]
async fn a_schedule_must_lie_between_now_and_the_expiry() {
    let world = World::shared().await;
    let sale = world.sale().await;
    let invoice = world.authorized(&sale, "50").await;
    let (past, beyond) = (world.chain.in_seconds(-10).await, world.chain.in_seconds(90_000).await);
    for time in [past.as_str(), beyond.as_str(), "soon", "2026-03-30T12:00:00"] {
        world.api.settle_at(&invoice, "20", time).await.refused_naming(400, "settleAt");
    }
    assert_eq!(scheduled(&world.api.preauth(&invoice).await.body), None);
}

#[tokio::test]
async fn what_falls_due_while_the_daemon_is_down_is_done_at_start() {
    let mut world = World::start(Plan::on_node("1")).await;
    let (paid, returned) = (world.sale().await, world.sale().await);
    let settle_at = world.chain.in_seconds(300).await;
    let to_settle = world.authorized(&paid, "50").await;
    world.api.settle_at(&to_settle, "20", &settle_at).await.is(202);
    let to_expire = invoice("INV");
    world.create(&to_expire, &returned).amount("60").expires_at(&settle_at).send().await.is(201);

    world.kill_daemon().await;
    world.chain.pass(600).await;
    world.restart().await;

    let settled = world.becomes(&to_settle, "SETTLED").await;
    assert_eq!(settled.text("settledAmount"), "20");
    world.becomes(&to_expire, "EXPIRED").await;
    world.assert_paid(&paid, "20", "0").await;
    world.assert_paid(&returned, "0", "0").await;
}

#[tokio::test]
async fn a_schedule_survives_a_restart() {
    let mut world = World::start(Plan::on_node("1")).await;
    let sale = world.sale().await;
    let invoice = world.authorized(&sale, "50").await;
    let settle_at = world.chain.in_seconds(600).await;
    world.api.settle_at(&invoice, "20", &settle_at).await.is(202);
    world.kill_daemon().await;
    world.restart().await;
    assert_eq!(scheduled(&world.api.preauth(&invoice).await.is(200).body), shown("20", &settle_at));
    world.advance(601).await;
    world.becomes(&invoice, "SETTLED").await;
    world.assert_paid(&sale, "20", "0").await;
}
