//! Ask for a verification of an identity, with what it takes.

use futures::FutureExt;
use uuid::Uuid;

use super::Onboarding;
use super::act::Actor;
use super::change::ProfileEdit;
use super::claims::take_claims;
use super::examiner::begin;
use super::refusal::{Done, OnboardingRefusal, told};
use crate::model::{Claim, DocumentPurpose, DocumentState, PartyId, TenantId};
use crate::store::onboarding::documents;

/// A verification to be.
#[derive(Debug)]
pub struct VerifyWish {
    /// What was told with it.
    pub edit: Option<ProfileEdit>,
    /// What must be this party's alone.
    pub claims: Vec<Claim>,
    /// Whether a document that shows the identity must be there.
    pub needs_documents: bool,
}

impl Onboarding {
    /// Begins a verification of a tenant's party and returns its name; how it ends is told later.
    ///
    /// # Errors
    /// [`super::OnboardingFault`].
    pub async fn verify(&self, tenant: TenantId, id: PartyId, wish: VerifyWish, actor: &Actor) -> Done<Uuid> {
        if self.inner.settings.verifier.is_none() {
            return Ok(Err(OnboardingRefusal::NoVerifier));
        }
        let (this, by) = (self.clone(), actor.clone());
        let begun = self.act_on(tenant, id, actor, "party.ask_verification", move |tx, party, now| {
            async move {
                // Before anything else is: whoever is verified or waits is told so, whatever he sends.
                let verification = begin(tx, party, now).await?;
                if wish.needs_documents {
                    let stored = documents::of_party(tx, party.key).await?;
                    let shows_identity = stored.iter().any(|document| {
                        document.purpose == DocumentPurpose::Identity
                            && document.state != DocumentState::Refused
                    });
                    if !shows_identity {
                        return Err(OnboardingRefusal::MissingDocuments.into());
                    }
                }
                take_claims(tx, &this.inner.settings.master, tenant, party.key, &wish.claims).await?;
                if let Some(edit) = wish.edit {
                    this.edit_profile(tx, party, edit, None, &by, now).await?;
                }
                Ok(verification)
            }
            .boxed()
        });
        let begun = told(begun.await);
        self.inner.asked.notify_one();
        begun
    }
}
