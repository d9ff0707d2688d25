//! One signature that Permit2 takes, with the terms as its witness.

use alloy::primitives::{Address, B256, Bytes, U256, address};
use serde_json::{Value, json};

use super::{NOT_SIGNED, Offer, altered};
use crate::harness::world::invoice;
use crate::harness::{Api, Sale, Wallet, World};
use crate::operator::Shop;

const PERMIT2: Address = address!("000000000022D473030F116dDEE9F6B43aC78BA3");

/// A sale whose sender has allowed Permit2, once for all, and nothing else.
pub(super) async fn sale_with_permit2(world: &World) -> Sale {
    let sale = world.sale_without_allowance().await;
    world.chain.allow_to(sale.sender.address, PERMIT2, U256::MAX).await;
    sale
}

#[tokio::test]
async fn one_signature_locks_where_permit2_is_allowed() {
    let world = World::shared().await;
    let sale = sale_with_permit2(&world).await;
    let offer = Offer::of(&world, &invoice("INV"), &sale, "5").await;
    assert!(offer.consent("permit2")["approval"].is_null(), "nothing is left to allow");
    offer.is_taken_up_without_a_transaction(offer.signed("permit2", &sale.sender)).await;
}

#[tokio::test]
async fn permit2_has_to_be_allowed_once() {
    let world = World::shared().await;
    let sale = world.sale_without_allowance().await;
    let offer = Offer::of(&world, &invoice("INV"), &sale, "5").await;
    let consent = offer.signed("permit2", &sale.sender);
    let refused = offer.create(consent.clone()).send().await;
    assert_eq!((refused.status, refused.code()), (500, "insufficient_allowance"), "{}", refused.body);

    // The payer sends what the offer says.
    let approval = &offer.consent("permit2")["approval"];
    let text = |field: &str| approval[field].as_str().expect("a text");
    let (token, input): (Address, Bytes) = (text("to").parse().unwrap(), text("data").parse().unwrap());
    assert_eq!(token, world.ready.token.address);
    world.chain.act_with(sale.sender.address, token, input).await;
    offer.create(consent).send().await.is(201);
    world.assert_paid(&sale, "0", "5").await;

    let next = Offer::of(&world, &invoice("INV"), &sale, "5").await;
    assert!(next.consent("permit2")["approval"].is_null());
    next.create(next.signed("permit2", &sale.sender)).send().await.is(201);
}

#[tokio::test]
async fn a_nonce_is_good_once() {
    let world = World::shared().await;
    let sale = sale_with_permit2(&world).await;
    let used = Offer::of(&world, &invoice("INV"), &sale, "5").await;
    used.create(used.signed("permit2", &sale.sender)).send().await.is(201);
    world.api.cancel(&used.invoice).await.is(200);

    // Any nonce will do that is part of what was signed, but for one that is used up.
    let offer = Offer::of(&world, &invoice("INV"), &sale, "5").await;
    let with_nonce = |nonce: B256| {
        let typed_data = &offer.consent("permit2")["typedData"];
        let number = U256::from_be_bytes(nonce.0).to_string();
        let signature = sale.sender.sign(&altered(typed_data, "nonce", json!(number)));
        offer.create(json!({ "type": "permit2", "nonce": nonce, "signature": signature }))
    };
    let again: B256 = used.consent("permit2")["nonce"].as_str().expect("a nonce").parse().expect("32 bytes");
    let message = "consent was used before, or withdrawn by the sender";
    offer.is_refused("a used nonce", with_nonce(again), "consent", message).await;
    with_nonce(B256::repeat_byte(0x5a)).send().await.is(201);
}

#[tokio::test]
async fn a_signature_over_anything_else_is_refused() {
    let world = World::shared().await;
    let sale = sale_with_permit2(&world).await;
    let stranger = Wallet::new();
    let offer = Offer::of(&world, &invoice("INV"), &sale, "5").await;
    let good = offer.signed("permit2", &sale.sender);
    let typed_data = &offer.consent("permit2")["typedData"];
    let with = |field: &str, value: Value| {
        let mut consent = good.clone();
        consent[field] = value;
        offer.create(consent)
    };
    let mut less = typed_data.clone();
    less["message"]["permitted"]["amount"] = json!("4999999");
    let mut other_terms = typed_data.clone();
    other_terms["message"]["witness"]["receiver"] = json!(stranger.address.to_string());
    let later = altered(typed_data, "deadline", json!("4102444800"));
    let tries = [
        ("a stranger", with("signature", json!(stranger.sign(typed_data)))),
        ("another amount", with("signature", json!(sale.sender.sign(&less)))),
        ("other terms", with("signature", json!(sale.sender.sign(&other_terms)))),
        ("another expiry", with("signature", json!(sale.sender.sign(&later)))),
        ("another nonce", with("nonce", json!(B256::repeat_byte(1)))),
        ("another receiver", offer.create(good.clone()).receiver(world.receiver().await)),
    ];
    for (what, creation) in tries {
        offer.is_refused(what, creation, "consent", NOT_SIGNED).await;
    }
    offer.is_taken_up(good).await;
}

#[tokio::test]
async fn where_permit2_is_not_there_is_no_such_consent() {
    let shop = Shop::open("").await;
    let kinds = async |api: &Api| api.get("/tokens").await.is(200).body["data"][0]["consents"].clone();
    let (daemon, api) = shop.serve().await;
    assert_eq!(kinds(&api).await, json!(["eip712"]));
    let terms = shop.create(&api, "INV").only_terms().send().await.is(200);
    assert_eq!(terms.body["consents"].as_array().map(Vec::len), Some(1), "{}", terms.body["consents"]);
    let consent = json!({ "type": "permit2", "nonce": B256::ZERO, "signature": "0x00" });
    let create = shop.create(&api, "INV").expires_at(terms.text("expiresAt")).field("consent", consent);
    create.send().await.refused(400, "consent of type permit2 is not supported for this token");
    drop(daemon);

    // An escrow knows one Permit2 for ever, or none: the next one is deployed where there is one.
    let artifact: Value =
        serde_json::from_str(include_str!("../../../contracts/artifacts/Permit2.json")).unwrap();
    let code: Bytes = artifact["deployedBytecode"].as_str().unwrap().parse().unwrap();
    shop.chain.set_code(PERMIT2, code).await;
    let deployed = shop.office.run(&["deploy", "--key-env", "ADMIN_SECRET", "--receiver-delay", "0"]).await;
    assert_eq!(deployed["permit2"], json!(PERMIT2));
    let (_daemon, api) = shop.serve().await;
    assert_eq!(kinds(&api).await, json!(["eip712", "permit2"]));
}
