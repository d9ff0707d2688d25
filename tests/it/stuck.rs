//! Transactions that do not get mined by themselves.

use crate::harness::world::invoice;
use crate::harness::{Plan, World};
use alloy::providers::Provider;
use alloy::providers::ext::AnvilApi;

#[tokio::test]
async fn a_transaction_that_the_node_forgot_is_sent_again() {
    let world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    let name = invoice("INV");
    world.chain.hold_still().await;
    world.create(&name, &sale).amount("10").respond_async().send().await.is(202);
    for hash in world.chain.until_waiting(1).await {
        world.chain.provider.anvil_drop_transaction(hash).await.expect("a node that forgets");
    }
    assert!(world.chain.waiting().await.is_empty());
    world.chain.mine_every(1).await;
    world.becomes(&name, "AUTHORIZED").await;
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
