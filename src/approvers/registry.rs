//! What a tenant can do with its approvers.

use futures::FutureExt;
use uuid::Uuid;

use super::Approvers;
use crate::chain::wall_now;
use crate::model::{Approver, ApproverName, SigningScheme, TenantId};
use crate::outbound::{ROTATION_MS, ShownKey, UnfitUrl, UnusableKey};
use crate::store::{StoreError, approvers, idempotency};

/// Approvers of a tenant at most: each creation waits for all of them.
const MOST_APPROVERS: u32 = 8;

/// How questions are signed.
pub(super) const SCHEME: SigningScheme = SigningScheme::Symmetric;

/// An approver to be.
#[derive(Debug, Clone)]
pub struct NewApprover {
    pub name: ApproverName,
    pub url: String,
    /// Within [`Approver::TIME_LIMITS_MS`].
    pub time_limit_ms: u32,
}

/// What is to be changed; absent: it stays.
#[derive(Debug, Clone, Default)]
pub struct ApproverWish {
    pub url: Option<String>,
    /// Within [`Approver::TIME_LIMITS_MS`].
    pub time_limit_ms: Option<u32>,
    pub enabled: Option<bool>,
}

/// Expected ways not to get one's wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApproverRefusal {
    /// Completes the sentence that begins with `url`.
    Url(UnfitUrl),
    NameTaken,
    TooMany(u32),
    Unknown,
}

/// Something is broken.
#[derive(Debug, thiserror::Error)]
pub enum ApproverFault {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Key(#[from] UnusableKey),
}

type Done<T> = Result<Result<T, ApproverRefusal>, ApproverFault>;

impl Approvers {
    /// Adds an approver, which is asked from the next creation on. Its key is shown this once.
    ///
    /// # Errors
    /// [`ApproverFault`].
    pub async fn add(&self, tenant: TenantId, new: NewApprover) -> Done<(Approver, ShownKey)> {
        if let Some(shown) = self.shown_before(tenant).await? {
            return Ok(shown);
        }
        let url = match self.outbound.url(&new.url) {
            Ok(url) => url,
            Err(why) => return Ok(Err(ApproverRefusal::Url(why))),
        };
        let id = Uuid::now_v7();
        let (secret, shown) = self.outbound.vault.make(id, SCHEME)?;
        let approver = Approver {
            key: 0,
            id,
            tenant,
            name: new.name,
            url: url.into(),
            time_limit_ms: new.time_limit_ms,
            secret,
            old_secret: None,
            enabled: true,
            created_at: wall_now(),
        };
        let (stored, once) = (approver.clone(), self.once);
        let written = self
            .store
            .write::<_, StoreError, _>(move |tx| {
                async move {
                    let Some(key) = approvers::insert(tx, &stored, MOST_APPROVERS).await? else {
                        return Ok(false);
                    };
                    idempotency::note_effect(tx, once, key).await?;
                    Ok(true)
                }
                .boxed()
            })
            .await;
        match written {
            Ok(true) => Ok(Ok((approver, shown))),
            Ok(false) => Ok(Err(ApproverRefusal::TooMany(MOST_APPROVERS))),
            Err(error) if error.is_unique_violation() => Ok(Err(ApproverRefusal::NameTaken)),
            Err(error) => Err(error.into()),
        }
    }

    /// The approver that an earlier run of the same request added or gave a new key, with the key it has.
    async fn shown_before(
        &self,
        tenant: TenantId,
    ) -> Result<Option<Result<(Approver, ShownKey), ApproverRefusal>>, ApproverFault> {
        if self.once.is_none() {
            return Ok(None);
        }
        let mut reader = self.store.read().await?;
        let Some(key) = idempotency::effect(&mut reader, self.once).await? else { return Ok(None) };
        let Some(approver) = approvers::by_key(&mut reader, tenant, key).await? else {
            return Ok(Some(Err(ApproverRefusal::Unknown)));
        };
        let shown = self.outbound.vault.show(approver.id, SCHEME, &approver.secret)?;
        Ok(Some(Ok((approver, shown))))
    }

    /// A tenant's approvers, oldest first.
    ///
    /// # Errors
    /// [`ApproverFault`].
    pub async fn list(&self, tenant: TenantId) -> Result<Vec<Approver>, ApproverFault> {
        let mut reader = self.store.read().await?;
        Ok(approvers::of_tenant(&mut reader, tenant).await?)
    }

    /// A tenant's approver.
    ///
    /// # Errors
    /// [`ApproverFault`].
    pub async fn find(&self, tenant: TenantId, id: Uuid) -> Done<Approver> {
        let mut reader = self.store.read().await?;
        Ok(approvers::find(&mut reader, tenant, id).await?.ok_or(ApproverRefusal::Unknown))
    }

    /// Changes an approver, from the next creation on.
    ///
    /// # Errors
    /// [`ApproverFault`].
    pub async fn change(&self, tenant: TenantId, id: Uuid, wish: ApproverWish) -> Done<Approver> {
        let url = match wish.url.as_deref().map(|url| self.outbound.url(url)).transpose() {
            Ok(url) => url,
            Err(why) => return Ok(Err(ApproverRefusal::Url(why))),
        };
        let changed = self
            .store
            .write::<_, StoreError, _>(move |tx| {
                async move {
                    let Some(mut approver) = approvers::find(tx, tenant, id).await? else { return Ok(None) };
                    if let Some(url) = url {
                        approver.url = url.into();
                    }
                    if let Some(time_limit_ms) = wish.time_limit_ms {
                        approver.time_limit_ms = time_limit_ms;
                    }
                    if let Some(enabled) = wish.enabled {
                        approver.enabled = enabled;
                    }
                    approvers::update(tx, &approver).await?;
                    Ok(Some(approver))
                }
                .boxed()
            })
            .await?;
        Ok(changed.ok_or(ApproverRefusal::Unknown))
    }

    /// Gives an approver a new key, shown this once; the one before signs beside it for a day, until the time that stands
    /// with it.
    ///
    /// # Errors
    /// [`ApproverFault`].
    pub async fn rotate(&self, tenant: TenantId, id: Uuid) -> Done<(Approver, ShownKey)> {
        if let Some(shown) = self.shown_before(tenant).await? {
            return Ok(shown);
        }
        let (kept, shown) = self.outbound.vault.make(id, SCHEME)?;
        let (until, once) = (wall_now().saturating_add(ROTATION_MS), self.once);
        let rotated = self
            .store
            .write::<_, StoreError, _>(move |tx| {
                async move {
                    let Some(mut approver) = approvers::find(tx, tenant, id).await? else { return Ok(None) };
                    approver.old_secret = Some((std::mem::replace(&mut approver.secret, kept), until));
                    approvers::update(tx, &approver).await?;
                    idempotency::note_effect(tx, once, approver.key).await?;
                    Ok(Some(approver))
                }
                .boxed()
            })
            .await?;
        let Some(approver) = rotated else { return Ok(Err(ApproverRefusal::Unknown)) };
        Ok(Ok((approver, shown)))
    }

    /// Removes an approver: it is asked no more. What it decided stays on record.
    ///
    /// # Errors
    /// [`ApproverFault`].
    pub async fn remove(&self, tenant: TenantId, id: Uuid) -> Done<()> {
        let now = wall_now();
        let removed = self
            .store
            .write::<_, StoreError, _>(move |tx| {
                async move {
                    let Some(approver) = approvers::find(tx, tenant, id).await? else { return Ok(None) };
                    approvers::remove(tx, approver.key, now).await.map(Some)
                }
                .boxed()
            })
            .await?;
        Ok(removed.ok_or(ApproverRefusal::Unknown))
    }
}
