//! Forget a party: its key is destroyed, and with it everything personal.

use futures::FutureExt;

use super::Onboarding;
use super::act::{Actor, find, note};
use super::refusal::{Done, Stop, told};
use crate::chain::wall_now;
use crate::model::{Millis, PartyId, TenantId};
use crate::store::Connection;
use crate::store::onboarding::parties;

impl Onboarding {
    /// Deletes a party. Its id remains where holds and events name it, and means nobody any more; its wallets are tied to nobody.
    ///
    /// # Errors
    /// [`super::OnboardingFault`].
    pub async fn delete(&self, tenant: TenantId, id: PartyId, actor: &Actor) -> Done<()> {
        let (actor, now) = (actor.clone(), wall_now());
        let deleted = self
            .inner
            .store
            .write::<_, Stop, _>(move |tx| async move { delete(tx, tenant, id, &actor, now).await }.boxed());
        told(deleted.await)
    }
}

/// The same inside a change, for those who have no daemon at hand.
///
/// # Errors
/// [`super::OnboardingFault`].
pub async fn delete_in(
    tx: &mut Connection,
    tenant: TenantId,
    id: PartyId,
    actor: &Actor,
    now: Millis,
) -> Done<()> {
    told(delete(tx, tenant, id, actor, now).await)
}

async fn delete(
    tx: &mut Connection,
    tenant: TenantId,
    id: PartyId,
    actor: &Actor,
    now: Millis,
) -> Result<(), Stop> {
    let party = find(tx, tenant, id).await?;
    note(tx, actor, "party.delete", id, now).await?;
    Ok(parties::delete(tx, party.key, now).await?)
}
