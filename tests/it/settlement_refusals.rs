//! Settlements that are refused, and settlements that fail: the hold stays where it is until somebody can have it.

use crate::harness::chain::Token;
use crate::harness::world::invoice;
use crate::harness::{Plan, World, units};

#[tokio::test]
async fn a_settlement_must_be_greater_than_zero() {
    let world = World::shared().await;
    let sale = world.sale().await;
    let name = world.authorized(&sale, "10").await;
    for amount in ["0", "0.000000", "-1"] {
        world.api.settle(&name, amount).await.refused(409, "Amount must be greater than zero");
    }
    world.assert_paid(&sale, "0", "10").await;
}

#[tokio::test]
async fn an_unknown_invoice_is_not_found_on_any_route() {
    let world = World::shared().await;
    let name = invoice("INV");
    let message = "Preauthorization not found";
    world.api.preauth(&name).await.refused(404, message);
    world.api.settle(&name, "1").await.refused(404, message);
    world.api.cancel(&name).await.refused(404, message);
    world.api.withdraw_settlement(&name).await.refused(404, message);
}

#[tokio::test]
async fn a_settled_preauthorization_is_closed() {
    let world = World::shared().await;
    let sale = world.sale().await;
    let name = world.authorized(&sale, "10").await;
    world.api.settle(&name, "4").await.is(200);
    world.api.settle(&name, "4").await.refused(409, "Invalid settlement state: SETTLED");
    world.api.settle(&name, "1").await.refused(409, "Invalid settlement state: SETTLED");
    world.api.cancel(&name).await.refused_naming(409, "SETTLED");
    let later = world.chain.in_seconds(600).await;
    world.api.settle_at(&name, "1", &later).await.refused(409, "Invalid settlement state: SETTLED");
    world.assert_paid(&sale, "4", "0").await;
}

#[tokio::test]
async fn a_receiver_that_the_token_blocks_cannot_be_paid_until_it_lets_him() {
    let world = World::start(Plan::on_node("0.2")).await;
    let (sale, token) = world.sale_in_moody_token().await;
    let name = invoice("INV");
    world.create(&name, &sale).token(token).amount("10").send().await.is(201);
    let block = |is_blocked| Token::blockCall { account: sale.receiver, isBlocked: is_blocked };

    // Known before anything is signed.
    world.chain.act(sale.receiver, token, block(true)).await;
    let sent = world.chain.operator_transactions().await;
    let refused = world.api.settle(&name, "7").await;
    refused.refused(400, "Errors occurred while initializing transaction on chain");
    assert_eq!(world.chain.operator_transactions().await, sent, "nothing was sent");
    assert_eq!(world.api.preauth(&name).await.text("status"), "AUTHORIZED");

    // Not known before it is mined: the block takes the token's refusal first.
    world.chain.act(sale.receiver, token, block(false)).await;
    world.chain.hold_still().await;
    let settling = {
        let (api, name) = (world.api.clone(), name.clone());
        tokio::spawn(async move { api.settle(&name, "7").await })
    };
    world.chain.until_waiting(1).await;
    world.chain.overtake(sale.receiver, token, block(true)).await;
    world.chain.mine_every(1).await;
    settling.await.expect("an answer").refused(500, "Settlement failed");
    let shown = world.api.preauth(&name).await.is(200);
    assert_eq!(shown.text("status"), "AUTHORIZED");
    assert_eq!(world.chain.balance_of(token, world.ready.escrow).await, units("10"), "the hold stays");

    // And when the token lets him, he is paid.
    world.chain.act(sale.receiver, token, block(false)).await;
    world.api.settle(&name, "7").await.is(200);
    assert_eq!(world.chain.balance_of(token, sale.receiver).await, units("7"));
    assert_eq!(world.chain.balance_of(token, sale.sender.address).await, units("993"));
}

#[tokio::test]
async fn a_sender_that_the_token_blocks_can_claim_his_rest_later() {
    let world = World::start(Plan::on_node("0.2")).await;
    let (sale, token) = world.sale_in_moody_token().await;
    let name = invoice("INV");
    world.create(&name, &sale).token(token).amount("10").send().await.is(201);
    let block = |is_blocked| Token::blockCall { account: sale.sender.address, isBlocked: is_blocked };
    world.chain.act(sale.receiver, token, block(true)).await;

    world.api.settle(&name, "7").await.is(200);
    assert_eq!(world.chain.balance_of(token, sale.receiver).await, units("7"), "the merchant is paid");
    assert_eq!(
        world.chain.balance_of(token, world.ready.escrow).await,
        units("3"),
        "the rest waits for its owner"
    );

    world.chain.act(sale.receiver, token, block(false)).await;
    world.chain.claim(sale.sender.address, token).await;
    assert_eq!(world.chain.balance_of(token, sale.sender.address).await, units("993"));
}
