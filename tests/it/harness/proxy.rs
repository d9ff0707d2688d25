//! A sick node: stands between the daemon and its node, understands what is asked, and does to it what a story wants.
//!
//! It lives on a thread of its own, so that a story that waits for a process does not hold it up.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::until;

type Change = Arc<dyn Fn(&Value, &mut Value) + Send + Sync>;
type Act = Arc<dyn Fn() + Send + Sync>;
type Test = Arc<dyn Fn(&Value) -> bool + Send + Sync>;

/// What is done to a request.
#[derive(Clone)]
pub enum Fault {
    /// Answered with an HTTP status and nothing that a client can read.
    Status(u16),
    /// Answered with a page of somebody else.
    Garbage,
    /// Answered with a JSON-RPC error.
    Refuse(i64, &'static str),
    /// The connection breaks, and the node never heard of it.
    Drop,
    /// Never answered, and the node never heard of it.
    Silence,
    /// Kept until the trap is taken away, then delivered.
    Hold,
    /// The node does it; the answer is lost on the way back.
    LoseAnswer,
    /// Answered with the transaction's hash, and thrown away.
    Swallow,
    /// The node hears it twice, and answers twice; the second answer arrives.
    Twice,
    /// The answer (request and result are given) is altered.
    Alter(Change),
    /// As a node would answer that is so many blocks behind.
    Lag(u64),
    /// As a node would answer that knows no block above this one.
    StandStill(u64),
    /// Something happens when the request arrives; it is never delivered, and never answered.
    StrikeBefore(Act),
    /// The node does it, then something happens; it is never answered.
    StrikeAfter(Act),
}

impl Fault {
    /// The answer's `result` is altered; the request is given too.
    pub fn alter(change: impl Fn(&Value, &mut Value) + Send + Sync + 'static) -> Self {
        Self::Alter(Arc::new(change))
    }
}

/// Waits for requests, and does something to those it is meant for. Taken away when it is dropped.
#[must_use]
pub struct Trap {
    state: Arc<Shared>,
    number: usize,
    sprung: Arc<AtomicUsize>,
}

/// A trap in the making.
#[must_use]
pub struct Setting<'a> {
    proxy: &'a Proxy,
    rule: Rule,
}

#[derive(Clone)]
struct Rule {
    number: usize,
    /// All methods where it is empty.
    method: &'static str,
    test: Option<Test>,
    /// Sleeps until a request of this method has come.
    asleep_until: Option<&'static str>,
    /// Requests that pass before the first that is caught.
    pass: usize,
    /// Of those that are left every so many-th is caught.
    every: usize,
    /// How many are caught at most.
    most: usize,
    met: usize,
    fault: Fault,
    sprung: Arc<AtomicUsize>,
    gone: CancellationToken,
}

struct Shared {
    node: String,
    http: reqwest::Client,
    rules: Mutex<Vec<Rule>>,
    seen: Mutex<Vec<String>>,
    next: AtomicUsize,
}

pub struct Proxy {
    pub url: String,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

impl Proxy {
    /// A proxy before the node at `url`.
    pub fn start(url: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let shared = Arc::new(Shared {
            node: url.to_owned(),
            http: reqwest::Client::builder().no_proxy().build().expect("an HTTP client"),
            rules: Mutex::default(),
            seen: Mutex::default(),
            next: AtomicUsize::new(0),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            axum::serve(listener, router).await
        });
        Self { url, shared, runtime: Some(runtime) }
    }

    /// A trap for requests of one method; for all of them where `method` is empty.
    pub fn on(&self, method: &'static str) -> Setting<'_> {
        let rule = Rule {
            number: self.shared.next.fetch_add(1, Ordering::Relaxed),
            method,
            test: None,
            asleep_until: None,
            pass: 0,
            every: 1,
            most: usize::MAX,
            met: 0,
            fault: Fault::Silence,
            sprung: Arc::default(),
            gone: CancellationToken::new(),
        };
        Setting { proxy: self, rule }
    }

    /// How many requests of a method have come so far.
    pub fn seen(&self, method: &str) -> usize {
        let seen = self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().filter(|seen| *seen == method).count()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Setting<'_> {
    /// Lets so many requests pass before the first that is caught.
    pub fn after(mut self, requests: usize) -> Self {
        self.rule.pass = requests;
        self
    }

    /// Catches every so many-th.
    pub fn every(mut self, requests: usize) -> Self {
        self.rule.every = requests;
        self
    }

    /// Catches so many.
    pub fn times(mut self, most: usize) -> Self {
        self.rule.most = most;
        self
    }

    /// Only requests that come after one of this method has come.
    pub fn once_seen(mut self, method: &'static str) -> Self {
        self.rule.asleep_until = Some(method);
        self
    }

    /// Only requests of which this is true.
    pub fn where_(mut self, test: impl Fn(&Value) -> bool + Send + Sync + 'static) -> Self {
        self.rule.test = Some(Arc::new(test));
        self
    }

    pub fn fault(mut self, fault: Fault) -> Trap {
        self.rule.fault = fault;
        let state = Arc::clone(&self.proxy.shared);
        let trap = Trap { number: self.rule.number, sprung: Arc::clone(&self.rule.sprung), state };
        self.proxy.shared.rules.lock().unwrap_or_else(PoisonError::into_inner).push(self.rule);
        trap
    }
}

impl Trap {
    /// How many requests it has caught.
    pub fn caught(&self) -> usize {
        self.sprung.load(Ordering::SeqCst)
    }

    /// Waits until it has caught so many.
    pub async fn until_caught(&self, requests: usize) {
        until(&format!("{requests} requests are caught"), || async {
            (self.caught() >= requests).then_some(())
        })
        .await;
    }

    /// Takes it away.
    pub fn heal(self) {}
}

impl Drop for Trap {
    fn drop(&mut self) {
        let mut rules = self.state.rules.lock().unwrap_or_else(PoisonError::into_inner);
        rules.iter().filter(|rule| rule.number == self.number).for_each(|rule| rule.gone.cancel());
        rules.retain(|rule| rule.number != self.number);
    }
}

impl Shared {
    /// The rule that catches a request, if any does.
    fn caught(&self, request: &Value) -> Option<Rule> {
        let method = request["method"].as_str().unwrap_or_default();
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(method.to_owned());
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let mut caught = None;
        for rule in rules.iter_mut() {
            if let Some(awaited) = rule.asleep_until {
                if awaited == method {
                    rule.asleep_until = None;
                }
                continue;
            }
            let meant = rule.method.is_empty() || rule.method == method;
            if !meant || rule.test.as_ref().is_some_and(|test| !test(request)) {
                continue;
            }
            rule.met += 1;
            let turn = rule.met > rule.pass && (rule.met - rule.pass - 1) % rule.every == 0;
            if caught.is_none() && turn && rule.sprung.load(Ordering::SeqCst) < rule.most {
                caught = Some(rule.clone());
            }
        }
        // A strike is told only once it has happened.
        let strikes = |rule: &Rule| matches!(rule.fault, Fault::StrikeBefore(_) | Fault::StrikeAfter(_));
        if let Some(rule) = caught.as_ref().filter(|rule| !strikes(rule)) {
            rule.sprung.fetch_add(1, Ordering::SeqCst);
        }
        caught
    }

    async fn deliver(&self, request: &Value) -> Option<Value> {
        let response = self.http.post(&self.node).json(request).send().await.ok()?;
        response.json().await.ok()
    }

    async fn head(&self) -> Option<u64> {
        let request = json!({ "jsonrpc": "2.0", "id": 0, "method": "eth_blockNumber", "params": [] });
        number(&self.deliver(&request).await?["result"])
    }

    /// What a node would answer that has not heard of the newest blocks.
    async fn deliver_up_to(&self, head: u64, request: &Value) -> Option<Value> {
        let mut older = request.clone();
        for param in older["params"].as_array_mut()? {
            if *param == "latest" {
                *param = json!(format!("{head:#x}"));
            }
        }
        let mut answer = self.deliver(&older).await?;
        let result = &answer["result"];
        let block = match request["method"].as_str()? {
            "eth_getBlockByNumber" => number(&result["number"]),
            "eth_getTransactionReceipt" => number(&result["blockNumber"]),
            _ => None,
        };
        if block.is_some_and(|block| block > head) {
            answer["result"] = Value::Null;
        }
        Some(answer)
    }
}

fn number(hex: &Value) -> Option<u64> {
    u64::from_str_radix(hex.as_str()?.strip_prefix("0x")?, 16).ok()
}

async fn answer(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let Ok(request) = serde_json::from_slice::<Value>(&body) else { return broken() };
    let Some(rule) = shared.caught(&request) else {
        return said(shared.deliver(&request).await);
    };
    let reply = |field: &str, value: Value| json!({ "jsonrpc": "2.0", "id": request["id"], field: value });
    match &rule.fault {
        Fault::Status(status) => {
            StatusCode::from_u16(*status).map_or_else(|_| broken(), |code| (code, "unwell").into_response())
        }
        Fault::Garbage => "<html>It works!</html>".into_response(),
        Fault::Refuse(code, message) => {
            said(Some(reply("error", json!({ "code": code, "message": message }))))
        }
        Fault::Drop => broken(),
        Fault::Silence => silence().await,
        Fault::Hold => {
            // A task of its own: it is delivered even where the asker has lost patience.
            let late = tokio::spawn(async move {
                rule.gone.cancelled().await;
                shared.deliver(&request).await
            });
            said(late.await.ok().flatten())
        }
        Fault::LoseAnswer => {
            shared.deliver(&request).await;
            broken()
        }
        Fault::Swallow => said(Some(reply("result", json!(hash_of(&request))))),
        Fault::Twice => {
            shared.deliver(&request).await;
            said(shared.deliver(&request).await)
        }
        Fault::Alter(change) => {
            let mut answer = shared.deliver(&request).await;
            if let Some(answer) = &mut answer {
                change(&request, &mut answer["result"]);
            }
            said(answer)
        }
        Fault::Lag(blocks) => match shared.head().await {
            Some(head) => said(shared.deliver_up_to(head.saturating_sub(*blocks), &request).await),
            None => broken(),
        },
        Fault::StandStill(head) => said(shared.deliver_up_to(*head, &request).await),
        Fault::StrikeBefore(act) => {
            act();
            rule.sprung.fetch_add(1, Ordering::SeqCst);
            silence().await
        }
        Fault::StrikeAfter(act) => {
            shared.deliver(&request).await;
            act();
            rule.sprung.fetch_add(1, Ordering::SeqCst);
            silence().await
        }
    }
}

/// The hash of the transaction in a send.
fn hash_of(request: &Value) -> String {
    let raw: alloy::primitives::Bytes =
        request["params"][0].as_str().expect("a send").parse().expect("signed bytes");
    alloy::primitives::keccak256(raw).to_string()
}

async fn silence() -> Response {
    std::future::pending().await
}

/// Breaks the connection in the middle of the answer.
fn broken() -> Response {
    let nothing = futures::stream::once(async { Err::<Bytes, _>(std::io::Error::other("broken off")) });
    Body::from_stream(nothing).into_response()
}

fn said(answer: Option<Value>) -> Response {
    match answer {
        Some(answer) => ([(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response(),
        None => broken(),
    }
}
