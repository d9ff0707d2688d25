//! One message, sent once.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, USER_AGENT};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};

use super::Outbound;
use super::address::{PublicResolver, parse_url};

/// Of an error so much is kept, in characters.
const ERROR_CHARS: usize = 300;
/// How long an idle connection is kept for the next message.
const IDLE: Duration = Duration::from_secs(30);

/// Sends messages. Clones share their connections.
#[derive(Clone)]
pub struct Post {
    client: Client,
    allow_private: bool,
}

/// A message as it is sent.
pub struct Message {
    pub url: String,
    pub id: String,
    /// Unix seconds.
    pub timestamp: i64,
    /// One signature for each key, separated by spaces.
    pub signature: String,
    pub body: Vec<u8>,
}

impl Post {
    /// # Errors
    /// Where no client for HTTP can be made.
    pub fn new(outbound: &Outbound) -> Result<Self, reqwest::Error> {
        // An error only says that a provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // A proxy would resolve names by itself, and a redirect lead anywhere.
        let mut client = Client::builder().no_proxy().redirect(Policy::none()).pool_idle_timeout(IDLE);
        if !outbound.allow_private {
            client = client.dns_resolver(Arc::new(PublicResolver));
        }
        Ok(Self { client: client.build()?, allow_private: outbound.allow_private })
    }

    /// Sends a message; the answer, its body included, has to come within `time_limit`.
    ///
    /// # Errors
    /// Why there is no answer, for people.
    pub async fn send(&self, message: Message, time_limit: Duration) -> Result<Response, String> {
        // What may be sent to was perhaps decided otherwise when the URL was stored.
        let url = parse_url(&message.url, self.allow_private).map_err(|why| format!("the URL {why}"))?;
        self.client
            .post(url)
            .timeout(time_limit)
            .header(USER_AGENT, concat!("preauthd/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", message.id)
            .header("webhook-timestamp", message.timestamp)
            .header("webhook-signature", message.signature)
            .body(message.body)
            .send()
            .await
            .map_err(told)
    }
}

/// The first `most` bytes of an answer's body, and why there are no more where it broke off before.
pub async fn beginning(response: &mut Response, most: usize) -> (Vec<u8>, Option<String>) {
    let mut bytes = Vec::new();
    while bytes.len() < most {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend(chunk.iter().take(most - bytes.len())),
            Ok(None) => break,
            Err(error) => return (bytes, Some(told(error))),
        }
    }
    (bytes, None)
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
    text.chars().take(ERROR_CHARS).collect()
}
