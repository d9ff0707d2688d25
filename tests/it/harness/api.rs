//! The merchant's side: one method per verb of the API, answers that can be asserted on.

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::until;

/// A caller with one key.
#[derive(Clone)]
pub struct Api {
    http: reqwest::Client,
    pub url: String,
    pub key: String,
}

/// An answer as it came.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
    pub headers: reqwest::header::HeaderMap,
    /// What was asked, for messages.
    asked: String,
}

impl Api {
    pub fn new(url: &str, key: &str) -> Self {
        // An error only says that a provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(std::time::Duration::from_secs(90))
            .no_proxy()
            .build()
            .expect("an HTTP client");
        Self { http, url: url.to_owned(), key: key.to_owned() }
    }

    /// The same caller with another key.
    pub fn with_key(&self, key: &str) -> Self {
        Self { key: key.to_owned(), ..self.clone() }
    }

    // ----------------------------------------------------------------- verbs

    pub fn create(&self, invoice: &str) -> Create<'_> {
        let mut body = Map::new();
        body.insert("invoiceId".into(), json!(invoice));
        Create { api: self, body, prefer_async: false, path: "/onchain-preauth" }
    }

    pub async fn preauth(&self, invoice: &str) -> Answer {
        self.get(&format!("/onchain-preauth/{}", segment(invoice))).await
    }

    /// `query` without its question mark.
    pub async fn list(&self, query: &str) -> Answer {
        self.get(&format!("/onchain-preauth?{query}")).await
    }

    pub async fn settle(&self, invoice: &str, amount: &str) -> Answer {
        self.settle_with(invoice, json!({ "amount": amount })).await
    }

    pub async fn settle_at(&self, invoice: &str, amount: &str, time: &str) -> Answer {
        self.settle_with(invoice, json!({ "amount": amount, "settleAt": time })).await
    }

    pub async fn settle_with(&self, invoice: &str, body: Value) -> Answer {
        self.post(&format!("/onchain-preauth/{}/settle", segment(invoice)), body).await
    }

    pub async fn withdraw_settlement(&self, invoice: &str) -> Answer {
        self.delete(&format!("/onchain-preauth/{}/settle", segment(invoice))).await
    }

    pub async fn cancel(&self, invoice: &str) -> Answer {
        self.send(Method::POST, &format!("/onchain-preauth/{}/cancel", segment(invoice)), &[], Vec::new())
            .await
    }

    /// The value of a metric, named with or without its labels; `None`: it is not there yet.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let metrics = self.get("/metrics").await.is(200);
        let text = metrics.body.as_str().map(str::to_owned).unwrap_or_else(|| metrics.body.to_string());
        // The whole name: others may begin with it.
        let is_it = |rest: &str| rest.starts_with([' ', '{']);
        let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(is_it))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    /// Waits until the daemon is ready for work.
    pub async fn until_ready(&self) {
        until("the daemon is ready", || async {
            (self.get("/health/ready").await.status == 200).then_some(())
        })
        .await;
    }

    /// Waits until `/health/ready` names a trouble in these words.
    pub async fn until_it_says(&self, words: &str) {
        until(&format!("it says: {words}"), || async {
            let ready = self.get("/health/ready").await;
            (ready.status == 503 && ready.body.to_string().contains(words)).then_some(())
        })
        .await;
    }

    // --------------------------------------------------------------- requests

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], Vec::new()).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], Vec::new()).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, &[("content-type", "application/json")], body.to_string().into_bytes())
            .await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        let headers = [("content-type", "application/json")];
        self.send(Method::PATCH, path, &headers, body.to_string().into_bytes()).await
    }

    /// The events of an invoice, oldest first.
    pub async fn timeline(&self, invoice: &str) -> Vec<Value> {
        let path = format!("/onchain-preauth/{}/events?limit=100", segment(invoice));
        self.get(&path).await.is(200).body["data"].as_array().expect("a list").clone()
    }

    /// The types of the events of an invoice, without what they have in common.
    pub async fn history(&self, invoice: &str) -> Vec<String> {
        let types = self.timeline(invoice).await.into_iter();
        types.map(|event| event["type"].as_str().expect("a type").replace("preauth.", "")).collect()
    }

    /// A request for a stream, as it comes.
    pub async fn stream(&self, path: &str, last_event_id: Option<&str>) -> reqwest::Response {
        let mut request = self.http.get(format!("{}{path}", self.url)).header("x-api-key", &self.key);
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        request.send().await.expect("an answer")
    }

    /// A request that does not wait for the chain: `Prefer: respond-async`.
    pub async fn post_async(&self, path: &str, body: Value) -> Answer {
        let headers = [("content-type", "application/json"), ("prefer", "respond-async")];
        self.send(Method::POST, path, &headers, body.to_string().into_bytes()).await
    }

    /// A request under an idempotency key.
    pub async fn post_under(&self, key: &str, path: &str, body: Value) -> Answer {
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        self.send(Method::POST, path, &headers, body.to_string().into_bytes()).await
    }

    /// The same, again and again until the daemon says something else than that the request is still running.
    pub async fn repeat_under(&self, key: &str, path: &str, body: Value) -> Answer {
        until(&format!("{key} is no longer running"), || async {
            let answer = self.post_under(key, path, body.clone()).await;
            (answer.code() != "idempotency_key_in_use").then_some(answer)
        })
        .await
    }

    /// Any request at all. The key goes with it unless it is empty.
    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let asked = format!("{method} {path} {}", String::from_utf8_lossy(&body[..body.len().min(400)]));
        let mut request = self.http.request(method, format!("{}{path}", self.url)).body(body);
        if !self.key.is_empty() {
            request = request.header("x-api-key", &self.key);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap_or_else(|error| panic!("{asked}: no answer: {error:?}"));
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let bytes =
            response.bytes().await.unwrap_or_else(|error| panic!("{asked}: half an answer: {error:?}"));
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        Answer { status, body, headers, asked }
    }

    /// Like [`send`](Self::send) for a daemon that may die in the middle: `None` when it did.
    pub async fn try_post(&self, path: &str, body: Value) -> Option<(u16, Value)> {
        self.try_post_preferring(path, body, "wait").await
    }

    /// The same with a preference: `respond-async` does not wait for the chain.
    pub async fn try_post_preferring(&self, path: &str, body: Value, prefer: &str) -> Option<(u16, Value)> {
        self.try_post_with(path, body, ("prefer", prefer)).await
    }

    /// The same with any header.
    pub async fn try_post_with(
        &self,
        path: &str,
        body: Value,
        (name, value): (&str, &str),
    ) -> Option<(u16, Value)> {
        let request = self.http.post(format!("{}{path}", self.url)).header("x-api-key", &self.key);
        let request = request.header(name, value).json(&body);
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        Some((status, response.json().await.ok()?))
    }
}

/// A creation (or a question for its terms) in the making.
#[must_use]
pub struct Create<'a> {
    api: &'a Api,
    body: Map<String, Value>,
    prefer_async: bool,
    path: &'static str,
}

impl Create<'_> {
    pub fn sender(self, address: impl ToString) -> Self {
        self.field("sender", json!(address.to_string()))
    }

    pub fn receiver(self, address: impl ToString) -> Self {
        self.field("receiver", json!(address.to_string()))
    }

    pub fn token(self, address: impl ToString) -> Self {
        self.field("contractAddress", json!(address.to_string()))
    }

    pub fn amount(self, amount: &str) -> Self {
        self.field("amount", json!(amount))
    }

    pub fn expires_at(self, time: &str) -> Self {
        self.field("expiresAt", json!(time))
    }

    pub fn settle_at(self, time: &str) -> Self {
        self.field("settleAt", json!(time))
    }

    /// The payer's EIP-712 signature over the offered terms.
    pub fn consent(self, signature: &str) -> Self {
        self.field("consent", json!({ "type": "eip712", "signature": signature }))
    }

    /// Any field, well formed or not.
    pub fn field(mut self, name: &str, value: Value) -> Self {
        self.body.insert(name.into(), value);
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.body.remove(name);
        self
    }

    /// `Prefer: respond-async`.
    pub fn respond_async(mut self) -> Self {
        self.prefer_async = true;
        self
    }

    /// Asks for the terms instead of creating.
    pub fn only_terms(mut self) -> Self {
        self.path = "/preauth-terms";
        self
    }

    /// Makes a pay link instead of creating.
    pub fn only_link(mut self) -> Self {
        self.path = "/pay-links";
        self
    }

    pub fn body(&self) -> Value {
        Value::Object(self.body.clone())
    }

    pub async fn send(self) -> Answer {
        let mut headers = vec![("content-type", "application/json")];
        if self.prefer_async {
            headers.push(("prefer", "respond-async"));
        }
        let body = self.body().to_string().into_bytes();
        self.api.send(Method::POST, self.path, &headers, body).await
    }
}

impl Answer {
    /// Asserts the status.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}\n  answered {}", self.asked, self.body);
        self
    }

    /// Asserts a refusal in the envelope: status, type `onchain`, and the message to the letter.
    #[track_caller]
    pub fn refused(&self, status: u16, message: &str) {
        let error = self.envelope(status);
        assert_eq!(error["type"], "onchain", "{}\n  answered {}", self.asked, self.body);
        assert_eq!(error["message"], message, "{}\n  answered {}", self.asked, self.body);
    }

    /// Asserts a refusal whose message says one of these.
    #[track_caller]
    pub fn refused_naming(&self, status: u16, words: &str) {
        let message = self.envelope(status)["message"].as_str().unwrap_or_default().to_lowercase();
        assert!(
            message.contains(&words.to_lowercase()),
            "{}\n  answered {}, not naming {words}",
            self.asked,
            self.body
        );
    }

    /// Asserts `Access Denied` in type and message.
    #[track_caller]
    pub fn denied(&self, status: u16) {
        let error = self.envelope(status);
        assert_eq!(error["type"], "Access Denied", "{}\n  answered {}", self.asked, self.body);
        assert_eq!(error["message"], "Access Denied", "{}\n  answered {}", self.asked, self.body);
    }

    /// The one error of the envelope, its shape asserted.
    #[track_caller]
    pub fn envelope(&self, status: u16) -> &Value {
        assert_eq!(self.status, status, "{}\n  answered {}", self.asked, self.body);
        let errors = self.body["errors"].as_array();
        let error = errors
            .and_then(|errors| errors.first())
            .unwrap_or_else(|| panic!("{}: no error envelope: {}", self.asked, self.body));
        for name in ["type", "message", "code"] {
            let text = error[name].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "{}: an error without {name}: {}", self.asked, self.body);
        }
        assert!(self.headers.contains_key("x-request-id"), "{}: an error without x-request-id", self.asked);
        error
    }

    /// Whether it is the answer to an earlier request.
    pub fn is_replayed(&self) -> bool {
        self.headers.get("idempotency-replayed").is_some_and(|value| value == "true")
    }

    #[track_caller]
    pub fn text(&self, field: &str) -> &str {
        self.body[field].as_str().unwrap_or_else(|| panic!("{}: no {field} in {}", self.asked, self.body))
    }

    /// The machine code of the error.
    pub fn code(&self) -> &str {
        self.body["errors"][0]["code"].as_str().unwrap_or_default()
    }
}

/// Percent-encodes what cannot stand in a path segment.
pub fn segment(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
