//! What merchants are told of, read back: the same event is shown alike in a timeline, in the feed and in a webhook.

use uuid::Uuid;

use super::{Fault, Preauths, Snapshot};
use crate::model::{
    Event, EventKind, FeedEvent, InvoiceId, Millis, PartyEvent, PreauthKey, Tenant, TenantId,
};
use crate::store::{Connection, StoreError, events, preauths};

/// An event, with all there is to tell of it.
#[derive(Debug, Clone)]
pub enum Told {
    /// With its preauthorization as it was then.
    Preauth {
        event: Box<Event>,
        then: Box<Snapshot>,
    },
    Party(PartyEvent),
}

impl Told {
    /// Adds to events what is fixed about their preauthorizations.
    ///
    /// # Errors
    /// A fault of the database; a row that cannot be read is one, because a list that left something out would be taken
    /// for the whole.
    pub async fn of(connection: &mut Connection, events: Vec<FeedEvent>) -> Result<Vec<Self>, StoreError> {
        let key = |event: &FeedEvent| match event {
            FeedEvent::Preauth(event) => Some(event.preauth),
            FeedEvent::Party(_) => None,
        };
        let mut keys: Vec<PreauthKey> = events.iter().filter_map(key).collect();
        keys.sort_unstable();
        keys.dedup();
        let preauths = preauths::by_keys(connection, &keys).await?;
        let tell = |event: FeedEvent| {
            let event = match event {
                FeedEvent::Party(event) => return Ok(Self::Party(event)),
                FeedEvent::Preauth(event) => event,
            };
            match preauths.get(&event.preauth) {
                Some(Ok(preauth)) => {
                    let preauth = event.preauth_then(preauth.clone());
                    let then = Box::new(Snapshot { preauth, pending_operation: event.pending });
                    Ok(Self::Preauth { event, then })
                }
                Some(Err(unreadable)) => Err(StoreError::Unreadable(Box::new(unreadable.clone()))),
                None => Err(StoreError::Corrupt(format!("events: {} is of no preauth", event.id))),
            }
        };
        events.into_iter().map(tell).collect()
    }

    /// Its position in the feed.
    #[must_use]
    pub fn position(&self) -> i64 {
        match self {
            Self::Preauth { event, .. } => event.position,
            Self::Party(event) => event.position,
        }
    }

    /// Its name for merchants.
    #[must_use]
    pub fn id(&self) -> Uuid {
        match self {
            Self::Preauth { event, .. } => event.id,
            Self::Party(event) => event.id,
        }
    }

    #[must_use]
    pub fn kind(&self) -> EventKind {
        match self {
            Self::Preauth { event, .. } => event.kind,
            Self::Party(event) => event.kind,
        }
    }

    #[must_use]
    pub fn created_at(&self) -> Millis {
        match self {
            Self::Preauth { event, .. } => event.created_at,
            Self::Party(event) => event.created_at,
        }
    }
}

impl Preauths {
    /// The events of a tenant's preauthorization after a position, oldest first; `None`: there is no such
    /// preauthorization.
    pub async fn timeline(
        &self,
        tenant: &Tenant,
        invoice: &InvoiceId,
        after: i64,
        limit: u32,
    ) -> Result<Option<Vec<Told>>, Fault> {
        let read = async {
            let Some(preauth) = self.by_invoice(tenant.id, invoice).await? else { return Ok(None) };
            let mut reader = self.inner.store.read().await?;
            let events = events::timeline(&mut reader, tenant.id, preauth.key, after, limit).await?;
            let events = events.into_iter().map(|event| FeedEvent::Preauth(Box::new(event))).collect();
            Told::of(&mut reader, events).await.map(Some)
        };
        read.await.map_err(|error: StoreError| self.noted(error))
    }

    /// A tenant's events after a position, oldest first, and the position up to which it has all of them.
    pub async fn feed(
        &self,
        tenant: TenantId,
        kind: Option<EventKind>,
        after: i64,
        limit: u32,
    ) -> Result<(Vec<Told>, i64), Fault> {
        let read = async {
            let mut reader = self.inner.store.read().await?;
            // Before the page: what comes in between is on the page and does no harm.
            let newest = events::newest(&mut reader, tenant).await?;
            let page = events::page(&mut reader, tenant, kind, after, limit).await?;
            let is_full = u32::try_from(page.len()).is_ok_and(|count| count >= limit);
            let last = page.last().map_or(after, FeedEvent::position);
            let seen = if is_full { last } else { last.max(newest) };
            Ok((Told::of(&mut reader, page).await?, seen))
        };
        read.await.map_err(|error: StoreError| self.noted(error))
    }

    /// The position of a tenant's newest event.
    pub async fn newest_event(&self, tenant: TenantId) -> Result<i64, Fault> {
        let read = async {
            let mut reader = self.inner.store.read().await?;
            events::newest(&mut reader, tenant).await
        };
        read.await.map_err(|error: StoreError| self.noted(error))
    }
}
