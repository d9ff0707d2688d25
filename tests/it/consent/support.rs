//! Which kinds of consent there are for a token: what was seen to work, not what a token claims.

use alloy::primitives::Address;
use alloy::providers::Provider;
use serde_json::{Value, json};

use super::erc2612::NO_PERMIT;
use super::{NOT_SIGNED, Offer, deploy_fiat_token, sale_in, terms};
use crate::harness::world::invoice;
use crate::harness::{Plan, Sale, World, units, until};
use crate::storage::change;

alloy::sol!(FallbackToken, "contracts/artifacts/FallbackToken.json");

/// The kinds of a token, as `GET /tokens` shows them.
async fn shown_kinds(world: &World, token: Address) -> Value {
    let tokens = world.api.get("/tokens").await.is(200);
    let listed = tokens.body["data"].as_array().expect("tokens");
    let shown = listed.iter().find(|shown| shown["contractAddress"] == token.to_string());
    shown.unwrap_or_else(|| panic!("{token} is not among {}", tokens.body))["consents"].clone()
}

async fn offered_kinds(world: &World, sale: &Sale, token: Address) -> Vec<String> {
    let ask = world.create(&invoice("INV"), sale).token(token).amount("5").only_terms();
    let terms = ask.send().await.is(200);
    let consents = terms.body["consents"].as_array().expect("the ways to consent");
    consents.iter().map(|consent| consent["type"].as_str().expect("a type").to_owned()).collect()
}

async fn assert_not_supported(world: &World, sale: &Sale, token: Address, consent: Value) {
    let kind = consent["type"].as_str().expect("a type").to_owned();
    let name = invoice("INV");
    let expires_at = world.chain.in_seconds(3_600).await;
    let create = world.create(&name, sale).token(token).amount("5").expires_at(&expires_at);
    let answer = create.field("consent", consent).send().await;
    assert_eq!((answer.status, answer.code()), (400, "consent_not_supported"), "{}", answer.body);
    answer.refused(400, &format!("consent of type {kind} is not supported for this token"));
    assert_eq!(answer.body["errors"][0]["field"], "consent.type");
    world.api.preauth(&name).await.envelope(404);
}

#[tokio::test]
async fn a_token_that_takes_no_signatures_says_so() {
    let world = World::start(Plan::on_node("0.2")).await;
    let plain = world.chain.deploy_moody_token().await;
    // Whoever calls any method of it is told nothing, and that it went well.
    let swallowing = world.chain.deploy(FallbackToken::BYTECODE.clone()).await;
    for token in [plain, swallowing] {
        let sale = sale_in(&world, token).await;
        assert_eq!(offered_kinds(&world, &sale, token).await, ["eip712", "permit2"]);
        assert_eq!(shown_kinds(&world, token).await, json!(["eip712", "permit2"]));
        let signature = format!("0x{}", "11".repeat(65));
        let permit = json!({ "type": "erc2612", "signature": signature, "permitSignature": signature });
        assert_not_supported(&world, &sale, token, permit).await;
        assert_not_supported(&world, &sale, token, json!({ "type": "erc3009", "signature": signature }))
            .await;
    }
}

#[tokio::test]
async fn a_token_that_is_upgraded_is_asked_again() {
    let world = World::start(Plan::on_node("0.2")).await;
    let token = deploy_fiat_token(&world, "2").await;
    let sale = sale_in(&world, token).await;
    let offer = || Offer::in_token(token, &world, "INV", &sale, "5");
    let all = ["eip712", "erc2612", "erc3009", "permit2"];
    assert_eq!(shown_kinds(&world, token).await, json!(all));
    let before = offer().await;
    assert_eq!(before.kinds(), all);
    assert_eq!(before.consent("erc3009")["typedData"]["domain"]["version"], "2");
    let old = ["erc2612", "erc3009"].map(|kind| before.signed(kind, &sale.sender));

    // Its domain has another version now: what was signed in the old one is worth nothing, what is offered now is.
    upgrade(&world, token, deploy_fiat_token(&world, "3").await).await;
    let [permit, authorization] = old;
    before.create(permit).send().await.refused(400, NO_PERMIT);
    before.create(authorization).send().await.refused(400, NOT_SIGNED);
    let after = offer().await;
    assert_eq!(after.consent("erc3009")["typedData"]["domain"]["version"], "3");
    after.create(after.signed("erc2612", &sale.sender)).send().await.is(201);
    let other = Offer::in_token(token, &world, &invoice("INV"), &sale, "5").await;
    other.create(other.signed("erc3009", &sale.sender)).send().await.is(201);
    assert_eq!(world.chain.balance_of(token, world.ready.escrow).await, units("10"));
}

/// Gives a token the code of another, as a proxy's upgrade does.
async fn upgrade(world: &World, token: Address, implementation: Address) {
    let code = world.chain.provider.get_code_at(implementation).await.expect("code");
    world.chain.set_code(token, code).await;
}

#[tokio::test]
async fn a_daemon_that_does_not_know_a_token_yet_asks_it() {
    let mut world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale_without_allowance().await;
    let all = json!(["eip712", "erc2612", "erc3009", "permit2"]);
    let token = world.ready.token.address;

    // As in a database of an older version. The daemon is running: whoever needs to know finds out.
    change(&world, "UPDATE tokens SET signing = NULL").await;
    assert_eq!(shown_kinds(&world, token).await, json!(["eip712", "permit2"]));
    terms(&world, &invoice("INV"), &sale, "5").await;
    assert_eq!(shown_kinds(&world, token).await, all);

    // And at its start it asks by itself.
    change(&world, "UPDATE tokens SET signing = NULL").await;
    world.restart().await;
    until("the token was asked", || async { (shown_kinds(&world, token).await == all).then_some(()) }).await;
    let offer = Offer::of(&world, &invoice("INV"), &sale, "5").await;
    offer.is_taken_up(offer.signed("erc3009", &sale.sender)).await;
}
