//! Verifications of identities and checks of documents: begun in a change, looked at until they end.
//!
//! What is due is asked of the database, so none is forgotten. Before the provider is asked it is written down when it is asked
//! next, should this time come to nothing; whoever has taken a question is waited for until the deadline.

use std::time::Duration;

use futures::{FutureExt, StreamExt};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Onboarding;
use super::act::{Actor, note, tell_of};
use super::documents::{opened_content, opened_label};
use super::read::newest_profile;
use super::refusal::{OnboardingFault, OnboardingRefusal, Stop};
use super::verifier::{Outcome, Question};
use crate::chain::wall_now;
use crate::model::{
    About, CheckVerdict, EventKind, FailureReason, Millis, Party, PartyKey, RequirementKind,
    RequirementStatus, Verification,
};
use crate::store::onboarding::documents::{self, StoredDocument};
use crate::store::onboarding::{events, parties, verifications};
use crate::store::{Connection, StoreError};

/// How long the provider may take.
pub(super) const TIME_LIMIT_MS: i64 = 24 * 3_600 * 1_000;
/// When one that could not be looked at, or was not taken, is looked at again; longer the longer it has been tried.
const PAUSE_MS: i64 = 30 * 1_000;
const LONGEST_PAUSE_MS: i64 = 3_600 * 1_000;
/// Of each kind, those of one look, and how many the provider is asked at once.
const PAGE: u32 = 100;
const AT_ONCE: usize = 2;
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

/// Something that is due.
#[derive(Clone)]
enum Exam {
    Identity(Verification),
    Document(StoredDocument),
}

impl Exam {
    fn id(&self) -> Uuid {
        match self {
            Self::Identity(verification) => verification.id,
            Self::Document(document) => document.id.0,
        }
    }

    fn party(&self) -> PartyKey {
        match self {
            Self::Identity(verification) => verification.party,
            Self::Document(document) => document.party,
        }
    }

    fn deadline(&self) -> Millis {
        match self {
            Self::Identity(verification) => verification.deadline,
            Self::Document(document) => document.deadline,
        }
    }

    /// When it is tried again, at `now`.
    fn again(&self, now: Millis) -> Millis {
        let begun = match self {
            Self::Identity(verification) => verification.created_at,
            Self::Document(document) => document.created_at,
        };
        let tried_for = now.0.saturating_sub(begun.0);
        let next = now.saturating_add((tried_for / 4).clamp(PAUSE_MS, LONGEST_PAUSE_MS));
        next.min(self.deadline())
    }

    async fn put_off(&self, tx: &mut Connection, next_at: Millis) -> Result<(), StoreError> {
        match self {
            Self::Identity(verification) => verifications::put_off(tx, verification.key, next_at).await,
            Self::Document(document) => documents::put_off(tx, document.key, next_at).await,
        }
    }

    async fn conclude(
        &self,
        tx: &mut Connection,
        party: &Party,
        verdict: CheckVerdict,
        now: Millis,
    ) -> Result<(), Stop> {
        match self {
            Self::Identity(verification) => conclude(tx, party, verification.key, verdict, now).await,
            Self::Document(document) => conclude_document(tx, party, document, verdict, now).await,
        }
    }
}

impl Onboarding {
    /// Follows verifications and checks until the daemon stops.
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
        let due: Vec<Exam> = {
            let mut reader = self.inner.store.read().await?;
            let papers = documents::due(&mut reader, now, PAGE).await?.into_iter().map(Exam::Document);
            let identities =
                verifications::due(&mut reader, now, PAGE).await?.into_iter().map(Exam::Identity);
            papers.chain(identities).collect()
        };
        let looks = due.into_iter().map(|exam| async move {
            if let Err(error) = self.look_at(&exam, now).await {
                // One that cannot be looked at is not in the way of the others: when it is looked at next is written down.
                let id = exam.id();
                tracing::error!(%id, %error, "a verification or a document could not be looked at");
                let next = exam.again(now);
                let write = self
                    .inner
                    .store
                    .write::<_, StoreError, _>(move |tx| async move { exam.put_off(tx, next).await }.boxed());
                write.await?;
            }
            Ok::<(), StoreError>(())
        });
        let looked: Vec<_> = futures::stream::iter(looks).buffer_unordered(AT_ONCE).collect().await;
        looked.into_iter().collect::<Result<(), _>>()?;
        Ok(())
    }

    async fn look_at(&self, exam: &Exam, now: Millis) -> Result<(), OnboardingFault> {
        if now >= exam.deadline() {
            return self.end(exam, CheckVerdict::Failed(FailureReason::TimedOut), now).await;
        }
        let Some(question) = self.question(exam, now).await? else { return Ok(()) };
        match self.inner.settings.verifier.ask(&question).await {
            Outcome::Ends(verdict) => self.end(exam, verdict, now).await,
            Outcome::Awaited => {
                let (exam, deadline) = (exam.clone(), exam.deadline());
                let write = self.inner.store.write::<_, StoreError, _>(move |tx| {
                    async move { exam.put_off(tx, deadline).await }.boxed()
                });
                Ok(write.await?)
            }
            Outcome::NotTaken => Ok(()),
        }
    }

    /// What the provider is asked, with the act and the time of the next attempt on record; `None`: there is nobody to ask about.
    async fn question(&self, exam: &Exam, now: Millis) -> Result<Option<Question>, OnboardingFault> {
        let (this, exam) = (self.clone(), exam.clone());
        let asked = self.inner.store.write::<_, Stop, _>(move |tx| {
            async move {
                let Some(party) = parties::by_key(tx, exam.party()).await? else { return Ok(None) };
                let master = &this.inner.settings.master;
                let (data_key, _, profile) = newest_profile(tx, master, &party).await?;
                exam.put_off(tx, exam.again(now)).await?;
                let (act, question) = match &exam {
                    Exam::Identity(verification) => {
                        let stored = documents::of_party(tx, party.key).await?;
                        let documents =
                            stored.iter().map(|document| (document.id, document.purpose)).collect();
                        let question = Question::Identity {
                            verification: verification.id,
                            party: party.id,
                            kind: party.kind,
                            profile: Box::new(profile),
                            documents,
                        };
                        ("party.verify", question)
                    }
                    Exam::Document(document) => {
                        let (label, content) = (
                            opened_label(&data_key, document)?,
                            opened_content(tx, &data_key, document).await?,
                        );
                        let question = Question::Document {
                            id: document.id,
                            party: party.id,
                            purpose: document.purpose,
                            media_type: label.media_type,
                            label: label.label,
                            content,
                        };
                        ("document.check", question)
                    }
                };
                note(tx, &Actor::daemon(), act, party.id, now).await?;
                Ok(Some(question))
            }
            .boxed()
        });
        match asked.await {
            Ok(question) => Ok(question),
            Err(Stop::Refused(_)) => Ok(None),
            Err(Stop::Fault(fault)) => Err(fault),
        }
    }

    async fn end(&self, exam: &Exam, verdict: CheckVerdict, now: Millis) -> Result<(), OnboardingFault> {
        let exam = exam.clone();
        let ended = self.inner.store.write::<_, Stop, _>(move |tx| {
            async move {
                // A party that is gone has nobody to be verified.
                let Some(party) = parties::by_key(tx, exam.party()).await? else { return Ok(()) };
                exam.conclude(tx, &party, verdict, now).await
            }
            .boxed()
        });
        let ended = ended.await;
        self.inner.signals.changed([]);
        match ended {
            Ok(()) | Err(Stop::Refused(_)) => Ok(()),
            Err(Stop::Fault(fault)) => Err(fault),
        }
    }
}

/// Ends a verification in a change, and tells of it and of what follows from it. A verdict that comes late is none.
pub(super) async fn conclude(
    tx: &mut Connection,
    party: &Party,
    verification: i64,
    verdict: CheckVerdict,
    now: Millis,
) -> Result<(), Stop> {
    let Some(found) = verifications::by_key(tx, verification).await? else { return Ok(()) };
    let Ok((state, reason)) = Verification::after(found.state, verdict) else { return Ok(()) };
    verifications::end(tx, verification, state, reason, now).await?;
    if let Some(after) = parties::by_key(tx, party.key).await? {
        let about = About::Verification(found.id);
        events::insert(tx, &after, EventKind::VerificationCompleted, about, now).await?;
    }
    Ok(tell_of(tx, party, party.status(), now).await?)
}

/// The same for a document.
pub(super) async fn conclude_document(
    tx: &mut Connection,
    party: &Party,
    document: &StoredDocument,
    verdict: CheckVerdict,
    now: Millis,
) -> Result<(), Stop> {
    let Some(found) = documents::by_uuid(tx, document.id).await? else { return Ok(()) };
    let Some((state, reason)) = found.state.after(verdict) else { return Ok(()) };
    documents::end(tx, found.key, state, reason, now).await?;
    if let Some(after) = parties::by_key(tx, party.key).await? {
        events::insert(tx, &after, EventKind::DocumentChecked, About::Document(found.id), now).await?;
    }
    Ok(tell_of(tx, party, party.status(), now).await?)
}
