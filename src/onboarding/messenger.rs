//! How codes and links come to parties: by a gateway of the operator's, which is asked over HTTP; in the sandbox not at all.
//!
//! What is sent was written down before. That a message was taken is all that is known of it: one that does not arrive is asked for
//! again.

use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

use super::gateway::{Answered, Gateway};

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
    Gateway(Box<Gateway>),
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
            Self::Gateway(gateway) => hand_over(gateway, id, note).await,
        }
    }
}

async fn hand_over(gateway: &Gateway, id: Uuid, note: Note) -> bool {
    let data = match note {
        Note::Code { to, code } => json!({ "channel": "sms", "to": to, "code": code }),
        Note::Link { to, link } => json!({ "channel": "email", "to": to, "link": link }),
    };
    let id = id.to_string();
    for pause in std::iter::once(Duration::ZERO).chain(PAUSES) {
        tokio::time::sleep(pause).await;
        match gateway.tell(&id, "message.requested", &data, TIME_LIMIT).await {
            Answered::Taken(_) => return true,
            Answered::Refused => return false,
            Answered::Missed => {}
        }
    }
    false
}
