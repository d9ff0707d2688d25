//! Merchants' systems are told of events, and believe it: each webhook is verified by the public libraries.

use alloy::primitives::U256;
use serde_json::{Value, json};

use crate::harness::chain::Token;
use crate::harness::receiver::Hook;
use crate::harness::world::invoice;
use crate::harness::{Api, Plan, Receiver, Reply, World, until};

/// No pauses between attempts.
const AT_ONCE: &[&str] = &["--webhook-retries", "0,0,0"];

/// The deliveries of an endpoint, newest first.
async fn deliveries(api: &Api, hook: &Hook) -> Vec<Value> {
    let path = format!("{}/deliveries?limit=100", hook.path());
    api.get(&path).await.is(200).body["data"].as_array().expect("a list").clone()
}

/// Waits until the newest delivery is in a state.
async fn until_newest_is(api: &Api, hook: &Hook, state: &str) -> Value {
    until(&format!("the newest delivery is {state}"), || async {
        deliveries(api, hook).await.into_iter().next().filter(|newest| newest["state"] == state)
    })
    .await
}

#[tokio::test]
async fn every_kind_is_delivered_and_verified() {
    let world = World::start(Plan::on_node("0.2")).await;
    let receiver = Receiver::open().await;
    let hook = receiver.listen(&world.api).await;
    assert!(hook.secret.starts_with("whsec_"));
    let sale = world.sale().await;

    // Settled, cancelled.
    let settled = world.authorized(&sale, "3").await;
    world.api.settle(&settled, "2").await.is(200);
    let cancelled = world.authorized(&sale, "1").await;
    world.api.cancel(&cancelled).await.is(200);

    // A settlement that fails on chain.
    let (moody, token) = world.sale_in_moody_token().await;
    let unpaid = invoice("INV");
    world.create(&unpaid, &moody).token(token).amount("10").send().await.is(201);
    world.chain.hold_still().await;
    let settling = {
        let (api, name) = (world.api.clone(), unpaid.clone());
        tokio::spawn(async move { api.settle(&name, "7").await })
    };
    world.chain.until_waiting(1).await;
    let block = Token::blockCall { account: moody.receiver, isBlocked: true };
    world.chain.overtake(moody.receiver, token, block).await;
    world.chain.mine_every(1).await;
    settling.await.expect("an answer").refused(500, "Settlement failed");

    // A lock that fails on chain, and that a reorg lets land after all.
    let fickle = world.sale().await;
    let rejected = invoice("INV");
    world.until_daemon_stands_at_the_head().await;
    world.chain.hold_still().await;
    world.create(&rejected, &fickle).amount("10").respond_async().send().await.is(202);
    world.chain.until_waiting(1).await;
    world.chain.overtake_with_approval(fickle.sender.address, U256::ZERO).await;
    world.becomes(&rejected, "REJECTED").await;
    world.until_daemon_stands_at_the_head().await;
    world.chain.reorg(1).await;
    world.chain.mine_every(1).await;
    world.becomes(&rejected, "CANCELLED").await;

    // Announced to expire, and expired.
    let expired = invoice("INV");
    let end = world.chain.in_seconds(600).await;
    world.create(&expired, &sale).amount("1").expires_at(&end).send().await.is(201);
    receiver.until_told("preauth.expiring", &expired).await;
    world.advance(601).await;
    world.becomes(&expired, "EXPIRED").await;

    for (name, kinds) in [
        (&settled, vec!["authorized", "settled"]),
        (&cancelled, vec!["authorized", "cancelled"]),
        (&unpaid, vec!["authorized", "settlement_failed"]),
        (&rejected, vec!["rejected", "authorized", "cancelled"]),
        (&expired, vec!["authorized", "expiring", "expired"]),
    ] {
        assert_eq!(&world.api.history(name).await, &kinds, "{name}");
        for event in world.api.timeline(name).await {
            let kind = event["type"].as_str().expect("a type");
            let message = receiver.until_told(kind, name).await;
            assert_eq!(message.body, event, "the webhook says what the timeline says");
            assert_eq!(message.id(), event["id"]);
            assert!(message.is_signed_with(&hook.secret), "{kind} of {name}");
        }
    }
    let failed = receiver.until_told("preauth.settlement_failed", &unpaid).await;
    assert!(failed.body["data"]["failure"].is_string(), "{}", failed.body);
    let ids: Vec<_> = receiver.got().iter().map(|message| message.id().to_owned()).collect();
    let different: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(different.len(), ids.len(), "each was sent once");
}

#[tokio::test]
async fn a_reorg_is_told_and_then_what_comes_of_it() {
    let world = World::start(Plan::on_node("0.2")).await;
    let receiver = Receiver::open().await;
    let hook = receiver.listen(&world.api).await;
    let sale = world.sale().await;
    let name = world.authorized(&sale, "10").await;
    world.chain.hold_still().await;
    let settle = async {
        world.chain.until_waiting(1).await;
        world.chain.mine().await;
    };
    let (settled, ()) = tokio::join!(world.api.settle(&name, "7"), settle);
    settled.is(200);
    world.until_daemon_stands_at_the_head().await;
    world.chain.reorg(1).await;
    let undone = receiver.until_told("preauth.reorged", &name).await;
    assert!(undone.is_signed_with(&hook.secret));
    let data = &undone.body["data"];
    assert_eq!((&data["previousStatus"], &data["status"]), (&"SETTLED".into(), &"AUTHORIZED".into()));
    assert_eq!(data["pendingOperation"], "settle", "it is being made again");
    assert!(data["settledAmount"].is_null() && data["transactionHash"].is_null(), "{data}");
    world.chain.mine_every(1).await;
    world.becomes(&name, "SETTLED").await;
    assert_eq!(world.api.history(&name).await, ["authorized", "settled", "reorged", "settled"]);
    let last = until("the new settlement is told", || async {
        receiver.got().into_iter().find(|message| message.body["data"]["sequence"] == 4)
    })
    .await;
    assert_eq!(last.body["data"]["settledAmount"], "7");
}

#[tokio::test]
async fn what_is_refused_is_tried_again_under_the_same_id() {
    let world = World::start(Plan::quick().told(AT_ONCE)).await;
    let receiver = Receiver::open().await;
    let hook = receiver.listen_with(&world.api, json!({ "events": ["preauth.authorized"] })).await;
    receiver.reply([Reply::Status(500), Reply::With(503, "retry-after", "1".into())]);
    let sale = world.sale().await;
    let name = world.authorized(&sale, "1").await;
    world.api.settle(&name, "1").await.is(200);
    let got = receiver.until_got(3).await;
    assert!(got.iter().all(|message| message.id() == got[0].id() && message.raw == got[0].raw));
    assert!(got.iter().all(|message| message.is_signed_with(&hook.secret)));
    let newest = until_newest_is(&world.api, &hook, "delivered").await;
    let statuses: Vec<_> =
        newest["attempts"].as_array().expect("attempts").iter().map(|one| &one["status"]).collect();
    assert_eq!(statuses, [204, 503, 500]);
    assert_eq!(newest["attempts"][2]["response"], "thanks");
    assert_eq!(deliveries(&world.api, &hook).await.len(), 1, "the settlement is not what it listens to");
    let shown = world.api.get(&hook.path()).await.is(200);
    assert!(shown.body["failingSince"].is_null() && !shown.body.to_string().contains(&hook.secret));

    // And given up, when it has failed as often as it is tried.
    receiver.reply([Reply::Status(500), Reply::Status(404), Reply::Status(301)]);
    world.authorized(&sale, "1").await;
    let newest = until_newest_is(&world.api, &hook, "failed").await;
    assert_eq!(newest["attempts"].as_array().expect("attempts").len(), 3);
    assert!(newest["nextAttemptAt"].is_null());
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_left_alone() {
    let world = World::shared().await;
    let tenant = world.tenant().await;
    let sale = world.sale_of(&tenant).await;
    let receiver = Receiver::open().await;
    let hook = receiver.listen(&tenant.api).await;
    receiver.reply([Reply::Status(410)]);
    let buy = async || {
        let name = invoice("INV");
        world.create_by(&tenant.api, &name, &sale).amount("1").send().await.is(201);
        name
    };
    buy().await;
    let shown = until("it is disabled", || async {
        let shown = tenant.api.get(&hook.path()).await.is(200);
        shown.body["disabled"].is_string().then_some(shown)
    })
    .await;
    assert!(shown.text("disabled").contains("410"));
    let missed = buy().await;
    let again = json!({ "since": "2020-01-01T00:00:00Z" });
    let resend = format!("{}/resend", hook.path());
    tenant.api.post(&resend, again.clone()).await.refused(409, "The webhook is disabled");

    // Enabled again it is told of what happens then, and of the rest when it asks.
    tenant.api.patch(&hook.path(), json!({ "disabled": false })).await.is(200);
    let heard = buy().await;
    receiver.until_told("preauth.authorized", &heard).await;
    assert!(receiver.got().iter().all(|message| message.body["data"]["invoiceId"] != missed.as_str()));
    let answer = tenant.api.post(&resend, again).await.is(202);
    assert_eq!(answer.body["count"], 3);
    receiver.until_told("preauth.authorized", &missed).await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let world = World::start(Plan::quick().told(AT_ONCE)).await;
    let (receiver, elsewhere) = (Receiver::open().await, Receiver::open().await);
    let hook = receiver.listen(&world.api).await;
    let lead = || Reply::With(307, "location", elsewhere.url.clone());
    receiver.reply([lead(), lead(), lead()]);
    let sale = world.sale().await;
    world.authorized(&sale, "1").await;
    let newest = until_newest_is(&world.api, &hook, "failed").await;
    let error = newest["attempts"][0]["error"].as_str().expect("an error");
    assert!(error.contains("redirects are not followed"), "{error}");
    assert!(elsewhere.got().is_empty());
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_keeps_no_other_waiting() {
    let world = World::start(Plan::quick()).await;
    let (dead, alive) = (Receiver::open().await, Receiver::open().await);
    dead.listen(&world.api).await;
    alive.listen(&world.api).await;
    dead.reply((0..100).map(|_| Reply::Never));
    let sale = world.sale().await;
    let started = tokio::time::Instant::now();
    for _ in 0..12 {
        world.authorized(&sale, "1").await;
    }
    alive.until_got(12).await;
    assert!(started.elapsed() < std::time::Duration::from_secs(14), "before the first had run out of time");
    assert!(!dead.got().is_empty());
}

#[tokio::test]
async fn private_addresses_are_refused_unless_allowed() {
    let world = World::start(Plan::quick().told(&["--public-webhooks", "--webhook-retries", "0"])).await;
    let receiver = Receiver::open().await;
    for url in [&receiver.url, "https://127.0.0.1/", "https://[::1]/", "https://169.254.169.254/latest"] {
        let refused = world.api.post("/webhooks", json!({ "url": url })).await;
        assert_eq!(refused.envelope(400)["field"], "url", "{url}");
    }
    // A name is judged when it is resolved.
    let port = receiver.url.rsplit(':').next().expect("a port");
    let url = format!("https://localhost:{port}");
    let made = world.api.post("/webhooks", json!({ "url": url })).await.is(201);
    let hook = Hook { id: made.text("id").to_owned(), secret: String::new(), body: Value::Null };
    let sale = world.sale().await;
    world.authorized(&sale, "1").await;
    let newest = until_newest_is(&world.api, &hook, "failed").await;
    let error = newest["attempts"][0]["error"].as_str().expect("an error");
    assert!(error.contains("the name leads to no public address"), "{error}");
    assert!(receiver.got().is_empty());
}

#[tokio::test]
async fn what_was_sent_is_sent_again_on_request() {
    let world = World::shared().await;
    let tenant = world.tenant().await;
    let sale = world.sale_of(&tenant).await;
    let receiver = Receiver::open().await;
    let hook = receiver.listen(&tenant.api).await;
    let name = invoice("INV");
    world.create_by(&tenant.api, &name, &sale).amount("1").send().await.is(201);
    tenant.api.settle(&name, "1").await.is(200);
    let first = receiver.until_got(2).await;
    until("both are noted", || async {
        deliveries(&tenant.api, &hook).await.iter().all(|one| one["state"] == "delivered").then_some(())
    })
    .await;

    let resend = format!("{}/resend", hook.path());
    let one = json!({ "eventId": first[0].id() });
    assert_eq!(tenant.api.post(&resend, one).await.is(202).body["count"], 1);
    let got = receiver.until_got(3).await;
    assert_eq!((got[2].id(), &got[2].raw), (first[0].id(), &first[0].raw));

    // The operator's way.
    let again =
        world.cli(&["webhook", "resend", &tenant.name, &hook.id, "--since", "2020-01-01T00:00:00Z"]).await;
    assert_eq!(again["count"], 2);
    receiver.until_got(5).await;
    let listed = world.cli(&["webhook", "deliveries", &tenant.name, &hook.id]).await;
    assert_eq!(listed.as_array().expect("a list").len(), 2);

    tenant.api.post(&resend, json!({ "eventId": uuid::Uuid::nil() })).await.refused(404, "Event not found");
    for body in [
        json!({}),
        json!({ "eventId": "x" }),
        json!({ "since": "now" }),
        json!({ "until": "2030-01-01T00:00:00Z" }),
    ] {
        assert_eq!(tenant.api.post(&resend, body.clone()).await.status, 400, "{body}");
    }

    // Another's endpoint is nobody's.
    for (answer, what) in [
        (world.api.get(&hook.path()).await, "look"),
        (world.api.get(&format!("{}/deliveries", hook.path())).await, "look into"),
        (world.api.patch(&hook.path(), json!({ "disabled": true })).await, "change"),
        (world.api.post(&format!("{}/rotate", hook.path()), json!({})).await, "rotate"),
        (world.api.post(&resend, json!({ "eventId": first[0].id() })).await, "resend"),
        (world.api.delete(&hook.path()).await, "remove"),
    ] {
        assert_eq!((answer.status, answer.code()), (404, "webhook_not_found"), "{what}");
    }
    let reader = tenant.api.with_key(&world.key(&tenant.name, &["read"]).await);
    reader.get(&hook.path()).await.is(200);
    reader.delete(&hook.path()).await.denied(403);
    tenant.api.delete(&hook.path()).await.is(204);
    tenant.api.get(&hook.path()).await.refused(404, "Webhook not found");
}

#[tokio::test]
async fn the_operator_looks_after_the_endpoints_of_a_tenant() {
    let world = World::shared().await;
    let tenant = world.tenant().await;
    let sale = world.sale_of(&tenant).await;
    let receiver = Receiver::open().await;
    let name = &tenant.name;
    let made =
        world.cli(&["webhook", "add", name, "https://shop.example/hook", "--event", "preauth.settled"]).await;
    let id = made["id"].as_str().expect("an id").to_owned();
    let secret = made["secret"].as_str().expect("a secret").to_owned();
    let shown = tenant.api.get(&format!("/webhooks/{id}")).await.is(200);
    assert_eq!(
        (&shown.body["events"], shown.text("url")),
        (&json!(["preauth.settled"]), "https://shop.example/hook")
    );
    tenant.api.patch(&format!("/webhooks/{id}"), json!({ "url": receiver.url })).await.is(200);

    world.cli(&["webhook", "disable", name, &id]).await;
    assert!(tenant.api.get(&format!("/webhooks/{id}")).await.is(200).body["disabled"].is_string());
    world.cli(&["webhook", "enable", name, &id]).await;
    let invoice = invoice("INV");
    world.create_by(&tenant.api, &invoice, &sale).amount("1").send().await.is(201);
    tenant.api.settle(&invoice, "1").await.is(200);
    let message = receiver.until_told("preauth.settled", &invoice).await;
    assert!(message.is_signed_with(&secret));

    let rotated = world.cli(&["webhook", "rotate", name, &id]).await;
    assert_ne!(rotated["secret"], secret.as_str());
    let listed = world.cli(&["webhook", "list", name]).await;
    assert_eq!(listed[0]["id"], id.as_str());
    assert!(!listed.to_string().contains("whsec_"));
    world.cli(&["webhook", "remove", name, &id]).await;
    assert_eq!(world.cli(&["webhook", "list", name]).await, json!([]));
}

#[tokio::test]
async fn a_daemon_killed_between_commit_and_webhook_sends_it_after_its_restart() {
    // Written down, and not yet due: whatever the daemon knows of it is in its database.
    let mut world = World::start(Plan::on_node("0.2").told(&["--webhook-retries", "3,0,0"])).await;
    let receiver = Receiver::open().await;
    receiver.listen(&world.api).await;
    let sale = world.sale().await;
    let name = world.authorized(&sale, "1").await;
    world.kill_daemon().await;
    assert!(receiver.got().is_empty(), "the blow falls before it is sent");
    world.restart().await;
    let message = receiver.until_told("preauth.authorized", &name).await;
    assert_eq!(message.id(), world.api.timeline(&name).await[0]["id"]);
}

#[tokio::test]
async fn a_daemon_killed_over_an_answer_sends_once_more_under_the_same_id() {
    let mut world = World::start(Plan::on_node("0.2").told(AT_ONCE)).await;
    let receiver = Receiver::open().await;
    let hook = receiver.listen(&world.api).await;
    receiver.reply([Reply::Blow(world.deadly())]);
    let sale = world.sale().await;
    let name = invoice("INV");
    let body = world.create(&name, &sale).amount("1").body();
    let (_, _) = tokio::join!(world.api.try_post("/onchain-preauth", body), receiver.until_got(1));
    world.restart().await;
    let got = receiver.until_got(2).await;
    assert_eq!(got[0].id(), got[1].id());
    assert_eq!(world.api.history(&name).await, ["authorized"], "it is written once");
    until_newest_is(&world.api, &hook, "delivered").await;
}
