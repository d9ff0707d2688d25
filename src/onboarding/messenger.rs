//! How codes and links come to parties: by a gateway of the operator's, which is asked over HTTP; in the sandbox not at all.
//!
//! What is sent was written down before. That a message was taken is all that is known of it: one that does not arrive is asked for
//! again.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::chain::wall_now;
use crate::outbound::{Message, Post, SigningKey};

/// Pauses between the attempts to hand over a message.
const PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(1)];
/// How long the gateway may take for one.
const TIME_LIMIT: Duration = Duration::from_secs(5);
/// The code of every challenge in the sandbox.
pub(super) const SANDBOX_CODE: &str = "123456";

/// Who sends messages to parties.
#[derive(Debug)]
pub enum Messenger {
    /// Nothing can be sent.
    None,
    /// Nothing is sent: every code is 123456, and who asks for a link is given it.
    Sandbox,
    /// A gateway for SMS and e-mail.
    Gateway { url: String, key: MessengerKey, post: Box<Gate> },
}

/// The client that messages are handed over with.
pub struct Gate(pub Post);

impl fmt::Debug for Gate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Gate")
    }
}

/// The key that signs messages to the gateway.
pub struct MessengerKey(SigningKey);

impl fmt::Debug for MessengerKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("MessengerKey")
    }
}

impl MessengerKey {
    /// Reads `whsec_…`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        SigningKey::parse_secret(text.trim()).map(Self)
    }
}

/// What is sent to whom.
pub(super) enum Note {
    /// A code, by SMS.
    Code { to: String, code: String },
    /// A link, by e-mail.
    Link { to: String, link: String },
}

impl Messenger {
    /// Hands a message over; `false`: it was not taken.
    pub(super) async fn send(&self, id: Uuid, note: Note) -> bool {
        match self {
            Self::None => false,
            Self::Sandbox => true,
            Self::Gateway { url, key, post } => hand_over(url, key, &post.0, id, note).await,
        }
    }
}

async fn hand_over(url: &str, key: &MessengerKey, post: &Post, id: Uuid, note: Note) -> bool {
    let data = match note {
        Note::Code { to, code } => json!({ "channel": "sms", "to": to, "code": code }),
        Note::Link { to, link } => json!({ "channel": "email", "to": to, "link": link }),
    };
    let id = id.to_string();
    for pause in std::iter::once(Duration::ZERO).chain(PAUSES) {
        tokio::time::sleep(pause).await;
        match attempt(url, key, post, &id, &data).await {
            Attempt::Taken => return true,
            Attempt::Refused => return false,
            Attempt::Again => {}
        }
    }
    false
}

enum Attempt {
    Taken,
    Refused,
    Again,
}

async fn attempt(url: &str, key: &MessengerKey, post: &Post, id: &str, data: &Value) -> Attempt {
    let now = wall_now();
    let body = json!({ "type": "message.requested", "timestamp": now.to_rfc3339(), "data": data });
    let body = body.to_string().into_bytes();
    let timestamp = now.0 / 1_000;
    let Ok(signature) = key.0.sign(id, timestamp, &body) else { return Attempt::Refused };
    let message = Message { url: url.to_owned(), id: id.to_owned(), timestamp, signature, body };
    match post.send(message, TIME_LIMIT).await {
        Ok(answer) if answer.status().is_success() => Attempt::Taken,
        Ok(answer) => {
            let status = answer.status();
            tracing::warn!(message = id, %status, "the gateway does not take a message");
            if status.is_client_error() && status.as_u16() != 429 { Attempt::Refused } else { Attempt::Again }
        }
        Err(why) => {
            tracing::warn!(message = id, why, "the gateway cannot be reached");
            Attempt::Again
        }
    }
}
