//! A node that is sick in every way a proxy can think of: it costs time, and nothing else.

use serde_json::json;

use crate::harness::world::invoice;
use crate::harness::{Fault, Healing, Plan, Sale, World, until};

async fn world(block_time: &'static str) -> (World, Sale) {
    let world = World::start(Plan::on_node(block_time).through_proxy()).await;
    let sale = world.sale().await;
    (world, sale)
}

async fn settle_later(world: &World, name: &str, amount: &str) {
    let path = format!("/onchain-preauth/{name}/settle");
    world.api.post_async(&path, json!({ "amount": amount })).await.is(202);
}

/// Every way in which a node answers with nothing that is an answer.
fn sicknesses() -> [(&'static str, Fault); 6] {
    [
        ("a node that answers 429", Fault::Status(429)),
        ("a node that answers 503", Fault::Status(503)),
        ("a node that answers garbage", Fault::Garbage),
        ("a node that hangs up", Fault::Drop),
        ("a node that refuses everything", Fault::Refuse(-32005, "limit exceeded")),
        ("a node that is silent", Fault::Silence),
    ]
}

#[tokio::test]
async fn a_send_whose_answer_is_lost_was_sent() {
    let (world, sale) = world("0.2").await;
    let name = invoice("INV");
    let lost = world.proxy().on("eth_sendRawTransaction").times(1).fault(Fault::LoseAnswer);
    world.create(&name, &sale).amount("3").send().await.is(201);
    assert_eq!(lost.caught(), 1);
    let lost = world.proxy().on("eth_sendRawTransaction").times(1).fault(Fault::LoseAnswer);
    world.api.settle(&name, "2").await.is(200);
    assert_eq!(lost.caught(), 1);
    world.assert_paid(&sale, "2", "0").await;
    assert_eq!(world.effects(&name).await.locked, 1);
}

#[tokio::test]
async fn a_send_that_the_node_swallows_is_sent_again() {
    let (world, sale) = world("0.2").await;
    let name = invoice("INV");
    let swallowed = world.proxy().on("eth_sendRawTransaction").times(1).fault(Fault::Swallow);
    world.create(&name, &sale).amount("3").send().await.is(201);
    assert_eq!(swallowed.caught(), 1);
    world.assert_paid(&sale, "0", "3").await;
}

#[tokio::test]
async fn a_send_that_arrives_late_does_nothing_twice() {
    let (world, sale) = world("0.2").await;
    let name = invoice("INV");
    let held = world.proxy().on("eth_sendRawTransaction").times(1).fault(Fault::Hold);
    world.create(&name, &sale).amount("3").send().await.is(201);
    assert_eq!(held.caught(), 1);
    held.heal();
    world.api.settle(&name, "3").await.is(200);
    world.assert_paid(&sale, "3", "0").await;
    let effects = world.effects(&name).await;
    assert_eq!((effects.locked, effects.settled), (1, 1));
}

#[tokio::test]
async fn what_is_said_twice_is_done_once() {
    let (world, sale) = world("0.2").await;
    let _twice = world.proxy().on("").fault(Fault::Twice);
    let (kept, settled, cancelled) = (
        world.authorized(&sale, "1").await,
        world.authorized(&sale, "2").await,
        world.authorized(&sale, "4").await,
    );
    world.api.settle(&settled, "2").await.is(200);
    world.api.cancel(&cancelled).await.is(200);
    world.assert_paid(&sale, "2", "1").await;
    for name in [&kept, &settled, &cancelled] {
        let effects = world.effects(name).await;
        assert_eq!((effects.locked, effects.closed()), (1, u32::from(name != &kept)));
    }
}

#[tokio::test]
async fn a_node_that_is_sick_for_a_while_makes_nothing_fail() {
    let (world, sale) = world("0.2").await;
    for (name, sickness) in sicknesses() {
        let (settled, cancelled, locked) =
            (world.authorized(&sale, "2").await, world.authorized(&sale, "3").await, invoice("INV"));
        world.create(&locked, &sale).amount("1").respond_async().send().await.is(202);
        let sick = world.proxy().on("").fault(sickness);
        // What is promised while nobody knows whether the chain is still there is kept later.
        settle_later(&world, &settled, "2").await;
        world.api.post_async(&format!("/onchain-preauth/{cancelled}/cancel"), json!({})).await.is(202);
        until("the daemon notices", || async {
            (world.api.get("/health/ready").await.status == 503).then_some(())
        })
        .await;
        // A creation that cannot be checked did not happen.
        let refused = invoice("INV");
        let answer = world.create(&refused, &sale).amount("9").send().await;
        answer.refused(500, "Failed to check preapproval");
        assert_eq!(world.api.preauth(&refused).await.status, 404);
        sick.heal();
        let healing = Healing::of(name);

        world.becomes(&locked, "AUTHORIZED").await;
        world.becomes(&settled, "SETTLED").await;
        world.becomes(&cancelled, "CANCELLED").await;
        until("the daemon is fit again", || async {
            (world.api.get("/health/ready").await.status == 200).then_some(())
        })
        .await;
        healing.ends();
        world.create(&refused, &sale).amount("9").send().await.is(201);
        for name in [&settled, &cancelled] {
            let effects = world.effects(name).await;
            assert_eq!((effects.locked, effects.closed()), (1, 1));
        }
        world.api.cancel(&locked).await.is(200);
        world.api.cancel(&refused).await.is(200);
    }
    world.assert_paid(&sale, "12", "0").await;
}

#[tokio::test]
async fn a_node_that_is_sick_of_one_question_makes_nothing_fail() {
    let (world, sale) = world("0.2").await;
    let questions = [
        "eth_call",
        "eth_getTransactionCount",
        "eth_feeHistory",
        "eth_getBalance",
        "eth_sendRawTransaction",
        "eth_getBlockByNumber",
        "eth_getLogs",
        "eth_getTransactionReceipt",
    ];
    for question in questions {
        let name = world.authorized(&sale, "1").await;
        let sick = world.proxy().on(question).times(3).fault(Fault::Garbage);
        settle_later(&world, &name, "1").await;
        world.becomes(&name, "SETTLED").await;
        assert!(sick.caught() > 0, "{question} is asked");
        let effects = world.effects(&name).await;
        assert_eq!((effects.locked, effects.settled), (1, 1), "{question}");
    }
    world.assert_paid(&sale, "8", "0").await;
}

#[tokio::test]
async fn a_node_of_two_minds_about_its_head_makes_nothing_fail() {
    let (world, sale) = world("0.2").await;
    // What the parties were registered in is known to both heads.
    world.chain.mine_many(4).await;
    world.until_daemon_stands_at_the_head().await;
    let _flapping = world.proxy().on("").every(2).fault(Fault::Lag(2));
    let mut names = Vec::new();
    for _ in 0..6 {
        let name = invoice("INV");
        world.create(&name, &sale).amount("2").respond_async().send().await.is(202);
        names.push(name);
    }
    for name in &names {
        world.becomes(name, "AUTHORIZED").await;
        settle_later(&world, name, "1").await;
    }
    for name in &names {
        world.becomes(name, "SETTLED").await;
        let effects = world.effects(name).await;
        assert_eq!((effects.locked, effects.settled), (1, 1));
    }
    world.assert_paid(&sale, "6", "0").await;
    assert!(!world.log().contains("reorganized"), "an older head is no reorg");
}

#[tokio::test]
async fn a_chain_that_halts_delays_and_loses_nothing() {
    let (world, sale) = world("0.2").await;
    let (settled, expiring, locked) = (world.authorized(&sale, "2").await, invoice("INV"), invoice("INV"));
    let end = world.chain.in_seconds(600).await;
    world.create(&expiring, &sale).amount("5").expires_at(&end).send().await.is(201);
    world.chain.hold_still().await;
    world.until_daemon_stands_at_the_head().await;
    settle_later(&world, &settled, "2").await;
    world.chain.until_waiting(1).await;
    world.create(&locked, &sale).amount("1").respond_async().send().await.is(202);
    let asked = world.proxy().seen("eth_getBlockByNumber");
    until("the daemon has looked often", || async {
        (world.proxy().seen("eth_getBlockByNumber") > asked + 50).then_some(())
    })
    .await;
    assert_eq!(world.api.preauth(&settled).await.text("pendingOperation"), "settle");
    assert_eq!(world.api.preauth(&locked).await.text("status"), "PENDING");
    // It goes on much later.
    world.chain.pass(700).await;
    world.chain.mine_every(1).await;
    let healing = Healing::of("a chain that halted, blocks of 1 s");
    world.becomes(&settled, "SETTLED").await;
    world.becomes(&locked, "AUTHORIZED").await;
    world.becomes(&expiring, "EXPIRED").await;
    healing.ends();
    world.assert_paid(&sale, "2", "1").await;
}
