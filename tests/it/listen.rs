//! What a developer has beside the daemon: events on the terminal and at his own system, any event on demand, and a clock.

use serde_json::{Value, json};

use crate::harness::process::Process;
use crate::harness::{Plan, Receiver, Reply, World, cli, until};

/// Commands run in the data folder, where a `dev` leaves it.
const HERE: [&str; 2] = ["--ready-file", "ready.json"];

/// Waits until it has said so many lines, and answers the last of them.
async fn until_said(running: &Process, lines: usize) -> Value {
    until(&format!("it has said {lines} lines"), || async {
        let said = running.printed();
        let line = said.lines().nth(lines - 1)?.to_owned();
        // The last one may be half there.
        serde_json::from_str(&line).ok()
    })
    .await
}

#[tokio::test]
async fn events_are_forwarded_as_the_webhooks_they_would_be() {
    let world = World::start(Plan::quick()).await;
    let receiver = Receiver::open().await;
    let sale = world.sale().await;
    let before = world.authorized(&sale, "1").await;
    let arguments = [
        "listen",
        "--json",
        "--forward-to",
        &receiver.url,
        "--url",
        &world.ready.url,
        "--key-env",
        "SHOP_KEY",
    ];
    let mut listen = cli::start(&world.house.data_dir(), &arguments, ("SHOP_KEY", &world.ready.api_key));
    let secret = until_said(&listen, 1).await["secret"].as_str().expect("a secret").to_owned();
    assert!(secret.starts_with("whsec_"));

    receiver.reply([Reply::Status(204), Reply::Status(500)]);
    let name = world.authorized(&sale, "2").await;
    let line = until_said(&listen, 2).await;
    let told = world.api.timeline(&name).await;
    assert_eq!(line["event"], told[0], "what happened before ({before}) is not told");
    assert_eq!(line["forwarded"]["status"], 204);
    let message = receiver.until_told("preauth.authorized", &name).await;
    assert_eq!((&message.body, message.id()), (&told[0], told[0]["id"].as_str().expect("an id")));
    assert!(message.is_signed_with(&secret));

    // What is refused is said, and not tried again.
    world.api.settle(&name, "2").await.is(200);
    let line = until_said(&listen, 3).await;
    assert_eq!(
        (&line["event"]["type"], &line["forwarded"]["status"]),
        (&"preauth.settled".into(), &500.into())
    );
    assert_eq!(receiver.got().len(), 2);
    assert!(listen.stop(), "it ends when it is asked to");
}

#[tokio::test]
async fn a_listener_waits_for_its_daemon_and_misses_nothing() {
    let mut world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let receiver = Receiver::open().await;
    let [flag, file] = HERE;
    let arguments = [
        "listen",
        "--json",
        "--events",
        "preauth.cancelled,preauth.settled",
        "--forward-to",
        receiver.url.trim_start_matches("http://"),
        "--secret-env",
        "HOOK_SECRET",
        flag,
        file,
    ];
    let listen = cli::start(&world.house.data_dir(), &arguments, ("HOOK_SECRET", secret));
    until_said(&listen, 1).await;
    let name = world.authorized(&sale, "1").await;

    // Before it has heard anything: it knows where the stream stood.
    world.kill_daemon().await;
    until("it says that nobody answers", || async { listen.said().contains("no daemon").then_some(()) })
        .await;
    world.restart().await;
    world.api.cancel(&name).await.is(200);
    let line = until_said(&listen, 2).await;
    assert_eq!(
        (&line["event"]["type"], &line["event"]["data"]["invoiceId"]),
        (&"preauth.cancelled".into(), &json!(name))
    );
    assert!(receiver.until_told("preauth.cancelled", &name).await.is_signed_with(secret));
    assert_eq!(receiver.got().len(), 1, "nothing else was asked for");
}

#[tokio::test]
async fn a_listener_says_what_is_wrong_with_its_wishes() {
    let world = World::shared().await;
    let refused = async |arguments: &[&str], words: &str| {
        let output = world.try_cli(arguments).await;
        assert!(!output.status.success(), "{arguments:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(words), "{arguments:?}: {said}");
    };
    refused(&["listen", "--events", "settled"], "preauth.settled").await;
    refused(&["listen", "--ready-file", "nowhere.json"], "preauthd dev").await;
    refused(&["listen", "--url", &world.ready.url, "--key-env", "NO_SUCH_KEY"], "NO_SUCH_KEY").await;
    refused(&["listen", "--forward-to", "ftp://shop.example"], "URL").await;
    refused(&["trigger", "preauth.paid"], "preauth.settled").await;
    refused(&["trigger", "preauth.settled", "--ready-file", "nowhere.json"], "preauthd dev").await;
    refused(&["dev", "clock", "yesterday"], "+1h").await;
}

#[tokio::test]
async fn the_clock_moves_as_far_as_it_is_told() {
    let world = World::start(Plan::quick()).await;
    let time = |shown: &Value| -> jiff::Timestamp {
        shown["timestamp"].as_str().expect("a time").parse().expect("a time")
    };
    let sale = world.sale().await;
    let name = world.authorized(&sale, "1").await;
    let before = world.cli(&[&["dev", "clock"], &HERE[..]].concat()).await;
    let after = world.cli(&[&["dev", "clock", "+1d1h"], &HERE[..]].concat()).await;
    let moved = time(&after).as_second() - time(&before).as_second();
    assert!((90_000..90_060).contains(&moved), "{moved} seconds");
    world.becomes(&name, "EXPIRED").await;
}
