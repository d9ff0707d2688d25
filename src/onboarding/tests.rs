//! The verbs together, on a real database: a party is onboarded, and what it may do follows.

use std::sync::Mutex;

use alloy::primitives::Address;
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use futures::FutureExt;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::chain::wall_now;
use crate::model::{
    Account, BarEvent, ChallengeKind, ChallengeState, Claim, ClaimKind, DocumentFlaw, DocumentLabel,
    DocumentPurpose, DocumentSide, DocumentState, Email, EventKind, ExternalId, FailureReason, FeedEvent,
    Language, Participation, PartyId, PartyKind, PartyStatus, Phone, Profile, RequirementKind,
    ReviewDecision, ReviewId, Tenant, TenantId, TermsName, VerificationState, WalletRole,
};
use crate::outbound::{Outbound, Post};
use crate::store::{StoreError, audit, events, tenants};

const REQUIREMENTS: [(RequirementKind, bool); 4] = [
    (RequirementKind::PhoneNumber, true),
    (RequirementKind::Terms, true),
    (RequirementKind::Identity, true),
    (RequirementKind::Email, false),
];
/// What must be readable in no file.
const SECRETS: [&str; 4] = ["Amber", "amber.wenny@mail.com", "612345678", "Savings of a lifetime"];

/// A tenant that onboards in the sandbox.
struct Desk {
    onboarding: Onboarding,
    store: Store,
    tenant: TenantId,
    folder: TempDir,
}

impl Desk {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let settings = OnboardingSettings {
            master: MasterKey::parse(&"07".repeat(32)).unwrap(),
            messenger: Messenger::Sandbox,
            verifier: Verifier::Sandbox,
            public_url: "https://pay.example".into(),
        };
        let onboarding = Onboarding::new(store.clone(), Signals::default(), settings);
        let tenant = new_tenant(&store, "shop").await;
        Self { onboarding, store, tenant, folder }
    }

    /// Leaves the sandbox: messages go to a gateway, and nobody verifies identities.
    fn send_by(&mut self, url: String) {
        let outbound = Outbound { allow_private: true, ..Outbound::default() };
        let gateway = Gateway::new(url, GATEWAY_KEY, Post::new(&outbound).unwrap()).unwrap();
        let settings = OnboardingSettings {
            master: MasterKey::parse(&"07".repeat(32)).unwrap(),
            messenger: Messenger::Gateway(Box::new(gateway)),
            verifier: Verifier::None,
            public_url: "https://pay.example".into(),
        };
        self.onboarding = Onboarding::new(self.store.clone(), Signals::default(), settings);
    }

    async fn publish(&self, version: &str) {
        let (name, text) = (TermsName::parse(version).unwrap(), format!("Terms {version}"));
        let published =
            self.onboarding.publish_terms(self.tenant, name, Language::english(), text, &actor()).await;
        published.unwrap().unwrap();
    }

    async fn create(&self, phone: &str, accepted: Option<&str>) -> PartyId {
        let wish = wish(phone, None, accepted);
        self.onboarding.create(self.tenant, wish, &actor()).await.unwrap().unwrap()
    }

    async fn confirm_phone(&self, id: PartyId) {
        self.send(id, ChallengeKind::PhoneCode).await.unwrap();
        self.answer(id, "123456").await.unwrap();
    }

    async fn send(&self, id: PartyId, kind: ChallengeKind) -> Result<SentChallenge, OnboardingRefusal> {
        self.onboarding.send_challenge(self.tenant, id, kind, &actor()).await.unwrap()
    }

    async fn answer(&self, id: PartyId, code: &str) -> Result<(), OnboardingRefusal> {
        self.onboarding.answer_code(self.tenant, id, code.to_owned(), &actor()).await.unwrap()
    }

    async fn follow(&self, sent: &SentChallenge) -> Result<FollowedLink, OnboardingRefusal> {
        let link = sent.link.clone().unwrap();
        let token = link.rsplit('/').next().unwrap();
        self.onboarding.follow_link(token).await.unwrap()
    }

    /// Has the identity verified, well or not.
    async fn verify(&self, id: PartyId) {
        let sent = self.send(id, ChallengeKind::IdentityLink).await.unwrap();
        assert_eq!(self.follow(&sent).await, Ok(FollowedLink::VerificationBegun));
        self.onboarding.look(wall_now()).await.unwrap();
    }

    async fn accept(&self, id: PartyId, version: &str) -> Result<(), OnboardingRefusal> {
        let accepted = Some(TermsName::parse(version).unwrap());
        let wish = ProfileWish { edit: ProfileEdit::new(|_| ()), remarks: None, accepted };
        self.onboarding.change(self.tenant, id, wish, &actor()).await.unwrap()
    }

    async fn decide(&self, id: PartyId, event: BarEvent) -> Result<(), OnboardingRefusal> {
        self.onboarding.decide(self.tenant, id, event, &actor()).await.unwrap()
    }

    async fn shown(&self, id: PartyId) -> ShownParty {
        self.onboarding.show(self.tenant, id).await.unwrap().unwrap()
    }

    async fn status(&self, id: PartyId) -> PartyStatus {
        self.shown(id).await.party.status()
    }

    async fn told(&self) -> Vec<EventKind> {
        let mut reader = self.store.read().await.unwrap();
        let page = events::page(&mut reader, self.tenant, None, 0, 100).await.unwrap();
        let kind = |event| match event {
            FeedEvent::Party(event) => event.kind,
            FeedEvent::Preauth(_) => panic!("there are no preauthorizations"),
        };
        page.into_iter().map(kind).collect()
    }

    async fn acts(&self) -> Vec<String> {
        let page = audit::page(&mut self.store.read().await.unwrap(), None, 100).await.unwrap();
        page.into_iter().rev().map(|entry| entry.act).collect()
    }

    /// Everything that is in the database and its log.
    async fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for entry in std::fs::read_dir(self.folder.path()).unwrap() {
            bytes.extend(std::fs::read(entry.unwrap().path()).unwrap());
        }
        bytes
    }
}

async fn new_tenant(store: &Store, name: &str) -> TenantId {
    let tenant = Tenant {
        id: TenantId(Uuid::new_v4()),
        name: name.into(),
        disabled: false,
        allowed_tip_bps: 0,
        default_ttl_seconds: 60,
        require_signed_consent: false,
        require_verified_party: true,
        rules: crate::model::Rules::default(),
    };
    let id = tenant.id;
    let insert = store.write::<_, StoreError, _>(move |tx| {
        async move { tenants::insert(tx, &tenant, wall_now()).await }.boxed()
    });
    insert.await.unwrap();
    id
}

fn actor() -> Actor {
    Actor::of_key("pak_0badcafe")
}

fn wish(phone: &str, external_id: Option<&str>, accepted: Option<&str>) -> PartyWish {
    let mut profile = Profile {
        phone: Some(Phone::parse("33", phone).unwrap()),
        email: Some(Email::parse("amber.wenny@mail.com").unwrap()),
        ..Profile::default()
    };
    profile.particulars.insert("firstName".into(), "Amber".into());
    profile.particulars.insert("otherSourceOfFunds".into(), "Savings of a lifetime".into());
    PartyWish {
        external_id: external_id.map(|id| ExternalId::parse(id).unwrap()),
        accepted: accepted.map(|version| TermsName::parse(version).unwrap()),
        ..PartyWish::new(PartyKind::Consumer, profile, &REQUIREMENTS)
    }
}

const WALLET: Address = Address::repeat_byte(0x41);

#[tokio::test]
async fn a_party_is_verified_when_nothing_is_open_and_not_before() {
    let desk = Desk::open().await;
    desk.publish("1.0").await;
    let id = desk.create("612345678", None).await;
    assert_eq!(desk.status(id).await, PartyStatus::Onboarding);
    desk.confirm_phone(id).await;
    desk.accept(id, "1.0").await.unwrap();
    assert_eq!(desk.status(id).await, PartyStatus::Onboarding);
    let account = Account::from_address(WALLET);
    let tied = desk.onboarding.tie_wallet(desk.tenant, id, account, WalletRole::Sender, &actor()).await;
    tied.unwrap().unwrap();
    let participation = |role| desk.store.participation(desk.tenant, WALLET, role);
    assert_eq!(participation(WalletRole::Sender).await.unwrap(), Participation::NotVerified);

    desk.verify(id).await;
    assert_eq!(desk.status(id).await, PartyStatus::Verified);
    assert_eq!(participation(WalletRole::Sender).await.unwrap(), Participation::Admitted);
    assert_eq!(participation(WalletRole::Receiver).await.unwrap(), Participation::NotVerified);

    // New terms make it open again, until they are accepted: those and no older ones.
    desk.publish("2.0").await;
    assert_eq!(desk.status(id).await, PartyStatus::Onboarding);
    assert_eq!(participation(WalletRole::Sender).await.unwrap(), Participation::NotVerified);
    assert_eq!(desk.accept(id, "1.0").await, Err(OnboardingRefusal::OldTerms));
    assert_eq!(desk.accept(id, "3.0").await, Err(OnboardingRefusal::UnknownTerms));
    desk.accept(id, "2.0").await.unwrap();
    assert_eq!(desk.status(id).await, PartyStatus::Verified);

    desk.decide(id, BarEvent::Suspend).await.unwrap();
    desk.decide(id, BarEvent::Suspend).await.unwrap();
    assert_eq!(participation(WalletRole::Sender).await.unwrap(), Participation::Suspended);
    desk.decide(id, BarEvent::Resume).await.unwrap();
    desk.decide(id, BarEvent::Reject).await.unwrap();
    assert_eq!(desk.decide(id, BarEvent::Suspend).await, Err(OnboardingRefusal::Rejected));
    assert_eq!(participation(WalletRole::Sender).await.unwrap(), Participation::NotVerified);
    let told = [
        EventKind::VerificationCompleted,
        EventKind::PartyVerified,
        EventKind::PartyVerified,
        EventKind::PartySuspended,
        EventKind::PartyVerified,
        EventKind::PartyRejected,
    ];
    assert_eq!(desk.told().await, told);
}

#[tokio::test]
async fn codes_cannot_be_guessed() {
    let desk = Desk::open().await;
    let id = desk.create("612345678", None).await;
    assert_eq!(desk.answer(id, "123456").await, Err(OnboardingRefusal::NothingSent));
    for _ in 0..ChallengeKind::MOST_PER_HOUR {
        desk.send(id, ChallengeKind::PhoneCode).await.unwrap();
        for left in (0..5).rev() {
            assert_eq!(desk.answer(id, "000000").await, Err(OnboardingRefusal::WrongCode { left }));
        }
        let exhausted = Err(OnboardingRefusal::Closed(ChallengeState::Exhausted));
        assert_eq!(desk.answer(id, "123456").await, exhausted, "the right one comes too late");
    }
    let sent = desk.send(id, ChallengeKind::PhoneCode).await;
    assert!(matches!(sent, Err(OnboardingRefusal::SentTooOften(1..=3_600))), "{sent:?}");
}

#[tokio::test]
async fn what_was_confirmed_of_one_number_does_not_hold_for_another() {
    let desk = Desk::open().await;
    let id = desk.create("612345678", None).await;
    desk.send(id, ChallengeKind::PhoneCode).await.unwrap();
    let edit = |number: &'static str| ProfileWish {
        edit: ProfileEdit::new(move |profile| profile.phone = Some(Phone::parse("33", number).unwrap())),
        remarks: Some("he moved".into()),
        accepted: None,
    };
    desk.onboarding.change(desk.tenant, id, edit("612345679"), &actor()).await.unwrap().unwrap();
    let void = Err(OnboardingRefusal::Closed(ChallengeState::Void));
    assert_eq!(desk.answer(id, "123456").await, void, "it was sent to the old number");
    desk.confirm_phone(id).await;
    let is_open = |shown: &ShownParty| shown.party.open().any(|one| one.kind == RequirementKind::PhoneNumber);
    assert!(!is_open(&desk.shown(id).await));
    // Written otherwise it is the same number.
    desk.onboarding.change(desk.tenant, id, edit("06 12 34 56 79"), &actor()).await.unwrap().unwrap();
    assert!(!is_open(&desk.shown(id).await));
    desk.onboarding.change(desk.tenant, id, edit("612345670"), &actor()).await.unwrap().unwrap();
    assert!(is_open(&desk.shown(id).await));
}

#[tokio::test]
async fn links_work_once_and_looking_at_them_does_nothing() {
    let desk = Desk::open().await;
    let id = desk.create("612345678", None).await;
    let first = desk.send(id, ChallengeKind::EmailLink).await.unwrap();
    let second = desk.send(id, ChallengeKind::EmailLink).await.unwrap();
    let void = Err(OnboardingRefusal::Closed(ChallengeState::Void));
    assert_eq!(desk.follow(&first).await, void, "a newer one was sent");
    let link = second.link.clone().unwrap();
    let token = link.rsplit('/').next().unwrap();
    for _ in 0..2 {
        let shown = desk.onboarding.show_link(token).await.unwrap();
        assert_eq!(shown, Some(ShownLink { kind: ChallengeKind::EmailLink, state: ChallengeState::Open }));
    }
    let forged = format!("{}{}", &token[..32], "0".repeat(64));
    assert_eq!(desk.onboarding.show_link(&forged).await.unwrap(), None);
    for strange in ["", "x", &token[1..], &forged[..95]] {
        assert_eq!(desk.onboarding.show_link(strange).await.unwrap(), None);
        assert_eq!(desk.onboarding.follow_link(strange).await.unwrap(), Err(OnboardingRefusal::NothingSent));
    }
    assert_eq!(desk.follow(&second).await, Ok(FollowedLink::EmailConfirmed));
    assert_eq!(desk.follow(&second).await, Err(OnboardingRefusal::Closed(ChallengeState::Answered)));
    let again = desk.send(id, ChallengeKind::EmailLink).await;
    assert!(matches!(again, Err(OnboardingRefusal::AlreadyConfirmed(Contact::Email))));
}

#[tokio::test]
async fn the_sandbox_follows_its_test_values() {
    let desk = Desk::open().await;
    for (phone, reason) in [
        ("612349001", FailureReason::DocumentExpired),
        ("612349002", FailureReason::DocumentNotReadable),
        ("612349003", FailureReason::PersonMismatch),
        ("612349004", FailureReason::Refused),
    ] {
        let id = desk.create(phone, None).await;
        desk.verify(id).await;
        let verification = desk.shown(id).await.verification.unwrap();
        assert_eq!((verification.state, verification.reason), (VerificationState::Failed, Some(reason)));
    }
    // One that is silent is waited for, and then it is too late.
    let id = desk.create("612349009", None).await;
    desk.verify(id).await;
    let pending = desk.shown(id).await.verification.unwrap();
    assert_eq!(pending.state, VerificationState::Pending);
    let sent = desk.send(id, ChallengeKind::IdentityLink).await;
    assert!(matches!(sent, Err(OnboardingRefusal::VerificationPending)));
    desk.onboarding.look(pending.deadline).await.unwrap();
    let late = desk.shown(id).await.verification.unwrap();
    assert_eq!((late.state, late.reason), (VerificationState::Failed, Some(FailureReason::TimedOut)));
}

#[tokio::test]
async fn nobody_is_verified_until_one_slips_through() {
    let desk = Desk::open().await;
    let id = desk.create("612349004", None).await;
    for _ in 0..5 {
        desk.verify(id).await;
    }
    // The links of an hour are used up as well; a link of before would not do either.
    let sent = desk.send(id, ChallengeKind::IdentityLink).await;
    assert!(matches!(sent, Err(OnboardingRefusal::SentTooOften(_))), "{sent:?}");
    let party = desk.shown(id).await.party;
    let begun = desk.store.write::<_, StoreError, _>(move |tx| {
        async move { Ok(examiner::begin(tx, &party, wall_now()).await.is_err()) }.boxed()
    });
    assert!(begun.await.unwrap());
}

#[tokio::test]
async fn nothing_personal_can_be_read_in_the_database() {
    let desk = Desk::open().await;
    desk.publish("1.0").await;
    let id = desk.create("612345678", Some("1.0")).await;
    desk.confirm_phone(id).await;
    desk.send(id, ChallengeKind::EmailLink).await.unwrap();
    desk.verify(id).await;
    let edit = ProfileEdit::new(|profile| {
        profile.particulars.insert("lastName".into(), "Wennybel".into());
    });
    let wish = ProfileWish { edit, remarks: Some("she married Ambrose".into()), accepted: None };
    desk.onboarding.change(desk.tenant, id, wish, &actor()).await.unwrap().unwrap();
    let known = desk.onboarding.read(desk.tenant, id, &actor()).await.unwrap().unwrap();
    assert_eq!(known.profile.particulars["lastName"], "Wennybel");
    assert_eq!(known.profile.particulars["firstName"], "Amber");

    let bytes = desk.bytes().await;
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("Terms 1.0"), "what is public is there");
    for secret in SECRETS.into_iter().chain(["Wennybel", "Ambrose", "123456"]) {
        assert!(!holds(secret), "{secret}");
    }
    let acts = desk.acts().await;
    let expected = [
        "terms.publish",
        "party.create",
        "party.challenge",
        "party.answer",
        "party.challenge",
        "party.challenge",
        "party.answer",
        "party.verify",
        "party.change",
        "party.read",
    ];
    assert_eq!(acts, expected);
}

#[tokio::test]
async fn who_is_deleted_is_known_by_his_id_alone() {
    let desk = Desk::open().await;
    let actor = actor();
    let create = |id| desk.onboarding.create(desk.tenant, wish("612345678", Some(id), None), &actor);
    let id = create("user-7").await.unwrap().unwrap();
    assert_eq!(create("user-7").await.unwrap(), Err(OnboardingRefusal::ExternalIdTaken));
    let account = Account::from_address(WALLET);
    let tie = |id| desk.onboarding.tie_wallet(desk.tenant, id, account.clone(), WalletRole::Sender, &actor);
    tie(id).await.unwrap().unwrap();
    tie(id).await.unwrap().unwrap();
    let other = create("user-8").await.unwrap().unwrap();
    assert_eq!(tie(other).await.unwrap(), Err(OnboardingRefusal::WalletTaken));
    desk.decide(id, BarEvent::Suspend).await.unwrap();

    desk.onboarding.delete(desk.tenant, id, &actor).await.unwrap().unwrap();
    let gone = desk.onboarding.read(desk.tenant, id, &actor).await.unwrap();
    assert_eq!(gone.err(), Some(OnboardingRefusal::UnknownParty));
    assert_eq!(desk.told().await, [EventKind::PartySuspended], "what was told of it remains");
    let mut reader = desk.store.read().await.unwrap();
    let left = parties::page(&mut reader, desk.tenant, None, 100).await.unwrap();
    assert_eq!(left.iter().map(|party| party.id).collect::<Vec<_>>(), [other]);
    // Its name and its wallet are free again.
    create("user-7").await.unwrap().unwrap();
    tie(other).await.unwrap().unwrap();
}

#[tokio::test]
async fn tenants_do_not_see_each_others_parties() {
    let desk = Desk::open().await;
    let id = desk.create("612345678", None).await;
    let stranger = new_tenant(&desk.store, "other").await;
    let unknown = Some(OnboardingRefusal::UnknownParty);
    assert_eq!(desk.onboarding.show(stranger, id).await.unwrap().err(), unknown);
    assert_eq!(desk.onboarding.read(stranger, id, &actor()).await.unwrap().err(), unknown);
    let decided = desk.onboarding.decide(stranger, id, BarEvent::Suspend, &actor()).await;
    assert_eq!(decided.unwrap().err(), unknown);
    assert_eq!(desk.onboarding.delete(stranger, id, &actor()).await.unwrap().err(), unknown);
    let sent = desk.onboarding.send_challenge(stranger, id, ChallengeKind::PhoneCode, &actor()).await;
    assert_eq!(sent.unwrap().err(), unknown);
    assert!(desk.onboarding.list(stranger, None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn another_key_is_noticed_at_the_start() {
    let desk = Desk::open().await;
    desk.onboarding.check_key().await.unwrap();
    desk.create("612345678", None).await;
    desk.onboarding.check_key().await.unwrap();
    let settings = OnboardingSettings {
        master: MasterKey::parse(&"08".repeat(32)).unwrap(),
        messenger: Messenger::None,
        verifier: Verifier::None,
        public_url: String::new(),
    };
    let other = Onboarding::new(desk.store.clone(), Signals::default(), settings);
    assert!(other.check_key().await.is_err());
}

/// What a gateway was sent.
type Got = Arc<Mutex<Vec<(HeaderMap, Vec<u8>)>>>;

/// A gateway that takes messages after it has failed so often.
async fn gateway(failures: usize) -> (String, Got) {
    let got = Got::default();
    let seen = Arc::clone(&got);
    let take = move |headers: HeaderMap, body: Bytes| async move {
        let mut seen = seen.lock().unwrap();
        seen.push((headers, body.to_vec()));
        if seen.len() > failures { StatusCode::OK } else { StatusCode::BAD_GATEWAY }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/send", listener.local_addr().unwrap());
    let router = Router::new().route("/send", post(take));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, got)
}

const GATEWAY_KEY: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

#[tokio::test]
async fn a_gateway_is_sent_what_a_party_is_to_get() {
    let mut desk = Desk::open().await;
    let (url, got) = gateway(1).await;
    desk.send_by(url);
    let id = desk.create("612345678", None).await;
    let sent = desk.send(id, ChallengeKind::PhoneCode).await.unwrap();
    assert!(sent.link.is_none());
    let messages = got.lock().unwrap().clone();
    assert_eq!(messages.len(), 2, "it was tried again");
    let verifier = standardwebhooks::Webhook::new(GATEWAY_KEY).unwrap();
    for (headers, body) in &messages {
        verifier.verify(body, headers).unwrap();
    }
    let (_, body) = messages.last().unwrap();
    let body: serde_json::Value = serde_json::from_slice(body).unwrap();
    assert_eq!((&body["type"], &body["data"]["to"]), (&"message.requested".into(), &"+33612345678".into()));
    let code = body["data"]["code"].as_str().unwrap();
    assert!(code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
    desk.answer(id, code).await.unwrap();

    // A link is sent, and shown to nobody else.
    let sent = desk.send(id, ChallengeKind::EmailLink).await.unwrap();
    assert!(sent.link.is_none());
    let body: serde_json::Value = serde_json::from_slice(&got.lock().unwrap().last().unwrap().1).unwrap();
    assert_eq!(body["data"]["to"], "amber.wenny@mail.com");
    let link = body["data"]["link"].as_str().unwrap().to_owned();
    let followed = desk.follow(&SentChallenge { link: Some(link), lapses_at: wall_now() }).await;
    assert_eq!(followed, Ok(FollowedLink::EmailConfirmed));
    // Nobody verifies identities here.
    let begun = desk.send(id, ChallengeKind::IdentityLink).await;
    assert!(matches!(begun, Err(OnboardingRefusal::NoVerifier)));
}

#[tokio::test]
async fn a_gateway_that_stays_away_is_said_to() {
    let mut desk = Desk::open().await;
    let (url, got) = gateway(usize::MAX).await;
    desk.send_by(url);
    let id = desk.create("612345678", None).await;
    let sent = desk.send(id, ChallengeKind::PhoneCode).await;
    assert!(matches!(sent, Err(OnboardingRefusal::NotSent)));
    assert_eq!(got.lock().unwrap().len(), 3, "it is not tried for ever");
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0 of Amber Wenny";
/// What is asked of somebody with papers.
const WITH_PAPERS: [(RequirementKind, bool); 3] = [
    (RequirementKind::IdentityDocuments, true),
    (RequirementKind::Identity, true),
    (RequirementKind::ProofOfAddress, false),
];

fn paper(purpose: DocumentPurpose, file_name: &str) -> DocumentWish {
    let label = DocumentLabel {
        kind: Some("PASSPORT".into()),
        side: Some(DocumentSide::Front),
        country: Some("FR".into()),
        file_name: file_name.into(),
        valid_from: None,
        valid_until: None,
    };
    DocumentWish { purpose, label, bytes: [PNG, file_name.as_bytes()].concat() }
}

impl Desk {
    /// Somebody who has to bring papers.
    async fn create_with_papers(&self, phone: &str) -> PartyId {
        let profile = Profile { phone: Some(Phone::parse("33", phone).unwrap()), ..Profile::default() };
        let wish = PartyWish::new(PartyKind::Consumer, profile, &WITH_PAPERS);
        self.onboarding.create(self.tenant, wish, &actor()).await.unwrap().unwrap()
    }

    async fn bring(&self, id: PartyId, wish: DocumentWish) -> Result<ShownDocument, OnboardingRefusal> {
        self.onboarding.add_document(self.tenant, id, wish, &actor()).await.unwrap()
    }

    async fn look(&self) {
        self.onboarding.look(wall_now()).await.unwrap();
    }

    async fn ask(&self, id: PartyId, number: &str) -> Result<Uuid, OnboardingRefusal> {
        let claims = vec![Claim::new(ClaimKind::DocumentNumber, number)];
        let wish = VerifyWish { edit: None, claims, needs_documents: true };
        self.onboarding.verify(self.tenant, id, wish, &actor()).await.unwrap()
    }

    /// A verification that failed, and whose it is.
    async fn failed(&self) -> (PartyId, Uuid) {
        let id = self.create_with_papers("612349004").await;
        self.bring(id, paper(DocumentPurpose::Identity, "passport.png")).await.unwrap();
        self.ask(id, "6I12UQ171A").await.unwrap();
        self.look().await;
        let verification = self.shown(id).await.verification.unwrap();
        assert_eq!(verification.state, VerificationState::Failed);
        (id, verification.id)
    }

    async fn justify(&self, verification: Uuid) -> Result<ShownReview, OnboardingRefusal> {
        let said = Some("It is my brother's photograph".to_owned());
        self.onboarding.justify(self.tenant, verification, said, IfOpen::Refuse, &actor()).await.unwrap()
    }

    async fn settle(&self, id: ReviewId, decision: ReviewDecision) -> Result<ShownReview, OnboardingRefusal> {
        let notes = Some("seen".to_owned());
        self.onboarding.decide_review(self.tenant, id, decision, notes, &actor()).await.unwrap()
    }

    /// Lets a provider verify.
    fn verify_by(&mut self, url: String) {
        let outbound = Outbound { allow_private: true, ..Outbound::default() };
        let gateway = Gateway::new(url, GATEWAY_KEY, Post::new(&outbound).unwrap()).unwrap();
        let settings = OnboardingSettings {
            master: MasterKey::parse(&"07".repeat(32)).unwrap(),
            messenger: Messenger::Sandbox,
            verifier: Verifier::Provider(Box::new(gateway)),
            public_url: "https://pay.example".into(),
        };
        self.onboarding = Onboarding::new(self.store.clone(), Signals::default(), settings);
    }
}

#[tokio::test]
async fn who_has_to_bring_papers_is_verified_with_them() {
    let desk = Desk::open().await;
    let id = desk.create_with_papers("612345678").await;
    assert_eq!(desk.ask(id, "6I12UQ171A").await, Err(OnboardingRefusal::MissingDocuments));
    let brought = desk.bring(id, paper(DocumentPurpose::Identity, "passport.png")).await.unwrap();
    assert_eq!((brought.state, brought.media_type.as_str()), (DocumentState::Pending, "image/png"));
    let again = desk.bring(id, paper(DocumentPurpose::Identity, "passport.png")).await;
    assert_eq!(again.err(), Some(OnboardingRefusal::DocumentExists));
    desk.ask(id, "6I12UQ171A").await.unwrap();
    assert_eq!(desk.ask(id, "6I12UQ171A").await, Err(OnboardingRefusal::VerificationPending));
    assert_eq!(desk.status(id).await, PartyStatus::Onboarding);
    desk.look().await;
    assert_eq!(desk.status(id).await, PartyStatus::Verified);
    assert_eq!(desk.ask(id, "6I12UQ171A").await, Err(OnboardingRefusal::AlreadyVerified));
    let told = [EventKind::DocumentChecked, EventKind::VerificationCompleted, EventKind::PartyVerified];
    let mut heard = desk.told().await;
    heard.sort_by_key(|kind| told.iter().position(|one| one == kind));
    assert_eq!(heard, told);

    // The number of a document is one party's alone, however it is written.
    let other = desk.create_with_papers("612345679").await;
    desk.bring(other, paper(DocumentPurpose::Identity, "passport.png")).await.unwrap();
    let taken = Err(OnboardingRefusal::Claimed(ClaimKind::DocumentNumber));
    assert_eq!(desk.ask(other, "6i12-uq-171a").await, taken);
    desk.onboarding.delete(desk.tenant, id, &actor()).await.unwrap().unwrap();
    desk.ask(other, "6i12-uq-171a").await.unwrap();
}

#[tokio::test]
async fn a_document_is_refused_by_what_is_in_it_or_by_who_checks_it() {
    let desk = Desk::open().await;
    let id = desk.create_with_papers("612345678").await;
    let none = DocumentWish { bytes: b"<html>".to_vec(), ..paper(DocumentPurpose::Identity, "page.png") };
    let refused = desk.bring(id, none).await.err();
    assert_eq!(refused, Some(OnboardingRefusal::BadDocument(DocumentFlaw::UnknownType)));
    for (file_name, reason) in [
        ("expired.png", FailureReason::DocumentExpired),
        ("unreadable.png", FailureReason::DocumentNotReadable),
        ("refused.png", FailureReason::Refused),
    ] {
        desk.bring(id, paper(DocumentPurpose::Identity, file_name)).await.unwrap();
        desk.look().await;
        let documents = desk.onboarding.documents(desk.tenant, id, &actor()).await.unwrap().unwrap();
        let last = documents.last().unwrap();
        assert_eq!((last.state, last.reason), (DocumentState::Refused, Some(reason)), "{file_name}");
        assert_eq!(desk.ask(id, "6I12UQ171A").await, Err(OnboardingRefusal::MissingDocuments));
    }
    // One that nobody says anything about is waited for, and then it is too late.
    let silent = desk.bring(id, paper(DocumentPurpose::ProofOfAddress, "silent.png")).await.unwrap();
    desk.look().await;
    let in_a_week = wall_now().saturating_add(7 * 24 * 3_600 * 1_000);
    desk.onboarding.look(in_a_week).await.unwrap();
    let found = desk.onboarding.document(desk.tenant, id, silent.id, &actor()).await.unwrap().unwrap();
    assert_eq!((found.0.state, found.0.reason), (DocumentState::Refused, Some(FailureReason::TimedOut)));
    assert_eq!(found.1, [PNG, b"silent.png"].concat(), "it comes back as it was brought");
    let stranger = new_tenant(&desk.store, "other").await;
    let strange = desk.onboarding.document(stranger, id, silent.id, &actor()).await.unwrap();
    assert_eq!(strange.err(), Some(OnboardingRefusal::UnknownParty));
    let another = desk.create_with_papers("612345679").await;
    let strange = desk.onboarding.document(desk.tenant, another, silent.id, &actor()).await.unwrap();
    assert_eq!(strange.err(), Some(OnboardingRefusal::UnknownDocument));
}

#[tokio::test]
async fn a_justified_failure_is_approved_and_the_party_is_verified() {
    let desk = Desk::open().await;
    let (id, verification) = desk.failed().await;
    let review = desk.justify(verification).await.unwrap();
    assert_eq!(review.review.verification.id, verification);
    assert_eq!(desk.justify(verification).await.err(), Some(OnboardingRefusal::ReviewExists));
    let by = actor();
    let taken = desk.onboarding.justify(desk.tenant, verification, None, IfOpen::Take, &by);
    let taken = taken.await.unwrap().unwrap();
    assert_eq!((taken.review.id, taken.justification), (review.review.id, review.justification));

    let review = review.review.id;
    let attach =
        |name| desk.onboarding.attach(desk.tenant, review, paper(DocumentPurpose::Supporting, name), &by);
    let (party, attached) = attach("letter.png").await.unwrap().unwrap();
    assert_eq!((party, attached.state), (id, DocumentState::Accepted), "people look at it");
    let edit = ReviewEdit { justification: Some(Some("It is me".into())), ..ReviewEdit::default() };
    let edited = desk.onboarding.edit_review(desk.tenant, review, edit, &actor()).await.unwrap().unwrap();
    assert_eq!(edited.justification.as_deref(), Some("It is me"));
    assert_eq!(edited.documents.len(), 1);

    let decided = desk.settle(review, ReviewDecision::Approved).await.unwrap();
    assert_eq!(decided.staff_notes.as_deref(), Some("seen"));
    assert_eq!(decided.review.verification.state, VerificationState::Verified);
    assert_eq!(desk.status(id).await, PartyStatus::Verified);
    let decided = Some(OnboardingRefusal::ReviewDecided);
    assert_eq!(desk.settle(review, ReviewDecision::Rejected).await.err(), decided);
    assert_eq!(attach("later.png").await.unwrap().err(), decided);
    assert_eq!(desk.onboarding.delete_review(desk.tenant, review, &actor()).await.unwrap().err(), decided);
    assert_eq!(desk.justify(verification).await.err(), Some(OnboardingRefusal::NotFailed));
    assert!(desk.told().await.ends_with(&[EventKind::VerificationCompleted, EventKind::PartyVerified]));
}

#[tokio::test]
async fn a_rejected_justification_changes_nothing_and_may_be_followed_by_another() {
    let desk = Desk::open().await;
    let (id, verification) = desk.failed().await;
    let first = desk.justify(verification).await.unwrap().review.id;
    let told = desk.told().await.len();
    let rejected = desk.settle(first, ReviewDecision::Rejected).await.unwrap();
    assert_eq!(rejected.review.verification.state, VerificationState::Failed);
    assert_eq!(desk.status(id).await, PartyStatus::Onboarding);
    assert_eq!(desk.told().await.len(), told, "the verification had failed before");
    let second = desk.justify(verification).await.unwrap().review.id;
    let by = actor();
    let page = |skip, limit| desk.onboarding.reviews(desk.tenant, skip, limit, &by);
    let ids = |all: Vec<ShownReview>| all.into_iter().map(|one| one.review.id).collect::<Vec<_>>();
    assert_eq!(ids(page(0, 10).await.unwrap()), [second, first]);
    assert_eq!(ids(page(1, 10).await.unwrap()), [first]);
    desk.onboarding.delete_review(desk.tenant, second, &actor()).await.unwrap().unwrap();
    let gone = desk.onboarding.review(desk.tenant, second, &actor()).await.unwrap();
    assert_eq!(gone.err(), Some(OnboardingRefusal::UnknownReview));

    let stranger = new_tenant(&desk.store, "other").await;
    let strange = desk.onboarding.review(stranger, first, &actor()).await.unwrap();
    assert_eq!(strange.err(), Some(OnboardingRefusal::UnknownReview));
    let strange =
        desk.onboarding.justify(stranger, verification, None, IfOpen::Take, &actor()).await.unwrap();
    assert_eq!(strange.err(), Some(OnboardingRefusal::UnknownVerification));
    assert!(desk.onboarding.reviews(stranger, 0, 10, &actor()).await.unwrap().is_empty());
}

#[tokio::test]
async fn papers_and_justifications_cannot_be_read_in_the_database() {
    let desk = Desk::open().await;
    let (id, verification) = desk.failed().await;
    let review = desk.justify(verification).await.unwrap().review.id;
    let letter = paper(DocumentPurpose::Supporting, "letter-of-amber.png");
    desk.onboarding.attach(desk.tenant, review, letter, &actor()).await.unwrap().unwrap();
    let secrets = ["Amber", "brother", "passport.png", "letter-of-amber", "6I12UQ171A", "6i12uq171a", "IHDR"];
    let holds = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    let bytes = desk.bytes().await;
    for secret in secrets {
        assert!(!holds(&bytes, secret), "{secret}");
    }
    // Deleted, nothing is left to decrypt.
    desk.onboarding.delete(desk.tenant, id, &actor()).await.unwrap().unwrap();
    let gone = desk.onboarding.review(desk.tenant, review, &actor()).await.unwrap();
    assert_eq!(gone.err(), Some(OnboardingRefusal::UnknownReview));
    assert!(desk.onboarding.reviews(desk.tenant, 0, 10, &actor()).await.unwrap().is_empty());
}

#[tokio::test]
async fn every_version_of_a_profile_is_kept() {
    let desk = Desk::open().await;
    let id = desk.create("612345678", None).await;
    let edit = ProfileEdit::new(|profile| profile.legal_name = Some("Amber Wenny".into()));
    let wish = ProfileWish { edit, remarks: Some("told by phone".into()), accepted: None };
    desk.onboarding.change(desk.tenant, id, wish, &actor()).await.unwrap().unwrap();
    let (shown, versions) = desk.onboarding.history(desk.tenant, id, &actor()).await.unwrap().unwrap();
    assert_eq!(shown.party.id, id);
    let [before, after] = versions.as_slice() else { panic!("two versions: {versions:?}") };
    assert_eq!((&before.profile.legal_name, &before.remarks), (&None, &None));
    assert_eq!(after.profile.legal_name.as_deref(), Some("Amber Wenny"));
    assert_eq!((after.remarks.as_deref(), after.actor.as_str()), (Some("told by phone"), actor().as_str()));
}

/// A provider that answers what it is told to, and hears everything.
async fn provider(answers: Vec<(StatusCode, &'static str)>) -> (String, Got) {
    let got = Got::default();
    let seen = Arc::clone(&got);
    let take = move |headers: HeaderMap, body: Bytes| async move {
        let mut seen = seen.lock().unwrap();
        let answer = answers.get(seen.len()).copied().unwrap_or((StatusCode::ACCEPTED, ""));
        seen.push((headers, body.to_vec()));
        answer
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/verify", listener.local_addr().unwrap());
    let router = Router::new().route("/verify", post(take));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, got)
}

/// What a provider says, signed by it.
fn said(body: &serde_json::Value, age_seconds: i64) -> SignedMessage {
    let body = body.to_string().into_bytes();
    let (id, timestamp) = ("msg_1", wall_now().0 / 1_000 - age_seconds);
    let signature = standardwebhooks::Webhook::new(GATEWAY_KEY).unwrap().sign(id, timestamp, &body).unwrap();
    SignedMessage { id: id.into(), timestamp, signatures: signature, body }
}

#[tokio::test]
async fn a_provider_is_asked_and_answers_at_once_or_later() {
    let mut desk = Desk::open().await;
    let passed = (StatusCode::OK, r#"{"outcome":"passed"}"#);
    let (url, got) = provider(vec![passed]).await;
    desk.verify_by(url);
    let id = desk.create_with_papers("612345678").await;
    let document = desk.bring(id, paper(DocumentPurpose::Identity, "passport.png")).await.unwrap();
    desk.look().await;
    let verification = desk.ask(id, "6I12UQ171A").await.unwrap();
    desk.look().await;
    desk.look().await;
    let asked = got.lock().unwrap().clone();
    assert_eq!(asked.len(), 2, "what it has taken it is not asked again");
    let verifier = standardwebhooks::Webhook::new(GATEWAY_KEY).unwrap();
    let bodies: Vec<serde_json::Value> = asked
        .iter()
        .map(|(headers, body)| {
            verifier.verify(body, headers).unwrap();
            serde_json::from_slice(body).unwrap()
        })
        .collect();
    assert_eq!(bodies[0]["type"], "document.requested");
    assert_eq!(bodies[0]["data"]["documentId"], document.id.to_string());
    let content = bodies[0]["data"]["content"].as_str().unwrap();
    let content = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, content).unwrap();
    assert_eq!(content, [PNG, b"passport.png"].concat());
    assert_eq!(bodies[1]["type"], "verification.requested");
    assert_eq!(bodies[1]["data"]["phone"], "+33612345678");
    assert_eq!(bodies[1]["data"]["documents"][0]["documentId"], document.id.to_string());
    assert_eq!(desk.status(id).await, PartyStatus::Onboarding);

    let verdict = |outcome: &str| serde_json::json!({ "type": "verification.completed", "data": { "id": verification, "outcome": outcome } });
    let forged = SignedMessage { body: b"{}".to_vec(), ..said(&verdict("passed"), 0) };
    assert_eq!(desk.onboarding.hear(&forged).await.unwrap(), Heard::Unsigned);
    assert_eq!(desk.onboarding.hear(&said(&verdict("passed"), 3_600)).await.unwrap(), Heard::Unsigned, "old");
    assert_eq!(desk.onboarding.hear(&said(&serde_json::json!({}), 0)).await.unwrap(), Heard::Malformed);
    let nobody = serde_json::json!({
        "type": "verification.completed", "data": { "id": Uuid::nil(), "outcome": "passed" },
    });
    assert_eq!(desk.onboarding.hear(&said(&nobody, 0)).await.unwrap(), Heard::Unknown);
    assert_eq!(desk.status(id).await, PartyStatus::Onboarding);
    assert_eq!(desk.onboarding.hear(&said(&verdict("passed"), 0)).await.unwrap(), Heard::Noted);
    assert_eq!(desk.status(id).await, PartyStatus::Verified);
    let told = desk.told().await;
    assert_eq!(desk.onboarding.hear(&said(&verdict("failed"), 0)).await.unwrap(), Heard::Noted);
    assert_eq!(
        (desk.status(id).await, desk.told().await),
        (PartyStatus::Verified, told),
        "the first one counts"
    );
}

#[tokio::test]
async fn a_provider_that_is_away_is_asked_again_until_it_is_too_late() {
    let mut desk = Desk::open().await;
    let failing = vec![(StatusCode::BAD_GATEWAY, ""), (StatusCode::BAD_REQUEST, "")];
    let refused = vec![(StatusCode::OK, r#"{"outcome":"failed","reason":"her hair is red"}"#)];
    let (url, got) = provider([failing, refused].concat()).await;
    desk.verify_by(url);
    let id = desk.create_with_papers("612345678").await;
    let document = desk.bring(id, paper(DocumentPurpose::ProofOfAddress, "bill.png")).await.unwrap();
    let begun = wall_now();
    desk.look().await;
    desk.look().await;
    assert_eq!(got.lock().unwrap().len(), 1, "not at once");
    desk.onboarding.look(begun.saturating_add(60_000)).await.unwrap();
    desk.onboarding.look(begun.saturating_add(3_600_000)).await.unwrap();
    let found = desk.onboarding.document(desk.tenant, id, document.id, &actor()).await.unwrap().unwrap();
    // Words that are not known are not kept: they could be about a person.
    assert_eq!((found.0.state, found.0.reason), (DocumentState::Refused, Some(FailureReason::Refused)));
    assert_eq!(got.lock().unwrap().len(), 3);
}
