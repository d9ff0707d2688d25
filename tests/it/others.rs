//! What others do on chain: the receiver, anyone at expiry, the admin, a token.

use preauthd::chain::PreauthEscrow;

use crate::harness::chain::{Public, Token, rfc3339};
use crate::harness::world::invoice;
use crate::harness::{Plan, World, until};

#[tokio::test]
async fn a_receiver_can_cancel_without_the_daemon() {
    let world = World::start(Plan::quick()).await;
    let sale = world.sale().await;
    let name = world.authorized(&sale, "10").await;
    let terms = world.terms(&name).await;
    world.chain.act(sale.receiver, world.ready.escrow, Public::cancelCall { terms }).await;
    let cancelled = world.becomes(&name, "CANCELLED").await;
    assert!(world.chain.receipt(cancelled.text("transactionHash")).await.expect("a transaction").status());
    world.api.settle(&name, "1").await.refused(409, "Invalid settlement state: CANCELLED");
    world.assert_paid(&sale, "0", "0").await;
}

#[tokio::test]
async fn anyone_can_expire_what_is_overdue_and_the_daemon_notices() {
    let mut world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    let name = invoice("INV");
    let expires_at = world.chain.in_seconds(300).await;
    world.create(&name, &sale).amount("10").expires_at(&expires_at).send().await.is(201);
    let terms = world.terms(&name).await;
    world.kill_daemon().await;
    world.chain.pass(301).await;
    world.chain.act(sale.receiver, world.ready.escrow, Public::expireCall { terms }).await;
    world.restart().await;
    world.becomes(&name, "EXPIRED").await;
    assert_eq!(world.effects(&name).await.expired, 1);
    world.assert_paid(&sale, "0", "0").await;
}

#[tokio::test]
async fn a_revoked_operator_waits_until_it_is_allowed_again() {
    let world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    let open = world.authorized(&sale, "10").await;
    let (admin, escrow) = (world.chain.admin().await, world.ready.escrow);
    let operator = world.chain.operators().await[0];
    let set = |allowed| PreauthEscrow::setOperatorCall { operator, allowed };
    world.chain.act(admin, escrow, set(false)).await;

    let name = invoice("INV");
    let refused = world.create(&name, &sale).amount("1").send().await;
    refused.refused(500, "Preauth contract not available");
    let path = format!("/onchain-preauth/{open}/settle");
    world.api.post_async(&path, serde_json::json!({ "amount": "6" })).await.is(202);
    world.chain.mine_many(5).await;
    assert_eq!(world.api.preauth(&open).await.text("status"), "AUTHORIZED");

    world.chain.act(admin, escrow, set(true)).await;
    world.becomes(&open, "SETTLED").await;
    world.assert_paid(&sale, "6", "0").await;
    until("creations are accepted again", || async {
        (world.create(&name, &sale).amount("1").send().await.status == 201).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_token_that_changes_its_mind_locks_nothing_and_keeps_nothing() {
    let world = World::start(Plan::quick()).await;
    let (sale, token) = world.sale_in_moody_token().await;
    let create = |name: &str| world.create(name, &sale).token(token).amount("10").send();
    let (cancelled, settled, expired) = (invoice("INV"), invoice("INV"), invoice("INV"));
    create(&cancelled).await.is(201);
    create(&settled).await.is(201);
    let soon = rfc3339(i64::try_from(world.chain.now().await + 3_000).expect("a time"));
    world.create(&expired, &sale).token(token).amount("10").expires_at(&soon).send().await.is(201);

    let refused = invoice("INV");
    world
        .chain
        .act(sale.receiver, token, Token::setFeeBpsCall { newFeeBps: crate::harness::chain::number(100) })
        .await;
    create(&refused).await.refused(500, "Failed to check preapproval");
    world
        .chain
        .act(sale.receiver, token, Token::setFeeBpsCall { newFeeBps: crate::harness::chain::number(0) })
        .await;
    world.chain.act(sale.receiver, token, Token::setReturnFalseCall { answersFalse: true }).await;
    create(&refused).await.refused(500, "Failed to check preapproval");
    world.api.preauth(&refused).await.envelope(404);
    world.chain.act(sale.receiver, token, Token::setReturnFalseCall { answersFalse: false }).await;

    // Paused: nobody can be paid, but what is the payer's is noted as his.
    world.chain.act(sale.receiver, token, Token::setPausedCall { isPaused: true }).await;
    let message = "Errors occurred while initializing transaction on chain";
    world.api.settle(&settled, "4").await.refused(400, message);
    let answer = world.api.cancel(&cancelled).await.is(200);
    assert_eq!((answer.text("status"), answer.text("refundClaimable")), ("CANCELLED", "10"));
    world.advance(3_001).await;
    assert_eq!(world.becomes(&expired, "EXPIRED").await.text("refundClaimable"), "10");
    assert_eq!(world.chain.balance_of(token, world.ready.escrow).await, crate::harness::units("30"));

    world.chain.act(sale.receiver, token, Token::setPausedCall { isPaused: false }).await;
    world.chain.claim(sale.sender.address, token).await;
    world.api.settle(&settled, "4").await.is(200);
    assert_eq!(world.chain.balance_of(token, world.ready.escrow).await, crate::harness::units("0"));
    assert_eq!(world.chain.balance_of(token, sale.sender.address).await, crate::harness::units("996"));
}
