//! Requests under an `Idempotency-Key`: done once, and answered truthfully, whatever happens in between.

use alloy::primitives::U256;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::proxy::{Setting, Trap};
use crate::harness::world::invoice;
use crate::harness::{Answer, Fault, Plan, Proxy, Sale, World};

/// The path of a creation.
const CREATE: &str = "/onchain-preauth";

/// A creation's body.
fn creation(world: &World, sale: &Sale, name: &str, amount: &str) -> Value {
    world.create(name, sale).amount(amount).body()
}

fn settle(name: &str) -> String {
    format!("/onchain-preauth/{name}/settle")
}

fn cancel(name: &str) -> String {
    format!("/onchain-preauth/{name}/cancel")
}

#[track_caller]
fn assert_replay(first: &Answer, again: &Answer) {
    assert_eq!((first.status, &first.body), (again.status, &again.body));
    assert!(again.is_replayed() && !first.is_replayed());
    assert_eq!(first.headers.get("location"), again.headers.get("location"));
}

#[tokio::test]
async fn every_verb_is_done_once_and_answered_alike() {
    let world = World::shared().await;
    let sale = world.sale().await;
    let (key, name) = (invoice("key"), invoice("INV"));
    let body = creation(&world, &sale, &name, "5");
    let created = world.api.post_under(&key, CREATE, body.clone()).await.is(201);
    assert_replay(&created, &world.api.post_under(&key, CREATE, body.clone()).await);

    let settled = world.api.post_under(&key, &settle(&name), json!({ "amount": "3" })).await.is(200);
    assert_replay(&settled, &world.api.post_under(&key, &settle(&name), json!({ "amount": "3" })).await);
    // What was answered then is answered still, although it is settled by now.
    assert_replay(&created, &world.api.post_under(&key, CREATE, body).await);

    let other = world.authorized(&sale, "2").await;
    let cancelled = world.api.post_under(&key, &cancel(&other), json!({})).await.is(200);
    assert_replay(&cancelled, &world.api.post_under(&key, &cancel(&other), json!({})).await);

    let effects = world.effects(&name).await;
    assert_eq!((effects.locked, effects.closed()), (1, 1));
    world.assert_paid(&sale, "3", "0").await;
}

#[tokio::test]
async fn another_request_under_the_key_names_what_differs() {
    let world = World::shared().await;
    let sale = world.sale().await;
    let (key, name) = (invoice("key"), invoice("INV"));
    world.api.post_under(&key, CREATE, creation(&world, &sale, &name, "5")).await.is(201);
    let answer = world.api.post_under(&key, CREATE, creation(&world, &sale, &name, "6")).await;
    answer.refused(422, "Idempotency-Key was used for another request: amount differs");
    world.api.post_under(&key, &settle(&name), json!({ "amount": "5" })).await.is(200);
    let other = world.authorized(&sale, "5").await;
    let answer = world.api.post_under(&key, &settle(&other), json!({ "amount": "5" })).await;
    answer.refused(422, "Idempotency-Key was used for another request: invoiceId differs");
    assert_eq!(world.api.preauth(&other).await.is(200).text("status"), "AUTHORIZED");
}

#[tokio::test]
async fn sixty_four_at_once_lock_once() {
    let world = World::shared().await;
    let sale = world.sale().await;
    let (key, name) = (invoice("key"), invoice("INV"));
    let body = creation(&world, &sale, &name, "5");
    let answers = join_all((0..64).map(|_| world.api.repeat_under(&key, CREATE, body.clone()))).await;
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (201, &answers[0].body), "{}", answer.body);
    }
    assert_eq!(answers.iter().filter(|answer| !answer.is_replayed()).count(), 1);
    assert_eq!(world.effects(&name).await.locked, 1);
    world.assert_paid(&sale, "0", "5").await;
}

#[tokio::test]
async fn while_it_waits_for_the_chain_it_is_running() {
    let world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    let (key, name) = (invoice("key"), invoice("INV"));
    let body = creation(&world, &sale, &name, "5");
    world.chain.hold_still().await;
    let (first, ()) = tokio::join!(world.api.post_under(&key, CREATE, body.clone()), async {
        world.chain.until_waiting(1).await;
        let again = world.api.post_under(&key, CREATE, body.clone()).await;
        assert_eq!(
            (again.envelope(409)["code"].as_str(), &again.headers["retry-after"]),
            (Some("idempotency_key_in_use"), &"1".parse().expect("a header"))
        );
        world.chain.mine_every(1).await;
    });
    first.is(201);
}

#[tokio::test]
async fn a_repetition_of_what_is_still_to_come_tells_what_came() {
    let world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    let (key, name) = (invoice("key"), invoice("INV"));
    let body = creation(&world, &sale, &name, "5");
    world.chain.hold_still().await;
    let at_once =
        [("content-type", "application/json"), ("idempotency-key", &key), ("prefer", "respond-async")];
    let bytes = body.to_string().into_bytes();
    let post = || world.api.send(reqwest::Method::POST, CREATE, &at_once, bytes.clone());
    let accepted = post().await.is(202);
    assert_eq!((accepted.text("status"), accepted.is_replayed()), ("PENDING", false));
    let again = post().await.is(202);
    assert_eq!((again.text("status"), again.is_replayed()), ("PENDING", true));
    world.chain.mine_every(1).await;
    // Without the preference it waits, as the first could have.
    let outcome = world.api.post_under(&key, CREATE, body.clone()).await.is(201);
    assert_eq!((outcome.text("status"), outcome.is_replayed()), ("AUTHORIZED", true));
    let kept = post().await.is(201);
    assert_eq!(kept.body, outcome.body);
    assert_eq!(world.effects(&name).await.locked, 1);

    let scheduled = json!({ "amount": "5", "settleAt": world.chain.in_seconds(3_600).await });
    let first = world.api.post_under(&key, &settle(&name), scheduled.clone()).await.is(202);
    world.api.withdraw_settlement(&name).await.is(200);
    assert_replay(&first, &world.api.post_under(&key, &settle(&name), scheduled).await);
    assert!(world.api.preauth(&name).await.is(200).body["scheduledSettlement"].is_null());
}

#[tokio::test]
async fn a_lock_that_failed_is_told_again_and_a_refusal_leaves_the_key_free() {
    let world = World::start(Plan::on_node("0.2").through_proxy()).await;
    let sale = world.sale().await;
    let (key, name) = (invoice("key"), invoice("INV"));
    let body = creation(&world, &sale, &name, "5");
    world.chain.approve(sale.sender.address, U256::ZERO).await;
    world.api.post_under(&key, CREATE, body.clone()).await.refused(500, "Insufficient Allowance");
    world.api.preauth(&name).await.is(404);

    world.chain.approve(sale.sender.address, U256::MAX).await;
    let held = world.proxy().on("eth_sendRawTransaction").times(1).fault(Fault::Hold);
    let (failed, ()) = tokio::join!(world.api.post_under(&key, CREATE, body.clone()), async {
        held.until_caught(1).await;
        world.chain.approve(sale.sender.address, U256::ZERO).await;
        held.heal();
    });
    assert_eq!(failed.envelope(500)["code"], "lock_failed");
    world.chain.approve(sale.sender.address, U256::MAX).await;
    assert_replay(&failed, &world.api.post_under(&key, CREATE, body).await);
    assert_eq!(world.effects(&name).await.locked, 0);
}

type Request = fn(&Proxy) -> Setting<'_>;
type Strike = fn(std::sync::Arc<dyn Fn() + Send + Sync>) -> Fault;

fn before(world: &World, request: Request) -> Trap {
    strike(world, request, Fault::StrikeBefore)
}

fn after(world: &World, request: Request) -> Trap {
    strike(world, request, Fault::StrikeAfter)
}

fn strike(world: &World, request: Request, strike: Strike) -> Trap {
    request(world.proxy()).times(1).fault(strike(world.deadly()))
}

/// A place at which the daemon dies, by its name.
type Place = (&'static str, fn(&World) -> Trap);

/// From the operation that waits to be signed to the block that carries it out.
const PLACES: [Place; 4] = [
    ("signed, before the send", |world| before(world, |proxy| proxy.on("eth_sendRawTransaction"))),
    ("sent, before the answer", |world| after(world, |proxy| proxy.on("eth_sendRawTransaction"))),
    ("mined, before it is taken in", |world| after(world, |proxy| proxy.on("eth_getTransactionReceipt"))),
    ("nonce read, before it is signed", |world| after(world, |proxy| proxy.on("eth_getTransactionCount"))),
];

/// Asks under a key, loses the daemon at a place, and asks again once it is back: twice, to see the answer kept.
async fn ask_over_a_crash(
    world: &mut World,
    trap: fn(&World) -> Trap,
    key: &str,
    path: &str,
    body: &Value,
) -> Answer {
    world.until_daemon_stands_at_the_head().await;
    let trap = trap(world);
    let header = ("idempotency-key", key);
    let (lost, ()) = tokio::join!(world.api.try_post_with(path, body.clone(), header), trap.until_caught(1));
    assert_eq!(lost, None, "the daemon died before it answered");
    drop(trap);
    world.kill_daemon().await;
    world.restart().await;
    let answer = world.api.post_under(key, path, body.clone()).await;
    let again = world.api.post_under(key, path, body.clone()).await;
    assert_eq!((answer.status, &answer.body, true), (again.status, &again.body, again.is_replayed()));
    answer
}

#[tokio::test]
async fn a_creation_that_a_crash_cut_short_is_finished_by_its_repetition() {
    let mut world = World::start(Plan::on_node("0.2").through_proxy()).await;
    let sale = world.sale().await;
    let nothing_stored: Place =
        ("before its row is written", |world| after(world, |proxy| proxy.on("eth_call")));
    for (place, trap) in PLACES.into_iter().chain([nothing_stored]) {
        let (key, name) = (invoice("key"), invoice("INV"));
        let body = creation(&world, &sale, &name, "2");
        let answer = ask_over_a_crash(&mut world, trap, &key, CREATE, &body).await.is(201);
        assert_eq!(
            (answer.text("status"), answer.text("invoiceId")),
            ("AUTHORIZED", name.as_str()),
            "{place}"
        );
        assert_eq!(answer.is_replayed(), place != nothing_stored.0, "{place}");
        assert_eq!(world.effects(&name).await.locked, 1, "{place}");
    }
    world.assert_paid(&sale, "0", "10").await;
}

#[tokio::test]
async fn a_settlement_that_a_crash_cut_short_is_told_by_its_repetition() {
    let mut world = World::start(Plan::on_node("0.2").through_proxy()).await;
    let sale = world.sale().await;
    for (place, trap) in PLACES {
        let (key, name) = (invoice("key"), world.authorized(&sale, "2").await);
        let body = json!({ "amount": "1" });
        let answer = ask_over_a_crash(&mut world, trap, &key, &settle(&name), &body).await.is(200);
        assert_eq!((answer.text("status"), answer.is_replayed()), ("SETTLED", true), "{place}");
        assert_eq!(world.effects(&name).await.closed(), 1, "{place}");
        // Without the key it would be one settlement too many.
        world.api.settle(&name, "1").await.refused(409, "Invalid settlement state: SETTLED");
    }
    world.assert_paid(&sale, "4", "0").await;
}

#[tokio::test]
async fn a_cancellation_that_a_crash_cut_short_is_told_by_its_repetition() {
    let mut world = World::start(Plan::on_node("0.2").through_proxy()).await;
    let sale = world.sale().await;
    for (place, trap) in PLACES {
        let (key, name) = (invoice("key"), world.authorized(&sale, "2").await);
        let answer = ask_over_a_crash(&mut world, trap, &key, &cancel(&name), &json!({})).await.is(200);
        assert_eq!((answer.text("status"), answer.is_replayed()), ("CANCELLED", true), "{place}");
        assert_eq!(world.effects(&name).await.closed(), 1, "{place}");
    }
    world.assert_paid(&sale, "0", "0").await;
}
