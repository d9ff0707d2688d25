//! `GET /admin/series`: what happened, hour by hour.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::AdminState;
use super::operator::Onlooker;
use crate::chain::wall_now;
use crate::http::error::ApiError;
use crate::http::json::Parameters;
use crate::http::shape::Shape;
use crate::model::Millis;
use crate::store::dashboard;

const HOUR_MS: i64 = 3_600_000;
const MOST_HOURS: i64 = 168;
const DEFAULT_HOURS: i64 = 48;

/// How far back.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesParameters {
    hours: Option<String>,
}

/// An hour in which something happened.
#[derive(Debug, Serialize)]
pub struct Hour {
    /// Its beginning.
    start: String,
    /// Events by type.
    counts: BTreeMap<&'static str, u64>,
}

/// All hours, oldest first, the one that runs included.
#[derive(Debug, Serialize)]
pub struct Series {
    data: Vec<Hour>,
}

fn hours(text: &str) -> Result<i64, &'static str> {
    text.parse().ok().filter(|hours| (1..=MOST_HOURS).contains(hours)).ok_or("must be a number from 1 to 168")
}

pub async fn series(
    _: Onlooker,
    State(state): State<AdminState>,
    Parameters(parameters): Parameters<SeriesParameters>,
) -> Result<Json<Series>, ApiError> {
    let mut shape = Shape::of_query();
    let Some(hours) = shape.read("hours", parameters.hours.as_deref().map_or(Ok(DEFAULT_HOURS), hours))
    else {
        return Err(shape.refused());
    };
    let last = wall_now().0 / HOUR_MS;
    let first = last - hours + 1;
    let since = Millis(first * HOUR_MS);
    let rows = dashboard::events_by_hour(&mut *state.api.store.read().await?, since).await?;
    let mut counts: BTreeMap<i64, BTreeMap<&'static str, u64>> =
        (first..=last).map(|hour| (hour, BTreeMap::new())).collect();
    for (hour, kind, count) in rows {
        counts.entry(hour).or_default().insert(kind.as_str(), count);
    }
    let show = |(hour, counts)| Hour { start: Millis(hour * HOUR_MS).to_rfc3339(), counts };
    Ok(Json(Series { data: counts.into_iter().map(show).collect() }))
}
