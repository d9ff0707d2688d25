//! Transactions that do not get mined by themselves.

use crate::harness::world::invoice;
use crate::harness::{Healing, Plan, World, until};
use alloy::providers::Provider;
use rustix::process::Signal;

#[tokio::test]
async fn a_transaction_that_the_node_forgot_is_sent_again() {
    let world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    let name = invoice("INV");
    world.chain.hold_still().await;
    world.create(&name, &sale).amount("10").respond_async().send().await.is(202);
    world.chain.until_waiting(1).await;
    world.chain.forget_all().await;
    world.chain.mine_every(1).await;
    let healing = Healing::of("a pool that forgot, blocks of 1 s");
    world.becomes(&name, "AUTHORIZED").await;
    healing.ends();
    assert_eq!(world.effects(&name).await.locked, 1);
    world.assert_paid(&sale, "0", "10").await;
}

#[tokio::test]
async fn a_transaction_that_became_too_cheap_is_replaced() {
    let world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    let name = invoice("INV");
    world.chain.hold_still().await;
    world.create(&name, &sale).amount("10").respond_async().send().await.is(202);
    let first = world.chain.until_waiting(1).await;
    let first =
        world.chain.provider.get_transaction_by_hash(first[0]).await.expect("a node").expect("a transaction");
    let offered = alloy::consensus::Transaction::max_fee_per_gas(&first);
    world.chain.spike_base_fee(offered * 3).await;
    world.chain.mine_every(1).await;

    let locked = world.becomes(&name, "AUTHORIZED").await;
    let hash = locked.text("lockTransactionHash").parse().expect("a hash");
    let landed =
        world.chain.provider.get_transaction_by_hash(hash).await.expect("a node").expect("a transaction");
    use alloy::consensus::Transaction as _;
    assert_eq!(landed.nonce(), first.nonce(), "a replacement keeps the nonce");
    if hash != *first.inner.tx_hash() {
        assert!(landed.max_fee_per_gas() * 8 >= offered * 9, "a replacement offers an eighth more at least");
    }
    assert_eq!(world.effects(&name).await.locked, 1);
    world.assert_paid(&sale, "0", "10").await;
}

#[tokio::test]
async fn a_raise_of_our_own_is_not_taken_for_the_market() {
    let world = World::start(Plan::on_node("0.2").replacing_after("1")).await;
    let sale = world.sale().await;
    world.chain.hold_still().await;
    let mut offered = Vec::new();
    // Enough for the blocks that are asked for tips to hold nothing but raised ones.
    for _ in 0..5 {
        let name = invoice("INV");
        world.create(&name, &sale).amount("1").respond_async().send().await.is(202);
        let first = waiting_tip(&world).await;
        until("the fees are raised", || async { (waiting_tip(&world).await > first).then_some(()) }).await;
        world.chain.mine().await;
        world.becomes(&name, "AUTHORIZED").await;
        offered.push(first);
    }
    assert!(offered.iter().all(|tip| *tip == offered[0]), "each begins where the first did: {offered:?}");
}

/// What the one transaction that waits offers as its tip, in wei per gas.
async fn waiting_tip(world: &World) -> u128 {
    until("a transaction waits", || async {
        let [hash] = world.chain.until_waiting(1).await[..] else { return None };
        let waiting = world.chain.provider.get_transaction_by_hash(hash).await.expect("a node")?;
        alloy::consensus::Transaction::max_priority_fee_per_gas(&waiting)
    })
    .await
}

#[tokio::test]
async fn a_node_that_falls_silent_in_the_middle_costs_time_and_nothing_else() {
    let world = World::start(Plan::on_node("1")).await;
    let sale = world.sale().await;
    let names: Vec<String> = (0..20).map(|_| invoice("INV")).collect();
    for name in &names {
        world.create(name, &sale).amount("1").respond_async().send().await.is(202);
    }
    let node = world.house.node.as_ref().expect("a node of our own");
    node.process.signal(Signal::STOP);
    until("the daemon notices", || async {
        (world.api.get("/health/ready").await.status == 503).then_some(())
    })
    .await;
    for name in &names {
        assert_eq!(world.api.preauth(name).await.status, 200, "reading needs no node");
    }
    node.process.signal(Signal::CONT);
    let healing = Healing::of("a node that was stopped over 20 locks");
    for name in &names {
        world.becomes(name, "AUTHORIZED").await;
    }
    healing.ends();
    for name in &names {
        assert_eq!(world.effects(name).await.locked, 1);
    }
    world.assert_paid(&sale, "0", "20").await;
}
