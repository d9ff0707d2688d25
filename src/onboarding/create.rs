//! Begin to onboard somebody.

use futures::FutureExt;
use uuid::Uuid;

use super::Onboarding;
use super::act::{Actor, note, tell_of};
use super::change::store_profile;
use super::claims::take_claims;
use super::documents::{DocumentWish, store_document};
use super::examiner::begin;
use super::refusal::{Done, OnboardingFault, OnboardingRefusal, Stop, told};
use super::terms::accept;
use crate::chain::wall_now;
use crate::model::{
    Claim, ExternalId, PartyId, PartyKey, PartyKind, PartyStatus, Profile, RequirementKind, TenantId,
    TermsName,
};
use crate::store::onboarding::parties::{self, NewParty};
use crate::store::onboarding::requirements;
use crate::store::{StoreError, idempotency};

/// A party to be.
#[derive(Debug)]
pub struct PartyWish {
    pub kind: PartyKind,
    pub external_id: Option<ExternalId>,
    pub profile: Profile,
    /// What is asked of it, and whether it cannot be verified without. At least one is mandatory.
    pub requirements: &'static [(RequirementKind, bool)],
    /// What of it is met by what was told.
    pub met: Vec<RequirementKind>,
    /// The version of the terms that it has accepted.
    pub accepted: Option<TermsName>,
    /// What must be this party's alone.
    pub claims: Vec<Claim>,
    pub documents: Vec<DocumentWish>,
    /// Whether its identity is verified from the beginning.
    pub verify: bool,
}

impl PartyWish {
    /// A party with nothing but a profile.
    #[must_use]
    pub fn new(kind: PartyKind, profile: Profile, requirements: &'static [(RequirementKind, bool)]) -> Self {
        Self {
            kind,
            external_id: None,
            profile,
            requirements,
            met: Vec::new(),
            accepted: None,
            claims: Vec::new(),
            documents: Vec::new(),
            verify: false,
        }
    }
}

impl Onboarding {
    /// Adds a party and returns its name.
    ///
    /// # Errors
    /// [`OnboardingFault`].
    pub async fn create(&self, tenant: TenantId, wish: PartyWish, actor: &Actor) -> Done<PartyId> {
        if let Some(created) = self.created_before().await? {
            return Ok(created);
        }
        let needs_verifier =
            wish.verify || wish.documents.iter().any(|document| document.purpose.is_checked());
        if needs_verifier && self.inner.settings.verifier.is_none() {
            return Ok(Err(OnboardingRefusal::NoVerifier));
        }
        let id = PartyId(Uuid::now_v7());
        let (data_key, wrapped) = self.inner.settings.master.make(id)?;
        let new = NewParty { id, tenant, kind: wish.kind, external_id: wish.external_id, data_key: wrapped };
        let (this, actor, once, now) = (self.clone(), actor.clone(), self.once, wall_now());
        let written = self
            .inner
            .store
            .write::<_, Stop, _>(move |tx| {
                async move {
                    let key = parties::insert(tx, &new, now).await.map_err(|error| {
                        if error.is_unique_violation() {
                            OnboardingRefusal::ExternalIdTaken.into()
                        } else {
                            Stop::from(error)
                        }
                    })?;
                    for (kind, mandatory) in wish.requirements {
                        requirements::insert(tx, key, *kind, *mandatory).await?;
                    }
                    store_profile(tx, (key, id), &data_key, 1, &wish.profile, None, &actor, now).await?;
                    if let Some(version) = wish.accepted {
                        accept(tx, tenant, key, &version, now).await?;
                    }
                    take_claims(tx, &this.inner.settings.master, tenant, key, &wish.claims).await?;
                    for document in wish.documents {
                        store_document(tx, key, &data_key, document, None, now).await?;
                    }
                    for kind in wish.met {
                        requirements::set_met(tx, key, kind, Some(now)).await?;
                    }
                    note(tx, &actor, "party.create", id, now).await?;
                    if let Some(party) = parties::by_key(tx, key).await? {
                        if wish.verify {
                            begin(tx, &party, now).await?;
                        }
                        tell_of(tx, &party, PartyStatus::Onboarding, now).await?;
                    }
                    idempotency::note_effect(tx, once, key.0).await?;
                    Ok(id)
                }
                .boxed()
            })
            .await;
        self.inner.signals.changed([]);
        self.inner.asked.notify_one();
        told(written)
    }

    /// The party that an earlier run of the same request has made, unless it was deleted since.
    async fn created_before(&self) -> Result<Option<Result<PartyId, OnboardingRefusal>>, OnboardingFault> {
        if self.once.is_none() {
            return Ok(None);
        }
        let read = async {
            let mut reader = self.inner.store.read().await?;
            let Some(key) = idempotency::effect(&mut reader, self.once).await? else { return Ok(None) };
            let party = parties::by_key(&mut reader, PartyKey(key)).await?;
            Ok(Some(party.map(|party| party.id).ok_or(OnboardingRefusal::UnknownParty)))
        };
        read.await.map_err(|error: StoreError| error.into())
    }
}
