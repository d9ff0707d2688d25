//! Who may pay and be paid: parties are onboarded, one verb per file.
//!
//! Dialects bring what they were told in words of their own; here there is one party with its requirements. Whatever is done to
//! a party is one change, in which the act is written into the audit log and what it does to the party's standing becomes an event.
//! Those who lock tokens learn nothing of this room: they ask the store whether a wallet may take part.

mod act;
mod challenge;
mod change;
mod claims;
mod create;
mod delete;
mod documents;
mod examiner;
mod gateway;
mod messenger;
mod provider;
mod read;
mod refusal;
mod reviews;
mod standing;
mod terms;
#[cfg(test)]
mod tests;
mod vault;
mod verifier;
mod verify;
mod wallets;

use std::sync::Arc;

use tokio::sync::Notify;

use crate::lane::Signals;
use crate::model::Once;
use crate::store::Store;
use crate::store::onboarding::parties;

pub use crate::store::onboarding::wallets::PartyWallet;
pub use act::Actor;
pub use challenge::{FollowedLink, SentChallenge, ShownLink};
pub use change::{ProfileEdit, ProfileWish};
pub use create::PartyWish;
pub use delete::delete_in;
pub use documents::{DocumentWish, ShownDocument};
pub use gateway::{Gateway, SignedMessage};
pub use messenger::Messenger;
pub use provider::Heard;
pub use read::{PartyWithProfile, ProfileVersion, ShownParty};
pub use refusal::{Contact, OnboardingFault, OnboardingRefusal};
pub use reviews::{IfOpen, ReviewEdit, ShownReview};
pub use standing::decide_in;
pub use vault::{MasterKey, VaultError};
pub use verifier::Verifier;
pub use verify::VerifyWish;

/// What onboarding needs to know about its surroundings.
#[derive(Debug)]
pub struct OnboardingSettings {
    pub master: MasterKey,
    pub messenger: Messenger,
    pub verifier: Verifier,
    /// What parties see before `/onboarding/…`, without a slash at its end.
    pub public_url: String,
}

/// The verbs. Clones share everything.
#[derive(Clone)]
pub struct Onboarding {
    inner: Arc<Inner>,
    /// The request they act for, where it came with a key.
    once: Option<Once>,
}

struct Inner {
    store: Store,
    signals: Signals,
    settings: OnboardingSettings,
    /// Rings when a verification was asked for.
    asked: Notify,
}

impl Onboarding {
    #[must_use]
    pub fn new(store: Store, signals: Signals, settings: OnboardingSettings) -> Self {
        Self { inner: Arc::new(Inner { store, signals, settings, asked: Notify::new() }), once: None }
    }

    /// The verbs for a request that came with a key, or without one: run again, it shows what it has begun.
    #[must_use]
    pub fn under(&self, once: Option<Once>) -> Self {
        Self { once, ..self.clone() }
    }

    /// What parties see before `/onboarding/…`, without a slash at its end.
    #[must_use]
    pub fn public_url(&self) -> &str {
        &self.inner.settings.public_url
    }

    /// Makes sure that the operator's key is the one that is in use here.
    ///
    /// # Errors
    /// [`OnboardingFault`] where it is another.
    pub async fn check_key(&self) -> Result<(), OnboardingFault> {
        let mut reader = self.inner.store.read().await?;
        if let Some((party, wrapped)) = parties::any_data_key(&mut reader).await? {
            self.inner.settings.master.unwrap(party, &wrapped)?;
        }
        Ok(())
    }
}
