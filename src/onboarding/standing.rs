//! Decide about a party, whatever its requirements say: reject it, suspend it, take that back.

use futures::FutureExt;

use super::Onboarding;
use super::act::{Actor, find, note, tell_of};
use super::refusal::{Done, OnboardingRefusal, Stop, told};
use crate::chain::wall_now;
use crate::model::{Bar, BarEvent, Millis, PartyId, TenantId};
use crate::store::Connection;
use crate::store::onboarding::parties;

impl Onboarding {
    /// Decides about a party. Deciding it again changes nothing.
    ///
    /// # Errors
    /// [`super::OnboardingFault`].
    pub async fn decide(&self, tenant: TenantId, id: PartyId, event: BarEvent, actor: &Actor) -> Done<()> {
        let (actor, now) = (actor.clone(), wall_now());
        let decided = self.inner.store.write::<_, Stop, _>(move |tx| {
            async move { decide(tx, tenant, id, event, &actor, now).await }.boxed()
        });
        let decided = told(decided.await);
        self.inner.signals.changed([]);
        decided
    }
}

/// The same inside a change, for those who have no daemon at hand.
///
/// # Errors
/// [`super::OnboardingFault`].
pub async fn decide_in(
    tx: &mut Connection,
    tenant: TenantId,
    id: PartyId,
    event: BarEvent,
    actor: &Actor,
    now: Millis,
) -> Done<()> {
    told(decide(tx, tenant, id, event, actor, now).await)
}

async fn decide(
    tx: &mut Connection,
    tenant: TenantId,
    id: PartyId,
    event: BarEvent,
    actor: &Actor,
    now: Millis,
) -> Result<(), Stop> {
    let party = find(tx, tenant, id).await?;
    let bar = Bar::after(party.bar, event).map_err(|_| OnboardingRefusal::Rejected)?;
    parties::set_bar(tx, party.key, bar).await?;
    let act = match event {
        BarEvent::Reject => "party.reject",
        BarEvent::Suspend => "party.suspend",
        BarEvent::Resume => "party.resume",
    };
    note(tx, actor, act, id, now).await?;
    Ok(tell_of(tx, &party, party.status(), now).await?)
}
