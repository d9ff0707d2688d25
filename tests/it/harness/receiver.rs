//! A merchant's system that is told of events: a real HTTP listener that answers as its story wants.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use tokio::sync::Barrier;

use super::{Api, until};

/// A webhook as it came.
#[derive(Debug, Clone)]
pub struct Message {
    pub headers: HeaderMap,
    pub raw: Bytes,
    pub body: Value,
}

/// How a webhook is answered.
#[derive(Clone)]
pub enum Reply {
    Status(u16),
    /// A status with a header.
    With(u16, &'static str, String),
    /// A status with a body.
    Body(u16, String),
    /// As soon as all who are to meet here have been asked.
    Met(Arc<Barrier>, Box<Reply>),
    /// Not at all, as long as the daemon waits.
    Never,
    /// Something happens, then as with `Never`.
    Blow(Arc<dyn Fn() + Send + Sync>),
}

#[derive(Clone)]
pub struct Receiver {
    pub url: String,
    inner: Arc<Inner>,
}

struct Inner {
    got: Mutex<Vec<Message>>,
    /// For the next ones.
    replies: Mutex<VecDeque<Reply>>,
    /// For all others.
    otherwise: Mutex<Reply>,
}

impl Receiver {
    pub async fn open() -> Self {
        Self::answering(Reply::Status(204)).await
    }

    /// Answers so where it was told nothing else.
    pub async fn answering(otherwise: Reply) -> Self {
        let inner = Arc::new(Inner {
            got: Mutex::default(),
            replies: Mutex::default(),
            otherwise: Mutex::new(otherwise),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let router = Router::new().fallback(take).with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, inner }
    }

    /// Answers the next webhooks so.
    pub fn reply(&self, replies: impl IntoIterator<Item = Reply>) {
        self.inner.replies.lock().expect("no panic").extend(replies);
    }

    /// Answers so from now on.
    pub fn reply_always(&self, otherwise: Reply) {
        *self.inner.otherwise.lock().expect("no panic") = otherwise;
    }

    /// Has itself told of a tenant's events; returns the endpoint.
    pub async fn listen(&self, api: &Api) -> Hook {
        self.listen_with(api, json!({})).await
    }

    pub async fn listen_with(&self, api: &Api, mut wishes: Value) -> Hook {
        wishes["url"] = json!(self.url);
        let made = api.post("/webhooks", wishes).await.is(201);
        Hook {
            id: made.text("id").to_owned(),
            secret: made.body["secret"].as_str().unwrap_or_default().to_owned(),
            body: made.body,
        }
    }

    pub fn got(&self) -> Vec<Message> {
        self.inner.got.lock().expect("no panic").clone()
    }

    /// Waits for so many webhooks.
    pub async fn until_got(&self, count: usize) -> Vec<Message> {
        until(&format!("{count} webhooks have come"), || async {
            let got = self.got();
            (got.len() >= count).then_some(got)
        })
        .await
    }

    /// Waits for a webhook of a type about an invoice.
    pub async fn until_told(&self, kind: &str, invoice: &str) -> Message {
        until(&format!("a webhook tells {kind} of {invoice}"), || async {
            self.got().into_iter().find(|one| one.kind() == kind && one.body["data"]["invoiceId"] == invoice)
        })
        .await
    }
}

/// An endpoint of a receiver.
pub struct Hook {
    pub id: String,
    pub secret: String,
    pub body: Value,
}

impl Hook {
    pub fn path(&self) -> String {
        format!("/webhooks/{}", self.id)
    }
}

impl Message {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}")).to_str().expect("text")
    }

    pub fn id(&self) -> &str {
        self.header("webhook-id")
    }

    pub fn kind(&self) -> &str {
        self.body["type"].as_str().expect("a type")
    }

    /// Whether the public library takes it for one that was signed with this secret.
    pub fn is_signed_with(&self, secret: &str) -> bool {
        Webhook::new(secret).expect("a secret").verify(&self.raw, &self.headers).is_ok()
    }
}

async fn take(State(inner): State<Arc<Inner>>, headers: HeaderMap, raw: Bytes) -> Response {
    let body = serde_json::from_slice(&raw).unwrap_or_default();
    let next = inner.replies.lock().expect("no panic").pop_front();
    let reply = next.unwrap_or_else(|| inner.otherwise.lock().expect("no panic").clone());
    inner.got.lock().expect("no panic").push(Message { headers, raw, body });
    answer(reply).await
}

async fn answer(reply: Reply) -> Response {
    let status = |status| StatusCode::from_u16(status).expect("a status");
    match reply {
        Reply::Body(code, body) => (status(code), body).into_response(),
        Reply::Met(all, reply) => {
            all.wait().await;
            Box::pin(answer(*reply)).await
        }
        Reply::Status(code) => (status(code), "thanks").into_response(),
        Reply::With(code, name, value) => (status(code), [(name, value)]).into_response(),
        Reply::Never => never().await,
        Reply::Blow(blow) => {
            blow();
            never().await
        }
    }
}

/// Longer than any story.
pub(super) async fn never() -> Response {
    tokio::time::sleep(Duration::from_secs(600)).await;
    StatusCode::NO_CONTENT.into_response()
}
