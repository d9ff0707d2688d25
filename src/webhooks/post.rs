//! One attempt to deliver one message.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER, USER_AGENT};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};

use super::WebhookSettings;
use super::address::{PublicResolver, parse_url};
use super::retry::retry_after;
use crate::chain::wall_now;
use crate::model::DeliveryAttempt;

/// Of an answer's body so much is kept, in bytes.
const SNIPPET_BYTES: usize = 1_024;
/// Of an error so much is kept, in characters.
const ERROR_CHARS: usize = 300;
/// How long an idle connection is kept for the next message.
const IDLE: Duration = Duration::from_secs(30);

/// Sends messages.
#[derive(Clone)]
pub(super) struct Post {
    client: Client,
    allow_private: bool,
}

/// A message as it is sent.
pub(super) struct Message {
    pub url: String,
    pub id: String,
    /// Unix seconds.
    pub timestamp: i64,
    /// One signature for each key, separated by spaces.
    pub signature: String,
    pub body: Vec<u8>,
}

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Delivered,
    /// 410: the receiver wants nothing any more.
    Gone,
    /// To be tried again, not before a pause where the receiver named one.
    Failed(Option<Duration>),
}

impl Post {
    /// # Errors
    /// Where no client for HTTP can be made.
    pub fn new(settings: &WebhookSettings) -> Result<Self, reqwest::Error> {
        // An error only says that a provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // A proxy would resolve names by itself, and a redirect lead anywhere.
        let mut client = Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .timeout(settings.time_limit)
            .pool_idle_timeout(IDLE);
        if !settings.allow_private {
            client = client.dns_resolver(Arc::new(PublicResolver));
        }
        Ok(Self { client: client.build()?, allow_private: settings.allow_private })
    }

    /// Sends a message and waits for its answer.
    pub async fn send(&self, message: Message) -> (DeliveryAttempt, Verdict) {
        let at = wall_now();
        // Measures the receiver, decides nothing.
        let started = tokio::time::Instant::now();
        let answered = self.ask(message).await;
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut attempt = DeliveryAttempt { at, duration_ms, status: None, error: None, response: None };
        let verdict = match answered {
            Err(error) => {
                attempt.error = Some(shortened(&error));
                Verdict::Failed(None)
            }
            Ok((status, headers, snippet)) => {
                attempt.status = Some(status.as_u16());
                attempt.response = Some(snippet).filter(|snippet| !snippet.is_empty());
                attempt.error = complaint(status);
                verdict(status, &headers)
            }
        };
        (attempt, verdict)
    }

    async fn ask(&self, message: Message) -> Result<(StatusCode, HeaderMap, String), String> {
        // What may be sent to was perhaps decided otherwise when the endpoint was stored.
        let url = parse_url(&message.url, self.allow_private).map_err(|why| format!("the URL {why}"))?;
        let mut response = self
            .client
            .post(url)
            .header(USER_AGENT, concat!("preauthd/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", message.id)
            .header("webhook-timestamp", message.timestamp)
            .header("webhook-signature", message.signature)
            .body(message.body)
            .send()
            .await
            .map_err(told)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let snippet = beginning(&mut response).await;
        Ok((status, headers, snippet))
    }
}

/// The first bytes of a body, as far as they come.
async fn beginning(response: &mut Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < SNIPPET_BYTES {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend(chunk.iter().take(SNIPPET_BYTES - bytes.len())),
            Ok(None) | Err(_) => break,
        }
    }
    String::from_utf8_lossy(&bytes).replace('\0', "")
}

fn verdict(status: StatusCode, headers: &HeaderMap) -> Verdict {
    if status.is_success() {
        return Verdict::Delivered;
    }
    if status == StatusCode::GONE {
        return Verdict::Gone;
    }
    let header = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    Verdict::Failed(header.and_then(|header| retry_after(header, wall_now())))
}

fn complaint(status: StatusCode) -> Option<String> {
    if status.is_success() {
        None
    } else if status.is_redirection() {
        Some(format!("answered {}: redirects are not followed", status.as_u16()))
    } else {
        Some(format!("answered {}", status.as_u16()))
    }
}

/// An error with its causes; the innermost tells most.
fn told(error: reqwest::Error) -> String {
    let error = error.without_url();
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

fn shortened(text: &str) -> String {
    text.chars().take(ERROR_CHARS).collect()
}
