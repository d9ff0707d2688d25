//! Systems of the operator's that are told of parties over HTTP: whoever sends messages, and whoever verifies identities.
//!
//! What is sent to one is signed with a key that both have, by the Standard Webhooks specification; so is what it says later.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::chain::wall_now;
use crate::model::Millis;
use crate::outbound::{Message, Post, SigningKey, beginning};

/// How old, or how far ahead, the time of a signed message may be, in seconds.
const TOLERANCE_SECONDS: i64 = 5 * 60;
/// Of an answer, that much is read.
const MOST_OF_AN_ANSWER: usize = 4_096;

/// One such system.
pub struct Gateway {
    url: String,
    key: SigningKey,
    post: Post,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Gateway")
    }
}

/// What it made of a message.
pub(super) enum Answered {
    /// It took it, and may have said something.
    Taken(Vec<u8>),
    /// It will not take it another time either.
    Refused,
    /// It was not there, or is busy.
    Missed,
}

/// A message of its own, as it came.
#[derive(Debug, Clone)]
pub struct SignedMessage {
    pub id: String,
    /// Unix seconds.
    pub timestamp: i64,
    /// One or more signatures, separated by spaces.
    pub signatures: String,
    pub body: Vec<u8>,
}

impl Gateway {
    /// `None`: the secret is no `whsec_…`.
    #[must_use]
    pub fn new(url: String, secret: &str, post: Post) -> Option<Self> {
        Some(Self { url, key: SigningKey::parse_secret(secret.trim())?, post })
    }

    /// Whether a text is a key that it can be told with.
    #[must_use]
    pub fn is_secret(text: &str) -> bool {
        SigningKey::parse_secret(text.trim()).is_some()
    }

    /// Tells it something under a name, by which it knows what it was told before.
    pub(super) async fn tell(&self, id: &str, kind: &str, data: &Value, time_limit: Duration) -> Answered {
        let now = wall_now();
        let body = json!({ "type": kind, "timestamp": now.to_rfc3339(), "data": data });
        let body = body.to_string().into_bytes();
        let timestamp = now.0 / 1_000;
        let Ok(signature) = self.key.sign(id, timestamp, &body) else { return Answered::Refused };
        let message = Message { url: self.url.clone(), id: id.to_owned(), timestamp, signature, body };
        match self.post.send(message, time_limit).await {
            Ok(mut answer) if answer.status().is_success() => {
                let (said, _) = beginning(&mut answer, MOST_OF_AN_ANSWER).await;
                Answered::Taken(said)
            }
            Ok(answer) => {
                let status = answer.status();
                tracing::warn!(message = id, kind, %status, "a gateway does not take a message");
                if status.is_client_error() && status.as_u16() != 429 {
                    Answered::Refused
                } else {
                    Answered::Missed
                }
            }
            Err(why) => {
                tracing::warn!(message = id, kind, why, "a gateway cannot be reached");
                Answered::Missed
            }
        }
    }

    /// Whether a message is its own, and not an old one again.
    pub(super) fn has_said(&self, message: &SignedMessage, now: Millis) -> bool {
        let age = (now.0 / 1_000).saturating_sub(message.timestamp);
        age.saturating_abs() <= TOLERANCE_SECONDS
            && self.key.has_signed(&message.id, message.timestamp, &message.body, &message.signatures)
    }
}
