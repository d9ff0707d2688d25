//! Lanes of `dev`: operator keys that share the work, as many as it is told at each start.

use std::collections::BTreeSet;

use alloy::primitives::Address;
use alloy::providers::Provider;

use crate::harness::world::invoice;
use crate::harness::{Plan, Sale, World};

/// Creates without waiting for the chain, which must be holding still, and waits until so many transactions wait there.
async fn create(world: &World, sale: &Sale, waiting: usize) -> String {
    let name = invoice("INV");
    world.create(&name, sale).amount("5").respond_async().send().await.is(202);
    world.chain.until_waiting(waiting).await;
    name
}

/// Who has signed what waits to be mined.
async fn signers(world: &World, waiting: usize) -> BTreeSet<Address> {
    let mut signers = BTreeSet::new();
    for hash in world.chain.until_waiting(waiting).await {
        let transaction = world.chain.provider.get_transaction_by_hash(hash).await.expect("a node");
        signers.insert(transaction.expect("a transaction").inner.signer());
    }
    signers
}

#[tokio::test]
async fn two_lanes_of_dev_share_the_work_on_what_one_began() {
    let mut world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    let first = world.authorized(&sale, "5").await;
    let [alone] = world.ready.operators[..] else { panic!("one lane, unless told otherwise") };

    world.restart_told(&["--lanes", "2"]).await;
    let keys: BTreeSet<Address> = world.ready.operators.iter().copied().collect();
    assert_eq!((keys.len(), world.ready.operators[0]), (2, alone));
    world.chain.hold_still().await;
    let second = create(&world, &sale, 1).await;
    let third = create(&world, &sale, 2).await;
    assert_eq!(signers(&world, 2).await, keys, "while one lane waits for its transaction, the other sends");
    world.chain.mine_every(1).await;
    world.becomes(&second, "AUTHORIZED").await;
    world.becomes(&third, "AUTHORIZED").await;

    world.restart_told(&["--lanes", "1"]).await;
    assert_eq!(world.ready.operators, [alone]);
    for name in [first, second, third] {
        world.api.settle(&name, "5").await.is(200);
    }
    world.assert_paid(&sale, "15", "0").await;
}
