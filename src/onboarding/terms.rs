//! The terms that parties accept: publish, download, accept.

use futures::FutureExt;

use super::Onboarding;
use super::act::Actor;
use super::refusal::{Done, OnboardingRefusal, Stop, told};
use crate::chain::wall_now;
use crate::model::{Language, Millis, PartyKey, TenantId, TermsName, TermsText};
use crate::store::Connection;
use crate::store::audit::{self, Act};
use crate::store::onboarding::{acceptances, terms};

impl Onboarding {
    /// Publishes a version in a language. A name that is new makes a new version, which everybody has to accept from now on; one
    /// that is known gets another language.
    ///
    /// # Errors
    /// [`super::OnboardingFault`].
    pub async fn publish_terms(
        &self,
        tenant: TenantId,
        name: TermsName,
        language: Language,
        text: String,
        actor: &Actor,
    ) -> Done<TermsText> {
        let (actor, now) = (actor.clone(), wall_now());
        let published = self.inner.store.write::<_, Stop, _>(move |tx| {
            async move {
                let version = match terms::by_name(tx, tenant, &name).await? {
                    Some(version) => version.key,
                    None => terms::insert_version(tx, tenant, &name, now).await?,
                };
                terms::insert_text(tx, version, &language, &text).await.map_err(|error| {
                    if error.is_unique_violation() {
                        OnboardingRefusal::TermsExist.into()
                    } else {
                        Stop::from(error)
                    }
                })?;
                let subject = format!("terms {} {} of {tenant}", name.as_str(), language.as_str());
                audit::note(
                    tx,
                    &Act { actor: actor.as_str().to_owned(), act: "terms.publish", subject },
                    now,
                )
                .await?;
                let published = terms::text(tx, tenant, Some(&name), &language).await?;
                Ok(published.ok_or(OnboardingRefusal::UnknownTerms)?)
            }
            .boxed()
        });
        told(published.await)
    }

    /// A version in a language; by default the newest.
    ///
    /// # Errors
    /// [`super::OnboardingFault`].
    pub async fn terms(
        &self,
        tenant: TenantId,
        name: Option<TermsName>,
        language: Language,
    ) -> Done<TermsText> {
        let mut reader = self.inner.store.read().await?;
        let found = terms::text(&mut reader, tenant, name.as_ref(), &language).await?;
        Ok(found.ok_or(OnboardingRefusal::UnknownTerms))
    }
}

/// Writes down, in a change, that a party accepted a version: the newest, and no other.
pub(super) async fn accept(
    tx: &mut Connection,
    tenant: TenantId,
    party: PartyKey,
    name: &TermsName,
    now: Millis,
) -> Result<(), Stop> {
    let version = terms::by_name(tx, tenant, name).await?.ok_or(OnboardingRefusal::UnknownTerms)?;
    if terms::newest(tx, tenant).await?.is_some_and(|newest| newest.key != version.key) {
        return Err(OnboardingRefusal::OldTerms.into());
    }
    Ok(acceptances::insert(tx, party, &version, now).await?)
}
