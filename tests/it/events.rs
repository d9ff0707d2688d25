//! What merchants are told of what happened: in an invoice's timeline, in the feed, in the stream.

use serde_json::Value;

use crate::harness::world::invoice;
use crate::harness::{Plan, World, until};

#[tokio::test]
async fn a_timeline_tells_a_whole_life() {
    let world = World::shared().await;
    let sale = world.sale().await;
    let name = world.authorized(&sale, "10").await;
    world.api.settle(&name, "7.5").await.is(200);
    let told = world.api.timeline(&name).await;
    let [authorized, settled] = told.as_slice() else { panic!("{told:#?}") };
    assert_eq!(
        (&authorized["type"], &settled["type"]),
        (&"preauth.authorized".into(), &"preauth.settled".into())
    );
    assert_eq!((&authorized["data"]["sequence"], &settled["data"]["sequence"]), (&1.into(), &2.into()));
    // What it was then, not what it is now.
    assert_eq!(authorized["data"]["status"], "AUTHORIZED");
    assert!(authorized["data"]["settledAmount"].is_null() && authorized["data"]["transactionHash"].is_null());
    assert_eq!(settled["data"]["settledAmount"], "7.5");

    // The last event says what GET says.
    let mut last = settled["data"].clone();
    let shown = world.api.preauth(&name).await.is(200).body;
    let extra = last.as_object_mut().expect("an object");
    assert!(extra.remove("sequence").is_some() && extra.remove("previousStatus").is_some());
    extra.insert("updatedAt".into(), shown["updatedAt"].clone());
    assert_eq!(last, shown);

    // In pages, too.
    let path = format!("/onchain-preauth/{name}/events");
    let first = world.api.get(&format!("{path}?limit=1")).await.is(200);
    assert_eq!((&first.body["data"][0], &first.body["hasMore"]), (authorized, &true.into()));
    let second = world.api.get(&format!("{path}?cursor={}", first.text("nextCursor"))).await.is(200);
    assert_eq!((&second.body["data"][0], &second.body["hasMore"]), (settled, &false.into()));
    world.api.get("/onchain-preauth/INV-NONE/events").await.refused(404, "Preauthorization not found");
}

#[tokio::test]
async fn every_ending_is_told() {
    let world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    let (cancelled, expired) = (world.authorized(&sale, "1").await, invoice("INV"));
    let end = world.chain.in_seconds(600).await;
    world.create(&expired, &sale).amount("1").expires_at(&end).send().await.is(201);
    world.api.cancel(&cancelled).await.is(200);
    assert_eq!(world.api.history(&cancelled).await, ["authorized", "cancelled"]);
    until("it is announced to expire", || async {
        (world.api.history(&expired).await == ["authorized", "expiring"]).then_some(())
    })
    .await;
    world.advance(601).await;
    world.becomes(&expired, "EXPIRED").await;
    assert_eq!(world.api.history(&expired).await, ["authorized", "expiring", "expired"]);
}

#[tokio::test]
async fn a_feed_is_followed_without_missing_or_repeating_anything() {
    let world = World::shared().await;
    let tenant = world.tenant().await;
    let sale = world.sale_of(&tenant).await;
    let empty = tenant.api.get("/events").await.is(200);
    assert!(empty.body["nextCursor"].is_null() && empty.body["hasMore"] == false, "{}", empty.body);

    let mut names = Vec::new();
    for _ in 0..3 {
        let name = invoice("INV");
        world.create_by(&tenant.api, &name, &sale).amount("1").send().await.is(201);
        names.push(name);
    }
    let (mut cursor, mut seen) = (String::new(), Vec::new());
    loop {
        let page = tenant.api.get(&format!("/events?limit=1{cursor}")).await.is(200);
        let data = page.body["data"].as_array().expect("a list");
        seen.extend(data.iter().map(|event| event["data"]["invoiceId"].as_str().expect("a name").to_owned()));
        cursor = format!("&cursor={}", page.text("nextCursor"));
        if page.body["hasMore"] == false {
            break;
        }
    }
    assert_eq!(seen, names);

    // The same cursor goes on with what happens later.
    tenant.api.settle(&names[0], "1").await.is(200);
    let page = tenant.api.get(&format!("/events?limit=5{cursor}")).await.is(200);
    assert_eq!(page.body["data"].as_array().expect("a list").len(), 1);
    assert_eq!(page.body["data"][0]["type"], "preauth.settled");
    let settled = tenant.api.get("/events?kind=preauth.settled").await.is(200);
    assert_eq!(settled.body["data"].as_array().expect("a list").len(), 1);

    // A cursor that has seen everything moves on although nothing fits.
    let none = tenant.api.get("/events?kind=preauth.reorged").await.is(200);
    assert_eq!(none.text("nextCursor"), settled.text("nextCursor"));

    for query in ["kind=settled", "cursor=none", "limit=0", "since=now"] {
        assert_eq!(tenant.api.get(&format!("/events?{query}")).await.status, 400, "{query}");
    }
    // Nobody else sees any of it.
    let path = format!("/onchain-preauth/{}/events", names[0]);
    world.api.get(&path).await.refused(404, "Preauthorization not found");
    assert_eq!(world.api.get(&format!("/events?limit=5{cursor}")).await.status, 400, "another's cursor");
    let other = world.api.get("/events?limit=100").await.is(200).body.to_string();
    assert!(names.iter().all(|name| !other.contains(name.as_str())));
    world.api.with_key("").get("/events").await.denied(401);
}

/// Reads a stream of events.
struct Listening {
    response: reqwest::Response,
    text: String,
}

impl Listening {
    /// The next event: its id, its type, its data. `None`: the stream has ended.
    async fn next(&mut self) -> Option<(String, String, Value)> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let line = block.lines().find_map(|line| line.strip_prefix(name));
                    line.map(|value| value.trim_start().to_owned())
                };
                let event = field("data:").map(|data| {
                    let data = serde_json::from_str(&data).expect("JSON");
                    (field("id:").expect("an id"), field("event:").expect("a type"), data)
                });
                self.text = rest.to_owned();
                if event.is_some() {
                    return event;
                }
                continue;
            }
            let chunk = tokio::time::timeout(std::time::Duration::from_secs(60), self.response.chunk());
            let chunk = chunk.await.expect("something in time").expect("a whole stream")?;
            self.text.push_str(std::str::from_utf8(&chunk).expect("text"));
        }
    }
}

#[tokio::test]
async fn a_stream_tells_at_once_and_goes_on_where_it_was_left() {
    let world = World::start(Plan::quick()).await;
    let sale = world.sale().await;
    let before = world.authorized(&sale, "1").await;
    let listen = async |last: Option<&str>| {
        let response = world.api.stream("/events/stream", last).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Listening { response, text: String::new() }
    };
    let mut stream = listen(None).await;
    let name = world.authorized(&sale, "2").await;
    let (first, kind, event) = stream.next().await.expect("an event");
    assert_eq!((kind.as_str(), &event["data"]["invoiceId"]), ("preauth.authorized", &name.as_str().into()));
    assert_eq!(event, world.api.timeline(&name).await[0], "what happened before {before} is not told");
    drop(stream);

    world.api.settle(&name, "2").await.is(200);
    let mut stream = listen(Some(&first)).await;
    let (_, kind, event) = stream.next().await.expect("an event");
    assert_eq!((kind.as_str(), &event["data"]["status"]), ("preauth.settled", &"SETTLED".into()));
    assert_eq!(world.api.stream("/events/stream", Some("none")).await.status(), 400);

    // A stream does not keep the daemon from stopping, and ends in order.
    assert!(world.stop_daemon().await);
    assert!(stream.next().await.is_none());
}
