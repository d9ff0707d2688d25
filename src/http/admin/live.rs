//! `GET /admin/live`: says that something changed, and nothing else. Whoever hears it asks again.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::stream::unfold;
use tokio::time::Instant;

use super::AdminState;
use super::operator::Onlooker;
use crate::http::error::ApiError;
use crate::http::event_stream::too_many;

/// The least time between two words: a busy chain must not keep a page from resting.
const PAUSE: Duration = Duration::from_millis(500);
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// After this its client has to come back, and show its key again.
const LIFETIME: Duration = Duration::from_secs(15 * 60);

pub async fn live(_: Onlooker, State(state): State<AdminState>) -> Result<impl IntoResponse, ApiError> {
    let place = Arc::clone(&state.api.streams).try_acquire_owned().map_err(|_| too_many())?;
    let (news, blocks) = (state.api.signals.news(), state.api.signals.blocks());
    let (closing, ends) = (state.api.closing.clone(), Instant::now() + LIFETIME);
    let words = unfold((news, blocks, place), move |(mut news, mut blocks, place)| {
        let closing = closing.clone();
        async move {
            tokio::select! {
                () = closing.cancelled() => return None,
                () = tokio::time::sleep_until(ends) => return None,
                _ = news.changed() => {}
                _ = blocks.changed() => {}
            }
            tokio::time::sleep(PAUSE).await;
            news.mark_unchanged();
            blocks.mark_unchanged();
            Some((Ok::<_, Infallible>(Event::default().event("changed").data("{}")), (news, blocks, place)))
        }
    });
    Ok(Sse::new(words).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}
