//! Forwarding by hand: an event as the webhook it would be, to a system under development.
//!
//! No endpoint is stored and nothing is tried again: whoever forwards watches, and can ask for the event once more.

use std::time::Duration;

use secrecy::SecretString;

use super::WebhookSettings;
use super::attempt::attempt;
use crate::chain::wall_now;
use crate::model::{DeliveryAttempt, SigningScheme};
use crate::outbound::{Message, NoKey, Outbound, Post, ShownKey, SigningKey, UnfitUrl};

/// Sends events to one URL, signed with one secret.
pub struct Forwarder {
    post: Post,
    time_limit: Duration,
    url: String,
    key: SigningKey,
}

/// Why nothing can be forwarded.
#[derive(Debug, thiserror::Error)]
pub enum ForwarderFault {
    #[error("the URL to forward to {0}")]
    Url(UnfitUrl),
    #[error("the secret must be whsec_ and 24 to 64 bytes in Base64")]
    Secret,
    #[error(transparent)]
    Key(#[from] NoKey),
    #[error("no client for HTTP can be made: {0}")]
    Client(#[from] reqwest::Error),
}

impl Forwarder {
    /// To a URL, any will do; with a secret that is known to the receiver, or a new one.
    ///
    /// # Errors
    /// Where URL or secret is none.
    pub fn new(url: &str, secret: Option<&str>) -> Result<Self, ForwarderFault> {
        let outbound = Outbound { allow_private: true, ..Outbound::default() };
        outbound.url(url).map_err(ForwarderFault::Url)?;
        let key = match secret {
            Some(secret) => SigningKey::parse_secret(secret).ok_or(ForwarderFault::Secret)?,
            None => SigningKey::generate(SigningScheme::Symmetric)?,
        };
        let time_limit = WebhookSettings::default().time_limit;
        Ok(Self { post: Post::new(&outbound)?, time_limit, url: url.to_owned(), key })
    }

    /// `whsec_…`: what the receiver verifies with.
    ///
    /// # Errors
    /// Where the key is none.
    pub fn secret(&self) -> Result<SecretString, NoKey> {
        match self.key.shown()? {
            ShownKey::Secret(secret) => Ok(secret),
            ShownKey::Public(_) => Err(NoKey),
        }
    }

    /// Sends an event, by its id and its JSON, and tells what came of it.
    ///
    /// # Errors
    /// Where it cannot be signed.
    pub async fn forward(&self, id: &str, body: Vec<u8>) -> Result<DeliveryAttempt, NoKey> {
        let timestamp = wall_now().0 / 1_000;
        let signature = self.key.sign(id, timestamp, &body)?;
        let message = Message { url: self.url.clone(), id: id.to_owned(), timestamp, signature, body };
        let (attempt, _) = attempt(&self.post, message, self.time_limit).await;
        Ok(attempt)
    }
}
