//! Pay links: the terms are the merchant's, the consent is the payer's, and the link is all that the two need of each other.

use alloy::dyn_abi::TypedData;
use alloy::signers::SignerSync;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::api::Create;
use crate::harness::approver::no;
use crate::harness::world::invoice;
use crate::harness::{Answer, Api, Approver, Plan, Reply, Sale, Wallet, World};

/// A payer's browser on the page of a link. It has no API key.
struct Page {
    api: Api,
    path: String,
}

impl Page {
    fn of(world: &World, made: &Answer) -> Self {
        let url = made.text("url");
        let path = url.strip_prefix(&world.ready.url).expect("a link to this daemon").to_owned();
        Self { api: world.api.with_key(""), path }
    }

    async fn document(&self) -> Answer {
        self.api.get(&self.path).await
    }

    async fn state(&self) -> Answer {
        self.api.get(&format!("{}/state", self.path)).await
    }

    async fn terms(&self, payer: &Wallet) -> Answer {
        self.api.post(&format!("{}/terms", self.path), json!({"sender": payer.address.to_string()})).await
    }

    /// Terms of this link, signed by `signer` in `payer`'s name.
    async fn signed(&self, payer: &Wallet, signer: &Wallet) -> Value {
        let terms = self.terms(payer).await.is(200);
        let offers = terms.body["consents"].as_array().expect("ways to consent").clone();
        let offer = offers.iter().find(|offer| offer["type"] == "eip712").expect("the plain way");
        let typed: TypedData = serde_json::from_value(offer["typedData"].clone()).expect("typed data");
        let digest = typed.eip712_signing_hash().expect("a digest");
        let signature = signer.signer.sign_hash_sync(&digest).expect("a signature").to_string();
        json!({
            "sender": payer.address.to_string(),
            "expiresAt": terms.text("expiresAt"),
            "consent": {"type": "eip712", "signature": signature},
        })
    }

    async fn consent(&self, signed: &Value) -> Answer {
        self.api.post(&format!("{}/consent", self.path), signed.clone()).await
    }
}

/// A sale to a payer whom nobody has registered.
async fn sale_to_a_stranger(world: &World) -> Sale {
    let sender = world.funded_wallet().await;
    let receiver = world.receiver().await;
    let before = world.chain.balance(sender.address).await;
    Sale { sender, receiver, before }
}

fn link<'a>(world: &'a World, api: &'a Api, invoice: &str, sale: &Sale) -> Create<'a> {
    api.create(invoice).receiver(sale.receiver).token(world.ready.token.address).amount("21").only_link()
}

#[tokio::test]
async fn a_payer_nobody_knows_pays_by_his_signature() {
    let world = World::shared().await;
    let sale = sale_to_a_stranger(&world).await;
    let name = invoice("INV");
    let link = link(&world, &world.api, &name, &sale);
    let link =
        link.field("description", json!("Two nights")).field("returnUrl", json!("https://shop.example/1"));
    let made = link.send().await.is(201);
    assert_eq!((made.text("invoiceId"), made.text("state")), (name.as_str(), "open"));
    world.api.preauth(&name).await.envelope(404);

    let page = Page::of(&world, &made);
    let state = page.state().await.is(200);
    for (field, value) in [
        ("merchant", "demo"),
        ("amount", "21"),
        ("holdAmount", "21"),
        ("description", "Two nights"),
        ("returnUrl", "https://shop.example/1"),
        ("receiver", &sale.receiver.to_string()),
        ("state", "open"),
    ] {
        assert_eq!(state.text(field), value, "{field}");
    }
    assert!(state.body["hold"].is_null());

    let signed = page.signed(&sale.sender, &sale.sender).await;
    let paid = page.consent(&signed).await.is(202);
    assert_eq!(paid.text("state"), "used");
    world.becomes(&name, "AUTHORIZED").await;
    world.assert_paid(&sale, "0", "21").await;
    let shown = world.api.preauth(&name).await;
    assert_eq!(shown.text("sender"), sale.sender.address.to_string());
    assert_eq!(shown.body["expiresAt"], signed["expiresAt"]);

    world.api.settle(&name, "20.50").await.is(200);
    let hold = page.state().await.is(200).body["hold"].clone();
    for (field, value) in [("status", "SETTLED"), ("settledAmount", "20.50"), ("returnedAmount", "0.5")] {
        assert_eq!(hold[field], value, "{hold}");
    }
    world.assert_paid(&sale, "20.50", "0").await;

    // It was good for this one hold: for the next one he is as unknown as before.
    let creation = world.create(&invoice("INV"), &sale).amount("1").send().await;
    creation.refused(404, "Wallet not registered");
}

#[tokio::test]
async fn an_allowance_alone_never_pays_a_link() {
    let world = World::shared().await;
    let sale = sale_to_a_stranger(&world).await;
    let name = invoice("INV");
    let page = Page::of(&world, &link(&world, &world.api, &name, &sale).send().await.is(201));
    let mut signed = page.signed(&sale.sender, &sale.sender).await;
    let consent = signed.as_object_mut().expect("an object").remove("consent").expect("a consent");
    page.consent(&signed).await.refused(400, "consent is missing");

    // Nor does somebody else's signature, whoever's allowance it would draw on.
    let forged = page.signed(&sale.sender, &Wallet::new()).await;
    let refused = page.consent(&forged).await;
    assert_eq!((refused.status, refused.code()), (400, "invalid_consent"));
    world.api.preauth(&name).await.envelope(404);
    world.assert_paid(&sale, "0", "0").await;

    signed["consent"] = consent;
    page.consent(&signed).await.is(202);
    world.becomes(&name, "AUTHORIZED").await;
}

#[tokio::test]
async fn a_payers_consent_takes_the_merchants_approval() {
    let world = World::shared().await;
    let tenant = world.tenant().await;
    let sale = world.sale_of(&tenant).await;
    let fraud = Approver::join(&tenant.api, "fraud").await;
    let name = invoice("INV");
    let page = Page::of(&world, &link(&world, &tenant.api, &name, &sale).send().await.is(201));
    let signed = page.signed(&sale.sender, &sale.sender).await;
    assert!(fraud.asked().is_empty(), "neither for the link nor for its terms");

    // Who guards the merchant, and why, is no business of the payer's.
    fraud.replies([no("score 93 of 100"), Reply::Status(500)]);
    let refused = page.consent(&signed).await;
    refused.refused(400, "Refused by the merchant's checks");
    assert_eq!(refused.code(), "approval_refused");
    let unavailable = page.consent(&signed).await;
    unavailable.refused(503, "Approver not available");
    for answer in [&refused, &unavailable] {
        let said = answer.body.to_string();
        assert!(!said.contains("fraud") && !said.contains("score"), "{said}");
    }
    tenant.api.preauth(&name).await.envelope(404);
    world.assert_paid(&sale, "0", "0").await;

    page.consent(&signed).await.is(202);
    let asked = fraud.asked();
    let data = &asked.last().expect("a question").body["data"];
    assert_eq!((&data["payLink"], &data["consent"]), (&true.into(), &"eip712".into()));
    assert_eq!(asked.len(), 3);
}

#[tokio::test]
async fn a_withdrawn_link_is_gone_for_its_holder() {
    let world = World::shared().await;
    let sale = sale_to_a_stranger(&world).await;
    let name = invoice("INV");
    let page = Page::of(&world, &link(&world, &world.api, &name, &sale).send().await.is(201));
    let signed = page.signed(&sale.sender, &sale.sender).await;
    let path = format!("/pay-links/{name}");
    assert_eq!(world.api.get(&path).await.is(200).text("state"), "open");
    assert_eq!(world.api.delete(&path).await.is(200).text("state"), "withdrawn");
    assert_eq!(world.api.delete(&path).await.is(200).text("state"), "withdrawn");
    assert_eq!(world.api.get(&path).await.is(200).text("state"), "withdrawn");

    page.consent(&signed).await.refused(404, "Pay link not found");
    page.state().await.refused(404, "Pay link not found");
    page.terms(&sale.sender).await.refused(404, "Pay link not found");
    let document = page.document().await.is(404);
    assert!(document.body.as_str().expect("a page").contains("There is no payment under this address"));

    // It makes room for another, and the old address stays dead.
    let again = Page::of(&world, &link(&world, &world.api, &name, &sale).send().await.is(201));
    again.document().await.is(200);
    page.state().await.envelope(404);
    page.consent(&signed).await.envelope(404);
    world.assert_paid(&sale, "0", "0").await;
}

#[tokio::test]
async fn a_link_that_nobody_paid_in_time_lapses() {
    let world = World::start(Plan::quick()).await;
    let sale = sale_to_a_stranger(&world).await;
    let name = invoice("INV");
    let page = Page::of(&world, &link(&world, &world.api, &name, &sale).send().await.is(201));
    let signed = page.signed(&sale.sender, &sale.sender).await;
    world.advance(25 * 60 * 60).await;
    assert_eq!(page.state().await.is(200).text("state"), "lapsed");
    assert_eq!(world.api.get(&format!("/pay-links/{name}")).await.text("state"), "lapsed");
    assert_eq!(page.consent(&signed).await.code(), "pay_link_lapsed");
    assert_eq!(page.terms(&sale.sender).await.code(), "pay_link_lapsed");
    world.api.preauth(&name).await.envelope(404);
    let again = Page::of(&world, &link(&world, &world.api, &name, &sale).send().await.is(201));

    // Terms are good for a quarter of an hour: after that they are signed anew, with a later expiry.
    let signed = again.signed(&sale.sender, &sale.sender).await;
    world.advance(20 * 60).await;
    assert_eq!(again.consent(&signed).await.code(), "offer_lapsed");
    let signed = again.signed(&sale.sender, &sale.sender).await;
    again.consent(&signed).await.is(202);
    world.becomes(&name, "AUTHORIZED").await;

    // A link that was used does not lapse: the payer needs it.
    world.advance(3 * 24 * 60 * 60).await;
    world.becomes(&name, "EXPIRED").await;
    let hold = again.state().await.is(200).body["hold"].clone();
    assert_eq!((&hold["status"], &hold["returnedAmount"]), (&"EXPIRED".into(), &"21".into()));
    world.assert_paid(&sale, "0", "0").await;
}

#[tokio::test]
async fn a_link_is_used_once_whoever_comes_first() {
    let world = World::shared().await;
    let sale = sale_to_a_stranger(&world).await;
    let other = world.funded_wallet().await;
    let name = invoice("INV");
    let page = Page::of(&world, &link(&world, &world.api, &name, &sale).send().await.is(201));
    let one = page.signed(&sale.sender, &sale.sender).await;
    let two = page.signed(&other, &other).await;
    let before = world.chain.balance(other.address).await;
    let (one, same, two) = tokio::join!(page.consent(&one), page.consent(&one), page.consent(&two));
    let answers = [one, same, two];
    let won = answers.iter().filter(|answer| answer.status == 202).count();
    assert_eq!(won, 1, "{answers:?}");
    for lost in answers.iter().filter(|answer| answer.status != 202) {
        assert_eq!((lost.status, lost.code()), (409, "invoice_exists"));
    }
    world.becomes(&name, "AUTHORIZED").await;
    let spent_by_other = before - world.chain.balance(other.address).await;
    let spent = sale.before - world.chain.balance(sale.sender.address).await;
    assert_eq!(spent + spent_by_other, crate::harness::units("21"), "one of them pays, once");

    let refused = world.api.delete(&format!("/pay-links/{name}")).await;
    assert_eq!((refused.status, refused.code()), (409, "pay_link_used"));
    assert_eq!(world.api.get(&format!("/pay-links/{name}")).await.text("state"), "used");
    page.document().await.is(200);
}

#[tokio::test]
async fn a_payer_changes_nothing_about_the_terms() {
    let world = World::shared().await;
    let sale = sale_to_a_stranger(&world).await;
    let stranger = world.funded_wallet().await;
    let name = invoice("INV");
    let link = link(&world, &world.api, &name, &sale).sender(sale.sender.address);
    let page = Page::of(&world, &link.send().await.is(201));
    assert_eq!(page.terms(&stranger).await.code(), "other_payer");

    // A hold that expires sooner would leave the merchant no time.
    let mut signed = page.signed(&sale.sender, &sale.sender).await;
    let offered = signed["expiresAt"].clone();
    for (expiry, code) in [("2030-01-01T00:00:00Z", "offer_lapsed"), ("soon", "invalid_expires_at")] {
        signed["expiresAt"] = expiry.into();
        assert_eq!(page.consent(&signed).await.code(), code, "{expiry}");
    }
    signed["expiresAt"] = offered;
    let mut by_another = signed.clone();
    by_another["sender"] = stranger.address.to_string().into();
    assert_eq!(page.consent(&by_another).await.code(), "other_payer");
    for (field, value) in [("amount", "1"), ("receiver", &stranger.address.to_string())] {
        let mut more = signed.clone();
        more[field] = value.into();
        page.consent(&more).await.refused(400, &format!("{field} is not known here"));
    }
    page.consent(&signed).await.is(202);
    world.becomes(&name, "AUTHORIZED").await;
    world.assert_paid(&sale, "0", "21").await;
}

#[tokio::test]
async fn a_link_needs_what_a_creation_needs() {
    let world = World::shared().await;
    let sale = sale_to_a_stranger(&world).await;
    let name = invoice("INV");
    let made = link(&world, &world.api, &name, &sale).send().await.is(201);
    let again = link(&world, &world.api, &name, &sale).send().await;
    assert_eq!((again.status, again.code()), (409, "pay_link_exists"));

    let stranger = Wallet::new().address;
    let wrong = |what: &str| link(&world, &world.api, &invoice(what), &sale);
    wrong("INV").receiver(stranger).send().await.refused(404, "Wallet not registered");
    wrong("INV").token(stranger).send().await.refused(400, "Token not active");
    wrong("INV").amount("0").send().await.refused(400, "Amount must be greater than zero");
    wrong("INV").sender(sale.receiver).send().await.refused(400, "Sender and receiver cannot match");
    wrong("INV").expires_at("2020-01-01T00:00:00Z").send().await.refused(400, "Invalid expires_at format");
    let late = wrong("INV").field("linkExpiresAt", json!("2099-01-01T00:00:00Z")).send().await;
    assert_eq!((late.status, late.code()), (400, "invalid_link_expires_at"));

    // Once the invoice is used, by whatever way, there is nothing to be paid.
    let direct = world.sale().await;
    world.create(&name, &direct).amount("1").send().await.is(201);
    let page = Page::of(&world, &made);
    assert_eq!(page.state().await.text("state"), "used");
    link(&world, &world.api, &name, &sale).send().await.refused(409, "Invoice already exists");
}

#[tokio::test]
async fn a_link_is_its_tenants_alone() {
    let world = World::shared().await;
    let tenant = world.tenant().await;
    let sale = sale_to_a_stranger(&world).await;
    world.register(&tenant.admin, sale.receiver, "receiver").await;
    let name = invoice("INV");
    let path = format!("/pay-links/{name}");
    let page = Page::of(&world, &link(&world, &tenant.api, &name, &sale).send().await.is(201));

    world.api.get(&path).await.refused(404, "Pay link not found");
    world.api.delete(&path).await.refused(404, "Pay link not found");
    let reader = world.api.with_key(&world.key(&tenant.name, &["read"]).await);
    reader.get(&path).await.is(200);
    reader.delete(&path).await.denied(403);
    link(&world, &reader, &invoice("INV"), &sale).send().await.denied(403);
    let anonymous = world.api.with_key("");
    anonymous.get(&path).await.denied(401);
    anonymous.delete(&path).await.denied(401);
    link(&world, &anonymous, &invoice("INV"), &sale).send().await.denied(401);

    let signed = page.signed(&sale.sender, &sale.sender).await;
    world.cli(&["tenant", "set", &tenant.name, "--disabled", "true"]).await;
    page.consent(&signed).await.denied(403);
    page.state().await.is(200);
    world.cli(&["tenant", "set", &tenant.name, "--disabled", "false"]).await;
    page.consent(&signed).await.is(202);
    assert_eq!(tenant.api.preauth(&name).await.text("invoiceId"), name);
    world.api.preauth(&name).await.envelope(404);
}

#[tokio::test]
async fn the_token_is_all_there_is_to_guess() {
    let world = World::shared().await;
    let sale = sale_to_a_stranger(&world).await;
    let made = link(&world, &world.api, &invoice("INV"), &sale).send().await.is(201);
    let page = Page::of(&world, &made);
    let token = page.path.strip_prefix("/pay/").expect("a token");
    let flipped = if token.ends_with('0') { '1' } else { '0' };
    let nearly = format!("{}{flipped}", &token[..token.len() - 1]);
    for wrong in [&nearly, &token[1..], &token.to_uppercase(), "x", "%00"] {
        if wrong == token {
            continue;
        }
        let answer = page.api.get(&format!("/pay/{wrong}/state")).await;
        answer.refused(404, "Pay link not found");
        page.api.get(&format!("/pay/{wrong}")).await.is(404);
    }

    let document = page.document().await.is(200);
    let header = |name: &str| document.headers[name].to_str().expect("text").to_owned();
    assert_eq!(header("content-type"), "text/html; charset=utf-8");
    assert_eq!(header("cache-control"), "no-store");
    assert_eq!(header("referrer-policy"), "no-referrer");
    let policy = header("content-security-policy");
    for part in ["default-src 'none'", "frame-ancestors 'none'", "script-src 'sha256-", "connect-src 'self'"]
    {
        assert!(policy.contains(part), "{part} in {policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    let html = document.body.as_str().expect("a page");
    for elsewhere in ["src=\"http", "@import", "url(http", "<iframe"] {
        assert!(!html.contains(elsewhere), "{elsewhere}");
    }
    assert!(!world.log().contains(token), "the log knows no token");
    page.api.send(Method::DELETE, &page.path, &[], Vec::new()).await.envelope(405);
}

#[tokio::test]
async fn a_link_that_asks_without_end_is_made_to_wait() {
    let world = World::shared().await;
    let sale = sale_to_a_stranger(&world).await;
    let page = Page::of(&world, &link(&world, &world.api, &invoice("INV"), &sale).send().await.is(201));
    let mut last = page.terms(&sale.sender).await;
    for _ in 0..70 {
        if last.status == 429 {
            break;
        }
        last = page.terms(&sale.sender).await;
    }
    assert_eq!(last.code(), "too_many_requests");
    assert!(last.headers.contains_key("retry-after"));
    page.state().await.is(200);
}
