//! A merchant's day by commands alone: what the API does, a command does, in tables for people and in JSON for scripts.

use serde_json::Value;

use crate::harness::world::invoice;
use crate::harness::{Plan, World};

/// A command in the tenant's name, at the daemon of the story.
async fn ask(world: &World, arguments: &[&str]) -> Value {
    let ready_file = world.house.folder().join("ready.json");
    let ready_file = ready_file.to_str().expect("UTF-8").to_owned();
    world.cli(&[arguments, &["--ready-file", &ready_file]].concat()).await
}

/// What people see of it.
async fn say(world: &World, arguments: &[&str]) -> String {
    let ready_file = world.house.folder().join("ready.json");
    let ready_file = ready_file.to_str().expect("UTF-8").to_owned();
    let output = world.try_cli(&[arguments, &["--ready-file", &ready_file]].concat()).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn a_sale_is_made_by_commands() {
    let world = World::shared().await;
    let sale = world.sale().await;
    let (sender, receiver) = (sale.sender.address.to_string(), sale.receiver.to_string());
    let token = world.ready.token.address.to_string();
    let wish = |name: &str| {
        let wish = ["--sender", &sender, "--receiver", &receiver, "--amount", "10", "--token", &token];
        [vec![name.to_owned()], wish.map(str::to_owned).to_vec()].concat()
    };
    let with = |words: &[&str], wish: &[String]| -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).chain(wish.iter().cloned()).collect()
    };
    // A name that must be escaped in a path.
    let name = format!("{} of Zoë & co", invoice("INV"));
    let create = with(&["preauth", "create"], &wish(&name));
    let create: Vec<&str> = create.iter().map(String::as_str).collect();
    let key = name.replace([' ', 'ë', '&'], "-");
    let keyed = [&create[..], &["--idempotency-key", &key]].concat();
    let made = ask(&world, &keyed).await;
    assert_eq!((made["status"].as_str(), made["invoiceId"].as_str()), (Some("AUTHORIZED"), Some(&*name)));
    assert_eq!(ask(&world, &keyed).await, made, "repeated, it is done once");

    let terms = with(&["preauth", "terms"], &wish(&invoice("INV")));
    let terms: Vec<&str> = terms.iter().map(String::as_str).collect();
    assert!(!ask(&world, &terms).await["consents"].as_array().expect("consents").is_empty());

    let later = jiff::Timestamp::from_second(i64::try_from(world.chain.now().await).expect("a time") + 3_600);
    let later = later.expect("a time").to_string();
    let settled = ask(&world, &["preauth", "settle", &name, "4", "--settle-at", &later]).await;
    assert_eq!(settled["scheduledSettlement"]["amount"], "4");
    assert_eq!(ask(&world, &["preauth", "withdraw", &name]).await["scheduledSettlement"], Value::Null);
    assert_eq!(ask(&world, &["preauth", "settle", &name, "4"]).await["status"], "SETTLED");
    world.assert_paid(&sale, "4", "0").await;

    let shown = say(&world, &["preauth", "show", &name]).await;
    assert!(shown.lines().any(|line| line.split_whitespace().eq(["settledAmount", "4"])), "{shown}");
    let listed = say(&world, &["preauth", "list", "--sender", &sender, "--status", "SETTLED"]).await;
    assert!(listed.starts_with("INVOICE") && listed.contains(&name), "{listed}");
    let told = ask(&world, &["events", &name]).await;
    let kinds: Vec<_> = told["data"].as_array().expect("events").iter().map(|event| &event["type"]).collect();
    assert_eq!(kinds, ["preauth.authorized", "preauth.settled"]);
    assert!(say(&world, &["events", "--kind", "preauth.settled", "--limit", "1"]).await.starts_with("WHEN"));
    assert!(say(&world, &["claims"]).await.starts_with("INVOICE"));

    let other = invoice("INV");
    let create = with(&["preauth", "create"], &wish(&other));
    let create: Vec<&str> = create.iter().map(String::as_str).collect();
    ask(&world, &create).await;
    assert_eq!(ask(&world, &["preauth", "cancel", &other]).await["status"], "CANCELLED");
}

#[tokio::test]
async fn a_link_is_made_and_withdrawn_by_commands() {
    let world = World::shared().await;
    let receiver = world.receiver().await.to_string();
    let (name, token) = (invoice("INV"), world.ready.token.address.to_string());
    let wish = ["--receiver", &receiver, "--amount", "10", "--token", &token, "--description", "Two nights"];
    let made = ask(&world, &[&["pay-link", "create", &name], &wish[..]].concat()).await;
    assert!(made["url"].as_str().expect("a URL").contains("/pay/"));
    assert_eq!(ask(&world, &["pay-link", "show", &name]).await["state"], "open");
    assert_eq!(ask(&world, &["pay-link", "withdraw", &name]).await["state"], "withdrawn");
}

#[tokio::test]
async fn a_refusal_is_told_in_the_daemons_words() {
    let world = World::shared().await;
    let ready_file = world.house.folder().join("ready.json");
    let ready_file = ready_file.to_str().expect("UTF-8").to_owned();
    let refused = world.try_cli(&["preauth", "show", "INV-NONE", "--ready-file", &ready_file]).await;
    assert!(!refused.status.success() && refused.stdout.is_empty());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("404") && said.contains("Preauthorization not found"), "{said}");
}

#[tokio::test]
async fn the_exit_code_says_whether_a_daemon_is_ready() {
    let world = World::start(Plan::on_node("0.2")).await;
    let url = world.ready.url.clone();
    assert_eq!(world.cli(&["status", "--url", &url]).await["status"], "ready");
    let node = world.house.node.as_ref().expect("a node of our own");
    node.process.signal(rustix::process::Signal::STOP);
    world.api.until_it_says("chain").await;
    let ill = world.try_cli(&["status", "--url", &url]).await;
    assert_eq!(ill.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&ill.stdout).contains("chain: "));
    node.process.signal(rustix::process::Signal::CONT);
    world.stop_daemon().await;
    assert_eq!(world.try_cli(&["status", "--url", &url]).await.status.code(), Some(2));
}

#[tokio::test]
async fn a_webhook_is_changed_by_command() {
    let world = World::shared().await;
    let tenant = world.tenant().await;
    let made = world.cli(&["webhook", "add", &tenant.name, "https://shop.example/one"]).await;
    let id = made["id"].as_str().expect("an id").to_owned();
    let events = ["--url", "https://shop.example/two", "--event", "preauth.settled"];
    let changed = world.cli(&[&["webhook", "set", &tenant.name, &id], &events[..]].concat()).await;
    assert_eq!(changed["url"], "https://shop.example/two");
    assert_eq!(changed["events"], serde_json::json!(["preauth.settled"]));
    let changed = world.cli(&["webhook", "set", &tenant.name, &id, "--all-events"]).await;
    assert_eq!(changed["events"], serde_json::json!([]));
    let log = world.cli(&["audit"]).await;
    assert!(log.as_array().expect("acts").iter().any(|act| act["act"] == "webhook.set"), "{log}");
}
