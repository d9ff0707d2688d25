//! The heart of it: a preauthorization is created, read, settled or cancelled, and the tokens are where they belong.

use crate::harness::world::invoice;
use crate::harness::{World, until};

#[tokio::test]
async fn a_partial_settlement_pays_the_receiver_and_returns_the_rest() {
    let world = World::shared().await;
    let sale = world.sale().await;
    let invoice = invoice("INV");
    let expires_at = world.chain.in_seconds(3_600).await;

    let created = world.create(&invoice, &sale).amount("150.75").expires_at(&expires_at).send().await.is(201);
    assert_eq!(created.text("invoiceId"), invoice);
    assert_eq!(created.text("amount"), "150.75");
    assert_eq!(created.text("sender"), sale.sender.address.to_string());
    assert_eq!(created.text("receiver"), sale.receiver.to_string());
    assert_eq!(created.text("contractAddress"), world.ready.token.address.to_string());
    assert_eq!(created.text("status"), "AUTHORIZED");
    assert_eq!(created.text("expiresAt"), expires_at.replace('Z', ".000Z"));
    let transaction_id = created.text("transactionId").to_owned();
    transaction_id.parse::<uuid::Uuid>().expect("the transactionId is a UUID");
    world.assert_paid(&sale, "0", "150.75").await;

    let shown = world.api.preauth(&invoice).await.is(200);
    assert_eq!(shown.text("transactionId"), transaction_id);
    assert_eq!(shown.text("invoiceId"), invoice);
    assert_eq!(shown.text("sender"), sale.sender.address.to_string());
    assert_eq!(shown.text("receiver"), sale.receiver.to_string());
    assert_eq!(shown.text("authorizedAmount"), "150.75");
    assert_eq!(shown.text("status"), "AUTHORIZED");
    assert_eq!(shown.text("contractAddress"), world.ready.token.address.to_string());
    assert_eq!(shown.text("expiresAt"), created.text("expiresAt"));
    assert_eq!(shown.text("holdAmount"), "150.75");
    assert!(shown.body["settledAmount"].is_null(), "nothing is settled yet: {}", shown.body);
    for time in ["createdAt", "updatedAt"] {
        let text = shown.text(time);
        assert!(text.len() == 24 && text.ends_with('Z'), "{time} is RFC 3339 with milliseconds: {text}");
        text.parse::<jiff::Timestamp>().expect("a time");
    }

    let settled = world.api.settle(&invoice, "120.50").await.is(200);
    assert_eq!(settled.text("transactionId"), transaction_id);
    assert_eq!(settled.text("invoiceId"), invoice);
    assert_eq!(settled.text("authorizedAmount"), "150.75");
    assert_eq!(settled.text("settledAmount"), "120.50");
    assert_eq!(settled.text("contractAddress"), world.ready.token.address.to_string());
    assert_eq!(settled.text("status"), "SETTLED");
    let receipt = world.chain.receipt(settled.text("transactionHash")).await.expect("a transaction on chain");
    assert!(receipt.status());
    assert_eq!(receipt.to, Some(world.ready.escrow));
    world.assert_paid(&sale, "120.50", "0").await;

    let shown = world.api.preauth(&invoice).await.is(200);
    assert_eq!(shown.text("status"), "SETTLED");
    assert_eq!(shown.text("settledAmount"), "120.50");
    assert_eq!(shown.text("transactionHash"), settled.text("transactionHash"));
}

#[tokio::test]
async fn a_full_settlement_leaves_nothing_to_return() {
    let world = World::shared().await;
    let sale = world.sale().await;
    let invoice = world.authorized(&sale, "7").await;
    let settled = world.api.settle(&invoice, "7").await.is(200);
    assert_eq!(settled.text("settledAmount"), "7");
    world.assert_paid(&sale, "7", "0").await;
}

#[tokio::test]
async fn a_cancellation_returns_everything_and_can_be_repeated() {
    let world = World::shared().await;
    let sale = world.sale().await;
    let invoice = world.authorized(&sale, "33.10").await;
    world.assert_paid(&sale, "0", "33.10").await;

    let cancelled = world.api.cancel(&invoice).await.is(200);
    assert_eq!(cancelled.text("status"), "CANCELLED");
    assert!(
        world
            .chain
            .receipt(cancelled.text("transactionHash"))
            .await
            .expect("a transaction on chain")
            .status()
    );
    world.assert_paid(&sale, "0", "0").await;

    let again = world.api.cancel(&invoice).await.is(200);
    assert_eq!(again.body, cancelled.body, "repeating it gives the same answer");
    world.api.settle(&invoice, "1").await.refused(409, "Invalid settlement state: CANCELLED");
}

#[tokio::test]
async fn without_expires_at_a_hold_lives_a_day() {
    let world = World::shared().await;
    let sale = world.sale().await;
    let invoice = invoice("INV");
    let before = world.chain.now().await;
    let created = world.create(&invoice, &sale).amount("1").send().await.is(201);
    let expires_at: jiff::Timestamp = created.text("expiresAt").parse().expect("a time");
    let ttl = u64::try_from(expires_at.as_second()).expect("a time") - before;
    assert!((86_400..86_500).contains(&ttl), "24 hours, not {ttl} s");
}

#[tokio::test]
async fn addresses_come_back_as_they_were_written() {
    let world = World::shared().await;
    let sale = world.sale().await;
    let invoice = invoice("INV");
    let lower = |address: alloy::primitives::Address| address.to_string().to_lowercase();
    let create =
        world.create(&invoice, &sale).sender(lower(sale.sender.address)).receiver(lower(sale.receiver));
    let created = create.token(lower(world.ready.token.address)).amount("1.50").send().await.is(201);
    assert_eq!(created.text("sender"), lower(sale.sender.address));
    assert_eq!(created.text("receiver"), lower(sale.receiver));
    assert_eq!(created.text("contractAddress"), lower(world.ready.token.address));
    assert_eq!(world.api.preauth(&invoice).await.is(200).text("authorizedAmount"), "1.50");
}

#[tokio::test]
async fn an_invoice_may_be_called_anything_that_fits_a_path() {
    let world = World::shared().await;
    let sale = world.sale().await;
    let invoice = format!("Rechnung № 7: größer, {}", invoice("x"));
    world.create(&invoice, &sale).amount("1").send().await.is(201);
    assert_eq!(world.api.preauth(&invoice).await.is(200).text("invoiceId"), invoice);
    world.api.settle(&invoice, "1").await.is(200);
}

#[tokio::test]
async fn a_caller_need_not_wait_for_the_chain() {
    let world = World::shared().await;
    let sale = world.sale().await;
    let invoice = invoice("INV");
    let accepted = world.create(&invoice, &sale).amount("5").respond_async().send().await.is(202);
    assert_eq!(accepted.text("status"), "PENDING");
    world.becomes(&invoice, "AUTHORIZED").await;
    until("the hold is on chain", || async {
        (world.chain.balance(sale.sender.address).await < sale.before).then_some(())
    })
    .await;
    world.api.settle(&invoice, "5").await.is(200);
    world.assert_paid(&sale, "5", "0").await;
}
