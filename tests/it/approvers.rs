//! Systems that a merchant has named are asked before a hold is locked: all of them at once, and all must approve.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::harness::api::segment;
use crate::harness::approver::{no, yes};
use crate::harness::world::{OtherTenant, invoice};
use crate::harness::{Answer, Api, Approver, Reply, Sale, World, until};

/// A merchant with two parties to a sale.
struct Shop {
    world: World,
    tenant: OtherTenant,
    sale: Sale,
}

impl Shop {
    async fn open() -> Self {
        let world = World::shared().await;
        let tenant = world.tenant().await;
        let sale = world.sale_of(&tenant).await;
        Self { world, tenant, sale }
    }

    fn api(&self) -> &Api {
        &self.tenant.api
    }

    async fn create(&self, name: &str) -> Answer {
        self.world.create_by(self.api(), name, &self.sale).amount("10").send().await
    }

    async fn create_under(&self, key: &str, name: &str) -> Answer {
        let body = self.world.create_by(self.api(), name, &self.sale).amount("10").body();
        self.api().post_under(key, "/onchain-preauth", body).await
    }

    /// What was decided about an invoice, newest first.
    async fn decided(&self, name: &str) -> Vec<Value> {
        let path = format!("/onchain-preauth/{}/approvals", segment(name));
        self.api().get(&path).await.is(200).body["data"].as_array().expect("a list").clone()
    }

    async fn assert_nothing_was_locked(&self, name: &str) {
        self.api().preauth(name).await.refused(404, "Preauthorization not found");
        assert_eq!(self.world.chain.balance(self.sale.sender.address).await, self.sale.before);
    }
}

/// Who decided what, by name.
fn who(decided: &[Value]) -> Vec<(&str, &str)> {
    let mut rows: Vec<_> = decided
        .iter()
        .map(|row| (row["approver"].as_str().expect("a name"), row["decision"].as_str().expect("a word")))
        .collect();
    rows.sort_unstable();
    rows
}

#[tokio::test]
async fn what_all_approve_is_locked() {
    let shop = Shop::open().await;
    let (fraud, limits) =
        (Approver::join(shop.api(), "fraud").await, Approver::join(shop.api(), "limits").await);
    fraud.replies([Reply::Body(200, json!({ "decision": "approve", "reason": "known" }).to_string())]);
    let name = invoice("INV");
    let created = shop.create(&name).await.is(201);
    assert_eq!(created.text("status"), "AUTHORIZED");

    let decided = shop.decided(&name).await;
    assert_eq!(who(&decided), [("fraud", "approved"), ("limits", "approved")]);
    assert!(decided.iter().all(|one| one["transactionId"] == created.text("transactionId")));
    let known = decided.iter().find(|one| one["approver"] == "fraud").expect("a decision");
    assert_eq!((&known["reason"], &known["approverId"]), (&"known".into(), &fraud.id.as_str().into()));

    let shown = shop.api().preauth(&name).await.is(200);
    for approver in [&fraud, &limits] {
        let asked = approver.asked();
        let [question] = asked.as_slice() else { panic!("{} was asked once", approver.name) };
        assert!(question.is_signed_with(&approver.secret), "{}", approver.name);
        assert_eq!(question.kind(), "approval.requested");
        assert_eq!(question.id(), created.text("transactionId"));
        let token = &shop.world.ready.token;
        let data = json!({
            "tenant": shop.tenant.name,
            "invoiceId": name,
            "transactionId": created.text("transactionId"),
            "preauthId": shown.text("preauthId"),
            "sender": shop.sale.sender.address.to_string(),
            "receiver": shop.sale.receiver.to_string(),
            "token": {
                "contractAddress": shown.text("contractAddress"),
                "symbol": token.symbol,
                "decimals": token.decimals,
            },
            "amount": "10",
            "amountBaseUnits": "10000000",
            "holdAmount": shown.text("holdAmount"),
            "holdBaseUnits": "10000000",
            "expiresAt": shown.text("expiresAt"),
            "settleAt": null,
            "consent": "allowance",
            "payLink": false,
        });
        assert_eq!(question.body["data"], data);
    }
    let log = shop.world.log();
    assert!([&fraud, &limits].iter().all(|approver| !log.contains(&approver.secret)));
    let count = shop.api().metric("preauthd_approvals_total{decision=\"approved\"}").await.expect("a number");
    assert!(count >= 2.0);

    // Terms are an offer: nothing is locked by them, so nobody is asked.
    let offer = shop.world.create_by(shop.api(), &invoice("INV"), &shop.sale).amount("10").only_terms();
    offer.send().await.is(200);
    assert_eq!((fraud.asked().len(), limits.asked().len()), (1, 1));
}

#[tokio::test]
async fn one_refusal_refuses_and_waits_for_nobody() {
    let shop = Shop::open().await;
    let (fraud, slow) = (Approver::join(shop.api(), "fraud").await, Approver::join(shop.api(), "slow").await);
    let both = Arc::new(Barrier::new(2));
    fraud.replies([Reply::Met(Arc::clone(&both), Box::new(no("too many\ntoday")))]);
    slow.replies([Reply::Met(both, Box::new(Reply::Never))]);
    let name = invoice("INV");
    let refused = shop.create(&name).await;
    refused.refused(400, "Refused by approver fraud");
    assert_eq!(refused.code(), "approval_refused");
    assert_eq!(refused.body["errors"][0]["detail"], "too many today");
    shop.assert_nothing_was_locked(&name).await;
    assert_eq!(who(&shop.decided(&name).await), [("fraud", "refused"), ("slow", "withdrawn")]);

    // The invoice is free: what is approved later is locked, under another id.
    let created = shop.create(&name).await.is(201);
    let decided = shop.decided(&name).await;
    assert_eq!(decided.len(), 4);
    let later: Vec<_> =
        decided.iter().filter(|one| one["transactionId"] == created.text("transactionId")).cloned().collect();
    assert_eq!(who(&later), [("fraud", "approved"), ("slow", "approved")]);
}

#[tokio::test]
async fn who_does_not_answer_has_not_approved() {
    let shop = Shop::open().await;
    let fraud = Approver::join_with(shop.api(), "fraud", json!({ "timeLimitMs": 300 })).await;
    let other = Approver::join(shop.api(), "other").await;
    let text = |text: &str| Reply::Body(200, text.to_owned());
    let cases = [
        (Reply::Never, "no answer in time"),
        (Reply::Status(500), "answered 500"),
        (Reply::Status(204), "answered 204"),
        (Reply::With(307, "location", "http://127.0.0.1:9/".to_owned()), "redirects are not followed"),
        (text("approve"), "answered neither"),
        (text(r#"["approve"]"#), "answered neither"),
        (text(r#"{"decision":"approve","upTo":"5"}"#), "answered neither"),
        (Reply::Body(201, r#"{"decision":"approve"}"#.to_owned()), "answered 201"),
        (
            text(&format!(r#"{{"decision":"approve","reason":"{}"}}"#, "x".repeat(5_000))),
            "more than 4096 bytes",
        ),
    ];
    let (key, name) = (invoice("key"), invoice("INV"));
    let tries = cases.len();
    for (reply, why) in cases {
        fraud.replies([reply]);
        let answer = shop.create_under(&key, &name).await;
        answer.refused(503, "Approver not available");
        assert_eq!(answer.code(), "approval_unavailable");
        assert_eq!(answer.headers["retry-after"], "5");
        let detail = answer.body["errors"][0]["detail"].as_str().unwrap_or_default().to_owned();
        assert!(detail.starts_with("fraud: ") && detail.contains(why), "{detail}, not {why}");
        let newest = shop.decided(&name).await;
        assert_eq!(who(&newest[..2]), [("fraud", "unavailable"), ("other", "approved")]);
    }
    shop.assert_nothing_was_locked(&name).await;

    // Nothing came of it, so the same request under the same key is asked about again; once it is done, nobody is.
    let created = shop.create_under(&key, &name).await.is(201);
    assert!(!created.is_replayed());
    let again = shop.create_under(&key, &name).await.is(201);
    assert!(again.is_replayed());
    assert_eq!((fraud.asked().len(), other.asked().len()), (tries + 1, tries + 1));
}

#[tokio::test]
async fn who_cannot_be_reached_has_not_approved() {
    let shop = Shop::open().await;
    let gone = json!({ "name": "gone", "url": "http://127.0.0.1:9/approve" });
    let made = shop.api().post("/approvers", gone).await.is(201);
    let name = invoice("INV");
    let answer = shop.create(&name).await;
    answer.refused(503, "Approver not available");
    shop.assert_nothing_was_locked(&name).await;
    let path = format!("/approvers/{}", made.text("id"));
    let tried = shop.api().post(&format!("{path}/test"), json!({})).await.is(200);
    assert_eq!(tried.text("decision"), "unavailable");

    // Who is disabled is not asked.
    shop.api().patch(&path, json!({ "enabled": false })).await.is(200);
    shop.create(&name).await.is(201);
}

#[tokio::test]
async fn all_are_asked_at_once_and_a_slow_one_holds_up_nobody_elses() {
    let shop = Shop::open().await;
    let (one, two) = (Approver::join(shop.api(), "one").await, Approver::join(shop.api(), "two").await);
    // Neither answers before both were asked.
    let both = Arc::new(Barrier::new(2));
    one.replies([Reply::Met(Arc::clone(&both), Box::new(yes()))]);
    two.replies([Reply::Met(both, Box::new(yes()))]);
    shop.create(&invoice("INV")).await.is(201);

    // While a creation here waits for its approver, another merchant's goes on.
    let release = Arc::new(Barrier::new(2));
    one.replies([Reply::Met(Arc::clone(&release), Box::new(yes()))]);
    let name = invoice("INV");
    let waiting = shop.create(&name);
    let elsewhere = async {
        one.until_asked(2).await;
        let other = Shop::open().await;
        let quick = Approver::join(other.api(), "one").await;
        other.create(&invoice("INV")).await.is(201);
        assert_eq!(quick.asked().len(), 1);
        shop.api().preauth(&name).await.envelope(404);
        release.wait().await;
    };
    let (created, ()) = tokio::join!(waiting, elsewhere);
    created.is(201);
}

#[tokio::test]
async fn decisions_stay_on_record_whatever_becomes_of_the_creation() {
    let shop = Shop::open().await;
    let fraud = Approver::join(shop.api(), "fraud").await;

    // The chain refuses what was approved.
    let poor = shop.world.sale_without_allowance().await;
    shop.world.register(&shop.tenant.admin, poor.sender.address, "sender").await;
    let name = invoice("INV");
    let body = shop.world.create_by(shop.api(), &name, &shop.sale).sender(poor.sender.address).amount("10");
    body.send().await.refused(500, "Insufficient Allowance");
    assert_eq!(who(&shop.decided(&name).await), [("fraud", "approved")]);

    // Two creations of one invoice are both approved, and one is there first.
    let name = invoice("INV");
    let both = Arc::new(Barrier::new(2));
    fraud.replies([0, 1].map(|_| Reply::Met(Arc::clone(&both), Box::new(yes()))));
    let (first, second) = tokio::join!(shop.create(&name), shop.create(&name));
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    let decided = shop.decided(&name).await;
    assert_eq!(who(&decided), [("fraud", "approved"), ("fraud", "approved")]);
    assert_ne!(decided[0]["transactionId"], decided[1]["transactionId"]);

    // Page by page, and no other merchant's.
    let path = format!("/onchain-preauth/{name}/approvals");
    let page = shop.api().get(&format!("{path}?limit=1")).await.is(200);
    assert_eq!((&page.body["data"][0], &page.body["hasMore"]), (&decided[0], &true.into()));
    let next = shop.api().get(&format!("{path}?limit=1&cursor={}", page.text("nextCursor"))).await.is(200);
    assert_eq!((&next.body["data"][0], &next.body["hasMore"]), (&decided[1], &false.into()));
    shop.world.api.get(&path).await.refused(404, "Preauthorization not found");
}

#[tokio::test]
async fn what_was_decided_for_a_caller_who_went_away_stays_on_record() {
    let shop = Shop::open().await;
    let fraud = Approver::join(shop.api(), "fraud").await;
    let release = Arc::new(Barrier::new(2));
    fraud.replies([Reply::Met(Arc::clone(&release), Box::new(no("too late")))]);
    let name = invoice("INV");
    tokio::select! {
        answer = shop.create(&name) => panic!("nobody has decided yet: {answer:?}"),
        _ = fraud.until_asked(1) => {}
    }
    // The connection is closed with it.
    release.wait().await;
    let decided = until("the decision is on record", || async {
        let answer = shop.api().get(&format!("/onchain-preauth/{name}/approvals")).await;
        (answer.status == 200).then_some(answer)
    })
    .await;
    let decided = decided.body["data"].as_array().expect("a list").clone();
    assert_eq!(who(&decided), [("fraud", "refused")]);
    shop.assert_nothing_was_locked(&name).await;
}

#[tokio::test]
async fn a_merchant_manages_its_approvers() {
    let shop = Shop::open().await;
    let api = shop.api();
    let fraud = Approver::join_with(api, "fraud", json!({})).await;
    assert!(fraud.secret.starts_with("whsec_"));
    let shown = api.get(&fraud.path()).await.is(200);
    assert_eq!((&shown.body["timeLimitMs"], &shown.body["enabled"]), (&2_000.into(), &true.into()));
    assert!(!shown.body.to_string().contains(&fraud.secret));

    // Its name is taken, other wishes are none.
    let url = "http://127.0.0.1:9/";
    let taken = json!({ "name": "fraud", "url": url });
    api.post("/approvers", taken).await.refused(409, "An approver of this name is there already");
    for (body, field) in [
        (json!({ "name": "a b", "url": url }), "name"),
        (json!({ "name": "other", "url": "nowhere" }), "url"),
        (json!({ "name": "other", "url": url, "timeLimitMs": 99 }), "timeLimitMs"),
        (json!({ "name": "other", "url": url, "timeLimitMs": 10_001 }), "timeLimitMs"),
    ] {
        let refused = api.post("/approvers", body).await;
        assert_eq!(refused.envelope(400)["field"], field, "{}", refused.body);
    }
    // Another merchant does not see it.
    for method in [Method::GET, Method::DELETE] {
        shop.world.api.send(method, &fraud.path(), &[], Vec::new()).await.refused(404, "Approver not found");
    }

    // A new key signs beside the old one.
    let rotated = api.post(&format!("{}/rotate", fraud.path()), json!({})).await.is(200);
    let tried = api.post(&format!("{}/test", fraud.path()), json!({})).await.is(200);
    assert_eq!(tried.text("decision"), "approved");
    let asked = fraud.asked();
    assert_eq!(asked[0].kind(), "approval.test");
    assert!(asked[0].is_signed_with(&fraud.secret) && asked[0].is_signed_with(rotated.text("secret")));

    // Removed it is asked no more, and its name is free.
    api.delete(&fraud.path()).await.is(204);
    api.get(&fraud.path()).await.refused(404, "Approver not found");
    shop.create(&invoice("INV")).await.is(201);
    assert_eq!(fraud.asked().len(), 1, "by the test alone");
    let again = Approver::join(api, "fraud").await;
    again.always(no("closed"));
    shop.create(&invoice("INV")).await.refused(400, "Refused by approver fraud");
    assert_eq!(api.get("/approvers").await.is(200).body["data"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn the_operator_manages_them_from_the_command_line() {
    let shop = Shop::open().await;
    let (world, tenant) = (&shop.world, shop.tenant.name.as_str());
    // The command line knows the daemon's rules for addresses: those of `serve`, here.
    let refused = world.try_cli(&["approver", "add", tenant, "fraud", "http://127.0.0.1:9/"]).await;
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(why.contains("must begin with https://") && why.contains("webhooks_allow_private"), "{why}");
    let added = world.cli(&["approver", "add", tenant, "fraud", "https://localhost:9/approve"]).await;
    let secret = added["secret"].as_str().expect("a secret");
    let listed = world.cli(&["approver", "list", tenant]).await;
    assert_eq!((&listed[0]["name"], &listed[0]["timeLimitMs"]), (&"fraud".into(), &2_000.into()));
    assert!(!listed.to_string().contains(secret));

    // A name that leads home is not followed.
    let tried = world.try_cli(&["approver", "test", tenant, "fraud"]).await;
    assert!(!tried.status.success());
    assert!(String::from_utf8_lossy(&tried.stdout).contains("no public address"), "{tried:?}");

    let name = invoice("INV");
    shop.create(&name).await.refused(503, "Approver not available");
    let decided = world.cli(&["approver", "decisions", tenant, &name]).await;
    assert_eq!((&decided[0]["approver"], &decided[0]["decision"]), (&"fraud".into(), &"unavailable".into()));
    assert_eq!(world.cli(&["approver", "disable", tenant, "fraud"]).await["enabled"], false);
    shop.create(&name).await.is(201);
    assert_eq!(world.cli(&["approver", "enable", tenant, "fraud"]).await["enabled"], true);
    assert!(world.cli(&["approver", "rotate", tenant, "fraud"]).await["secret"] != secret);
    world.cli(&["approver", "remove", tenant, "fraud"]).await;
    shop.create(&invoice("INV")).await.is(201);
    let unknown = world.try_cli(&["approver", "disable", tenant, "fraud"]).await;
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("no approver \"fraud\""));
    let audit = world.cli(&["audit"]).await.to_string();
    assert!(audit.contains("approver.add") && audit.contains("approver.remove"));
}
