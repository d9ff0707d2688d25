//! What nobody settles goes back to the payer when its time is over, by the chain's clock.

use crate::harness::world::invoice;
use crate::harness::{Plan, World};

#[tokio::test]
async fn a_hold_expires_and_everything_returns() {
    let world = World::start(Plan::quick()).await;
    let sale = world.sale().await;
    let invoice = invoice("INV");
    let expires_at = world.chain.in_seconds(600).await;
    world.create(&invoice, &sale).amount("12.34").expires_at(&expires_at).send().await.is(201);

    world.advance(300).await;
    assert_eq!(world.api.preauth(&invoice).await.text("status"), "AUTHORIZED");
    world.assert_paid(&sale, "0", "12.34").await;

    world.advance(301).await;
    let expired = world.becomes(&invoice, "EXPIRED").await;
    assert!(
        world.chain.receipt(expired.text("transactionHash")).await.expect("a transaction on chain").status()
    );
    world.assert_paid(&sale, "0", "0").await;
    world.api.settle(&invoice, "1").await.refused(409, "Pre-authorization expired");
    world.api.cancel(&invoice).await.refused_naming(409, "EXPIRED");
    assert_eq!(world.effects(&invoice).await.expired, 1);
}

#[tokio::test]
async fn settle_at_expiry_is_rejected() {
    let world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    let invoice = invoice("INV");
    let expires_at = world.chain.now().await + 600;
    let text = crate::harness::chain::rfc3339(i64::try_from(expires_at).expect("a time"));
    world.create(&invoice, &sale).amount("9").expires_at(&text).send().await.is(201);

    // The newest block stands exactly at the expiry, and no block follows: the sweep cannot have run.
    world.chain.hold_still().await;
    world.chain.mine_at(expires_at).await;
    assert_eq!(world.chain.now().await, expires_at);
    world.until_daemon_stands_at_the_head().await;
    world.api.settle(&invoice, "9").await.refused(409, "Pre-authorization expired");
    assert_eq!(world.api.preauth(&invoice).await.text("status"), "AUTHORIZED");

    world.chain.mine_every(1).await;
    world.becomes(&invoice, "EXPIRED").await;
    world.api.settle(&invoice, "9").await.refused(409, "Pre-authorization expired");
    world.assert_paid(&sale, "0", "0").await;
}

#[tokio::test]
async fn a_second_before_expiry_a_settlement_still_counts() {
    let world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    let invoice = invoice("INV");
    let expires_at = world.chain.now().await + 600;
    let text = crate::harness::chain::rfc3339(i64::try_from(expires_at).expect("a time"));
    world.create(&invoice, &sale).amount("9").expires_at(&text).send().await.is(201);

    world.chain.hold_still().await;
    let settling = {
        let (api, invoice) = (world.api.clone(), invoice.clone());
        tokio::spawn(async move { api.settle(&invoice, "9").await })
    };
    world.chain.until_waiting(1).await;
    world.chain.mine_at(expires_at - 1).await;
    settling.await.expect("an answer").is(200);
    world.assert_paid(&sale, "9", "0").await;
}

#[tokio::test]
async fn a_settlement_mined_too_late_loses_to_the_expiry() {
    let world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    let invoice = invoice("INV");
    let expires_at = world.chain.now().await + 600;
    let text = crate::harness::chain::rfc3339(i64::try_from(expires_at).expect("a time"));
    world.create(&invoice, &sale).amount("9").expires_at(&text).send().await.is(201);

    world.chain.hold_still().await;
    let settling = {
        let (api, invoice) = (world.api.clone(), invoice.clone());
        tokio::spawn(async move { api.settle(&invoice, "9").await })
    };
    world.chain.until_waiting(1).await;
    world.chain.mine_at(expires_at).await;
    world.chain.mine_every(1).await;
    settling.await.expect("an answer").refused(409, "Pre-authorization expired");
    world.becomes(&invoice, "EXPIRED").await;
    world.assert_paid(&sale, "0", "0").await;
    let effects = world.effects(&invoice).await;
    assert_eq!((effects.locked, effects.settled, effects.expired), (1, 0, 1));
}

#[tokio::test]
async fn many_expire_in_few_transactions() {
    let world = World::start(Plan::on_node("0.5")).await;
    let sale = world.sale().await;
    let expires_at = world.chain.in_seconds(900).await;
    let names: Vec<String> = (0..150).map(|_| invoice("INV")).collect();
    let creations =
        names.iter().map(|name| world.create(name, &sale).amount("1").expires_at(&expires_at).send());
    futures::future::join_all(creations).await.into_iter().for_each(|answer| drop(answer.is(201)));
    world.assert_paid(&sale, "0", "150").await;
    let before = world.chain.operator_transactions().await;
    world.advance(901).await;
    for name in &names {
        world.becomes(name, "EXPIRED").await;
    }
    let transactions = world.chain.operator_transactions().await - before;
    assert!(transactions <= 15, "150 expiries in {transactions} transactions");
    world.assert_paid(&sale, "0", "0").await;
}
