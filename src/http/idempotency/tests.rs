use futures::FutureExt;
use futures::future::join_all;
use serde_json::{Value, json};

use super::*;
use crate::http::testing::{Answer, House};
use crate::model::{Millis, Scope};

const KEY: &str = "3c0f6f0e-9d55-4f8e-8a50-5a1f0a7e0c11";
const HOOK: &str = r#"{"url":"https://shop.example/hook"}"#;
const RECEIVER: &str = "0xaec528683845350e9bfc937e0f6c72bc999b5123";

/// A house and a caller who may do everything.
struct Shop {
    house: House,
    key: String,
}

impl Shop {
    async fn open() -> Self {
        let house = House::open().await;
        let key = house.key(&[Scope::Read, Scope::Write]).await;
        Self { house, key }
    }

    async fn post(&self, key: &str, path: &str, body: &str) -> Answer {
        self.post_by(&self.key, key, path, body).await
    }

    async fn post_by(&self, api_key: &str, key: &str, path: &str, body: &str) -> Answer {
        self.house.post(path, body).header("x-api-key", api_key).header(KEY_HEADER, key).send().await
    }

    async fn webhooks(&self) -> Vec<Value> {
        let answer = self.house.get("/webhooks").header("x-api-key", &self.key).send().await;
        answer.body["data"].as_array().unwrap().clone()
    }

    /// Forgets what was answered, as a crash between the work and its answer would.
    async fn crash_before_the_answer(&self) {
        let forget = self.house.state.store.write::<_, StoreError, _>(|tx| {
            async move {
                sqlx::query("UPDATE idempotency_keys SET answer = NULL").execute(tx).await?;
                Ok(())
            }
            .boxed()
        });
        forget.await.unwrap();
    }
}

#[track_caller]
fn assert_replayed(first: &Answer, again: &Answer) {
    assert_eq!((first.status, &first.text), (again.status, &again.text));
    assert_eq!(first.header("content-type"), again.header("content-type"));
    assert!(!first.has_header("idempotency-replayed"));
    assert_eq!(again.header("idempotency-replayed"), "true");
}

#[tokio::test]
async fn a_repeated_request_is_done_once_and_answered_alike() {
    let shop = Shop::open().await;
    let first = shop.post(KEY, "/webhooks", HOOK).await;
    assert_eq!(first.status, 201, "{}", first.text);
    assert!(first.body["secret"].as_str().unwrap().starts_with("whsec_"));
    assert_replayed(&first, &shop.post(KEY, "/webhooks", HOOK).await);
    let spaced = "{ \"events\" : null,\n \"url\" : \"https://shop.example/hook\" }";
    assert_eq!(shop.post(KEY, "/webhooks", spaced).await.status, 422, "a field more is another request");
    assert_replayed(
        &first,
        &shop.post(KEY, "/webhooks", &HOOK.replace(':', " : ").replace(" : //", "://")).await,
    );
    assert_eq!(shop.webhooks().await.len(), 1);
}

#[tokio::test]
async fn another_request_under_the_same_key_is_told_what_differs() {
    let shop = Shop::open().await;
    let one = shop.post(KEY, "/webhooks", HOOK).await.body["id"].as_str().unwrap().to_owned();
    let answer = shop.post(KEY, "/webhooks", r#"{"url":"https://shop.example/other"}"#).await;
    let message = "Idempotency-Key was used for another request: url differs";
    assert_eq!(answer.error(), (422, "onchain", message, "idempotency_key_reused"));
    assert_eq!(answer.body["errors"][0]["field"], "url");

    let other = shop.post("other", "/webhooks", HOOK).await.body["id"].as_str().unwrap().to_owned();
    assert_eq!(shop.post(KEY, &format!("/webhooks/{one}/rotate"), "").await.status, 200);
    let answer = shop.post(KEY, &format!("/webhooks/{other}/rotate"), "").await;
    assert_eq!((answer.status, &answer.body["errors"][0]["field"]), (422, &json!("id")));
    let answer = shop.post(KEY, &format!("/webhooks/{one}/rotate"), "anything").await;
    assert_eq!(answer.status, 422);
    assert!(answer.body["errors"][0].get("field").is_none(), "it is the body as a whole");
}

#[tokio::test]
async fn a_key_counts_for_its_tenant_and_its_route() {
    let shop = Shop::open().await;
    assert_eq!(shop.post(KEY, "/webhooks", HOOK).await.status, 201);
    let stranger = shop.house.key_of_another_tenant(&Scope::ALL).await;
    let theirs = shop.post_by(&stranger, KEY, "/webhooks", r#"{"url":"https://other.example"}"#).await;
    assert_eq!((theirs.status, theirs.has_header("idempotency-replayed")), (201, false));
    let body = json!({"address": RECEIVER, "role": "receiver"}).to_string();
    assert_eq!(shop.post(KEY, "/wallets", &body).await.status, 201);
    // A second key of the same tenant may repeat what the first began.
    let second = shop.house.key(&[Scope::Write]).await;
    assert_eq!(shop.post_by(&second, KEY, "/webhooks", HOOK).await.header("idempotency-replayed"), "true");
    // Who may only look is shown nothing.
    let reader = shop.house.key(&[Scope::Read]).await;
    assert_eq!(shop.post_by(&reader, KEY, "/webhooks", HOOK).await.status, 403);
    assert_eq!(shop.post_by("nobody", KEY, "/webhooks", HOOK).await.status, 401);
}

#[tokio::test]
async fn what_was_refused_leaves_its_key_free() {
    let shop = Shop::open().await;
    for bad in ["{", "{}", r#"{"url":"http://shop.example"}"#] {
        let answer = shop.post(KEY, "/webhooks", bad).await;
        assert_eq!((answer.status, answer.has_header("idempotency-replayed")), (400, false), "{bad}");
    }
    let nobody = format!("/webhooks/{}/rotate", uuid::Uuid::nil());
    assert_eq!(shop.post(KEY, &nobody, "").await.status, 404);
    let good = shop.post(KEY, "/webhooks", HOOK).await;
    assert_eq!((good.status, good.has_header("idempotency-replayed")), (201, false));
    let path = format!("/webhooks/{}/rotate", good.body["id"].as_str().unwrap());
    assert_eq!(shop.post(KEY, &path, "").await.status, 200);
}

#[tokio::test]
async fn a_key_is_visible_ascii_of_bounded_length() {
    let shop = Shop::open().await;
    for bad in ["", "a b", "ü", "\t", &"x".repeat(256)] {
        let answer = shop.post(bad, "/webhooks", HOOK).await;
        let message = "Idempotency-Key must be 1 to 255 visible ASCII characters";
        assert_eq!(answer.error(), (400, "onchain", message, "invalid_idempotency_key"), "{bad:?}");
    }
    for good in ["!", "\"quoted\"", &"~".repeat(255)] {
        assert_eq!(shop.post(good, "/webhooks", HOOK).await.status, 201, "{good}");
    }
}

#[tokio::test]
async fn while_it_runs_a_repetition_is_told_to_come_back() {
    let shop = Shop::open().await;
    let name = seal::name(shop.house.tenant(), "/webhooks", KEY);
    let place = shop.house.state.running.enter(name);
    let answer = shop.post(KEY, "/webhooks", HOOK).await;
    assert_eq!((answer.status, answer.code()), (409, "idempotency_key_in_use"));
    assert_eq!(answer.header("retry-after"), "1");
    drop(place);
    assert_eq!(shop.post(KEY, "/webhooks", HOOK).await.status, 201);
}

#[tokio::test]
async fn of_many_at_once_one_has_an_effect() {
    let shop = Shop::open().await;
    let answers = join_all((0..64).map(|_| shop.post(KEY, "/webhooks", HOOK))).await;
    let (done, waiting): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert!(!done.is_empty() && done.iter().all(|answer| answer.text == done[0].text));
    assert!(waiting.iter().all(|answer| answer.code() == "idempotency_key_in_use"));
    assert_eq!(shop.webhooks().await.len(), 1);
}

#[tokio::test]
async fn a_client_that_goes_away_finds_its_answer_later() {
    let shop = Shop::open().await;
    for turns in 0..16 {
        let key = format!("{KEY}-{turns}");
        let request =
            shop.house.post("/webhooks", HOOK).header("x-api-key", &shop.key).header(KEY_HEADER, &key);
        // Polled until the request is under way and some turns longer, and dropped: at its record, its work, its answer.
        let mut sending = Box::pin(request.send());
        while shop.house.state.running.is_idle() {
            assert!(futures::poll!(sending.as_mut()).is_pending());
            tokio::task::yield_now().await;
        }
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
        drop(sending);
        let mut answer = shop.post(&key, "/webhooks", HOOK).await;
        while answer.status == 409 {
            tokio::task::yield_now().await;
            answer = shop.post(&key, "/webhooks", HOOK).await;
        }
        assert_eq!(answer.status, 201, "{turns}: {}", answer.text);
        assert_eq!(shop.webhooks().await.len(), turns + 1);
    }
}

#[tokio::test]
async fn after_a_crash_a_webhook_is_shown_with_the_key_it_has() {
    let shop = Shop::open().await;
    let added = shop.post(KEY, "/webhooks", HOOK).await;
    shop.crash_before_the_answer().await;
    assert_replayed(&added, &shop.post(KEY, "/webhooks", HOOK).await);
    assert_eq!(shop.webhooks().await.len(), 1);

    let path = format!("/webhooks/{}/rotate", added.body["id"].as_str().unwrap());
    let rotated = shop.post(KEY, &path, "").await;
    assert_ne!(rotated.body["secret"], added.body["secret"]);
    shop.crash_before_the_answer().await;
    assert_replayed(&rotated, &shop.post(KEY, &path, "").await);
    // Now it is kept again.
    assert_replayed(&rotated, &shop.post(KEY, &path, "").await);
}

#[tokio::test]
async fn after_a_crash_a_pay_link_has_the_token_it_had() {
    let shop = Shop::open().await;
    let wallet = json!({"address": RECEIVER, "role": "receiver"}).to_string();
    assert_eq!(shop.post("wallet", "/wallets", &wallet).await.status, 201);
    let body = json!({
        "invoiceId": "INV-1", "receiver": RECEIVER, "amount": "150.75",
        "contractAddress": crate::http::testing::TOKEN,
    })
    .to_string();
    let made = shop.post(KEY, "/pay-links", &body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    shop.crash_before_the_answer().await;
    assert_replayed(&made, &shop.post(KEY, "/pay-links", &body).await);
    assert_eq!(shop.post("another", "/pay-links", &body).await.code(), "pay_link_exists");
}

#[tokio::test]
async fn what_is_shown_once_does_not_lie_in_the_database() {
    let shop = Shop::open().await;
    let added = shop.post(KEY, "/webhooks", HOOK).await;
    let mut reader = shop.house.state.store.read().await.unwrap();
    let name = seal::name(shop.house.tenant(), "/webhooks", KEY);
    let kept = idempotency::find(&mut reader, name).await.unwrap().unwrap();
    let holds = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    let answer = kept.answer.unwrap();
    assert!(!holds(&answer, added.body["secret"].as_str().unwrap()));
    assert!(!holds(&kept.request, "shop.example") && !holds(&answer, KEY));
}

#[tokio::test]
async fn a_key_is_remembered_for_31_days() {
    let shop = Shop::open().await;
    assert_eq!(shop.post(KEY, "/webhooks", HOOK).await.status, 201);
    let in_hours = |hours: i64| Millis(shop.house.state.clock.wall().0 + hours * 3_600 * 1_000);
    shop.house.sweep_at(in_hours(31 * 24 - 1)).await;
    assert_eq!(shop.post(KEY, "/webhooks", HOOK).await.header("idempotency-replayed"), "true");
    shop.house.sweep_at(in_hours(31 * 24)).await;
    let answer = shop.post(KEY, "/webhooks", r#"{"url":"https://shop.example/other"}"#).await;
    assert_eq!((answer.status, answer.has_header("idempotency-replayed")), (201, false));
}
