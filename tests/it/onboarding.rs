//! Who may pay and be paid: consumers are onboarded step by step, and a tenant that wants verified parties only takes their wallets
//! and nobody else's.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::world::{OtherTenant, invoice};
use crate::harness::{Answer, Api, Receiver, Sale, World, until};

const SCOPES: [&str; 5] = ["read", "write", "onboarding:read", "onboarding:write", "onboarding:staff"];

/// A merchant who takes verified parties only, with two wallets.
pub struct Shop {
    pub world: World,
    pub tenant: OtherTenant,
    pub api: Api,
    pub sale: Sale,
}

impl Shop {
    pub async fn open() -> Self {
        let world = World::shared().await;
        let tenant = world.tenant().await;
        let api = world.api.with_key(&world.key(&tenant.name, &SCOPES).await);
        let sale = world.sale_of(&tenant).await;
        Self { world, tenant, api, sale }
    }

    pub async fn demand_verified_parties(&self) {
        let set = ["tenant", "set", &self.tenant.name, "--require-verified-party", "on"];
        assert_eq!(self.world.cli(&set).await["requireVerifiedParty"], json!(true));
    }

    pub async fn publish(&self, version: &str, text: &str) {
        let terms = json!({ "version": version, "text": text });
        self.api.post("/terms-and-conditions", terms).await.is(201);
    }

    /// A consumer with a phone number, by his id.
    pub async fn consumer(&self, number: &str, accepted: &str) -> String {
        let phone = json!({ "countryCode": "33", "number": number });
        let body = json!({ "phone": phone, "lastTermsAccepted": accepted });
        self.api.post("/consumers", body).await.is(201).text("id").to_owned()
    }

    pub async fn step(&self, consumer: &str, step: &str) -> Answer {
        self.api.send(Method::POST, &format!("/consumers/{consumer}/{step}"), &[], Vec::new()).await
    }

    pub async fn verify_phone(&self, consumer: &str) {
        self.step(consumer, "phone/verification-code").await.is(200);
        let path = format!("/consumers/{consumer}/phone/verification-code/verify");
        self.api.post(&path, json!({ "code": "123456" })).await.is(204);
    }

    /// Has a consumer prove who he is, and waits for what comes of it.
    pub async fn verify_identity(&self, consumer: &str) -> String {
        let link = self.step(consumer, "kyc-link").await.is(201).text("url").to_owned();
        self.follow(&link).await.is(200);
        until("the verification has ended", || async {
            let kyc = self.get(consumer).await.body["kyc"].clone();
            (kyc["status"] != "pending").then(|| kyc["status"].as_str().expect("a status").to_owned())
        })
        .await
    }

    /// What a link shows to the one who was sent it. Looking does nothing.
    pub async fn open_link(&self, link: &str) -> String {
        let path = link.strip_prefix(&self.world.api.url).expect("a link to this daemon");
        let page = self.world.api.with_key("").get(path).await;
        page.body.as_str().expect("a page").to_owned()
    }

    /// Presses its button.
    pub async fn follow(&self, link: &str) -> Answer {
        let path = link.strip_prefix(&self.world.api.url).expect("a link to this daemon");
        self.world.api.with_key("").send(Method::POST, path, &[], Vec::new()).await
    }

    pub async fn get(&self, consumer: &str) -> Answer {
        self.api.get(&format!("/consumers/{consumer}")).await.is(200)
    }

    pub async fn tie(&self, party: &str, address: impl ToString, role: &str) {
        let wallet = json!({ "address": address.to_string(), "role": role });
        self.api.post(&format!("/parties/{party}/wallets"), wallet).await.is(200);
    }

    pub async fn decide(&self, party: &str, verb: &str) -> Answer {
        self.api.send(Method::POST, &format!("/parties/{party}/{verb}"), &[], Vec::new()).await
    }

    pub async fn create(&self, name: &str) -> Answer {
        self.world.create_by(&self.api, name, &self.sale).amount("10").send().await
    }

    /// Two verified consumers behind the two wallets.
    pub async fn with_verified_parties(&self) -> [String; 2] {
        self.publish("1.0", "Pay what you owe.").await;
        let mut parties = Vec::new();
        for (number, address, role) in
            [("612345678", self.sale.sender.address, "sender"), ("612345679", self.sale.receiver, "receiver")]
        {
            let consumer = self.consumer(number, "1.0").await;
            self.verify_phone(&consumer).await;
            assert_eq!(self.verify_identity(&consumer).await, "verified");
            self.tie(&consumer, address, role).await;
            parties.push(consumer);
        }
        parties.try_into().expect("two")
    }
}

/// Where a consumer stands, and what is open.
fn standing(consumer: &Answer) -> (String, Vec<String>) {
    let requirements = consumer.body["requirements"].as_array().expect("requirements");
    let is_open = |one: &&Value| one["mandatory"] == true && one["status"] != "fulfilled";
    let open =
        requirements.iter().filter(is_open).map(|one| one["type"].as_str().expect("a type").to_owned());
    (consumer.text("status").to_owned(), open.collect())
}

#[tokio::test]
async fn a_consumer_pays_once_he_is_verified() {
    let shop = Shop::open().await;
    shop.demand_verified_parties().await;
    let hooks = Receiver::open().await;
    let hook =
        hooks.listen_with(&shop.api, json!({ "events": ["party.verified", "verification.completed"] })).await;
    let refused = shop.create(&invoice("INV")).await;
    refused.refused(404, "Wallet not registered");
    assert_eq!(refused.code(), "party_not_verified");

    // The terms are there before anybody accepts them.
    shop.publish("1.0", "Pay what you owe.").await;
    let terms = shop.api.get("/terms-and-conditions?language=en").await.is(200);
    assert_eq!((terms.text("version"), terms.text("text")), ("1.0", "Pay what you owe."));
    shop.api
        .get("/terms-and-conditions?language=fr")
        .await
        .refused(404, "There are no such terms in this language");

    let consumer = shop.consumer("612345678", "1.0").await;
    let open = |kinds: &[&str]| kinds.iter().map(|kind| (*kind).to_owned()).collect::<Vec<_>>();
    let onboarding = |kinds: &[&str]| ("onboarding".to_owned(), open(kinds));
    let fresh = shop.get(&consumer).await;
    assert_eq!(standing(&fresh), onboarding(&["phone_number", "identity"]));
    assert_eq!(
        (&fresh.body["termsAccepted"], &fresh.body["phone"]["verified"]),
        (&json!(true), &json!(false))
    );
    shop.verify_phone(&consumer).await;
    let called = shop.get(&consumer).await;
    assert_eq!(
        (standing(&called), &called.body["phone"]["verified"]),
        (onboarding(&["identity"]), &json!(true))
    );
    assert_eq!(shop.verify_identity(&consumer).await, "verified");
    assert_eq!(standing(&shop.get(&consumer).await), ("verified".to_owned(), open(&[])));
    shop.tie(&consumer, shop.sale.sender.address, "sender").await;
    shop.create(&invoice("INV")).await.refused(404, "Wallet not registered");
    shop.tie(&consumer, shop.sale.receiver, "receiver").await;
    shop.create(&invoice("INV")).await.is(201);

    let told = hooks.until_got(2).await;
    let kinds: Vec<&str> = told.iter().map(|one| one.kind()).collect();
    assert!(kinds.contains(&"verification.completed") && kinds.contains(&"party.verified"), "{kinds:?}");
    for message in &told {
        assert!(message.is_signed_with(&hook.secret));
        let data = message.body["data"].as_object().expect("data");
        assert_eq!(data["partyId"], consumer.as_str());
        let fields: Vec<&str> = data.keys().map(String::as_str).collect();
        assert_eq!(
            fields,
            ["documentId", "partyId", "partyStatus", "sequence", "verificationId"],
            "ids and words only"
        );
    }
}

#[tokio::test]
async fn new_terms_stop_what_is_new_until_they_are_accepted() {
    let shop = Shop::open().await;
    let parties = shop.with_verified_parties().await;
    shop.demand_verified_parties().await;
    shop.create(&invoice("INV")).await.is(201);
    shop.publish("2.0", "Pay sooner.").await;
    shop.create(&invoice("INV")).await.refused(404, "Wallet not registered");
    for party in &parties {
        let consumer = shop.get(party).await;
        assert_eq!(
            (&consumer.body["termsAccepted"], consumer.text("lastTermsAccepted")),
            (&json!(false), "1.0")
        );
        let path = format!("/consumers/{party}");
        let old = shop.api.patch(&path, json!({ "lastTermsAccepted": "1.0" })).await;
        old.refused(409, "lastTermsAccepted is not the newest version of the terms");
        let new = shop.api.patch(&path, json!({ "lastTermsAccepted": "2.0" })).await.is(200);
        assert_eq!((&new.body["termsAccepted"], new.text("status")), (&json!(true), "verified"));
    }
    shop.create(&invoice("INV")).await.is(201);
}

#[tokio::test]
async fn who_is_suspended_begins_nothing_and_ends_what_is_open() {
    let shop = Shop::open().await;
    let [payer, _] = shop.with_verified_parties().await;
    shop.demand_verified_parties().await;
    let (settled, cancelled) = (invoice("INV"), invoice("INV"));
    for open in [&settled, &cancelled] {
        shop.create(open).await.is(201);
    }
    assert_eq!(shop.decide(&payer, "suspend").await.is(200).text("status"), "suspended");
    let message = "Rule requireVerifiedParty refused the preauthorization: the sender's party is suspended";
    shop.create(&invoice("INV")).await.refused(400, message);
    shop.api.settle(&settled, "4").await.is(200);
    shop.api.cancel(&cancelled).await.is(200);
    assert_eq!(shop.decide(&payer, "resume").await.is(200).text("status"), "verified");
    shop.create(&invoice("INV")).await.is(201);

    // The command line decides alike, and shows it.
    let name = shop.tenant.name.as_str();
    assert_eq!(shop.world.cli(&["party", "suspend", name, &payer]).await["status"], "suspended");
    shop.create(&invoice("INV")).await.refused(400, message);
    assert_eq!(shop.world.cli(&["party", "show", name, &payer]).await["open"], json!([]));
    assert_eq!(shop.world.cli(&["party", "list", name]).await.as_array().map(Vec::len), Some(2));
    assert_eq!(shop.world.cli(&["party", "reject", name, &payer]).await["status"], "rejected");
    shop.create(&invoice("INV")).await.refused(404, "Wallet not registered");
    shop.world.cli(&["party", "resume", name, &payer]).await;
    shop.create(&invoice("INV")).await.is(201);
    shop.world.cli(&["party", "delete", name, &payer]).await;
    shop.api.get(&format!("/consumers/{payer}")).await.refused(404, "Party not found");
    shop.create(&invoice("INV")).await.refused(404, "Wallet not registered");
    let told =
        shop.api.get("/events?limit=100").await.is(200).body["data"].as_array().expect("events").clone();
    let of_payer = told.iter().filter(|event| event["data"]["partyId"] == payer.as_str());
    let kinds: Vec<&str> = of_payer.map(|event| event["type"].as_str().expect("a type")).collect();
    let expected = [
        "verification.completed",
        "party.verified",
        "party.suspended",
        "party.verified",
        "party.suspended",
        "party.rejected",
        "party.verified",
    ];
    assert_eq!(kinds, expected);
}

#[tokio::test]
async fn an_identity_that_fails_is_not_verified() {
    let shop = Shop::open().await;
    shop.publish("1.0", "Pay what you owe.").await;
    let consumer = shop.consumer("612349003", "1.0").await;
    shop.verify_phone(&consumer).await;
    assert_eq!(shop.verify_identity(&consumer).await, "failed");
    let shown = shop.get(&consumer).await;
    assert_eq!(
        (shown.text("status"), &shown.body["kyc"]["reason"]),
        ("onboarding", &json!("person_mismatch"))
    );
}

/// A body as it is documented for consumers, with real values where there are placeholders.
fn whole_body() -> Value {
    json!({
        "partnerName": "string",
        "externalId": invoice("user"),
        "phone": { "countryCode": "33", "number": "6 98 76 54 32" },
        "emailAddress": "ambrosia.wennybel@mail.com",
        "sourceOfFunds": "COMPENSATION_PAYOUT",
        "otherSourceOfFunds": "a buried chest of doubloons",
        "occupation": "BUSINESS_OWNER",
        "otherOccupation": "string",
        "lastTermsAccepted": "1.0",
        "metadata": { "property1": {}, "property2": { "nickname": "Wennybelina" } },
    })
}

#[tokio::test]
async fn a_whole_consumer_is_taken_and_given_back_and_nobody_else_can_read_him() {
    let shop = Shop::open().await;
    shop.publish("1.0", "Pay what you owe.").await;
    let body = whole_body();
    let made = shop.api.post("/consumers", body.clone()).await.is(201);
    assert_eq!(made.body.as_object().map(serde_json::Map::len), Some(1), "the id alone");
    let id = made.text("id");
    shop.api.post("/consumers", body.clone()).await.refused(409, "Another party has this externalId");
    let shown = shop.get(id).await;
    for field in [
        "externalId",
        "emailAddress",
        "sourceOfFunds",
        "otherSourceOfFunds",
        "occupation",
        "otherOccupation",
        "lastTermsAccepted",
        "metadata",
    ] {
        assert_eq!(shown.body[field], body[field], "{field}");
    }
    assert_eq!(
        shown.body["phone"],
        json!({ "countryCode": "33", "number": "6 98 76 54 32", "verified": false })
    );

    // The address is confirmed by a link, which works once; another address is not.
    let link = shop.step(id, "email/verification-link").await.is(200).text("url").to_owned();
    for _ in 0..2 {
        assert!(shop.open_link(&link).await.contains("<form method=\"post\">"));
    }
    assert_eq!(shop.get(id).await.body["emailVerified"], false);
    shop.follow(&link).await.is(200);
    assert!(!shop.open_link(&link).await.contains("<form"));
    assert_eq!(shop.follow(&link).await.status, 404);
    assert_eq!(shop.get(id).await.body["emailVerified"], true);
    let path = format!("/consumers/{id}");
    let moved = shop.api.patch(&path, json!({ "emailAddress": "wennybel@other.example" })).await.is(200);
    assert_eq!(moved.body["emailVerified"], false);

    // Another tenant, and a key for other things, see nothing.
    let other = shop.world.tenant().await;
    let stranger = shop.world.api.with_key(&shop.world.key(&other.name, &SCOPES).await);
    stranger.get(&path).await.refused(404, "Party not found");
    stranger.patch(&path, json!({})).await.refused(404, "Party not found");
    stranger.delete(&format!("/parties/{id}")).await.refused(404, "Party not found");
    shop.tenant.admin.get(&path).await.denied(403);
    shop.api.with_key("").get(&path).await.denied(401);

    // Neither in the database and its log, nor in what the daemon says.
    let files = std::fs::read_dir(shop.world.house.data_dir()).expect("the data folder");
    let bytes: Vec<u8> =
        files.flat_map(|file| std::fs::read(file.expect("a file").path()).unwrap_or_default()).collect();
    let log = shop.world.log();
    let metrics = shop.api.get("/metrics").await.is(200).body.to_string();
    let feed = shop.api.get("/events").await.is(200).body.to_string();
    assert!(bytes.windows(4).any(|window| window == b"Pay "), "what is public is there");
    for secret in ["ambrosia", "wennybel", "Wennybelina", "698765432", "98 76 54", "doubloons"] {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
        assert!(!log.contains(secret) && !metrics.contains(secret) && !feed.contains(secret), "{secret}");
    }
    let audit = shop.world.cli(&["audit", "--limit", "1000"]).await;
    let subject = format!("party {id}");
    let acts = audit.as_array().expect("acts").iter().filter(|act| act["subject"] == subject.as_str());
    let acts: Vec<&str> = acts.map(|act| act["act"].as_str().expect("an act")).collect();
    assert_eq!(acts.iter().filter(|act| **act == "party.read").count(), 4, "{acts:?}");
    assert_eq!(acts.last(), Some(&"party.create"));
}

#[tokio::test]
async fn what_is_wrong_with_a_consumer_is_named() {
    let shop = Shop::open().await;
    let phone = json!({ "countryCode": "33", "number": "612345678" });
    let long = "x".repeat(512);
    for (field, value, message) in [
        (
            "phone",
            json!({ "countryCode": "999", "number": "1" }),
            "phone.countryCode must be the code of a country, such as 33",
        ),
        (
            "phone",
            json!({ "countryCode": "33", "number": "string" }),
            "phone.number must be a phone number of the country",
        ),
        ("phone", json!(["33", "612345678"]), "phone must be an object"),
        ("phone", json!({ "countryCode": "33" }), "phone.number is missing"),
        ("emailAddress", json!("string"), "emailAddress must be an e-mail address"),
        ("emailAddress", json!("amb\u{435}r@mail.com"), "emailAddress must be an e-mail address"),
        ("externalId", json!(long), "externalId must have at most 511 characters"),
        (
            "externalId",
            json!("a\u{202e}b"),
            "externalId must have no invisible characters, and no spaces around it",
        ),
        ("otherOccupation", json!(long), "otherOccupation must have at most 511 characters"),
        ("metadata", json!({ "m": "x".repeat(3_000) }), "metadata must have at most 3000 characters as JSON"),
        ("metadata", json!([]), "metadata must be a map"),
        ("lastTermsAccepted", json!("9.9"), "lastTermsAccepted must be a version of the terms"),
        ("shoeSize", json!(43), "shoeSize is not known here"),
    ] {
        let mut body = json!({ "phone": phone });
        body[field] = value;
        shop.api.post("/consumers", body).await.refused(400, message);
    }
    shop.api.post("/consumers", json!({})).await.refused(400, "phone is missing");
    let odd = json!({ "phone": phone, "sourceOfFunds": "TREASURE", "occupation": "PIRATE" });
    let refused = shop.api.post("/consumers", odd).await.is(400);
    let errors = refused.body["errors"].as_array().expect("errors");
    assert_eq!(errors.iter().map(|one| &one["field"]).collect::<Vec<_>>(), ["sourceOfFunds", "occupation"]);
}

#[tokio::test]
async fn a_creation_under_a_key_makes_one_consumer() {
    let shop = Shop::open().await;
    let body = json!({ "phone": { "countryCode": "33", "number": "612345678" } });
    let key = invoice("key");
    let first = shop.api.post_under(&key, "/consumers", body.clone()).await.is(201);
    let again = shop.api.post_under(&key, "/consumers", body).await.is(201);
    assert!(again.is_replayed());
    assert_eq!(first.text("id"), again.text("id"));
    assert_eq!(shop.api.get("/parties").await.is(200).body["data"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_code_is_guessed_five_times() {
    let shop = Shop::open().await;
    let consumer = shop.consumer_without_terms().await;
    shop.step(&consumer, "phone/verification-code").await.is(200);
    let path = format!("/consumers/{consumer}/phone/verification-code/verify");
    for _ in 0..5 {
        shop.api.post(&path, json!({ "code": "000000" })).await.refused(400, "The code is wrong");
    }
    let late = shop.api.post(&path, json!({ "code": "123456" })).await;
    late.refused(409, "What was sent can be answered no more: ask for another one");
    for code in ["12345", "1234567", "12345x", "１２３４５６"] {
        shop.api.post(&path, json!({ "code": code })).await.refused(400, "code must be 6 digits");
    }
}

impl Shop {
    async fn consumer_without_terms(&self) -> String {
        let body = json!({ "phone": { "countryCode": "33", "number": "612345678" } });
        self.api.post("/consumers", body).await.is(201).text("id").to_owned()
    }
}
