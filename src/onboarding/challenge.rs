//! Send codes and links, and take what comes back.

use alloy::hex;
use futures::FutureExt;
use uuid::Uuid;

use super::Onboarding;
use super::act::{Actor, note, tell_of};
use super::examiner::begin;
use super::messenger::{Messenger, Note, SANDBOX_CODE};
use super::read::newest_profile;
use super::refusal::{Contact, Done, OnboardingRefusal, Stop, told};
use crate::chain::wall_now;
use crate::model::{
    Answered, Challenge, ChallengeKind, ChallengeState, Millis, Party, PartyId, Profile, RequirementKind,
    RequirementStatus, TenantId,
};
use crate::store::Connection;
use crate::store::onboarding::{challenges, parties, requirements};

const HOUR_MS: i64 = 3_600 * 1_000;
/// Hexadecimal digits of a challenge's name, and of the secret of a link.
const ID_DIGITS: usize = 32;
const SECRET_DIGITS: usize = 64;

/// A challenge that was sent, or is for the tenant to send.
#[derive(Debug)]
pub struct SentChallenge {
    /// The link of one that the tenant sends; in the sandbox, where nothing is sent, of every one.
    pub link: Option<String>,
    pub lapses_at: Millis,
}

/// A link as it stands, for whoever has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShownLink {
    pub kind: ChallengeKind,
    pub state: ChallengeState,
}

/// What following a link has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FollowedLink {
    EmailConfirmed,
    VerificationBegun,
}

impl Onboarding {
    /// Sends a party a code or a link; the ones of its kind before it are good for nothing from now on. It is written down before
    /// anything is sent.
    ///
    /// # Errors
    /// [`super::OnboardingFault`].
    pub async fn send_challenge(
        &self,
        tenant: TenantId,
        id: PartyId,
        kind: ChallengeKind,
        actor: &Actor,
    ) -> Done<SentChallenge> {
        told(self.send(tenant, id, kind, actor).await)
    }

    async fn send(
        &self,
        tenant: TenantId,
        id: PartyId,
        kind: ChallengeKind,
        actor: &Actor,
    ) -> Result<SentChallenge, Stop> {
        let settings = &self.inner.settings;
        match kind {
            ChallengeKind::PhoneCode | ChallengeKind::EmailLink => {
                if matches!(settings.messenger, Messenger::None) {
                    return Err(OnboardingRefusal::NotSent.into());
                }
            }
            ChallengeKind::IdentityLink => {
                if settings.verifier.is_none() {
                    return Err(OnboardingRefusal::NoVerifier.into());
                }
            }
        }
        let in_sandbox = matches!(settings.messenger, Messenger::Sandbox);
        let challenge_id = Uuid::now_v7();
        let secret = secret_of(kind, in_sandbox);
        let tag = settings.master.tag(challenge_id, &secret);
        let this = self.clone();
        let (to, lapses_at) = self
            .act_on(tenant, id, actor, "party.challenge", move |tx, party, now| {
                async move {
                    may_be_sent(tx, party, kind, now).await?;
                    let (_, _, profile) = newest_profile(tx, &this.inner.settings.master, party).await?;
                    let to = address(&profile, kind)?;
                    let challenge = Challenge {
                        key: 0,
                        id: challenge_id,
                        party: party.key,
                        kind,
                        tag,
                        attempts: 0,
                        lapses_at: now.saturating_add(kind.lifetime_ms()),
                        answered: false,
                        void: false,
                    };
                    challenges::insert(tx, &challenge, now).await?;
                    Ok((to, challenge.lapses_at))
                }
                .boxed()
            })
            .await?;
        let link = format!("{}/onboarding/links/{}{secret}", settings.public_url, challenge_id.simple());
        let note = match (kind, to) {
            (ChallengeKind::PhoneCode, Some(to)) => Some(Note::Code { to, code: secret }),
            (ChallengeKind::EmailLink, Some(to)) => Some(Note::Link { to, link: link.clone() }),
            (ChallengeKind::IdentityLink, _)
            | (ChallengeKind::PhoneCode | ChallengeKind::EmailLink, None) => None,
        };
        if let Some(note) = note
            && !settings.messenger.send(challenge_id, note).await
        {
            return Err(OnboardingRefusal::NotSent.into());
        }
        let link = match kind {
            ChallengeKind::PhoneCode => None,
            ChallengeKind::EmailLink => in_sandbox.then_some(link),
            ChallengeKind::IdentityLink => Some(link),
        };
        Ok(SentChallenge { link, lapses_at })
    }

    /// Takes the code that a party was sent. Wrong ones are counted, whatever comes of the request.
    ///
    /// # Errors
    /// [`super::OnboardingFault`].
    pub async fn answer_code(&self, tenant: TenantId, id: PartyId, code: String, actor: &Actor) -> Done<()> {
        let this = self.clone();
        let answered = self.act_on(tenant, id, actor, "party.answer", move |tx, party, now| {
            async move {
                let newest = challenges::newest(tx, party.key, ChallengeKind::PhoneCode).await?;
                let challenge = newest.ok_or(OnboardingRefusal::NothingSent)?;
                let tag = this.inner.settings.master.tag(challenge.id, &code);
                match judge(tx, &challenge, challenge.answer(&tag, now), now).await? {
                    Ok(()) => {
                        let met = Some(now);
                        requirements::set_met(tx, party.key, RequirementKind::PhoneNumber, met).await?;
                        Ok(Ok(()))
                    }
                    Err(refusal) => Ok(Err(refusal)),
                }
            }
            .boxed()
        });
        told(answered.await).map(|done| done.and_then(|answered| answered))
    }

    /// A link as it stands; `None`: there is none.
    ///
    /// # Errors
    /// [`super::OnboardingFault`].
    pub async fn show_link(&self, token: &str) -> Result<Option<ShownLink>, super::OnboardingFault> {
        let Some((id, secret)) = read_token(token) else { return Ok(None) };
        let now = wall_now();
        let mut reader = self.inner.store.read().await?;
        let Some(challenge) = challenges::by_id(&mut reader, id).await? else { return Ok(None) };
        let tag = self.inner.settings.master.tag(id, secret);
        Ok(match challenge.answer(&tag, now) {
            Answered::Wrong { .. } => None,
            Answered::Right | Answered::Closed(_) => {
                Some(ShownLink { kind: challenge.kind, state: challenge.state(now) })
            }
        })
    }

    /// Follows a link: confirms an e-mail address, or begins to verify an identity.
    ///
    /// # Errors
    /// [`super::OnboardingFault`].
    pub async fn follow_link(&self, token: &str) -> Done<FollowedLink> {
        let Some((id, secret)) = read_token(token) else { return Ok(Err(OnboardingRefusal::NothingSent)) };
        let (this, tag, now) = (self.clone(), self.inner.settings.master.tag(id, secret), wall_now());
        let followed = self.inner.store.write::<_, Stop, _>(move |tx| {
            async move {
                let challenge = challenges::by_id(tx, id).await?.ok_or(OnboardingRefusal::NothingSent)?;
                let party = parties::by_key(tx, challenge.party).await?;
                let party = party.ok_or(OnboardingRefusal::NothingSent)?;
                if let Err(refusal) = judge(tx, &challenge, challenge.answer(&tag, now), now).await? {
                    return Ok(Err(refusal));
                }
                let followed = this.take_link(tx, &party, challenge.kind, now).await?;
                note(tx, &Actor::of_link(), "party.answer", party.id, now).await?;
                tell_of(tx, &party, party.status(), now).await?;
                Ok(Ok(followed))
            }
            .boxed()
        });
        let followed = told(followed.await).map(|done| done.and_then(|followed| followed));
        self.inner.signals.changed([]);
        self.inner.asked.notify_one();
        followed
    }

    async fn take_link(
        &self,
        tx: &mut Connection,
        party: &Party,
        kind: ChallengeKind,
        now: Millis,
    ) -> Result<FollowedLink, Stop> {
        match kind {
            ChallengeKind::EmailLink => {
                requirements::set_met(tx, party.key, RequirementKind::Email, Some(now)).await?;
                Ok(FollowedLink::EmailConfirmed)
            }
            ChallengeKind::IdentityLink => {
                begin(tx, party, now).await?;
                Ok(FollowedLink::VerificationBegun)
            }
            // A code is no link.
            ChallengeKind::PhoneCode => Err(OnboardingRefusal::NothingSent.into()),
        }
    }
}

/// Writes down what came of an answer. A link is long enough not to be guessed, and its name is part of it, so a wrong one counts
/// like a code.
async fn judge(
    tx: &mut Connection,
    challenge: &Challenge,
    answered: Answered,
    now: Millis,
) -> Result<Result<(), OnboardingRefusal>, Stop> {
    match answered {
        Answered::Right => {
            challenges::note_answered(tx, challenge, now).await?;
            Ok(Ok(()))
        }
        Answered::Wrong { left } => {
            challenges::note_wrong(tx, challenge).await?;
            Ok(Err(OnboardingRefusal::WrongCode { left }))
        }
        Answered::Closed(state) => Ok(Err(OnboardingRefusal::Closed(state))),
    }
}

/// Refuses what need not be sent, or was sent too often.
async fn may_be_sent(
    tx: &mut Connection,
    party: &Party,
    kind: ChallengeKind,
    now: Millis,
) -> Result<(), Stop> {
    let (requirement, fulfilled) = match kind {
        ChallengeKind::PhoneCode => {
            (RequirementKind::PhoneNumber, OnboardingRefusal::AlreadyConfirmed(Contact::Phone))
        }
        ChallengeKind::EmailLink => {
            (RequirementKind::Email, OnboardingRefusal::AlreadyConfirmed(Contact::Email))
        }
        ChallengeKind::IdentityLink => (RequirementKind::Identity, OnboardingRefusal::AlreadyVerified),
    };
    let is_it = |one: &&crate::model::Requirement| one.kind == requirement;
    match party.requirements.iter().find(is_it).map(|one| one.status) {
        Some(RequirementStatus::Fulfilled) => return Err(fulfilled.into()),
        Some(RequirementStatus::InProgress) if kind == ChallengeKind::IdentityLink => {
            return Err(OnboardingRefusal::VerificationPending.into());
        }
        Some(RequirementStatus::Open | RequirementStatus::InProgress) | None => {}
    }
    let since = now.saturating_add(-HOUR_MS);
    let (sent, first) = challenges::sent_since(tx, party.key, kind, since).await?;
    if sent < i64::from(ChallengeKind::MOST_PER_HOUR) {
        return Ok(());
    }
    let until = first.unwrap_or(now).saturating_add(HOUR_MS);
    let wait = until.0.saturating_sub(now.0).max(1);
    let seconds = u64::try_from(wait).unwrap_or_default().div_ceil(1_000);
    Err(OnboardingRefusal::SentTooOften(seconds).into())
}

/// Where a challenge is sent; none where the tenant sends it.
fn address(profile: &Profile, kind: ChallengeKind) -> Result<Option<String>, OnboardingRefusal> {
    match kind {
        ChallengeKind::PhoneCode => match &profile.phone {
            Some(phone) => Ok(Some(phone.e164().to_owned())),
            None => Err(OnboardingRefusal::NothingToSendTo(Contact::Phone)),
        },
        ChallengeKind::EmailLink => match &profile.email {
            Some(email) => Ok(Some(email.as_str().to_owned())),
            None => Err(OnboardingRefusal::NothingToSendTo(Contact::Email)),
        },
        ChallengeKind::IdentityLink => Ok(None),
    }
}

/// The secret of a new challenge.
fn secret_of(kind: ChallengeKind, in_sandbox: bool) -> String {
    match kind {
        ChallengeKind::PhoneCode if in_sandbox => SANDBOX_CODE.to_owned(),
        ChallengeKind::PhoneCode => format!("{:06}", rand::random_range(0..1_000_000_u32)),
        ChallengeKind::EmailLink | ChallengeKind::IdentityLink => {
            hex::encode(rand::random::<[u8; SECRET_DIGITS / 2]>())
        }
    }
}

/// Name and secret of a link's challenge.
fn read_token(token: &str) -> Option<(Uuid, &str)> {
    let (id, secret) = token.split_at_checked(ID_DIGITS)?;
    (secret.len() == SECRET_DIGITS).then_some(())?;
    Some((Uuid::try_parse(id).ok()?, secret))
}
