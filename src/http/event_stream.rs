//! `GET /events/stream`: server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::response::sse::{self, KeepAlive, Sse};
use futures::future;
use futures::stream::{self, Stream, StreamExt, unfold};
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;
use utoipa::IntoParams;

use super::HttpState;
use super::caller::Reader;
use super::cursor::{self, List};
use super::error::ApiError;
use super::event_view::{Event, EventType, event_kind};
use super::events::{cursor_at, position};
use super::json::Parameters;
use super::shape::Shape;
use crate::model::{EventKind, TenantId};
use crate::preauth::Told;

/// Streams at once, in all: each reads the feed whenever anything happens.
pub const MOST_STREAMS: usize = 256;
/// Events that are read at once.
const PAGE: u32 = 100;
/// How long to wait for a bell before looking again.
const UNASKED: Duration = Duration::from_secs(5);
/// How often a comment tells that the stream lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long a stream goes on before its client has to come back, and show its key again.
const LIFETIME: Duration = Duration::from_secs(15 * 60);
/// The header with which a client comes back.
const LAST_EVENT_ID: &str = "last-event-id";

/// Which events to stream.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StreamParameters {
    /// Only events of this type.
    #[param(value_type = Option<EventType>)]
    pub kind: Option<String>,
    /// A `nextCursor` of the feed, to begin behind it. Without one the stream begins with what happens next.
    pub cursor: Option<String>,
}

struct Flow {
    state: HttpState,
    tenant: TenantId,
    kind: Option<EventKind>,
    after: i64,
    read: VecDeque<Told>,
    news: watch::Receiver<u64>,
    ends: Instant,
    _place: OwnedSemaphorePermit,
}

/// Stream events
///
/// The feed as server-sent events: `id` is a cursor, `event` the type, `data` the event. A client that comes back with
/// `Last-Event-ID` misses nothing, whether it has seen an event or not: the first thing that comes is an `id` alone. The stream ends after 15 minutes, and when the daemon stops: come back.
#[utoipa::path(
    get, path = "/events/stream", operation_id = "streamEvents", tag = "Events",
    params(
        StreamParameters,
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was received"),
    ),
    responses((status = 200, description = "Events", body = String, content_type = "text/event-stream")),
)]
pub async fn stream(
    Reader(caller): Reader,
    State(state): State<HttpState>,
    headers: HeaderMap,
    Parameters(parameters): Parameters<StreamParameters>,
) -> Result<impl IntoResponse, ApiError> {
    let tenant = caller.tenant.id;
    let last = headers.get(LAST_EVENT_ID).and_then(|value| value.to_str().ok());
    let mut shape = Shape::of_query();
    let kind = shape.read_optional("kind", parameters.kind.as_deref().map(event_kind));
    let cursor = last.or(parameters.cursor.as_deref());
    let after = shape.read_optional("cursor", cursor.map(|cursor| position(tenant, Some(cursor))));
    let (Some(kind), Some(after)) = (kind, after) else { return Err(shape.refused()) };
    let place = Arc::clone(&state.streams).try_acquire_owned().map_err(|_| too_many())?;
    // Before the first look, so that nothing happens unheard in between.
    let news = state.signals.news();
    let after = match after {
        Some(after) => after,
        None => state.preauths.newest_event(tenant).await?,
    };
    let ends = Instant::now() + LIFETIME;
    let flow = Flow { state, tenant, kind, after, read: VecDeque::new(), news, ends, _place: place };
    // Clients keep it although it tells of nothing, so that they miss nothing should the stream end before the first event.
    let here = sse::Event::default().id(cursor::encode(List::Events, tenant, &after.to_string()));
    let events = stream::once(future::ready(Ok(here))).chain(events(flow));
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// Every place is taken.
pub(super) fn too_many() -> ApiError {
    ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_streams", "Too many streams of events are open")
}

fn events(flow: Flow) -> impl Stream<Item = Result<sse::Event, Infallible>> {
    unfold(flow, |mut flow| async move {
        let told = flow.next().await?;
        let event = sse::Event::default().event(told.kind().public_name());
        let event = event.id(cursor_at(flow.tenant, told.position()).unwrap_or_default());
        match event.json_data(Event::from(&told)) {
            Ok(event) => Some((Ok(event), flow)),
            Err(error) => {
                tracing::error!(%error, "an event cannot be shown");
                None
            }
        }
    })
}

impl Flow {
    /// The next event; `None`: the stream ends, and its client comes back.
    async fn next(&mut self) -> Option<Told> {
        loop {
            if let Some(told) = self.read.pop_front() {
                return Some(told);
            }
            if self.state.closing.is_cancelled() {
                return None;
            }
            self.news.mark_unchanged();
            match self.state.preauths.feed(self.tenant, self.kind, self.after, PAGE).await {
                Ok((told, seen)) => {
                    self.after = seen;
                    self.read.extend(told);
                }
                Err(error) => {
                    tracing::error!(%error, "a stream of events ends");
                    return None;
                }
            }
            if !self.read.is_empty() {
                continue;
            }
            tokio::select! {
                () = self.state.closing.cancelled() => return None,
                () = tokio::time::sleep_until(self.ends) => return None,
                _ = self.news.changed() => {}
                () = tokio::time::sleep(UNASKED) => {}
            }
        }
    }
}
