//! What a tenant can do with its endpoints.

use std::sync::Arc;

use futures::FutureExt;
use uuid::Uuid;

use super::WebhookSettings;
use crate::chain::wall_now;
use crate::lane::Signals;
use crate::model::{Delivery, DeliveryState, Endpoint, EventKind, Millis, Once, SigningScheme, TenantId};
use crate::outbound::{ROTATION_MS, ShownKey, UnfitUrl, UnusableKey};
use crate::store::deliveries::Again;
use crate::store::{Connection, Store, StoreError, deliveries, endpoints, idempotency};

/// Endpoints of a tenant at most.
const MOST_ENDPOINTS: u32 = 16;
/// Events that are sent again at once, at most.
const MOST_AGAIN: u32 = 10_000;
/// Why an endpoint is disabled that its tenant disabled.
const BY_REQUEST: &str = "disabled by request";

/// The verbs. Clones share everything.
#[derive(Clone)]
pub struct Webhooks {
    store: Store,
    signals: Signals,
    settings: Arc<WebhookSettings>,
    /// The request they act for, where it came with a key.
    once: Option<Once>,
}

/// An endpoint to be.
#[derive(Debug, Clone)]
pub struct NewEndpoint {
    pub url: String,
    /// Empty: all.
    pub kinds: Vec<EventKind>,
    pub scheme: SigningScheme,
}

/// What is to be changed; absent: it stays.
#[derive(Debug, Clone, Default)]
pub struct EndpointWish {
    pub url: Option<String>,
    pub kinds: Option<Vec<EventKind>>,
    pub disabled: Option<bool>,
}

/// Which events to send again.
#[derive(Debug, Clone, Copy)]
pub enum Resend {
    One(Uuid),
    /// Those from `since` on and before `until`.
    Range {
        since: Millis,
        until: Option<Millis>,
    },
}

/// Expected ways not to get one's wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointRefusal {
    /// Completes the sentence that begins with `url`.
    Url(UnfitUrl),
    TooMany(u32),
    Unknown,
    UnknownEvent,
    /// Nothing is sent to it, so nothing is sent again.
    Disabled,
}

/// Something is broken.
#[derive(Debug, thiserror::Error)]
pub enum EndpointFault {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Key(#[from] UnusableKey),
}

type Done<T> = Result<Result<T, EndpointRefusal>, EndpointFault>;

impl Webhooks {
    #[must_use]
    pub fn new(store: Store, signals: Signals, settings: WebhookSettings) -> Self {
        Self { store, signals, settings: Arc::new(settings), once: None }
    }

    /// The verbs for a request that came with a key, or without one. What such a request begins is noted under its name in
    /// the change that begins it: run again, it shows what it has begun, and does nothing twice.
    #[must_use]
    pub fn under(&self, once: Option<Once>) -> Self {
        Self { once, ..self.clone() }
    }

    /// Adds an endpoint, which is told of what happens from now on. Its key is shown this once.
    ///
    /// # Errors
    /// [`EndpointFault`].
    pub async fn add(&self, tenant: TenantId, new: NewEndpoint) -> Done<(Endpoint, ShownKey)> {
        if let Some(shown) = self.shown_before(tenant).await? {
            return Ok(shown);
        }
        let url = match self.settings.outbound.url(&new.url) {
            Ok(url) => url,
            Err(why) => return Ok(Err(EndpointRefusal::Url(why))),
        };
        let (id, now) = (Uuid::now_v7(), wall_now());
        let (secret, shown) = self.settings.outbound.vault.make(id, new.scheme)?;
        let endpoint = Endpoint {
            key: 0,
            id,
            tenant,
            url: url.into(),
            kinds: sorted(new.kinds),
            scheme: new.scheme,
            secret,
            old_secret: None,
            disabled: None,
            failing_since: None,
            created_at: now,
        };
        let (stored, once) = (endpoint.clone(), self.once);
        let is_there = self
            .store
            .write::<_, StoreError, _>(move |tx| {
                async move {
                    let Some(key) = endpoints::insert(tx, &stored, MOST_ENDPOINTS, now).await? else {
                        return Ok(false);
                    };
                    idempotency::note_effect(tx, once, key).await?;
                    Ok(true)
                }
                .boxed()
            })
            .await?;
        if !is_there {
            return Ok(Err(EndpointRefusal::TooMany(MOST_ENDPOINTS)));
        }
        Ok(Ok((endpoint, shown)))
    }

    /// The endpoint that an earlier run of the same request added or gave a new key, with the key it has.
    async fn shown_before(
        &self,
        tenant: TenantId,
    ) -> Result<Option<Result<(Endpoint, ShownKey), EndpointRefusal>>, EndpointFault> {
        if self.once.is_none() {
            return Ok(None);
        }
        let mut reader = self.store.read().await?;
        let Some(key) = idempotency::effect(&mut reader, self.once).await? else { return Ok(None) };
        let Some(endpoint) = endpoints::by_key(&mut reader, tenant, key).await? else {
            return Ok(Some(Err(EndpointRefusal::Unknown)));
        };
        let shown = self.settings.outbound.vault.show(endpoint.id, endpoint.scheme, &endpoint.secret)?;
        Ok(Some(Ok((endpoint, shown))))
    }

    /// A tenant's endpoints, oldest first.
    ///
    /// # Errors
    /// [`EndpointFault`].
    pub async fn list(&self, tenant: TenantId) -> Result<Vec<Endpoint>, EndpointFault> {
        let mut reader = self.store.read().await?;
        Ok(endpoints::of_tenant(&mut reader, tenant).await?)
    }

    /// A tenant's endpoint.
    ///
    /// # Errors
    /// [`EndpointFault`].
    pub async fn find(&self, tenant: TenantId, id: Uuid) -> Done<Endpoint> {
        let mut reader = self.store.read().await?;
        Ok(endpoints::find(&mut reader, tenant, id).await?.ok_or(EndpointRefusal::Unknown))
    }

    /// What the receiver verifies with, where that is no secret.
    #[must_use]
    pub fn public_key(&self, endpoint: &Endpoint) -> Option<String> {
        match self.settings.outbound.vault.show(endpoint.id, endpoint.scheme, &endpoint.secret).ok()? {
            ShownKey::Public(key) => Some(key),
            ShownKey::Secret(_) => None,
        }
    }

    /// Changes an endpoint. One that is enabled again is told of what happens from then on; what was due goes on.
    ///
    /// # Errors
    /// [`EndpointFault`].
    pub async fn change(&self, tenant: TenantId, id: Uuid, wish: EndpointWish) -> Done<Endpoint> {
        let url = match wish.url.as_deref().map(|url| self.settings.outbound.url(url)).transpose() {
            Ok(url) => url,
            Err(why) => return Ok(Err(EndpointRefusal::Url(why))),
        };
        let changed = self
            .store
            .write::<_, StoreError, _>(move |tx| {
                async move {
                    let Some(mut endpoint) = endpoints::find(tx, tenant, id).await? else { return Ok(None) };
                    if let Some(url) = url {
                        endpoint.url = url.into();
                    }
                    if let Some(kinds) = wish.kinds {
                        endpoint.kinds = sorted(kinds);
                    }
                    match wish.disabled {
                        Some(true) if endpoint.disabled.is_none() => {
                            endpoint.disabled = Some(BY_REQUEST.to_owned());
                        }
                        Some(false) if endpoint.disabled.is_some() => {
                            endpoint.disabled = None;
                            endpoint.failing_since = None;
                            endpoints::skip_to_now(tx, endpoint.key).await?;
                        }
                        _ => {}
                    }
                    endpoints::update(tx, &endpoint).await?;
                    Ok(Some(endpoint))
                }
                .boxed()
            })
            .await?;
        self.signals.changed([]);
        Ok(changed.ok_or(EndpointRefusal::Unknown))
    }

    /// Gives an endpoint a new key, shown this once; the one before signs beside it for a day, until the time that stands
    /// with it.
    ///
    /// # Errors
    /// [`EndpointFault`].
    pub async fn rotate(&self, tenant: TenantId, id: Uuid) -> Done<(Endpoint, ShownKey)> {
        if let Some(shown) = self.shown_before(tenant).await? {
            return Ok(shown);
        }
        let scheme = match self.find(tenant, id).await? {
            Ok(endpoint) => endpoint.scheme,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let (kept, shown) = self.settings.outbound.vault.make(id, scheme)?;
        let (until, once) = (wall_now().saturating_add(ROTATION_MS), self.once);
        let rotated = self
            .store
            .write::<_, StoreError, _>(move |tx| {
                async move {
                    let Some(mut endpoint) = endpoints::find(tx, tenant, id).await? else { return Ok(None) };
                    endpoint.old_secret = Some((std::mem::replace(&mut endpoint.secret, kept), until));
                    endpoints::update(tx, &endpoint).await?;
                    idempotency::note_effect(tx, once, endpoint.key).await?;
                    Ok(Some(endpoint))
                }
                .boxed()
            })
            .await?;
        let Some(endpoint) = rotated else { return Ok(Err(EndpointRefusal::Unknown)) };
        Ok(Ok((endpoint, shown)))
    }

    /// Removes an endpoint: nothing more is sent to it.
    ///
    /// # Errors
    /// [`EndpointFault`].
    pub async fn remove(&self, tenant: TenantId, id: Uuid) -> Done<()> {
        let now = wall_now();
        let removed = self
            .store
            .write::<_, StoreError, _>(move |tx| {
                async move {
                    let Some(endpoint) = endpoints::find(tx, tenant, id).await? else { return Ok(None) };
                    endpoints::remove(tx, endpoint.key, now).await.map(Some)
                }
                .boxed()
            })
            .await?;
        Ok(removed.ok_or(EndpointRefusal::Unknown))
    }

    /// What was, is and will be sent to an endpoint, newest first, before a row.
    ///
    /// # Errors
    /// [`EndpointFault`].
    pub async fn deliveries(
        &self,
        tenant: TenantId,
        id: Uuid,
        state: Option<DeliveryState>,
        before: Option<i64>,
        limit: u32,
    ) -> Done<Vec<Delivery>> {
        let mut reader = self.store.read().await?;
        let Some(endpoint) = endpoints::find(&mut reader, tenant, id).await? else {
            return Ok(Err(EndpointRefusal::Unknown));
        };
        Ok(Ok(deliveries::page(&mut reader, endpoint.key, state, before, limit).await?))
    }

    /// Sends events once more, under the ids they have; says how many.
    ///
    /// # Errors
    /// [`EndpointFault`].
    pub async fn resend(&self, tenant: TenantId, id: Uuid, what: Resend) -> Done<u64> {
        let (now, once) = (wall_now(), self.once);
        let asked = self
            .store
            .write::<_, StoreError, _>(move |tx| ask_again(tx, once, tenant, id, what, now).boxed())
            .await?;
        self.signals.changed([]);
        Ok(asked)
    }
}

async fn ask_again(
    tx: &mut Connection,
    once: Option<Once>,
    tenant: TenantId,
    id: Uuid,
    what: Resend,
    now: Millis,
) -> Result<Result<u64, EndpointRefusal>, StoreError> {
    if let Some(count) = idempotency::effect(tx, once).await? {
        return Ok(Ok(count.unsigned_abs()));
    }
    let Some(endpoint) = endpoints::find(tx, tenant, id).await? else {
        return Ok(Err(EndpointRefusal::Unknown));
    };
    if endpoint.disabled.is_some() {
        return Ok(Err(EndpointRefusal::Disabled));
    }
    let again = match what {
        Resend::One(event) => Again { event: Some(event), ..Again::default() },
        Resend::Range { since, until } => Again { event: None, since: Some(since), until },
    };
    let count = deliveries::ask_again(tx, &endpoint, again, MOST_AGAIN, now).await?;
    let unknown = again.event.is_some() && count == 0;
    if !unknown {
        idempotency::note_effect(tx, once, i64::try_from(count).unwrap_or(i64::MAX)).await?;
    }
    Ok(if unknown { Err(EndpointRefusal::UnknownEvent) } else { Ok(count) })
}

fn sorted(mut kinds: Vec<EventKind>) -> Vec<EventKind> {
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}
