//! Look at parties: at where they stand, and, written down, at what is known of them.

use futures::FutureExt;

use super::Onboarding;
use super::act::{Actor, find, note};
use super::change::Kept;
use super::refusal::{Done, OnboardingFault, OnboardingRefusal, Stop, told};
use super::vault::{DataKey, MasterKey, Place, VaultError};
use crate::chain::wall_now;
use crate::model::{ExternalId, Millis, Party, PartyId, Profile, TenantId, TermsVersion, Verification};
use crate::store::onboarding::wallets::PartyWallet;
use crate::store::onboarding::{acceptances, parties, profiles, verifications, wallets};
use crate::store::{Connection, StoreError};

/// A party without anything personal.
#[derive(Debug, Clone)]
pub struct ShownParty {
    pub party: Party,
    /// The newest version of the terms that it accepted.
    pub accepted: Option<TermsVersion>,
    /// Its newest verification.
    pub verification: Option<Verification>,
    pub wallets: Vec<PartyWallet>,
}

/// A version of what is known of a party.
#[derive(Debug, Clone)]
pub struct ProfileVersion {
    pub profile: Profile,
    /// Why it was stored.
    pub remarks: Option<String>,
    /// Who stored it.
    pub actor: String,
    pub at: Millis,
}

/// A party and what is known of it.
#[derive(Debug, Clone)]
pub struct PartyWithProfile {
    pub shown: ShownParty,
    pub profile: Profile,
}

impl ShownParty {
    /// Adds to a party what is told of it elsewhere.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn of(connection: &mut Connection, party: Party) -> Result<Self, StoreError> {
        Ok(Self {
            accepted: acceptances::last(connection, party.key).await?,
            verification: verifications::newest(connection, party.key).await?,
            wallets: wallets::of_party(connection, party.key).await?,
            party,
        })
    }
}

impl Onboarding {
    /// A tenant's parties before a row, newest first.
    ///
    /// # Errors
    /// [`OnboardingFault`].
    pub async fn list(
        &self,
        tenant: TenantId,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Party>, OnboardingFault> {
        let mut reader = self.inner.store.read().await?;
        Ok(parties::page(&mut reader, tenant, before, limit).await?)
    }

    /// Where a tenant's party stands.
    ///
    /// # Errors
    /// [`OnboardingFault`].
    pub async fn show(&self, tenant: TenantId, id: PartyId) -> Done<ShownParty> {
        let read = async {
            let mut reader = self.inner.store.read().await?;
            let party = find(&mut reader, tenant, id).await?;
            Ok(ShownParty::of(&mut reader, party).await?)
        };
        told(read.await)
    }

    /// What is known of a tenant's party. That it was read is in the audit log before anybody sees it.
    ///
    /// # Errors
    /// [`OnboardingFault`].
    pub async fn read(&self, tenant: TenantId, id: PartyId, actor: &Actor) -> Done<PartyWithProfile> {
        let (this, actor, now) = (self.clone(), actor.clone(), wall_now());
        let read = self.inner.store.write::<_, Stop, _>(move |tx| {
            async move {
                let party = find(tx, tenant, id).await?;
                let (_, _, profile) = newest_profile(tx, &this.inner.settings.master, &party).await?;
                note(tx, &actor, "party.read", id, now).await?;
                Ok(PartyWithProfile { shown: ShownParty::of(tx, party).await?, profile })
            }
            .boxed()
        });
        told(read.await)
    }
}

impl Onboarding {
    /// Every version of what is known of a tenant's party, oldest first; there is at least one. That it was read is in the audit
    /// log before anybody sees it.
    ///
    /// # Errors
    /// [`OnboardingFault`].
    pub async fn history(
        &self,
        tenant: TenantId,
        id: PartyId,
        actor: &Actor,
    ) -> Done<(ShownParty, Vec<ProfileVersion>)> {
        let (this, actor, now) = (self.clone(), actor.clone(), wall_now());
        let read = self.inner.store.write::<_, Stop, _>(move |tx| {
            async move {
                let party = find(tx, tenant, id).await?;
                let (data_key, ..) = newest_profile(tx, &this.inner.settings.master, &party).await?;
                let mut versions = Vec::new();
                for (stored, actor, at) in profiles::all(tx, party.key).await? {
                    let plain = data_key.open(Place::Profile(id, stored.version), &stored.sealed)?;
                    let kept = serde_json::from_slice(&plain).map_err(OnboardingFault::from)?;
                    let Kept { profile, remarks } = kept;
                    versions.push(ProfileVersion { profile, remarks, actor, at });
                }
                note(tx, &actor, "party.history", id, now).await?;
                Ok((ShownParty::of(tx, party).await?, versions))
            }
            .boxed()
        });
        told(read.await)
    }

    /// The name of a tenant's party, by the tenant's own name for it.
    ///
    /// # Errors
    /// [`OnboardingFault`].
    pub async fn find_external(&self, tenant: TenantId, id: &ExternalId) -> Done<PartyId> {
        let mut reader = self.inner.store.read().await?;
        let found = parties::by_external_id(&mut reader, tenant, id).await?;
        Ok(found.ok_or(OnboardingRefusal::UnknownParty))
    }
}

/// The newest version of a party's profile, its number, and the key that it is encrypted with.
pub(super) async fn newest_profile(
    connection: &mut Connection,
    master: &MasterKey,
    party: &Party,
) -> Result<(DataKey, u64, Profile), Stop> {
    let wrapped = parties::data_key(connection, party.key).await?.ok_or(VaultError::WrongKey)?;
    let data_key = master.unwrap(party.id, &wrapped)?;
    let stored = profiles::newest(connection, party.key).await?.ok_or(VaultError::WrongKey)?;
    let plain = data_key.open(Place::Profile(party.id, stored.version), &stored.sealed)?;
    let Kept { profile, .. } = serde_json::from_slice(&plain).map_err(OnboardingFault::from)?;
    Ok((data_key, stored.version, profile))
}
