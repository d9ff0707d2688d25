//! Bring documents, and look at them.

use std::fmt;

use alloy::hex;
use futures::FutureExt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Onboarding;
use super::act::Actor;
use super::examiner::TIME_LIMIT_MS;
use super::read::newest_profile;
use super::refusal::{Done, OnboardingFault, OnboardingRefusal, Stop, told};
use super::vault::{DataKey, Place, VaultError};
use crate::model::{
    DocumentId, DocumentLabel, DocumentPurpose, DocumentState, FailureReason, MediaType, Millis, PartyId,
    PartyKey, TenantId, inspect,
};
use crate::store::Connection;
use crate::store::onboarding::documents::{self, NewDocument, StoredDocument};

/// Documents of a party at most.
const MOST_DOCUMENTS: u32 = 100;

/// A document to be.
pub struct DocumentWish {
    pub purpose: DocumentPurpose,
    pub label: DocumentLabel,
    pub bytes: Vec<u8>,
}

impl fmt::Debug for DocumentWish {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "DocumentWish({}, {} bytes)", self.purpose.as_str(), self.bytes.len())
    }
}

/// A document without its content.
#[derive(Debug, Clone)]
pub struct ShownDocument {
    pub id: DocumentId,
    pub purpose: DocumentPurpose,
    pub state: DocumentState,
    /// Why it was refused.
    pub reason: Option<FailureReason>,
    /// How long it is, in bytes.
    pub bytes: u64,
    pub media_type: MediaType,
    /// In hexadecimal.
    pub sha256: String,
    pub label: DocumentLabel,
    pub created_at: Millis,
}

/// What is encrypted beside a document.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct KeptLabel {
    #[serde(flatten)]
    pub label: DocumentLabel,
    pub media_type: MediaType,
    pub sha256: String,
}

impl Onboarding {
    /// Adds a document to a tenant's party. What the provider is to check is checked from then on.
    ///
    /// # Errors
    /// [`OnboardingFault`].
    pub async fn add_document(
        &self,
        tenant: TenantId,
        id: PartyId,
        wish: DocumentWish,
        actor: &Actor,
    ) -> Done<ShownDocument> {
        if wish.purpose.is_checked() && self.inner.settings.verifier.is_none() {
            return Ok(Err(OnboardingRefusal::NoVerifier));
        }
        let this = self.clone();
        let added = self.act_on(tenant, id, actor, "document.add", move |tx, party, now| {
            async move {
                let (data_key, ..) = newest_profile(tx, &this.inner.settings.master, party).await?;
                must_be_new(tx, &data_key, party.key, &wish).await?;
                store_document(tx, party.key, &data_key, wish, None, now).await
            }
            .boxed()
        });
        let added = told(added.await);
        self.inner.asked.notify_one();
        added
    }

    /// The documents of a tenant's party, oldest first. That it was looked is in the audit log before anybody sees them.
    ///
    /// # Errors
    /// [`OnboardingFault`].
    pub async fn documents(&self, tenant: TenantId, id: PartyId, actor: &Actor) -> Done<Vec<ShownDocument>> {
        let this = self.clone();
        let read = self.act_on(tenant, id, actor, "document.list", move |tx, party, _| {
            async move {
                let (data_key, ..) = newest_profile(tx, &this.inner.settings.master, party).await?;
                let stored = documents::of_party(tx, party.key).await?;
                Ok(stored.iter().map(|document| shown(&data_key, document)).collect::<Result<_, _>>()?)
            }
            .boxed()
        });
        told(read.await)
    }

    /// A document of a tenant's party and its content. That it was read is in the audit log before anybody sees it.
    ///
    /// # Errors
    /// [`OnboardingFault`].
    pub async fn document(
        &self,
        tenant: TenantId,
        party: PartyId,
        id: DocumentId,
        actor: &Actor,
    ) -> Done<(ShownDocument, Vec<u8>)> {
        let this = self.clone();
        let read = self.act_on(tenant, party, actor, "document.read", move |tx, party, _| {
            async move {
                let document =
                    documents::by_uuid(tx, id).await?.filter(|document| document.party == party.key);
                let document = document.ok_or(OnboardingRefusal::UnknownDocument)?;
                let (data_key, ..) = newest_profile(tx, &this.inner.settings.master, party).await?;
                let content = opened_content(tx, &data_key, &document).await?;
                Ok((shown(&data_key, &document)?, content))
            }
            .boxed()
        });
        told(read.await)
    }
}

/// A document that a party has already is not brought twice.
async fn must_be_new(
    tx: &mut Connection,
    data_key: &DataKey,
    party: PartyKey,
    wish: &DocumentWish,
) -> Result<(), Stop> {
    let sha256 = hex::encode(Sha256::digest(&wish.bytes));
    for stored in documents::of_party(tx, party).await? {
        let is_same = stored.purpose == wish.purpose && stored.state != DocumentState::Refused;
        if is_same && opened_label(data_key, &stored)?.sha256 == sha256 {
            return Err(OnboardingRefusal::DocumentExists.into());
        }
    }
    Ok(())
}

/// Adds a document in a change, where its bytes are those of one.
pub(super) async fn store_document(
    tx: &mut Connection,
    party: PartyKey,
    data_key: &DataKey,
    wish: DocumentWish,
    review: Option<i64>,
    now: Millis,
) -> Result<ShownDocument, Stop> {
    let media_type = inspect(&wish.bytes).map_err(OnboardingRefusal::BadDocument)?;
    if documents::count(tx, party).await? >= i64::from(MOST_DOCUMENTS) {
        return Err(OnboardingRefusal::TooManyDocuments(MOST_DOCUMENTS).into());
    }
    let id = DocumentId(Uuid::now_v7());
    let kept = KeptLabel { label: wish.label, media_type, sha256: hex::encode(Sha256::digest(&wish.bytes)) };
    let plain = serde_json::to_vec(&kept).map_err(OnboardingFault::from)?;
    let document = NewDocument {
        id,
        party,
        purpose: wish.purpose,
        review,
        bytes: u64::try_from(wish.bytes.len()).unwrap_or(u64::MAX),
        deadline: now.saturating_add(TIME_LIMIT_MS),
        label: data_key.seal(Place::Label(id), &plain)?,
        content: data_key.seal(Place::Content(id), &wish.bytes)?,
    };
    documents::insert(tx, &document, now).await?;
    let stored = documents::by_uuid(tx, id).await?.ok_or(VaultError::WrongKey)?;
    Ok(shown(data_key, &stored)?)
}

/// What is known of a document, decrypted.
pub(super) fn opened_label(
    data_key: &DataKey,
    document: &StoredDocument,
) -> Result<KeptLabel, OnboardingFault> {
    let plain = data_key.open(Place::Label(document.id), &document.label)?;
    Ok(serde_json::from_slice(&plain)?)
}

/// A document, decrypted.
pub(super) async fn opened_content(
    connection: &mut Connection,
    data_key: &DataKey,
    document: &StoredDocument,
) -> Result<Vec<u8>, OnboardingFault> {
    let sealed = documents::content(connection, document.key).await?.ok_or(VaultError::WrongKey)?;
    Ok(data_key.open(Place::Content(document.id), &sealed)?)
}

pub(super) fn shown(data_key: &DataKey, document: &StoredDocument) -> Result<ShownDocument, OnboardingFault> {
    let KeptLabel { label, media_type, sha256 } = opened_label(data_key, document)?;
    Ok(ShownDocument {
        id: document.id,
        purpose: document.purpose,
        state: document.state,
        reason: document.reason,
        bytes: document.bytes,
        media_type,
        sha256,
        label,
        created_at: document.created_at,
    })
}
