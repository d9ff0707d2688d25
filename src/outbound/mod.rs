//! Signed messages to systems of merchants: which addresses they may go to, how they are signed (Standard Webhooks), how they
//! are sent, and how the keys that sign them are kept. What a message says, and what its answer means, is the business of the
//! rooms above.

mod address;
mod post;
mod secret;
mod signing;
mod vault;

use reqwest::Url;

pub use address::UnfitUrl;
pub use post::{Message, Post, beginning};
pub use secret::{NoKey, ShownKey, SigningKey};
pub use signing::{Keys, ROTATION_MS};
pub use vault::{UnusableKey, Vault};

/// Where messages may go, and how the keys that sign them are kept.
#[derive(Debug, Clone)]
pub struct Outbound {
    /// Whether URLs may be plain http and lead to addresses that are not public.
    pub allow_private: bool,
    pub vault: Vault,
}

impl Outbound {
    /// Reads the URL of a merchant's system.
    ///
    /// # Errors
    /// [`UnfitUrl`].
    pub fn url(&self, text: &str) -> Result<Url, UnfitUrl> {
        address::parse_url(text, self.allow_private)
    }
}

impl Default for Outbound {
    fn default() -> Self {
        Self { allow_private: false, vault: Vault::open() }
    }
}
