//! Operator keys that stay in a KMS: what they sign is what a key of the daemon's own would sign, and a service that does not
//! sign delays work, fails none, and is spoken of until it signs again. Each story is told of each service.

use serde_json::{Value, json};

#[cfg(feature = "aws-kms")]
use crate::harness::kms::Aws;
#[cfg(feature = "gcp-kms")]
use crate::harness::kms::Gcp;
use crate::harness::kms::{Cut, Kms, Mood, Protocol, Wire, free_address};
use crate::harness::process::Process;
use crate::harness::world::invoice;
use crate::harness::{Api, until};
use crate::operator::{Shop, status};

/// What a shop calls its keys that are no keys of a KMS.
const OWN_KEYS: [&str; 2] = ["PREAUTHD_ONE_KEY", "PREAUTHD_TWO_KEY"];

/// Tells stories of each service whose client is part of this build.
macro_rules! of_each_service {
    ($($story:ident,)+) => {
        #[cfg(feature = "aws-kms")]
        mod aws {
            $(#[tokio::test] async fn $story() { super::$story::<super::Aws>().await; })+
        }
        #[cfg(feature = "gcp-kms")]
        mod gcp {
            $(#[tokio::test] async fn $story() { super::$story::<super::Gcp>().await; })+
        }
    };
}

of_each_service! {
    a_key_in_a_kms_locks_and_settles,
    a_kms_that_does_not_sign_delays_and_fails_nothing,
    other_keys_do_the_work_of_one_that_does_not_sign,
    what_was_signed_is_sent_again_while_the_kms_is_away,
    a_daemon_that_knows_the_address_starts_before_its_kms,
    a_connection_that_is_gone_is_made_anew,
    what_cannot_be_right_is_refused_at_the_start_and_found_by_the_doctor,
}

/// A shop whose operator key is in a KMS, in place of its own keys or of the second of them.
async fn shop_with<P: Protocol>(kms: &Kms<P>, in_place_of: &[&str], more: &str) -> Shop {
    let mut shop = Shop::open(more).await;
    introduce::<P>(&mut shop, &kms.url());
    shop.chain.set_gas_money(kms.address(), 10u128.pow(20)).await;
    let address = kms.address().to_string();
    shop.office.run(&["operator", "allow", &address, "--key-env", "ADMIN_SECRET"]).await;
    employ::<P>(&shop, in_place_of, &kms.url(), "");
    shop
}

/// Makes who asks known to the service.
fn introduce<P: Protocol>(shop: &mut Shop, url: &str) {
    for (name, value) in P::credentials(url, shop.office.folder.path()) {
        shop.office.tell(name, &value);
    }
}

/// Has the shop's next daemon use a key of the KMS.
fn employ<P: Protocol>(shop: &Shop, in_place_of: &[&str], url: &str, more: &str) {
    shop.reconfigure(|config| {
        let without = in_place_of
            .iter()
            .fold(config, |config, name| config.replace(&format!("[[operators]]\nenv = \"{name}\"\n"), ""));
        format!("{without}[[operators]]\n{}\nendpoint = \"{url}\"\n{more}", P::OPERATOR)
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

async fn a_key_in_a_kms_locks_and_settles<P: Protocol>() {
    let kms = Kms::<P>::open().await;
    let shop = shop_with(&kms, &OWN_KEYS, "").await;
    let (daemon, api) = shop.serve().await;
    for _ in 0..3 {
        let name = invoice("INV");
        shop.create(&api, &name).send().await.is(201);
        api.settle(&name, "0.5").await.is(200);
    }
    assert!(shop.chain.sent_by(kms.address()).await >= 6, "its transactions were mined");
    assert!(kms.signed() >= 6);
    kms.assert_it_was_asked_properly();
    assert_calm::<P>(&daemon);
}

async fn a_kms_that_does_not_sign_delays_and_fails_nothing<P: Protocol>() {
    let kms = Kms::<P>::open().await;
    let shop = shop_with(&kms, &OWN_KEYS, "").await;
    let (daemon, api) = shop.serve().await;
    let part = format!("lane {}", kms.address());
    let name = invoice("INV");
    shop.create(&api, &name).send().await.is(201);
    for (mood, said, settled) in
        [(Mood::Denies, P::DENIAL, "0.1"), (Mood::Fails, P::FAILURE, "0.2"), (Mood::Hangs, P::NAME, "0.3")]
    {
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
            (now > failures).then_some(())
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
    assert_calm::<P>(&daemon);
}

async fn other_keys_do_the_work_of_one_that_does_not_sign<P: Protocol>() {
    let kms = Kms::<P>::open().await;
    let shop = shop_with(&kms, &OWN_KEYS[1..], "request_timeout_s = 5").await;
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

async fn what_was_signed_is_sent_again_while_the_kms_is_away<P: Protocol>() {
    let kms = Kms::<P>::open().await;
    let shop = shop_with(&kms, &OWN_KEYS, "replace_after_s = 1").await;
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

async fn a_daemon_that_knows_the_address_starts_before_its_kms<P: Protocol>() {
    let place = free_address().await;
    let signer = alloy::signers::local::PrivateKeySigner::random();
    let url = format!("http://{place}");
    let mut shop = Shop::open("request_timeout_s = 60").await;
    introduce::<P>(&mut shop, &url);
    let address = signer.address();
    shop.chain.set_gas_money(address, 10u128.pow(20)).await;
    shop.office.run(&["operator", "allow", &address.to_string(), "--key-env", "ADMIN_SECRET"]).await;
    employ::<P>(&shop, &OWN_KEYS, &url, &format!("address = \"{address}\"\n"));
    let (daemon, api) = shop.serve().await;
    api.until_it_says(&format!("lane {address}: nothing can be signed: {}", P::NAME)).await;
    // What stands in the way is said as well.
    api.until_it_says("Connection refused").await;
    let name = invoice("INV");
    shop.create(&api, &name).respond_async().send().await.is(202);
    let kms = Kms::<P>::with_key(place, signer).await;
    becomes(&api, &name, "AUTHORIZED").await;
    api.until_ready().await;
    assert!(kms.signed() > 0);
    assert_calm::<P>(&daemon);
}

async fn a_connection_that_is_gone_is_made_anew<P: Protocol>() {
    let kms = Kms::<P>::open().await;
    let shop = shop_with(&kms, &OWN_KEYS, "").await;
    let wire = Wire::to(kms.place).await;
    shop.reconfigure(|config| config.replace(&kms.url(), &wire.url));
    let (daemon, api) = shop.serve().await;
    for how in [Cut::Closed, Cut::Dead, Cut::Gone] {
        let name = invoice("INV");
        shop.create(&api, &name).send().await.is(201);
        wire.cut(how);
        let name = invoice("INV");
        shop.create(&api, &name).respond_async().send().await.is(202);
        if how == Cut::Gone {
            api.until_it_says("nothing can be signed").await;
            wire.mend();
        }
        becomes(&api, &name, "AUTHORIZED").await;
        api.until_ready().await;
    }
    assert_calm::<P>(&daemon);
}

async fn what_cannot_be_right_is_refused_at_the_start_and_found_by_the_doctor<P: Protocol>() {
    let kms = Kms::<P>::open().await;
    let mut shop = Shop::open("").await;
    introduce::<P>(&mut shop, &kms.url());
    let nowhere = format!("http://{}", free_address().await);
    employ::<P>(&shop, &OWN_KEYS, &nowhere, "");
    let said = refusal(&shop).await;
    assert!(
        said.contains("operators[0]") && said.contains(&format!("{} does not answer", P::NAME)),
        "{said}"
    );

    let other = format!("{}\"\naddress = \"{}\"", kms.url(), shop.operators[0]);
    shop.reconfigure(|config| config.replace(&format!("{nowhere}\""), &other));
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
    assert!(found.to_string().contains(P::DENIAL), "{found}");
}

#[cfg(feature = "gcp-kms")]
#[tokio::test]
async fn a_token_that_counts_no_more_is_asked_for_anew() {
    let kms = Kms::<Gcp>::open().await;
    let shop = shop_with(&kms, &OWN_KEYS, "").await;
    let (daemon, api) = shop.serve().await;
    shop.create(&api, &invoice("INV")).send().await.is(201);
    kms.revokes_tokens();
    let name = invoice("INV");
    shop.create(&api, &name).respond_async().send().await.is(202);
    becomes(&api, &name, "AUTHORIZED").await;
    api.until_ready().await;
    assert_calm::<Gcp>(&daemon);
}

#[cfg(feature = "gcp-kms")]
#[tokio::test]
async fn a_service_account_asks_with_a_key_of_its_own() {
    let kms = Kms::<Gcp>::open().await;
    let mut shop = shop_with(&kms, &OWN_KEYS, "").await;
    let (credentials, key) = kms.service_account(shop.office.folder.path());
    credentials.iter().for_each(|(name, value)| shop.office.tell(name, value));
    let (daemon, api) = shop.serve().await;
    shop.create(&api, &invoice("INV")).send().await.is(201);
    kms.assert_it_was_asked_properly();
    assert_calm::<Gcp>(&daemon);
    assert!(key.lines().all(|line| !daemon.said().contains(line)), "no key is logged");
}

#[cfg(feature = "gcp-kms")]
#[tokio::test]
async fn what_keeps_it_from_a_token_is_said() {
    let kms = Kms::<Gcp>::open().await;
    let mut shop = Shop::open("").await;
    introduce::<Gcp>(&mut shop, &kms.url());
    employ::<Gcp>(&shop, &OWN_KEYS, &kms.url(), "");
    std::fs::write(shop.office.folder.path().join("subject-token"), "of somebody else").expect("a file");
    let said = refusal(&shop).await;
    assert!(said.contains("credentials") && said.contains("invalid_grant"), "{said}");
    assert!(!said.contains("of somebody else"), "{said}");

    shop.office.tell("GOOGLE_APPLICATION_CREDENTIALS", "nowhere.json");
    let said = refusal(&shop).await;
    assert!(said.contains("credentials") && said.contains("No such file"), "{said}");
}

async fn refusal(shop: &Shop) -> String {
    let refused = shop.office.try_run(&["serve"]).await;
    assert!(!refused.status.success());
    String::from_utf8_lossy(&refused.stderr).into_owned()
}

/// A library that logs each of its failures would bury the one line that counts, and no secret is anybody's to read.
fn assert_calm<P: Protocol>(daemon: &Process) {
    let log = daemon.said();
    assert!(!log.contains("ERROR") && !log.contains("panic"), "{log}");
    assert!(P::SECRETS.iter().all(|secret| !log.contains(secret)), "{log}");
}
