//! `GET /admin/audit`.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::AdminState;
use super::operator::Onlooker;
use crate::http::error::ApiError;
use crate::http::json::Parameters;
use crate::http::list::limit;
use crate::http::shape::Shape;
use crate::store::audit;

/// Which acts to show.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditParameters {
    limit: Option<String>,
    before: Option<String>,
}

/// An act that was written down.
#[derive(Debug, Serialize)]
pub struct Entry {
    id: i64,
    at: String,
    actor: String,
    act: String,
    subject: String,
}

/// A page of acts, newest first.
#[derive(Debug, Serialize)]
pub struct AuditPage {
    data: Vec<Entry>,
}

/// Reads the id of a row to go on before.
pub(super) fn row(text: &str) -> Result<i64, &'static str> {
    text.parse().map_err(|_| "must be the id of a row")
}

pub async fn list(
    _: Onlooker,
    State(state): State<AdminState>,
    Parameters(parameters): Parameters<AuditParameters>,
) -> Result<Json<AuditPage>, ApiError> {
    let mut shape = Shape::of_query();
    let limit = shape.read("limit", limit(parameters.limit.as_deref()));
    let before = shape.read_optional("before", parameters.before.as_deref().map(row));
    let (Some(limit), Some(before)) = (limit, before) else { return Err(shape.refused()) };
    let page = audit::page(&mut *state.api.store.read().await?, before, limit).await?;
    let show = |entry: audit::Entry| Entry {
        id: entry.id,
        at: entry.at.to_rfc3339(),
        actor: entry.actor,
        act: entry.act,
        subject: entry.subject,
    };
    Ok(Json(AuditPage { data: page.into_iter().map(show).collect() }))
}
