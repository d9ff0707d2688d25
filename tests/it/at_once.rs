//! A node that mines each transaction as soon as it comes, as nodes for development do unless told otherwise: the outcome is
//! there before the send is answered, and what is answered with an error may be mined all the same.

use alloy::primitives::U256;

use crate::harness::client::AT_ONCE;
use crate::harness::world::invoice;
use crate::harness::{Fault, Plan, World};

#[tokio::test]
async fn on_a_chain_that_mines_at_once_every_hold_finds_its_end() {
    let world = World::start(Plan::on_node(AT_ONCE)).await;
    let sale = world.sale().await;
    let settled = world.authorized(&sale, "5").await;
    world.api.settle(&settled, "3").await.is(200);
    let cancelled = world.authorized(&sale, "5").await;
    world.api.cancel(&cancelled).await.is(200);
    let expired = invoice("INV");
    let soon = world.chain.in_seconds(600).await;
    world.create(&expired, &sale).amount("5").expires_at(&soon).send().await.is(201);
    world.advance(600).await;
    world.becomes(&expired, "EXPIRED").await;
    world.assert_paid(&sale, "3", "0").await;
}

#[tokio::test]
async fn a_send_that_fails_as_it_is_mined_is_an_outcome() {
    let world = World::start(Plan::on_node(AT_ONCE).through_proxy()).await;
    let sale = world.sale().await;
    let name = invoice("INV");
    let held = world.proxy().on("eth_sendRawTransaction").times(1).fault(Fault::Hold);
    let (answer, ()) = tokio::join!(world.create(&name, &sale).amount("10").send(), async {
        held.until_caught(1).await;
        // The payer takes his allowance back while the lock is on its way.
        world.chain.approve(sale.sender.address, U256::ZERO).await;
        held.heal();
    });
    answer.refused(500, "Insufficient Allowance");
    assert_eq!(world.api.preauth(&name).await.is(200).text("status"), "REJECTED");

    world.chain.approve(sale.sender.address, U256::MAX).await;
    let next = world.authorized(&sale, "10").await;
    world.api.settle(&next, "10").await.is(200);
    world.assert_paid(&sale, "10", "0").await;
}
