//! Parties in the admin's room: what is shown to whom, what may be done by whom, and what is written down of it.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::http::testing::{Answer, House};
use crate::model::{
    BarEvent, DocumentLabel, DocumentPurpose, PartyId, PartyKind, Phone, Profile, RequirementKind, ReviewId,
    Scope, TenantId,
};
use crate::onboarding::{Actor, DocumentWish, IfOpen, Onboarding, PartyWish, VerifyWish};
use crate::store::tenants;

const ASKED: [(RequirementKind, bool); 1] = [(RequirementKind::Identity, true)];
/// Text, so that an answer that holds it can be read.
const LETTER: &[u8] = b"%PDF-1.7\nTo whom it may concern";
/// What is for those alone who may act.
const SECRETS: [&str; 3] = ["photograph", "letter.pdf", "612349004"];

/// A house that onboards, the key of somebody who may look, and the key of somebody who may act.
struct Room {
    house: House,
    onboarding: Onboarding,
    looker: String,
    clerk: String,
}

/// A failed verification that was justified.
struct Case {
    party: PartyId,
    review: ReviewId,
    document: String,
}

fn shop() -> Actor {
    Actor::of_key("pk_shop")
}

fn letter() -> DocumentWish {
    let label = DocumentLabel {
        kind: None,
        side: None,
        country: None,
        file_name: "letter.pdf".into(),
        valid_from: None,
        valid_until: None,
    };
    DocumentWish { purpose: DocumentPurpose::Supporting, label, bytes: LETTER.to_vec() }
}

impl Room {
    async fn open() -> Self {
        let mut house = House::open().await;
        house.give_onboarding();
        let onboarding = house.state.onboarding.clone().unwrap();
        tokio::spawn(onboarding.clone().examine(CancellationToken::new()));
        let (looker, clerk) = (house.admin_key(&[Scope::Read]).await, house.admin_key(&[Scope::Write]).await);
        Self { house, onboarding, looker, clerk }
    }

    async fn create(&self, tenant: TenantId) -> PartyId {
        let phone = Phone::parse("33", "612349004").unwrap();
        let profile = Profile { phone: Some(phone), ..Profile::default() };
        let wish = PartyWish::new(PartyKind::Consumer, profile, &ASKED);
        self.onboarding.create(tenant, wish, &shop()).await.unwrap().unwrap()
    }

    async fn case(&self) -> Case {
        let (tenant, party) = (self.house.tenant(), self.create(self.house.tenant()).await);
        let wish = VerifyWish { edit: None, claims: Vec::new(), needs_documents: false };
        let verification = self.onboarding.verify(tenant, party, wish, &shop()).await.unwrap().unwrap();
        let has_ended = || async {
            let shown = self.onboarding.show(tenant, party).await.unwrap().unwrap();
            shown.verification.is_some_and(|newest| newest.reason.is_some())
        };
        while !has_ended().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let said = Some("It is my brother's photograph".to_owned());
        let begun = self.onboarding.justify(tenant, verification, said, IfOpen::Refuse, &shop()).await;
        let review = begun.unwrap().unwrap().review.id;
        let attached = self.onboarding.attach(tenant, review, letter(), &shop()).await.unwrap().unwrap();
        Case { party, review, document: attached.1.id.to_string() }
    }

    async fn ask(&self, key: &str, method: &str, path: &str, body: &str) -> Answer {
        self.house.ask_admin(method, path, body).header("x-api-key", key).send().await
    }

    /// What is shown to whoever may look.
    async fn look(&self, path: &str) -> Answer {
        let answer = self.ask(&self.looker, "GET", path, "").await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        for secret in SECRETS {
            assert!(!answer.text.contains(secret), "{path} tells {secret}");
        }
        answer
    }

    /// The statuses and ids of the parties that a path shows.
    async fn listed(&self, path: &str) -> Vec<(String, String)> {
        let page = self.look(path).await;
        let rows = page.body["data"].as_array().unwrap();
        let text = |row: &serde_json::Value, field: &str| row[field].as_str().unwrap().to_owned();
        rows.iter().map(|row| (text(row, "status"), text(row, "id"))).collect()
    }

    /// What admin keys did, oldest first.
    async fn acts(&self) -> Vec<(String, String)> {
        let log = self.look("/admin/audit?limit=100").await;
        let entries = log.body["data"].as_array().unwrap().iter().rev();
        let text = |entry: &serde_json::Value, field: &str| entry[field].as_str().unwrap().to_owned();
        let clerk = format!("key {} night shift", &self.clerk[..12]);
        let acts = entries.filter(|entry| entry["actor"] == clerk.as_str());
        acts.map(|entry| (text(entry, "act"), text(entry, "subject"))).collect()
    }
}

impl Case {
    fn path(&self) -> String {
        format!("/admin/reviews/{}", self.review)
    }

    fn document_path(&self) -> String {
        format!("{}/documents/{}", self.path(), self.document)
    }
}

#[tokio::test]
async fn where_nobody_is_onboarded_there_is_nothing_of_it() {
    let house = House::open().await;
    let key = house.admin_key(&Scope::OF_ADMINS).await;
    let ask = |method: &'static str, path: &'static str| {
        house.ask_admin(method, path, "").header("x-api-key", &key).send()
    };
    for (method, path) in [
        ("GET", "/admin/parties"),
        ("GET", "/admin/reviews"),
        ("GET", "/admin/reviews/019d1f7e-6c1e-7a53-b6f7-3f6d1a2b3c4d"),
        ("POST", "/admin/reviews/019d1f7e-6c1e-7a53-b6f7-3f6d1a2b3c4d/approve"),
        ("POST", "/admin/reviews/019d1f7e-6c1e-7a53-b6f7-3f6d1a2b3c4d/reject"),
    ] {
        assert_eq!(ask(method, path).await.status, 404, "{path}");
    }
    assert_eq!(ask("GET", "/admin/overview").await.body["onboarding"], false);
    let room = Room::open().await;
    assert_eq!(room.look("/admin/overview").await.body["onboarding"], true);
    let path = "/admin/reviews/019d1f7e-6c1e-7a53-b6f7-3f6d1a2b3c4d";
    for path in [path, "/admin/reviews/x", &format!("{path}/documents/{path}")] {
        let unknown = room.ask(&room.clerk, "GET", path, "").await;
        assert_eq!(unknown.status, 404, "{path}");
    }
    let unknown = room.ask(&room.clerk, "POST", &format!("{path}/approve"), "").await;
    assert_eq!(unknown.error().3, "review_not_found");
}

#[tokio::test]
async fn parties_of_all_tenants_are_listed_by_ids_and_words() {
    let room = Room::open().await;
    let tenants_key = room.house.key_of_another_tenant(&Scope::ALL).await;
    let other = tenants::by_name(&mut room.house.state.store.read().await.unwrap(), "other").await.unwrap();
    let other = other.unwrap().id;
    let (first, second) = (room.create(room.house.tenant()).await, room.create(other).await);
    room.onboarding.decide(other, second, BarEvent::Suspend, &shop()).await.unwrap().unwrap();

    let all = [("suspended".to_owned(), second.to_string()), ("onboarding".to_owned(), first.to_string())];
    assert_eq!(room.listed("/admin/parties").await, all);
    let page = room.look("/admin/parties?limit=1").await.body;
    let newest = &page["data"][0];
    assert_eq!((&newest["tenant"], &newest["type"]), (&"other".into(), &"consumer".into()));
    assert_eq!(newest["open"], serde_json::json!(["identity"]));
    let next = room.look(&format!("/admin/parties?before={}", page["next"])).await.body;
    assert_eq!(
        (&next["data"][0]["id"], &next["next"]),
        (&first.to_string().into(), &serde_json::Value::Null)
    );
    assert_eq!(room.listed("/admin/parties?status=suspended").await, all[..1]);
    assert_eq!(room.listed("/admin/parties?status=onboarding").await, all[1..]);
    assert!(room.listed("/admin/parties?status=verified").await.is_empty());
    let wrong = room.ask(&room.looker, "GET", "/admin/parties?status=VERIFIED&limit=0", "").await;
    assert_eq!((wrong.status, wrong.body["errors"].as_array().unwrap().len()), (400, 2));

    for key in [&room.clerk, &tenants_key] {
        let denied = room.ask(key, "GET", "/admin/parties", "").await;
        assert!(matches!(denied.status, 401 | 403), "{}", denied.text);
    }
}

#[tokio::test]
async fn a_justification_is_read_and_approved_by_who_may_act_and_that_is_written_down() {
    let room = Room::open().await;
    let case = room.case().await;
    let waiting = room.look("/admin/reviews").await.body["data"][0].clone();
    let of = |field: &str| waiting[field].as_str().unwrap().to_owned();
    assert_eq!((of("id"), of("partyId")), (case.review.to_string(), case.party.to_string()));
    assert_eq!(
        (of("tenant"), of("reason"), &waiting["documents"]),
        ("shop".into(), "refused".into(), &1.into())
    );

    // To look does not take one further, and leaves no trace.
    let approve = format!("{}/approve", case.path());
    for (method, path) in [("GET", &case.path()), ("GET", &case.document_path()), ("POST", &approve)] {
        assert_eq!(room.ask(&room.looker, method, path, "").await.status, 403, "{method} {path}");
    }
    assert!(room.acts().await.is_empty());

    let read = room.ask(&room.clerk, "GET", &case.path(), "").await.body;
    assert_eq!(read["justification"], "It is my brother's photograph");
    assert_eq!((&read["decision"], &read["partyStatus"]), (&serde_json::Value::Null, &"onboarding".into()));
    let paper = &read["documents"][0];
    assert_eq!((&paper["id"], &paper["fileName"]), (&case.document.as_str().into(), &"letter.pdf".into()));
    assert_eq!((&paper["mediaType"], &paper["bytes"]), (&"application/pdf".into(), &LETTER.len().into()));
    let file = room.ask(&room.clerk, "GET", &case.document_path(), "").await;
    assert_eq!(file.text.as_bytes(), LETTER);
    assert_eq!(file.header("content-disposition"), "attachment");
    assert_eq!(file.header("x-content-type-options"), "nosniff");
    assert_eq!(file.header("content-security-policy"), "default-src 'none'; sandbox");

    let long = format!(r#"{{"notes":"{}"}}"#, "x".repeat(10_001));
    assert_eq!(room.ask(&room.clerk, "POST", &approve, &long).await.status, 400);
    let approved = room.ask(&room.clerk, "POST", &approve, r#"{"notes":"seen"}"#).await;
    assert_eq!(approved.status, 204, "{}", approved.text);
    assert_eq!(room.listed("/admin/parties?status=verified").await[0].1, case.party.to_string());
    assert!(room.look("/admin/reviews").await.body["data"].as_array().unwrap().is_empty());
    let decided = room.ask(&room.clerk, "POST", &format!("{}/reject", case.path()), "").await;
    assert_eq!(decided.error().3, "review_decided");
    let read = room.ask(&room.clerk, "GET", &case.path(), "").await.body;
    assert_eq!((&read["decision"], &read["staffNotes"]), (&"approved".into(), &"seen".into()));

    let acts = ["review.read", "document.read", "review.approve", "review.read"];
    let subject = format!("party {}", case.party);
    assert_eq!(room.acts().await, acts.map(|act| (act.to_owned(), subject.clone())));
}

#[tokio::test]
async fn a_rejected_one_leaves_the_queue_and_the_party_where_it_stood() {
    let room = Room::open().await;
    let (first, second) = (room.case().await, room.case().await);
    // A review shows what belongs to it.
    let strange = format!("{}/documents/{}", first.path(), second.document);
    let strange = room.ask(&room.clerk, "GET", &strange, "").await;
    assert_eq!(strange.error().3, "document_not_found");

    let rejected = room.ask(&room.clerk, "POST", &format!("{}/reject", first.path()), "").await;
    assert_eq!(rejected.status, 204, "{}", rejected.text);
    let waiting = room.look("/admin/reviews").await.body;
    assert_eq!(waiting["data"].as_array().unwrap().len(), 1);
    assert_eq!(waiting["data"][0]["id"], second.review.to_string());
    let onboarding = room.listed("/admin/parties?status=onboarding").await;
    assert!(onboarding.iter().any(|(_, id)| *id == first.party.to_string()));
    assert_eq!(room.acts().await, [("review.reject".to_owned(), format!("party {}", first.party))]);
}
