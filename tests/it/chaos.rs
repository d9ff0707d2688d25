//! Everything at once, in an order that a seed decides: requests, kills, reorgs, lost transactions, a silent node. In
//! the end the daemon and the chain agree on every preauthorization.
//!
//! `PREAUTHD_CHAOS_SEED` chooses or repeats a run, `PREAUTHD_CHAOS_ROUNDS` makes it longer.

use std::collections::BTreeMap;

use futures::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::Signal;
use serde_json::json;

use crate::harness::chain::rfc3339;
use crate::harness::patience::pause;
use crate::harness::world::invoice;
use crate::harness::{Plan, Sale, World};

/// The ordinary run takes the same road every time; others are for those who look for trouble.
const ORDINARY_SEED: u64 = 1;
const ROUNDS: u32 = 12;
const REQUESTS_PER_ROUND: usize = 25;

/// A number from the environment.
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[tokio::test]
async fn whatever_happens_the_daemon_ends_in_the_state_the_chain_says() {
    let seed = setting("PREAUTHD_CHAOS_SEED").unwrap_or(ORDINARY_SEED);
    let rounds =
        setting("PREAUTHD_CHAOS_ROUNDS").map_or(ROUNDS, |rounds| u32::try_from(rounds).expect("rounds"));
    println!("PREAUTHD_CHAOS_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);

    let mut world = World::start(Plan::on_node("1")).await;
    let sale = world.sale().await;
    // No reorganisation shall reach the ground everything stands on.
    world.chain.mine_many(8).await;
    world.until_daemon_stands_at_the_head().await;
    // What was asked for, and the amount of each.
    let mut asked: BTreeMap<String, u32> = BTreeMap::new();
    for round in 0..rounds {
        let now = world.chain.now().await;
        let requests = requests(&mut random, &world, &sale, now, &mut asked);
        let trouble = random.random_range(0..8);
        let delay = random.random_range(0..1_500);
        println!("round {round}: trouble {trouble} after {delay} ms");
        let node = world.house.node.as_ref().expect("a node of our own");
        let ((), ()) = tokio::join!(send(&world, requests), async {
            pause(delay).await;
            match trouble {
                0 | 1 => world.kill_daemon().await,
                2 | 3 => world.chain.reorg(random.random_range(1..=3)).await,
                4 => world.chain.drop_pool().await,
                5 => {
                    node.process.signal(Signal::STOP);
                    pause(400).await;
                    node.process.signal(Signal::CONT);
                }
                6 => world.chain.pass(200).await,
                _ => {}
            }
        });
        if trouble < 2 {
            world.restart().await;
        }
    }

    for (name, amount) in &asked {
        if world.api.preauth(name).await.status == 404 {
            assert_eq!(
                world.chain.locks_of(amount).await,
                0,
                "seed {seed}: {name} was never promised and never locked"
            );
            continue;
        }
        world.until_settled_down(name).await;
    }
    // The chain is left alone from here on, so what is at rest stays so, unless its time comes in this moment.
    let mut tally: BTreeMap<String, u32> = BTreeMap::new();
    for name in asked.keys() {
        let shown = world.api.preauth(name).await;
        if shown.status == 404 {
            continue;
        }
        let id = shown.text("preauthId").parse().expect("32 bytes");
        let (status, truth, effects) =
            (shown.text("status"), world.chain.status_of(id).await, world.chain.effects(id).await);
        *tally.entry(status.to_owned()).or_default() += 1;
        let agreed = status == truth || (truth == "NONE" && matches!(status, "REJECTED" | "CANCELLED"));
        assert!(
            agreed,
            "seed {seed}: {name} is {status} to the daemon and {truth} to the chain: {}",
            shown.body
        );
        assert!(effects.locked <= 1 && effects.closed() <= 1, "seed {seed}: {name}: {effects:?}");
    }
    println!("{tally:?}");
    assert!(
        tally.contains_key("SETTLED") && tally.contains_key("CANCELLED"),
        "seed {seed}: the run was about something"
    );
    world.assert_escrow_holds_what_is_open().await;
    assert!(!world.log().contains("panic"), "seed {seed}: no panic");
}

/// A path and a body.
type Request = (String, serde_json::Value);

fn requests(
    random: &mut StdRng,
    world: &World,
    sale: &Sale,
    now: u64,
    asked: &mut BTreeMap<String, u32>,
) -> Vec<Request> {
    let known: Vec<String> = asked.keys().cloned().collect();
    let request = |_| {
        let which = random.random_range(0..10);
        if which < 5 || known.is_empty() {
            let name = invoice("INV");
            // An amount of its own tells the lock of each from those of all others.
            let amount = 1_000 + u32::try_from(asked.len()).expect("a small number");
            let text = format!("0.{amount:06}");
            let in_seconds = |seconds: u64| rfc3339(i64::try_from(now + seconds).expect("a time"));
            let mut create = world.create(&name, sale).amount(&text);
            match random.random_range(0..6) {
                0 | 1 => create = create.expires_at(&in_seconds(random.random_range(70..500))),
                2 => create = create.settle_at(&in_seconds(random.random_range(20..300))),
                _ => {}
            }
            let body = create.body();
            asked.insert(name, amount);
            return ("/onchain-preauth".to_owned(), body);
        }
        let name = &known[random.random_range(0..known.len())];
        match which {
            5..=7 => (format!("/onchain-preauth/{name}/settle"), json!({ "amount": "0.0005" })),
            _ => (format!("/onchain-preauth/{name}/cancel"), json!({})),
        }
    };
    (0..REQUESTS_PER_ROUND).map(request).collect()
}

/// Sends everything and does not mind answers that do not come; half of the callers are in a hurry.
async fn send(world: &World, requests: Vec<Request>) {
    let requests = requests.into_iter().map(|(path, body)| async move {
        let answer = world.api.try_post(&path, body).await;
        if let Some((status, body)) = answer {
            let honest = matches!(status, 200 | 201 | 202 | 400 | 404 | 409 | 500 | 503);
            assert!(honest, "{path} answered {status}: {body}");
            assert_ne!(body["errors"][0]["code"], "internal_error", "{path} answered {body}");
        }
    });
    join_all(requests).await;
}
