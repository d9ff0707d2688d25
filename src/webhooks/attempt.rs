//! One attempt to deliver one message.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use super::retry::retry_after;
use crate::chain::wall_now;
use crate::model::DeliveryAttempt;
use crate::outbound::{Message, Post, beginning};

/// Of an answer's body so much is kept, in bytes.
const SNIPPET_BYTES: usize = 1_024;

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Delivered,
    /// 410: the receiver wants nothing any more.
    Gone,
    /// To be tried again, not before a pause where the receiver named one.
    Failed(Option<Duration>),
}

/// Sends a message and waits for its answer.
pub(super) async fn attempt(
    post: &Post,
    message: Message,
    time_limit: Duration,
) -> (DeliveryAttempt, Verdict) {
    let at = wall_now();
    // Measures the receiver, decides nothing.
    let started = tokio::time::Instant::now();
    let answered = ask(post, message, time_limit).await;
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut attempt = DeliveryAttempt { at, duration_ms, status: None, error: None, response: None };
    let verdict = match answered {
        Err(error) => {
            attempt.error = Some(error);
            Verdict::Failed(None)
        }
        Ok((status, headers, snippet)) => {
            attempt.status = Some(status.as_u16());
            attempt.response = Some(snippet).filter(|snippet| !snippet.is_empty());
            attempt.error = complaint(status);
            verdict(status, &headers)
        }
    };
    (attempt, verdict)
}

async fn ask(
    post: &Post,
    message: Message,
    time_limit: Duration,
) -> Result<(StatusCode, HeaderMap, String), String> {
    let mut response = post.send(message, time_limit).await?;
    let (status, headers) = (response.status(), response.headers().clone());
    // As far as it comes.
    let (snippet, _) = beginning(&mut response, SNIPPET_BYTES).await;
    Ok((status, headers, String::from_utf8_lossy(&snippet).replace('\0', "")))
}

fn verdict(status: StatusCode, headers: &HeaderMap) -> Verdict {
    if status.is_success() {
        return Verdict::Delivered;
    }
    if status == StatusCode::GONE {
        return Verdict::Gone;
    }
    let header = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    Verdict::Failed(header.and_then(|header| retry_after(header, wall_now())))
}

fn complaint(status: StatusCode) -> Option<String> {
    if status.is_success() {
        None
    } else if status.is_redirection() {
        Some(format!("answered {}: redirects are not followed", status.as_u16()))
    } else {
        Some(format!("answered {}", status.as_u16()))
    }
}
