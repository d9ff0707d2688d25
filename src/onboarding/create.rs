//! Begin to onboard somebody.

use futures::FutureExt;
use uuid::Uuid;

use super::Onboarding;
use super::act::{Actor, note, tell_of};
use super::change::store_profile;
use super::refusal::{Done, OnboardingFault, OnboardingRefusal, Stop, told};
use super::terms::accept;
use crate::chain::wall_now;
use crate::model::{
    ExternalId, PartyId, PartyKey, PartyKind, PartyStatus, Profile, RequirementKind, TenantId, TermsName,
};
use crate::store::onboarding::parties::{self, NewParty};
use crate::store::onboarding::requirements;
use crate::store::{StoreError, idempotency};

/// A party to be.
#[derive(Debug, Clone)]
pub struct PartyWish {
    pub kind: PartyKind,
    pub external_id: Option<ExternalId>,
    pub profile: Profile,
    /// What is asked of it, and whether it cannot be verified without. At least one is mandatory.
    pub requirements: &'static [(RequirementKind, bool)],
    /// The version of the terms that it has accepted.
    pub accepted: Option<TermsName>,
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
        let id = PartyId(Uuid::now_v7());
        let (data_key, wrapped) = self.inner.settings.master.make(id)?;
        let new = NewParty { id, tenant, kind: wish.kind, external_id: wish.external_id, data_key: wrapped };
        let (actor, once, now) = (actor.clone(), self.once, wall_now());
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
                    note(tx, &actor, "party.create", id, now).await?;
                    if let Some(party) = parties::by_key(tx, key).await? {
                        tell_of(tx, &party, PartyStatus::Onboarding, now).await?;
                    }
                    idempotency::note_effect(tx, once, key.0).await?;
                    Ok(id)
                }
                .boxed()
            })
            .await;
        self.inner.signals.changed([]);
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
