//! One signature that the token takes, bound to the terms by its nonce.

use alloy::primitives::{B256, Signature};
use serde_json::json;

use super::{FiatToken, NOT_SIGNED, Offer, altered, base_units, deploy_fiat_token, sale_in};
use crate::harness::world::invoice;
use crate::harness::{Plan, Wallet, World};

#[tokio::test]
async fn one_signature_locks_in_one_transaction() {
    let world = World::shared().await;
    let sale = world.sale_without_allowance().await;
    let offer = Offer::of(&world, &invoice("INV"), &sale, "5").await;
    let offered = offer.consent("erc3009");
    assert!(offered["approval"].is_null());
    let terms = world.api.get("/tokens").await.is(200);
    assert_eq!(terms.body["data"][0]["consents"], json!(["eip712", "erc2612", "erc3009", "permit2"]));
    offer.is_taken_up_without_a_transaction(offer.signed("erc3009", &sale.sender)).await;
}

#[tokio::test]
async fn a_signature_over_anything_else_is_refused() {
    let world = World::shared().await;
    let sale = world.sale_without_allowance().await;
    let stranger = Wallet::new();
    let offer = Offer::of(&world, &invoice("INV"), &sale, "5").await;
    let typed_data = &offer.consent("erc3009")["typedData"];
    let signed = |signature: String| offer.create(json!({ "type": "erc3009", "signature": signature }));
    let good = sale.sender.sign(typed_data);
    let strangers_nonce = json!(B256::repeat_byte(7));
    let tries = [
        ("a stranger", signed(stranger.sign(typed_data))),
        ("another amount", signed(sale.sender.sign(&altered(typed_data, "value", base_units("6"))))),
        ("another nonce", signed(sale.sender.sign(&altered(typed_data, "nonce", strangers_nonce)))),
        (
            "another expiry",
            signed(sale.sender.sign(&altered(typed_data, "validBefore", json!("4102444800")))),
        ),
        // The nonce is the hash of the terms, so a signature is good for no others.
        ("another receiver", signed(good.clone()).receiver(world.receiver().await)),
        ("a larger hold", signed(good.clone()).amount("5.000001")),
    ];
    for (what, creation) in tries {
        offer.is_refused(what, creation, "consent", NOT_SIGNED).await;
    }
    offer.is_taken_up(json!({ "type": "erc3009", "signature": good })).await;
}

#[tokio::test]
async fn a_payer_can_withdraw_what_he_signed() {
    let world = World::start(Plan::on_node("0.2")).await;
    let token = deploy_fiat_token(&world, "2").await;
    let sale = sale_in(&world, token).await;
    let offer = Offer::in_token(token, &world, &invoice("INV"), &sale, "5").await;
    let mut withdrawal = offer.consent("erc3009")["typedData"].clone();
    let nonce: B256 = withdrawal["message"]["nonce"].as_str().expect("a nonce").parse().expect("32 bytes");
    withdrawal["types"]["CancelAuthorization"] =
        json!([{ "name": "authorizer", "type": "address" }, { "name": "nonce", "type": "bytes32" }]);
    withdrawal["primaryType"] = json!("CancelAuthorization");
    withdrawal["message"] = json!({ "authorizer": sale.sender.address, "nonce": nonce });
    let signature: Signature = sale.sender.sign(&withdrawal).parse().expect("a signature");
    let withdraw = FiatToken::cancelAuthorizationCall {
        authorizer: sale.sender.address,
        nonce,
        v: 27 + u8::from(signature.v()),
        r: signature.r().into(),
        s: signature.s().into(),
    };
    world.chain.act(Wallet::new().address, token, withdraw).await;

    let creation = offer.create(offer.signed("erc3009", &sale.sender));
    let message = "consent was used before, or withdrawn by the sender";
    offer.is_refused("withdrawn", creation, "consent", message).await;
}

#[tokio::test]
async fn a_signature_does_not_make_up_for_tokens() {
    let world = World::shared().await;
    let sale = world.sale_without_allowance().await;
    let offer = Offer::of(&world, &invoice("INV"), &sale, "1000001").await;
    let poor = offer.create(offer.signed("erc3009", &sale.sender)).send().await;
    assert_eq!((poor.status, poor.code()), (500, "insufficient_balance"), "{}", poor.body);
}
