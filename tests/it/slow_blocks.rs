//! A chain that is slower than its callers are patient. Whoever gave up waiting was told nothing; whoever asks again is told
//! that it is under way, or what came of it. Never that it failed, when it lands later.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::world::invoice;
use crate::harness::{Api, Plan, Sale, World};

const AT_ONCE: usize = 6;
/// How long a merchant's system waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a caller who waits no longer than this is told; `None`: nothing in time.
async fn impatiently(api: &Api, path: &str, body: &Value) -> Option<(u16, Value)> {
    tokio::time::timeout(PATIENCE, api.try_post(path, body.clone())).await.ok().flatten()
}

/// An answer that says it did not and will not happen.
fn says_failed((status, body): &(u16, Value)) -> bool {
    let is_accepted = (200..300).contains(status);
    let is_under_way = *status == 409 && !body.to_string().to_lowercase().contains("fail");
    !is_accepted && !is_under_way
}

fn creation(world: &World, sale: &Sale, name: &str) -> Value {
    json!({
        "invoiceId": name, "amount": "1", "sender": sale.sender.address, "receiver": sale.receiver,
        "contractAddress": world.ready.token.address,
    })
}

#[tokio::test]
async fn under_slow_blocks_and_a_halt_nobody_is_told_of_a_failure_that_lands() {
    let world = World::start(Plan::on_node("12")).await;
    let sale = world.sale().await;
    let names: Vec<String> = (0..AT_ONCE).map(|_| invoice("INV")).collect();
    let mut told = Vec::new();

    // Blocks of twelve seconds: some are answered in time, some are not.
    let create = |name: &String| {
        let body = creation(&world, &sale, name);
        let world = &world;
        async move { impatiently(&world.api, "/onchain-preauth", &body).await }
    };
    told.extend(join_all(names.iter().map(create)).await);
    // The chain stands still: nobody is answered in time, and some were not before.
    world.chain.hold_still().await;
    told.extend(join_all(names.iter().map(create)).await);
    let late: Vec<String> = (0..AT_ONCE).map(|_| invoice("LATE")).collect();
    let unanswered = join_all(late.iter().map(create)).await;
    assert!(unanswered.iter().all(Option::is_none), "a block came although there was none: {unanswered:?}");
    told.extend(join_all(late.iter().map(create)).await);

    world.chain.mine_every(1).await;
    for name in names.iter().chain(&late) {
        world.becomes(name, "AUTHORIZED").await;
    }
    world.chain.hold_still().await;
    let settle = |name: &String| {
        let path = format!("/onchain-preauth/{name}/settle");
        let world = &world;
        async move { impatiently(&world.api, &path, &json!({ "amount": "1" })).await }
    };
    told.extend(join_all(names.iter().map(settle)).await);
    told.extend(join_all(names.iter().map(settle)).await);
    world.chain.mine_every(1).await;
    for name in &names {
        world.becomes(name, "SETTLED").await;
    }

    let failures: Vec<_> = told.iter().flatten().filter(|answer| says_failed(answer)).collect();
    assert!(failures.is_empty(), "everything landed, and some were told that it had failed: {failures:?}");
    for name in &late {
        let effects = world.effects(name).await;
        assert_eq!((effects.locked, effects.settled), (1, 0));
    }
    for name in &names {
        let effects = world.effects(name).await;
        assert_eq!((effects.locked, effects.settled), (1, 1), "asked twice, done once");
    }
}
