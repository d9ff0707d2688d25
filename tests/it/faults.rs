//! What goes wrong with an operator key: no gas money, fees beyond the cap, a stranger who uses it. Each shows in
//! `/health/ready`, in a metric and in one line of the log, and is over without a restart when its cause is.

use alloy::primitives::Address;

use crate::harness::chain::Token;
use crate::harness::world::invoice;
use crate::harness::{Api, Healing, Plan, World, until};
use crate::operator::{Shop, status};

const GWEI: u128 = 1_000_000_000;

async fn assert_trouble(api: &Api, part: &str, is_there: bool) {
    let gauge = format!("preauthd_trouble{{part=\"{part}\"}}");
    assert_eq!(api.metric(&gauge).await, Some(if is_there { 1.0 } else { 0.0 }), "{gauge}");
}

fn told(log: &str, words: &str) -> usize {
    log.lines().filter(|line| line.contains("not ready") && line.contains(words)).count()
}

#[tokio::test]
async fn an_operator_without_gas_money_loses_nothing() {
    let world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    let name = invoice("INV");
    let operator = world.chain.operators().await[0];
    let part = format!("lane {operator}");
    world.chain.set_gas_money(operator, 0).await;
    world.create(&name, &sale).amount("10").respond_async().send().await.is(202);
    world.api.until_it_says(&format!("{part}: the key {operator} cannot pay for its gas")).await;
    assert_trouble(&world.api, &part, true).await;
    assert_eq!(world.api.preauth(&name).await.text("status"), "PENDING");
    world.chain.mine_many(5).await;
    world.chain.set_gas_money(operator, 10u128.pow(20)).await;
    let healing = Healing::of("a key without gas money");
    world.becomes(&name, "AUTHORIZED").await;
    world.api.until_ready().await;
    healing.ends();
    assert_eq!(world.effects(&name).await.locked, 1);
    world.assert_paid(&sale, "0", "10").await;
    assert_trouble(&world.api, &part, false).await;
    assert_eq!(told(&world.log(), "cannot pay for its gas"), 1, "it is said once");
}

#[tokio::test]
async fn fees_beyond_the_cap_are_waited_out() {
    let shop = Shop::open("max_fee_gwei = 10\nreplace_after_s = 1").await;
    let (mut daemon, api) = shop.serve().await;
    let name = invoice("INV");
    shop.chain.hold_still().await;
    shop.chain.spike_base_fee(40 * GWEI).await;
    shop.create(&api, &name).respond_async().send().await.is(202);
    let words = "higher fees are beyond the cap or the balance";
    api.until_it_says(words).await;
    let part = waiting_part(&api, words).await;
    assert_trouble(&api, &part, true).await;
    assert_eq!(status(&api, &name).await, "PENDING");
    assert_eq!(told(&daemon.said(), words), 1, "it is said once");

    // Empty blocks bring the fee down.
    shop.chain.mine_many(40).await;
    shop.chain.mine_every(1).await;
    let healing = Healing::of("fees beyond the cap, blocks of 1 s");
    until("the lock lands", || async { (status(&api, &name).await == "AUTHORIZED").then_some(()) }).await;
    api.until_ready().await;
    healing.ends();
    assert_trouble(&api, &part, false).await;
    for operator in shop.operators {
        assert!(shop.chain.sent_by(operator).await <= 1, "one transaction, however often it was sent");
    }
    assert!(daemon.stop());
}

/// The part of the daemon that speaks these words.
async fn waiting_part(api: &Api, words: &str) -> String {
    let ready = api.get("/health/ready").await;
    let errors = ready.body["errors"].as_array().expect("errors");
    let details = errors.iter().filter_map(|error| error["detail"].as_str());
    let named =
        details.filter_map(|detail| detail.split_once(": ")).find(|(_, trouble)| trouble.contains(words));
    named.expect("a part that says so").0.to_owned()
}

#[tokio::test]
async fn a_stranger_with_the_operator_key_cannot_stop_a_batch_and_is_spoken_of() {
    let world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    let name = invoice("INV");
    let operator = world.chain.operators().await[0];
    world.chain.hold_still().await;
    world.create(&name, &sale).amount("10").respond_async().send().await.is(202);
    world.chain.until_waiting(1).await;
    world.chain.forget_all().await;
    // The stranger takes the nonce that the batch was signed for.
    let call = || Token::approveCall { spender: Address::repeat_byte(9), amount: Default::default() };
    world.chain.overtake(operator, world.ready.token.address, call()).await;
    // Deeper than any reorganisation that is followed.
    world.chain.mine_many(80).await;
    world.chain.mine_every(1).await;
    let healing = Healing::of("a stranger who took the nonce, blocks of 1 s");
    world.becomes(&name, "AUTHORIZED").await;
    healing.ends();
    assert_eq!(world.effects(&name).await.locked, 1);
    world.assert_paid(&sale, "0", "10").await;
    world.api.settle(&name, "10").await.is(200);

    // Who holds the key as well is not forgotten with the next batch.
    let part = format!("key {operator}");
    let words = format!("{part}: somebody else uses this operator key");
    world.api.until_it_says(&words).await;
    assert_trouble(&world.api, &part, true).await;
    assert_eq!(world.api.metric("preauthd_foreign_nonces_total").await, Some(1.0));
    assert_eq!(told(&world.log(), "somebody else uses this operator key"), 1, "it is said once");

    // A nonce that nothing of ours was signed for is noticed with the next batch.
    world.chain.act(operator, world.ready.token.address, call()).await;
    world.authorized(&sale, "1").await;
    world.authorized(&sale, "1").await;
    world.api.until_it_says(&words).await;
    assert_eq!(world.api.metric("preauthd_foreign_nonces_total").await, Some(2.0));
    assert_eq!(told(&world.log(), "somebody else uses this operator key"), 2, "and said once more");
}
