//! Consents of every kind beside each other.

use alloy::primitives::U256;
use futures::future::join_all;

use super::Offer;
use super::permit2::sale_with_permit2;
use crate::harness::world::invoice;
use crate::harness::{Plan, World};

#[tokio::test]
async fn locks_of_every_kind_share_a_transaction_and_survive_being_undone() {
    let world = World::start(Plan::on_node("0.2")).await;
    let mut sales = Vec::new();
    for kind in ["eip712", "erc2612", "erc3009", "permit2"] {
        let sale = sale_with_permit2(&world).await;
        if kind == "eip712" {
            world.chain.allow(sale.sender.address, U256::from(5_000_000)).await;
        }
        sales.push((kind, sale));
    }
    let offers: Vec<_> =
        join_all(sales.iter().map(|(_, sale)| async { Offer::of(&world, &invoice("INV"), sale, "5").await }))
            .await;

    let first = world.sale().await;

    world.chain.hold_still().await;
    // Something is under way, so that the others gather for the next batch.
    world.create(&invoice("INV"), &first).amount("1").respond_async().send().await.is(202);
    world.chain.until_waiting(1).await;
    for ((kind, sale), offer) in sales.iter().zip(&offers) {
        offer.create(offer.signed(kind, &sale.sender)).respond_async().send().await.is(202);
    }
    world.chain.mine().await;
    assert_eq!(world.chain.until_waiting(1).await.len(), 1, "one transaction carries all four");
    world.chain.mine().await;
    for offer in &offers {
        world.becomes(&offer.invoice, "AUTHORIZED").await;
    }
    assert_eq!(world.chain.lock_transactions().await, 2);

    // What a reorg undoes, nonces of signatures included, is made again with the same signatures.
    world.until_daemon_stands_at_the_head().await;
    world.chain.reorg(1).await;
    for offer in &offers {
        world.becomes(&offer.invoice, "PENDING").await;
    }
    world.chain.mine_every(1).await;
    for ((_, sale), offer) in sales.iter().zip(&offers) {
        world.becomes(&offer.invoice, "AUTHORIZED").await;
        assert_eq!(world.effects(&offer.invoice).await.locked, 1);
        world.assert_paid(sale, "0", "5").await;
    }
}
