//! Justify a verification that failed, and decide about it.

use std::fmt;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Onboarding;
use super::act::{Actor, note, tell_of};
use super::documents::{DocumentWish, ShownDocument, shown, store_document};
use super::read::newest_profile;
use super::refusal::{Done, OnboardingFault, OnboardingRefusal, Stop, told};
use super::vault::{DataKey, Place};
use crate::chain::wall_now;
use crate::model::{
    About, EventKind, Millis, Party, PartyId, Profile, Review, ReviewDecision, ReviewId, TenantId,
    Verification,
};
use crate::store::Connection;
use crate::store::onboarding::documents;
use crate::store::onboarding::reviews::{self, NewReview, StoredReview};
use crate::store::onboarding::{events, parties, verifications};

/// Open and decided reviews of a party at most.
const MOST_REVIEWS: usize = 20;

/// A review, with what was said in it and whom it is about.
#[derive(Debug, Clone)]
pub struct ShownReview {
    pub review: Review,
    pub party: Party,
    pub profile: Profile,
    /// What the party says.
    pub justification: Option<String>,
    /// What was noted about the decision.
    pub staff_notes: Option<String>,
    /// What was attached, oldest first.
    pub documents: Vec<ShownDocument>,
}

/// What is said in a review, encrypted as one.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Words {
    #[serde(skip_serializing_if = "Option::is_none")]
    justification: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    staff_notes: Option<String>,
}

/// What is to be changed about a review; absent: it stays.
#[derive(Clone, Default)]
pub struct ReviewEdit {
    /// Another failed verification of the same party.
    pub verification: Option<Uuid>,
    /// `Some(None)`: nothing is said any more.
    pub justification: Option<Option<String>>,
}

impl fmt::Debug for ReviewEdit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ReviewEdit(…)")
    }
}

/// What is done where the verification has an open review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfOpen {
    /// It is refused.
    Refuse,
    /// That one is shown, with what is said now.
    Take,
}

impl Onboarding {
    /// Begins a review of a tenant's failed verification.
    ///
    /// # Errors
    /// [`OnboardingFault`].
    pub async fn justify(
        &self,
        tenant: TenantId,
        verification: Uuid,
        justification: Option<String>,
        if_open: IfOpen,
        actor: &Actor,
    ) -> Done<ShownReview> {
        let (this, actor, now) = (self.clone(), actor.clone(), wall_now());
        let begun = self.inner.store.write::<_, Stop, _>(move |tx| {
            async move {
                let (party, verification) = failed(tx, tenant, verification).await?;
                let data_key = this.key_of(tx, &party).await?;
                let id = match (reviews::open_of(tx, verification.key).await?, if_open) {
                    (Some(_), IfOpen::Refuse) => return Err(OnboardingRefusal::ReviewExists.into()),
                    (Some(found), IfOpen::Take) => {
                        if justification.is_some() {
                            let words = Words { justification, ..opened(&data_key, &found)? };
                            let sealed = sealed(&data_key, found.review.id, &words)?;
                            reviews::change(tx, found.review.key, verification.key, &sealed, now).await?;
                        }
                        found.review.id
                    }
                    (None, IfOpen::Refuse | IfOpen::Take) => {
                        if reviews::count(tx, party.key).await? >= MOST_REVIEWS {
                            return Err(OnboardingRefusal::TooManyReviews(MOST_REVIEWS).into());
                        }
                        let id = ReviewId(Uuid::now_v7());
                        let words = Words { justification, staff_notes: None };
                        let sealed = sealed(&data_key, id, &words)?;
                        let (party, verification) = (party.key, verification.key);
                        let new = NewReview { id, tenant, party, verification, sealed };
                        reviews::insert(tx, &new, now).await?;
                        id
                    }
                };
                note(tx, &actor, "review.create", party.id, now).await?;
                this.shown_review(tx, tenant, id).await
            }
            .boxed()
        });
        told(begun.await)
    }

    /// A page of a tenant's reviews, newest first, after `skip` of them. That they were read is in the audit log before anybody
    /// sees them.
    ///
    /// # Errors
    /// [`OnboardingFault`].
    pub async fn reviews(
        &self,
        tenant: TenantId,
        skip: u32,
        limit: u32,
        actor: &Actor,
    ) -> Result<Vec<ShownReview>, OnboardingFault> {
        let (this, actor, now) = (self.clone(), actor.clone(), wall_now());
        let read = self.inner.store.write::<_, Stop, _>(move |tx| {
            async move {
                let mut all = Vec::new();
                for stored in reviews::page(tx, tenant, skip, limit).await? {
                    let review = this.shown_of(tx, stored).await?;
                    note(tx, &actor, "review.read", review.party.id, now).await?;
                    all.push(review);
                }
                Ok(all)
            }
            .boxed()
        });
        match told(read.await)? {
            Ok(all) => Ok(all),
            // A list of what there is refuses nothing.
            Err(_) => Ok(Vec::new()),
        }
    }

    /// A tenant's review. That it was read is in the audit log before anybody sees it.
    ///
    /// # Errors
    /// [`OnboardingFault`].
    pub async fn review(&self, tenant: TenantId, id: ReviewId, actor: &Actor) -> Done<ShownReview> {
        told(self.on_review(tenant, id, actor, "review.read", |_| async { Ok(()) }.boxed()).await)
    }

    /// Changes what is said in an open review.
    ///
    /// # Errors
    /// [`OnboardingFault`].
    pub async fn edit_review(
        &self,
        tenant: TenantId,
        id: ReviewId,
        edit: ReviewEdit,
        actor: &Actor,
    ) -> Done<ShownReview> {
        let changed = self.on_review(tenant, id, actor, "review.change", move |on| {
            async move {
                on.must_be_open()?;
                let verification = match edit.verification {
                    None => on.stored.review.verification.key,
                    Some(other) => {
                        let (party, other) = failed(on.tx, on.tenant, other).await?;
                        if party.key != on.party.key {
                            return Err(OnboardingRefusal::UnknownVerification.into());
                        }
                        let open = reviews::open_of(on.tx, other.key).await?;
                        if open.is_some_and(|open| open.review.key != on.stored.review.key) {
                            return Err(OnboardingRefusal::ReviewExists.into());
                        }
                        other.key
                    }
                };
                let mut words = opened(&on.data_key, &on.stored)?;
                if let Some(justification) = edit.justification {
                    words.justification = justification;
                }
                let sealed = sealed(&on.data_key, on.stored.review.id, &words)?;
                Ok(reviews::change(on.tx, on.stored.review.key, verification, &sealed, on.now).await?)
            }
            .boxed()
        });
        told(changed.await)
    }

    /// Attaches a document to an open review; returns it and whose it is.
    ///
    /// # Errors
    /// [`OnboardingFault`].
    pub async fn attach(
        &self,
        tenant: TenantId,
        id: ReviewId,
        wish: DocumentWish,
        actor: &Actor,
    ) -> Done<(PartyId, ShownDocument)> {
        let attached = self.on_review(tenant, id, actor, "review.attach", move |on| {
            async move {
                on.must_be_open()?;
                let review = on.stored.review.key;
                store_document(on.tx, on.party.key, &on.data_key, wish, Some(review), on.now).await?;
                Ok(reviews::touch(on.tx, review, on.now).await?)
            }
            .boxed()
        });
        told(attached.await.and_then(|mut review| {
            let attached = review.documents.pop().map(|document| (review.party.id, document));
            attached.ok_or_else(|| OnboardingRefusal::UnknownDocument.into())
        }))
    }

    /// Decides about an open review. An approved one makes its verification one that passed.
    ///
    /// # Errors
    /// [`OnboardingFault`].
    pub async fn decide_review(
        &self,
        tenant: TenantId,
        id: ReviewId,
        decision: ReviewDecision,
        notes: Option<String>,
        actor: &Actor,
    ) -> Done<ShownReview> {
        let (act, by) = match decision {
            ReviewDecision::Approved => ("review.approve", actor.clone()),
            ReviewDecision::Rejected => ("review.reject", actor.clone()),
        };
        let decided = self.on_review(tenant, id, actor, act, move |on| {
            async move {
                on.must_be_open()?;
                let Review { key, id, verification, .. } = &on.stored.review;
                let words = Words { staff_notes: notes, ..opened(&on.data_key, &on.stored)? };
                let sealed = sealed(&on.data_key, *id, &words)?;
                reviews::decide(on.tx, *key, decision, by.as_str(), &sealed, on.now).await?;
                if !verification.state.can_be_reviewed() {
                    return Err(OnboardingRefusal::NotFailed.into());
                }
                let (outcome, reason) = (decision.outcome(), verification.reason);
                if outcome == verification.state {
                    return Ok(());
                }
                verifications::end(on.tx, verification.key, outcome, reason, on.now).await?;
                if let Some(after) = parties::by_key(on.tx, on.party.key).await? {
                    let about = About::Verification(verification.id);
                    events::insert(on.tx, &after, EventKind::VerificationCompleted, about, on.now).await?;
                }
                Ok(())
            }
            .boxed()
        });
        told(decided.await)
    }

    /// Removes an open review and what was attached to it. A decision stays on record.
    ///
    /// # Errors
    /// [`OnboardingFault`].
    pub async fn delete_review(&self, tenant: TenantId, id: ReviewId, actor: &Actor) -> Done<()> {
        let (actor, now) = (actor.clone(), wall_now());
        let deleted = self.inner.store.write::<_, Stop, _>(move |tx| {
            async move {
                let stored = reviews::by_id(tx, tenant, id).await?.ok_or(OnboardingRefusal::UnknownReview)?;
                if stored.review.decided.is_some() {
                    return Err(OnboardingRefusal::ReviewDecided.into());
                }
                if let Some(party) = parties::by_key(tx, stored.review.party).await? {
                    note(tx, &actor, "review.delete", party.id, now).await?;
                }
                Ok(reviews::delete(tx, stored.review.key).await?)
            }
            .boxed()
        });
        told(deleted.await)
    }

    /// Runs a change on a tenant's review, and shows it as it is afterwards.
    async fn on_review<F>(
        &self,
        tenant: TenantId,
        id: ReviewId,
        actor: &Actor,
        act: &'static str,
        change: F,
    ) -> Result<ShownReview, Stop>
    where
        F: for<'c> FnOnce(&'c mut OnReview<'_>) -> BoxFuture<'c, Result<(), Stop>> + Send + 'static,
    {
        let (this, actor, now) = (self.clone(), actor.clone(), wall_now());
        let changed = self
            .inner
            .store
            .write::<_, Stop, _>(move |tx| {
                async move {
                    let stored =
                        reviews::by_id(tx, tenant, id).await?.ok_or(OnboardingRefusal::UnknownReview)?;
                    let party = parties::by_key(tx, stored.review.party).await?;
                    let party = party.ok_or(OnboardingRefusal::UnknownReview)?;
                    let data_key = this.key_of(tx, &party).await?;
                    let stood = party.status();
                    let mut on = OnReview { tx: &mut *tx, tenant, stored, party, data_key, now };
                    change(&mut on).await?;
                    let party = on.party;
                    note(tx, &actor, act, party.id, now).await?;
                    tell_of(tx, &party, stood, now).await?;
                    this.shown_review(tx, tenant, id).await
                }
                .boxed()
            })
            .await?;
        self.inner.signals.changed([]);
        Ok(changed)
    }

    async fn key_of(&self, tx: &mut Connection, party: &Party) -> Result<DataKey, Stop> {
        Ok(newest_profile(tx, &self.inner.settings.master, party).await?.0)
    }

    async fn shown_review(
        &self,
        tx: &mut Connection,
        tenant: TenantId,
        id: ReviewId,
    ) -> Result<ShownReview, Stop> {
        let stored = reviews::by_id(tx, tenant, id).await?.ok_or(OnboardingRefusal::UnknownReview)?;
        self.shown_of(tx, stored).await
    }

    async fn shown_of(&self, tx: &mut Connection, stored: StoredReview) -> Result<ShownReview, Stop> {
        let party =
            parties::by_key(tx, stored.review.party).await?.ok_or(OnboardingRefusal::UnknownReview)?;
        let (data_key, _, profile) = newest_profile(tx, &self.inner.settings.master, &party).await?;
        let attached = documents::of_review(tx, stored.review.key).await?;
        let documents =
            attached.iter().map(|document| shown(&data_key, document)).collect::<Result<_, _>>()?;
        let Words { justification, staff_notes } = opened(&data_key, &stored)?;
        Ok(ShownReview { review: stored.review, party, profile, justification, staff_notes, documents })
    }
}

/// What a change of a review has at hand.
struct OnReview<'c> {
    tx: &'c mut Connection,
    tenant: TenantId,
    stored: StoredReview,
    party: Party,
    data_key: DataKey,
    now: Millis,
}

impl OnReview<'_> {
    fn must_be_open(&self) -> Result<(), OnboardingRefusal> {
        match self.stored.review.decided {
            None => Ok(()),
            Some(_) => Err(OnboardingRefusal::ReviewDecided),
        }
    }
}

/// A tenant's verification that failed, and whose it is.
async fn failed(tx: &mut Connection, tenant: TenantId, id: Uuid) -> Result<(Party, Verification), Stop> {
    let found = verifications::by_id(tx, tenant, id).await?.ok_or(OnboardingRefusal::UnknownVerification)?;
    let party = parties::by_key(tx, found.party).await?.ok_or(OnboardingRefusal::UnknownVerification)?;
    if found.state.can_be_reviewed() { Ok((party, found)) } else { Err(OnboardingRefusal::NotFailed.into()) }
}

fn sealed(data_key: &DataKey, id: ReviewId, words: &Words) -> Result<Vec<u8>, OnboardingFault> {
    let plain = serde_json::to_vec(words)?;
    Ok(data_key.seal(Place::Review(id), &plain)?)
}

fn opened(data_key: &DataKey, stored: &StoredReview) -> Result<Words, OnboardingFault> {
    let plain = data_key.open(Place::Review(stored.review.id), &stored.sealed)?;
    Ok(serde_json::from_slice(&plain)?)
}
