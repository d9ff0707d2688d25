//! What a provider says later of what it was asked: signed, whenever it comes, as often as it comes.

use futures::FutureExt;
use serde::Deserialize;
use uuid::Uuid;

use super::Onboarding;
use super::examiner::{conclude, conclude_document};
use super::gateway::SignedMessage;
use super::refusal::{OnboardingFault, Stop};
use super::verifier::{SaidVerdict, Verifier};
use crate::chain::wall_now;
use crate::model::{CheckVerdict, DocumentId};
use crate::store::onboarding::{documents, parties, verifications};

/// What became of what a provider said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// It counts, or did before: the first verdict is the last.
    Noted,
    /// It is not signed by the provider, or too old; or there is no provider.
    Unsigned,
    /// It cannot be read.
    Malformed,
    /// It is about nothing that was asked.
    Unknown,
}

#[derive(Deserialize)]
struct Said {
    #[serde(rename = "type")]
    kind: SaidKind,
    data: SaidData,
}

#[derive(Clone, Copy, Deserialize)]
enum SaidKind {
    #[serde(rename = "verification.completed")]
    Verification,
    #[serde(rename = "document.checked")]
    Document,
}

#[derive(Deserialize)]
struct SaidData {
    id: Uuid,
    #[serde(flatten)]
    verdict: SaidVerdict,
}

impl Onboarding {
    /// Takes what the provider says.
    ///
    /// # Errors
    /// [`OnboardingFault`].
    pub async fn hear(&self, message: &SignedMessage) -> Result<Heard, OnboardingFault> {
        let now = wall_now();
        match &self.inner.settings.verifier {
            Verifier::Provider(gateway) if gateway.has_said(message, now) => {}
            Verifier::None | Verifier::Sandbox | Verifier::Provider(_) => return Ok(Heard::Unsigned),
        }
        let Ok(Said { kind, data }) = serde_json::from_slice(&message.body) else {
            return Ok(Heard::Malformed);
        };
        let (id, verdict) = (data.id, CheckVerdict::from(data.verdict));
        let noted = self.inner.store.write::<_, Stop, _>(move |tx| {
            async move {
                match kind {
                    SaidKind::Verification => {
                        let Some(found) = verifications::by_uuid(tx, id).await? else {
                            return Ok(Heard::Unknown);
                        };
                        if let Some(party) = parties::by_key(tx, found.party).await? {
                            conclude(tx, &party, found.key, verdict, now).await?;
                        }
                    }
                    SaidKind::Document => {
                        let found = documents::by_uuid(tx, DocumentId(id)).await?;
                        let Some(found) = found else { return Ok(Heard::Unknown) };
                        if let Some(party) = parties::by_key(tx, found.party).await? {
                            conclude_document(tx, &party, &found, verdict, now).await?;
                        }
                    }
                }
                Ok(Heard::Noted)
            }
            .boxed()
        });
        let noted = noted.await;
        self.inner.signals.changed([]);
        match noted {
            Ok(heard) => Ok(heard),
            Err(Stop::Refused(_)) => Ok(Heard::Noted),
            Err(Stop::Fault(fault)) => Err(fault),
        }
    }
}
