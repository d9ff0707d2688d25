//! kill -9 in the middle of everything. Whatever was promised exists, and nothing takes effect twice.

use std::time::Duration;

use futures::future::join_all;
use serde_json::json;

use crate::harness::patience::pause;
use crate::harness::world::invoice;
use crate::harness::{Healing, Plan, World};

/// Milliseconds from the first request to the blow: before, around and after a block.
const MOMENTS: [u64; 5] = [30, 200, 600, 1_100, 1_900];

/// What became of a request that the daemon may not have survived.
pub struct Asked {
    pub invoice: String,
    pub what: &'static str,
    pub answer: Option<u16>,
}

#[tokio::test]
async fn a_killed_daemon_finishes_what_it_promised() {
    let mut world = World::start(Plan::on_node("1")).await;
    for moment in MOMENTS {
        let sale = world.sale().await;
        let mut open = Vec::new();
        let made = (0..40).map(|_| world.authorized(&sale, "2"));
        open.extend(join_all(made).await);

        let storm = storm(&world, &sale, &open);
        let (asked, ()) = tokio::join!(storm, async {
            pause(moment).await;
            world.kill_daemon().await;
        });
        // While it is down, the chain goes on with what was sent.
        pause(300).await;
        let healing = Healing::of(format!("kill -9 over 80 operations, after {moment} ms"));
        world.restart().await;

        for asked in &asked {
            judge(&world, &format!("after {moment} ms"), asked).await;
        }
        healing.ends();
        world.assert_escrow_holds_what_is_open().await;
    }
    assert!(!world.log().contains("panic"), "no panic");
}

/// Creations, settlements and cancellations all at once: 80 operations.
async fn storm(world: &World, sale: &crate::harness::Sale, open: &[String]) -> Vec<Asked> {
    let creations = (0..40).map(|_| {
        let name = invoice("INV");
        let body = world.create(&name, sale).amount("3").body();
        async move {
            let answer = world.api.try_post("/onchain-preauth", body).await;
            Asked { invoice: name, what: "create", answer: answer.map(|(status, _)| status) }
        }
    });
    let closings = open.iter().enumerate().map(|(index, name)| async move {
        let (what, body) =
            if index % 2 == 0 { ("settle", json!({ "amount": "1" })) } else { ("cancel", json!({})) };
        let answer = world.api.try_post(&format!("/onchain-preauth/{name}/{what}"), body).await;
        Asked { invoice: name.clone(), what, answer: answer.map(|(status, _)| status) }
    });
    let all = async { tokio::join!(join_all(creations), join_all(closings)) };
    let (created, closed) =
        tokio::time::timeout(Duration::from_secs(60), all).await.expect("every request ends");
    created.into_iter().chain(closed).collect()
}

/// Whether everything became what its caller was told, once, and as the chain says.
pub async fn judge(world: &World, when: &str, asked: &Asked) {
    let Asked { invoice, what, answer } = asked;
    let told = format!("killed {when}, {what} of {invoice} answered {answer:?}");
    let shown = world.api.preauth(invoice).await;
    if shown.status == 404 {
        assert_eq!((*what, *answer), ("create", None), "{told}: what was answered exists");
        return;
    }
    world.until_settled_down(invoice).await;
    let shown = world.api.preauth(invoice).await.is(200);
    let status = shown.text("status");
    let effects = world.effects(invoice).await;
    assert!(effects.locked <= 1 && effects.closed() <= 1, "{told}: nothing takes effect twice: {effects:?}");
    assert_eq!(
        status,
        world.chain.status_of(world.preauth_id(invoice).await).await,
        "{told}: as the chain says"
    );
    match (*what, *answer) {
        ("create", Some(201)) => assert_eq!(status, "AUTHORIZED", "{told}"),
        ("settle", Some(200)) => assert_eq!(status, "SETTLED", "{told}"),
        ("cancel", Some(200)) => assert_eq!(status, "CANCELLED", "{told}"),
        ("create", Some(202) | None) => assert_eq!(status, "AUTHORIZED", "{told}"),
        // The blow came before or after the request was stored; both are an honest end.
        ("settle", Some(202) | None) => {
            assert!(matches!(status, "SETTLED" | "AUTHORIZED"), "{told}: {status}")
        }
        ("cancel", Some(202) | None) => {
            assert!(matches!(status, "CANCELLED" | "AUTHORIZED"), "{told}: {status}")
        }
        other => panic!("{told}: {other:?} {}", shown.body),
    }
}

#[tokio::test]
async fn a_daemon_that_is_killed_again_and_again_gets_there() {
    let mut world = World::start(Plan::on_node("1")).await;
    let sale = world.sale().await;
    let mut names = Vec::new();
    for _ in 0..30 {
        let name = invoice("INV");
        world.create(&name, &sale).amount("1").respond_async().send().await.is(202);
        names.push(name);
    }
    for moment in [0, 80, 250] {
        world.kill_daemon().await;
        world.restart().await;
        pause(moment).await;
    }
    for name in &names {
        world.becomes(name, "AUTHORIZED").await;
        assert_eq!(world.effects(name).await.locked, 1);
    }
    world.assert_paid(&sale, "0", "30").await;
}

#[tokio::test]
async fn a_goodbye_is_quick_and_loses_nothing() {
    let mut world = World::start(Plan::on_node("1")).await;
    let sale = world.sale().await;
    let name = invoice("INV");
    world.create(&name, &sale).amount("5").respond_async().send().await.is(202);
    assert!(world.stop_daemon().await, "SIGTERM is obeyed");
    world.restart().await;
    world.becomes(&name, "AUTHORIZED").await;
    world.assert_paid(&sale, "0", "5").await;
}

#[tokio::test]
async fn whoever_waits_is_answered_before_the_daemon_stops() {
    let mut world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    let settling = world.authorized(&sale, "9").await;
    world.chain.hold_still().await;
    let names: Vec<String> = (0..10).map(|_| invoice("INV")).collect();
    let waiting: Vec<_> = names
        .iter()
        .map(|name| {
            let (api, body) = (world.api.clone(), world.create(name, &sale).amount("1").body());
            tokio::spawn(async move { api.try_post("/onchain-preauth", body).await })
        })
        .collect();
    let settlement = {
        let (api, path) = (world.api.clone(), format!("/onchain-preauth/{settling}/settle"));
        tokio::spawn(async move { api.try_post(&path, json!({ "amount": "9" })).await })
    };
    world.chain.until_waiting(1).await;
    for name in &names {
        world.until_known(name).await;
    }
    assert!(world.stop_daemon().await, "SIGTERM is obeyed");
    for request in waiting {
        let (status, body) = request.await.expect("a task").expect("an answer before the end");
        assert_eq!((status, &body["status"]), (202, &json!("PENDING")), "{body}");
    }
    let (status, body) = settlement.await.expect("a task").expect("an answer before the end");
    assert_eq!((status, &body["status"]), (202, &json!("AUTHORIZED")), "{body}");

    world.restart_on_a_moving_chain().await;
    for name in &names {
        world.becomes(name, "AUTHORIZED").await;
    }
    world.becomes(&settling, "SETTLED").await;
    world.assert_paid(&sale, "9", "10").await;
}
