//! What every act on a party has in common: one change, in which it is written down who did it, and told what it did to the party's
//! standing.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::Onboarding;
use super::refusal::{OnboardingRefusal, Stop};
use crate::chain::wall_now;
use crate::model::{About, EventKind, Millis, Party, PartyId, PartyStatus, TenantId};
use crate::store::audit::{self, Act};
use crate::store::onboarding::{events, parties};
use crate::store::{Connection, StoreError};

/// Who acts, as the audit log names him.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor(String);

impl Actor {
    /// A system of the tenant's, by the prefix of its API key.
    #[must_use]
    pub fn of_key(prefix: &str) -> Self {
        Self(format!("key {prefix}"))
    }

    /// Whoever follows a link that was sent to the party.
    #[must_use]
    pub fn of_link() -> Self {
        Self("link".to_owned())
    }

    /// The daemon itself.
    #[must_use]
    pub fn daemon() -> Self {
        Self("daemon".to_owned())
    }

    /// Whoever runs a command, named by it.
    #[must_use]
    pub fn named(name: String) -> Self {
        Self(name)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Onboarding {
    /// Runs a change on a tenant's party.
    pub(super) async fn act_on<T, F>(
        &self,
        tenant: TenantId,
        id: PartyId,
        actor: &Actor,
        act: &'static str,
        change: F,
    ) -> Result<T, Stop>
    where
        F: for<'c> FnOnce(&'c mut Connection, &'c Party, Millis) -> BoxFuture<'c, Result<T, Stop>>
            + Send
            + 'static,
        T: Send + 'static,
    {
        let (actor, now) = (actor.clone(), wall_now());
        let value = self
            .inner
            .store
            .write::<_, Stop, _>(move |tx| {
                async move {
                    let party = find(tx, tenant, id).await?;
                    let value = change(tx, &party, now).await?;
                    note(tx, &actor, act, id, now).await?;
                    tell_of(tx, &party, party.status(), now).await?;
                    Ok(value)
                }
                .boxed()
            })
            .await?;
        self.inner.signals.changed([]);
        Ok(value)
    }
}

/// A tenant's party.
pub(super) async fn find(connection: &mut Connection, tenant: TenantId, id: PartyId) -> Result<Party, Stop> {
    Ok(parties::find(connection, tenant, id).await?.ok_or(OnboardingRefusal::UnknownParty)?)
}

/// Writes down who did something to a party, or read what is known of it.
pub(super) async fn note(
    tx: &mut Connection,
    actor: &Actor,
    act: &'static str,
    party: PartyId,
    now: Millis,
) -> Result<(), StoreError> {
    let act = Act { actor: actor.0.clone(), act, subject: format!("party {party}") };
    audit::note(tx, &act, now).await
}

/// Tells where a party stands now, if that is not where it stood before. That something is open again is no event: what follows
/// from it is told to whoever asks.
pub(super) async fn tell_of(
    tx: &mut Connection,
    before: &Party,
    stood: PartyStatus,
    now: Millis,
) -> Result<(), StoreError> {
    let Some(party) = parties::by_key(tx, before.key).await? else { return Ok(()) };
    let kind = match party.status() {
        status if status == stood => return Ok(()),
        PartyStatus::Onboarding => return Ok(()),
        PartyStatus::Verified => EventKind::PartyVerified,
        PartyStatus::Rejected => EventKind::PartyRejected,
        PartyStatus::Suspended => EventKind::PartySuspended,
    };
    events::insert(tx, &party, kind, About::TheParty, now).await
}
