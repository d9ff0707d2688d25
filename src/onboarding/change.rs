//! Change what is known of a party.

use std::fmt;

use futures::FutureExt;
use serde::{Deserialize, Serialize};

use super::Onboarding;
use super::act::Actor;
use super::read::newest_profile;
use super::refusal::{Done, OnboardingFault, Stop, told};
use super::terms::accept;
use super::vault::{DataKey, Place};
use crate::model::{
    ChallengeKind, Millis, Party, PartyId, PartyKey, Profile, RequirementKind, TenantId, TermsName,
};
use crate::store::Connection;
use crate::store::onboarding::profiles::{self, SealedProfile};
use crate::store::onboarding::{challenges, requirements};

/// What is done to a profile.
pub struct ProfileEdit(Box<dyn FnOnce(&mut Profile) + Send>);

impl ProfileEdit {
    pub fn new(edit: impl FnOnce(&mut Profile) + Send + 'static) -> Self {
        Self(Box::new(edit))
    }
}

impl fmt::Debug for ProfileEdit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ProfileEdit(…)")
    }
}

/// What is to be changed.
#[derive(Debug)]
pub struct ProfileWish {
    pub edit: ProfileEdit,
    /// Why, for those who look at it later. Kept as encrypted as the profile.
    pub remarks: Option<String>,
    /// The version of the terms that the party has accepted meanwhile.
    pub accepted: Option<TermsName>,
}

/// What is encrypted as one version.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept<P> {
    pub profile: P,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remarks: Option<String>,
}

impl Onboarding {
    /// Changes a party's profile, and accepts terms in its name. What was confirmed about a number or an address does not hold for
    /// another one.
    ///
    /// # Errors
    /// [`OnboardingFault`].
    pub async fn change(&self, tenant: TenantId, id: PartyId, wish: ProfileWish, actor: &Actor) -> Done<()> {
        let (this, by) = (self.clone(), actor.clone());
        let changed = self.act_on(tenant, id, actor, "party.change", move |tx, party, now| {
            async move {
                this.edit_profile(tx, party, wish.edit, wish.remarks, &by, now).await?;
                if let Some(version) = wish.accepted {
                    accept(tx, tenant, party.key, &version, now).await?;
                }
                Ok(())
            }
            .boxed()
        });
        told(changed.await)
    }

    /// Changes a profile in a change.
    pub(super) async fn edit_profile(
        &self,
        tx: &mut Connection,
        party: &Party,
        edit: ProfileEdit,
        remarks: Option<String>,
        actor: &Actor,
        now: Millis,
    ) -> Result<(), Stop> {
        let (data_key, version, before) = newest_profile(tx, &self.inner.settings.master, party).await?;
        let mut profile = before.clone();
        (edit.0)(&mut profile);
        if profile != before {
            let version = version.saturating_add(1);
            let party = (party.key, party.id);
            store_profile(tx, party, &data_key, version, &profile, remarks, actor, now).await?;
        }
        if profile.phone.as_ref().map(|phone| phone.e164()) != before.phone.as_ref().map(|phone| phone.e164())
        {
            unconfirm(tx, party.key, RequirementKind::PhoneNumber, ChallengeKind::PhoneCode).await?;
        }
        if profile.email != before.email {
            unconfirm(tx, party.key, RequirementKind::Email, ChallengeKind::EmailLink).await?;
        }
        Ok(())
    }
}

async fn unconfirm(
    tx: &mut Connection,
    party: PartyKey,
    requirement: RequirementKind,
    challenge: ChallengeKind,
) -> Result<(), Stop> {
    requirements::set_met(tx, party, requirement, None).await?;
    Ok(challenges::make_void(tx, party, challenge).await?)
}

/// Adds a version of a profile, and notes what is told by it.
#[allow(clippy::too_many_arguments)]
pub(super) async fn store_profile(
    tx: &mut Connection,
    (key, id): (PartyKey, PartyId),
    data_key: &DataKey,
    version: u64,
    profile: &Profile,
    remarks: Option<String>,
    actor: &Actor,
    now: Millis,
) -> Result<(), Stop> {
    let plain = serde_json::to_vec(&Kept { profile, remarks }).map_err(OnboardingFault::from)?;
    let sealed = data_key.seal(Place::Profile(id, version), &plain)?;
    profiles::insert(tx, key, &SealedProfile { version, sealed }, actor.as_str(), now).await?;
    for (kind, is_told) in [
        (RequirementKind::DateOfBirth, profile.date_of_birth.is_some()),
        (RequirementKind::MainAddress, profile.main_address.is_some()),
        (RequirementKind::PostalAddress, profile.postal_address.is_some()),
    ] {
        requirements::set_met(tx, key, kind, is_told.then_some(now)).await?;
    }
    Ok(())
}
