//! A permit in place of the allowance.

use alloy::primitives::{B256, Signature, U256};
use serde_json::{Value, json};

use super::{NOT_SIGNED, Offer, altered, base_units};
use crate::harness::chain::Permit;
use crate::harness::world::invoice;
use crate::harness::{Plan, Wallet, World};

pub(super) const NO_PERMIT: &str = "consent.permitSignature is not the sender's permit for this hold, and his allowance is too small without it";

/// The call that a signed permit is good for; anyone can send it.
fn permit_call(typed_data: &Value, signature: &Value) -> impl alloy::sol_types::SolCall + use<> {
    let message = &typed_data["message"];
    let text = |field: &str| message[field].as_str().expect("a text");
    let signature: Signature = signature.as_str().expect("a signature").parse().expect("a signature");
    Permit::permitCall {
        owner: text("owner").parse().expect("an address"),
        spender: text("spender").parse().expect("an address"),
        value: text("value").parse().expect("a number"),
        deadline: text("deadline").parse().expect("a number"),
        v: 27 + u8::from(signature.v()),
        r: B256::from(signature.r()),
        s: B256::from(signature.s()),
    }
}

#[tokio::test]
async fn a_permit_and_the_terms_lock_in_one_transaction() {
    let world = World::shared().await;
    let sale = world.sale_without_allowance().await;
    let offer = Offer::of(&world, &invoice("INV"), &sale, "5").await;
    assert!(offer.consent("erc2612")["approval"].is_null());
    offer.is_taken_up_without_a_transaction(offer.signed("erc2612", &sale.sender)).await;

    // The token counts its permits: the next offer has the next nonce.
    let again = Offer::of(&world, &invoice("INV"), &sale, "5").await;
    assert_eq!(again.consent("erc2612")["permitTypedData"]["message"]["nonce"], "1");
    again.create(again.signed("erc2612", &sale.sender)).send().await.is(201);
}

#[tokio::test]
async fn a_permit_that_somebody_ran_ahead_with_does_no_harm() {
    let world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale_without_allowance().await;
    let stranger = Wallet::new();

    // Before the creation arrives.
    let offer = Offer::of(&world, &invoice("INV"), &sale, "5").await;
    let consent = offer.signed("erc2612", &sale.sender);
    let ahead = permit_call(&offer.consent("erc2612")["permitTypedData"], &consent["permitSignature"]);
    world.chain.act(stranger.address, world.ready.token.address, ahead).await;
    offer.is_taken_up(consent).await;

    // And in the block of the lock itself, before it.
    let offer = Offer::of(&world, &invoice("INV"), &sale, "7").await;
    let consent = offer.signed("erc2612", &sale.sender);
    let ahead = permit_call(&offer.consent("erc2612")["permitTypedData"], &consent["permitSignature"]);
    world.chain.hold_still().await;
    offer.create(consent).respond_async().send().await.is(202);
    world.chain.until_waiting(1).await;
    world.chain.overtake(stranger.address, world.ready.token.address, ahead).await;
    world.becomes(&offer.invoice, "AUTHORIZED").await;
    world.assert_paid(&sale, "1", "7").await;
    assert_eq!(world.chain.allowance(sale.sender.address).await, U256::ZERO);
}

#[tokio::test]
async fn a_permit_of_somebody_else_or_for_something_else_is_refused() {
    let world = World::shared().await;
    let sale = world.sale_without_allowance().await;
    let stranger = Wallet::new();
    let offer = Offer::of(&world, &invoice("INV"), &sale, "5").await;
    let (good, permit) =
        (offer.signed("erc2612", &sale.sender), &offer.consent("erc2612")["permitTypedData"]);
    let with = |field: &str, signature: String| {
        let mut consent = good.clone();
        consent[field] = json!(signature);
        offer.create(consent)
    };
    let wrong = [
        ("a stranger's permit", stranger.sign(permit)),
        ("another amount", sale.sender.sign(&altered(permit, "value", base_units("4.999999")))),
        ("another expiry", sale.sender.sign(&altered(permit, "deadline", json!("4102444800")))),
        ("another nonce", sale.sender.sign(&altered(permit, "nonce", json!("1")))),
        (
            "another spender",
            sale.sender.sign(&altered(permit, "spender", json!(stranger.address.to_string()))),
        ),
    ];
    for (what, signature) in wrong {
        let creation = with("permitSignature", signature);
        offer.is_refused(what, creation, "consent.permitSignature", NO_PERMIT).await;
    }
    // The permit alone is no consent to the terms.
    let strange_terms = stranger.sign(&offer.consent("erc2612")["typedData"]);
    offer.is_refused("a stranger's terms", with("signature", strange_terms), "consent", NOT_SIGNED).await;
    let other_receiver = offer.create(good.clone()).receiver(world.receiver().await);
    offer.is_refused("another receiver", other_receiver, "consent", NOT_SIGNED).await;

    // None of this has used it up.
    offer.is_taken_up(good).await;
}
