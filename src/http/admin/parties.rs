//! `GET /admin/parties`: parties of all tenants, by ids and words. Nothing personal is shown here, a tenant's own name for a party
//! included: it may be anything.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::AdminState;
use super::audit::row;
use super::holds::tenant_names;
use super::operator::Onlooker;
use crate::http::error::ApiError;
use crate::http::json::Parameters;
use crate::http::list::limit;
use crate::http::shape::Shape;
use crate::model::{Party, PartyKey, PartyStatus};
use crate::store::onboarding::parties;

/// Which parties to show, newest first.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartyParameters {
    status: Option<String>,
    limit: Option<String>,
    before: Option<String>,
}

/// A party as operators see it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PartyRow {
    tenant: String,
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    status: &'static str,
    /// What keeps it from being verified.
    open: Vec<&'static str>,
    created_at: String,
}

/// A page of parties.
#[derive(Debug, Serialize)]
pub struct PartyPage {
    data: Vec<PartyRow>,
    /// The row to go on before; null: that was all.
    next: Option<i64>,
}

pub async fn list(
    _: Onlooker,
    State(state): State<AdminState>,
    Parameters(parameters): Parameters<PartyParameters>,
) -> Result<Json<PartyPage>, ApiError> {
    let mut shape = Shape::of_query();
    let status = parameters
        .status
        .as_deref()
        .map(|text| PartyStatus::parse(text).ok_or("must be onboarding, verified, rejected or suspended"));
    let status = shape.read_optional("status", status);
    let limit = shape.read("limit", limit(parameters.limit.as_deref()));
    let before = shape.read_optional("before", parameters.before.as_deref().map(row));
    let (Some(status), Some(limit), Some(before)) = (status, limit, before) else {
        return Err(shape.refused());
    };
    let mut reader = state.api.store.read().await?;
    let (page, next) = parties::page_of_all(&mut reader, before.map(PartyKey), status, limit).await?;
    let names = tenant_names(&mut reader).await?;
    let show = |party: &Party| PartyRow {
        tenant: names.get(&party.tenant).cloned().unwrap_or_default(),
        id: party.id.to_string(),
        kind: party.kind.as_str(),
        status: party.status().as_str(),
        open: party.open().map(|requirement| requirement.kind.as_str()).collect(),
        created_at: party.created_at.to_rfc3339(),
    };
    Ok(Json(PartyPage { data: page.iter().map(show).collect(), next: next.map(|key| key.0) }))
}
