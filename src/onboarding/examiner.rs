//! Verifications of identities: begun in a change, looked at until they end.
//!
//! What is due is asked of the database, so none is forgotten; a provider that stays silent is waited for until the deadline.

use std::time::Duration;

use futures::FutureExt;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Onboarding;
use super::act::{Actor, note, tell_of};
use super::read::newest_profile;
use super::refusal::{OnboardingFault, OnboardingRefusal, Stop};
use super::verifier::Outcome;
use crate::chain::wall_now;
use crate::model::{
    EventKind, FailureReason, IdentityVerdict, Millis, Party, RequirementKind, RequirementStatus,
    Verification,
};
use crate::store::onboarding::{events, parties, verifications};
use crate::store::{Connection, StoreError};

/// How long the provider may take.
const TIME_LIMIT_MS: i64 = 24 * 3_600 * 1_000;
/// When one that could not be looked at is looked at again.
const PAUSE_MS: i64 = 30 * 1_000;
/// Verifications of one look.
const PAGE: u32 = 100;
/// How often it is looked where nobody asks for it.
const UNASKED: Duration = Duration::from_secs(5);

/// Begins a verification of a party in a change.
pub(super) async fn begin(tx: &mut Connection, party: &Party, now: Millis) -> Result<Uuid, Stop> {
    let identity = party.requirements.iter().find(|one| one.kind == RequirementKind::Identity);
    match identity.map(|one| one.status) {
        Some(RequirementStatus::Fulfilled) => return Err(OnboardingRefusal::AlreadyVerified.into()),
        Some(RequirementStatus::InProgress) => return Err(OnboardingRefusal::VerificationPending.into()),
        Some(RequirementStatus::Open) | None => {}
    }
    if verifications::count(tx, party.key).await? >= i64::from(Verification::MOST) {
        return Err(OnboardingRefusal::TooManyVerifications(Verification::MOST).into());
    }
    let id = Uuid::now_v7();
    verifications::insert(tx, party.key, id, now.saturating_add(TIME_LIMIT_MS), now).await?;
    Ok(id)
}

impl Onboarding {
    /// Follows verifications until the daemon stops.
    pub async fn examine(self, stop: CancellationToken) {
        loop {
            if let Err(error) = self.look(wall_now()).await {
                tracing::error!(%error, "verifications could not be looked at");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.inner.asked.notified() => {}
                () = tokio::time::sleep(UNASKED) => {}
            }
        }
    }

    /// Looks at what is due.
    pub(super) async fn look(&self, now: Millis) -> Result<(), OnboardingFault> {
        let due = {
            let mut reader = self.inner.store.read().await?;
            verifications::due(&mut reader, now, PAGE).await?
        };
        for verification in due {
            let (key, id) = (verification.key, verification.id);
            if let Err(error) = self.look_at(verification, now).await {
                // One that cannot be looked at is not in the way of the others.
                tracing::error!(verification = %id, %error, "a verification could not be looked at");
                let next = now.saturating_add(PAUSE_MS);
                self.inner
                    .store
                    .write::<_, StoreError, _>(move |tx| {
                        async move { verifications::put_off(tx, key, next).await }.boxed()
                    })
                    .await?;
            }
        }
        Ok(())
    }

    async fn look_at(&self, verification: Verification, now: Millis) -> Result<(), OnboardingFault> {
        let this = self.clone();
        let looked = self.inner.store.write::<_, Stop, _>(move |tx| {
            async move {
                let Some(party) = parties::by_key(tx, verification.party).await? else { return Ok(()) };
                let (_, _, profile) = newest_profile(tx, &this.inner.settings.master, &party).await?;
                note(tx, &Actor::daemon(), "party.verify", party.id, now).await?;
                match this.inner.settings.verifier.ask(&profile) {
                    Outcome::Ends(verdict) => conclude(tx, &party, verification.key, verdict, now).await,
                    Outcome::Silent if now >= verification.deadline => {
                        let late = IdentityVerdict::Failed(FailureReason::TimedOut);
                        conclude(tx, &party, verification.key, late, now).await
                    }
                    Outcome::Silent => {
                        Ok(verifications::put_off(tx, verification.key, verification.deadline).await?)
                    }
                }
            }
            .boxed()
        });
        let looked = looked.await;
        self.inner.signals.changed([]);
        match looked {
            Ok(()) => Ok(()),
            // A party that is gone has nobody to be verified.
            Err(Stop::Refused(_)) => Ok(()),
            Err(Stop::Fault(fault)) => Err(fault),
        }
    }
}

/// Ends a verification in a change, and tells of it and of what follows from it. A verdict that comes late is none.
pub(super) async fn conclude(
    tx: &mut Connection,
    party: &Party,
    verification: i64,
    verdict: IdentityVerdict,
    now: Millis,
) -> Result<(), Stop> {
    let Some(found) = verifications::by_key(tx, verification).await? else { return Ok(()) };
    let Ok((state, reason)) = Verification::after(found.state, verdict) else { return Ok(()) };
    verifications::end(tx, verification, state, reason, now).await?;
    if let Some(after) = parties::by_key(tx, party.key).await? {
        events::insert(tx, &after, EventKind::VerificationCompleted, Some(found.id), now).await?;
    }
    Ok(tell_of(tx, party, party.status(), now).await?)
}
