//! Operator keys that stay in AWS KMS: what they sign is what a key of the daemon's own would sign, and a service that does not
//! sign delays work, fails none, and is spoken of until it signs again.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::harness::aws_kms::{AwsKms, Mood, free_address};
use crate::harness::process::Process;
use crate::harness::world::invoice;
use crate::harness::{Api, until};
use crate::operator::{Shop, status};

const SECRET: &str = "wJalrXUtnFEMIbPxRfiCYEXAMPLEKEY";
const KEY_ID: &str = "arn:aws:kms:eu-central-1:111122223333:key/4711";

/// What a shop calls its keys that are no keys of a KMS.
const OWN_KEYS: [&str; 2] = ["PREAUTHD_ONE_KEY", "PREAUTHD_TWO_KEY"];

/// A shop whose operator key is in a KMS.
async fn shop_with(kms: &AwsKms, more: &str) -> Shop {
    let mut shop = Shop::open(more).await;
    give_credentials(&mut shop);
    shop.chain.set_gas_money(kms.address(), 10u128.pow(20)).await;
    let address = kms.address().to_string();
    shop.office.run(&["operator", "allow", &address, "--key-env", "ADMIN_SECRET"]).await;
    shop
}

fn give_credentials(shop: &mut Shop) {
    for (name, value) in [("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"), ("AWS_SECRET_ACCESS_KEY", SECRET)] {
        shop.office.tell(name, value);
    }
}

/// Has the shop's next daemon use a key of the KMS, in place of its own keys or of the second of them.
fn employ(shop: &Shop, in_place_of: &[&str], url: &str, more: &str) {
    shop.reconfigure(|config| {
        let without = in_place_of
            .iter()
            .fold(config, |config, name| config.replace(&format!("[[operators]]\nenv = \"{name}\"\n"), ""));
        format!("{without}[[operators]]\naws_kms = \"{KEY_ID}\"\nendpoint = \"{url}\"\n{more}")
    });
}

/// How many lines of the log say that a part is not ready.
fn complaints(daemon: &Process, part: &str) -> usize {
    daemon.said().lines().filter(|line| line.contains("not ready") && line.contains(part)).count()
}

async fn becomes(api: &Api, name: &str, wanted: &str) {
    until(&format!("{name} is {wanted}"), || async { (status(api, name).await == wanted).then_some(()) })
        .await;
}

#[tokio::test]
async fn a_key_in_a_kms_locks_and_settles() {
    let kms = AwsKms::open().await;
    let shop = shop_with(&kms, "").await;
    employ(&shop, &OWN_KEYS, &kms.url, "");
    let (daemon, api) = shop.serve().await;
    for _ in 0..3 {
        let name = invoice("INV");
        shop.create(&api, &name).send().await.is(201);
        api.settle(&name, "0.5").await.is(200);
    }
    assert!(shop.chain.sent_by(kms.address()).await >= 6, "its transactions were mined");
    assert!(kms.signed() >= 6);
    kms.assert_it_was_asked_properly();
    let log = daemon.said();
    assert!(!log.contains(SECRET) && !log.contains("ERROR"), "{log}");
}

#[tokio::test]
async fn a_kms_that_does_not_sign_delays_and_fails_nothing() {
    let kms = AwsKms::open().await;
    let shop = shop_with(&kms, "").await;
    employ(&shop, &OWN_KEYS, &kms.url, "");
    let (daemon, api) = shop.serve().await;
    let part = format!("lane {}", kms.address());
    let name = invoice("INV");
    shop.create(&api, &name).send().await.is(201);
    for (mood, said, settled) in [
        (Mood::Denies, "is not authorized", "0.1"),
        (Mood::Fails, "KMSInternalException", "0.2"),
        (Mood::Hangs, "AWS KMS", "0.3"),
    ] {
        let name = invoice("INV");
        shop.create(&api, &name).send().await.is(201);
        let before = complaints(&daemon, &part);
        kms.becomes(mood);
        let path = format!("/onchain-preauth/{name}/settle");
        api.post_async(&path, json!({ "amount": settled })).await.is(202);
        api.until_it_says("nothing can be signed").await;
        api.until_it_says(said).await;
        assert_eq!(api.metric(&format!("preauthd_trouble{{part=\"{part}\"}}")).await, Some(1.0));
        // It asks again and again, and says so once.
        let failures = api.metric("preauthd_signature_failures_total").await.expect("a number");
        until("it has asked again", || async {
            let now = api.metric("preauthd_signature_failures_total").await?;
            (now >= failures + 1.0).then_some(())
        })
        .await;
        assert_eq!(complaints(&daemon, &part), before + 1, "{}", daemon.said());
        let shown = api.preauth(&name).await.is(200);
        assert_eq!((shown.text("status"), shown.text("pendingOperation")), ("AUTHORIZED", "settle"));
        kms.becomes(Mood::Signs);
        becomes(&api, &name, "SETTLED").await;
        api.until_ready().await;
        assert_eq!(api.metric(&format!("preauthd_trouble{{part=\"{part}\"}}")).await, Some(0.0));
    }
    // A library that logs each of its failures would bury the one line that counts.
    assert!(!daemon.said().contains("ERROR"), "{}", daemon.said());
}

#[tokio::test]
async fn other_keys_do_the_work_of_one_that_does_not_sign() {
    let kms = AwsKms::open().await;
    let shop = shop_with(&kms, "request_timeout_s = 5").await;
    employ(&shop, &OWN_KEYS[1..], &kms.url, "");
    let (_daemon, api) = shop.serve().await;
    kms.becomes(Mood::Denies);
    // Until the lane has found out, it may be its turn.
    until("the lane knows", || async {
        let name = invoice("INV");
        shop.create(&api, &name).respond_async().send().await.is(202);
        let ready = api.get("/health/ready").await;
        ready.body.to_string().contains("nothing can be signed").then_some(())
    })
    .await;
    let before = shop.chain.sent_by(kms.address()).await;
    for _ in 0..3 {
        let name = invoice("INV");
        shop.create(&api, &name).send().await.is(201);
    }
    assert_eq!(shop.chain.sent_by(kms.address()).await, before, "the other key has sent it");
}

#[tokio::test]
async fn what_was_signed_is_sent_again_while_the_kms_is_away() {
    let kms = AwsKms::open().await;
    let shop = shop_with(&kms, "replace_after_s = 1").await;
    employ(&shop, &OWN_KEYS, &kms.url, "");
    let (_daemon, api) = shop.serve().await;
    let name = invoice("INV");
    shop.chain.hold_still().await;
    shop.create(&api, &name).respond_async().send().await.is(202);
    shop.chain.until_waiting(1).await;
    kms.becomes(Mood::Denies);
    api.until_it_says("nothing can be signed").await;
    shop.chain.forget_all().await;
    shop.chain.until_waiting(1).await;
    shop.chain.mine_every(1).await;
    becomes(&api, &name, "AUTHORIZED").await;
    kms.becomes(Mood::Signs);
    api.until_ready().await;
}

#[tokio::test]
async fn a_daemon_that_knows_the_address_starts_before_its_kms() {
    let place = free_address().await;
    let signer = alloy::signers::local::PrivateKeySigner::random();
    let url = format!("http://{place}");
    let mut shop = Shop::open("request_timeout_s = 60").await;
    give_credentials(&mut shop);
    let address = signer.address();
    shop.chain.set_gas_money(address, 10u128.pow(20)).await;
    shop.office.run(&["operator", "allow", &address.to_string(), "--key-env", "ADMIN_SECRET"]).await;
    employ(&shop, &OWN_KEYS, &url, &format!("address = \"{address}\"\n"));
    let (_daemon, api) = shop.serve().await;
    api.until_it_says(&format!("lane {address}: nothing can be signed: AWS KMS")).await;
    let name = invoice("INV");
    shop.create(&api, &name).respond_async().send().await.is(202);
    let kms = AwsKms::with_key(place, signer).await;
    becomes(&api, &name, "AUTHORIZED").await;
    api.until_ready().await;
    assert!(kms.signed() > 0);
}

#[tokio::test]
async fn what_cannot_be_right_is_refused_at_the_start_and_found_by_the_doctor() {
    let kms = AwsKms::open().await;
    let mut shop = Shop::open("").await;
    give_credentials(&mut shop);
    let place: SocketAddr = free_address().await;
    employ(&shop, &OWN_KEYS, &format!("http://{place}"), "");
    let said = refusal(&shop).await;
    assert!(said.contains("operators[0]") && said.contains("AWS KMS does not answer"), "{said}");

    let other = format!("{}\naddress = \"{}\"", kms.url, shop.operators[0]);
    shop.reconfigure(|config| config.replace(&format!("http://{place}\""), &other.replace('\n', "\"\n")));
    let said = refusal(&shop).await;
    assert!(said.contains(&kms.address().to_string()) && said.contains("address"), "{said}");
    let said = String::from_utf8_lossy(&shop.office.try_run(&["doctor"]).await.stdout).into_owned();
    assert!(said.contains(&kms.address().to_string()), "{said}");

    shop.reconfigure(|config| {
        config.replace(&format!("{}\"", shop.operators[0]), &format!("{}\"", kms.address()))
    });
    kms.becomes(Mood::Denies);
    let found = shop.office.try_run(&["doctor", "--json"]).await;
    assert_eq!(found.status.code(), Some(1));
    let found: Value = serde_json::from_slice(&found.stdout).expect("JSON");
    assert!(found.to_string().contains("is not authorized"), "{found}");
}

async fn refusal(shop: &Shop) -> String {
    let refused = shop.office.try_run(&["serve"]).await;
    assert!(!refused.status.success());
    String::from_utf8_lossy(&refused.stderr).into_owned()
}
