//! `GET /admin/deliveries` and `POST /admin/deliveries/{id}/resend`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use futures::FutureExt;
use serde::Serialize;

use super::AdminState;
use super::operator::{Actor, Onlooker};
use crate::chain::wall_now;
use crate::http::error::ApiError;
use crate::http::webhooks::refused;
use crate::store::dashboard::{self, DeliveryRow};
use crate::store::{StoreError, audit};
use crate::webhooks::Resend;

/// Deliveries that are shown.
const MOST: u32 = 50;

/// An event on its way to a tenant's system.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    id: i64,
    url: String,
    event: String,
    invoice_id: String,
    state: &'static str,
    tries: u64,
    next_at: String,
    /// Of the last attempt.
    status: Option<i64>,
    error: Option<String>,
}

/// The newest deliveries.
#[derive(Debug, Serialize)]
pub struct DeliveryList {
    data: Vec<Delivery>,
}

fn shown(row: DeliveryRow) -> Delivery {
    Delivery {
        id: row.id,
        url: row.url,
        event: row.kind.public_name(),
        invoice_id: row.invoice,
        state: row.state.as_str(),
        tries: row.tries,
        next_at: row.next_at.to_rfc3339(),
        status: row.status,
        error: row.error,
    }
}

pub async fn list(_: Onlooker, State(state): State<AdminState>) -> Result<Json<DeliveryList>, ApiError> {
    let rows = dashboard::deliveries(&mut *state.api.store.read().await?, None, MOST).await?;
    Ok(Json(DeliveryList { data: rows.into_iter().map(shown).collect() }))
}

pub async fn resend(
    actor: Actor,
    State(state): State<AdminState>,
    Path(id): Path<i64>,
) -> Result<StatusCode, ApiError> {
    let found = dashboard::deliveries(&mut *state.api.store.read().await?, Some(id), 1).await?.pop();
    let Some(row) = found else {
        return Err(ApiError::new(StatusCode::NOT_FOUND, "delivery_not_found", "There is no such delivery"));
    };
    // Before it has an effect: a resend that is not written down does not happen.
    let act = actor.act("delivery.resend", format!("event {} to {}", row.event, row.endpoint));
    state
        .api
        .store
        .write::<_, StoreError, _>(move |tx| async move { audit::note(tx, &act, wall_now()).await }.boxed())
        .await?;
    state.api.webhooks.resend(row.tenant, row.endpoint, Resend::One(row.event)).await?.map_err(refused)?;
    Ok(StatusCode::ACCEPTED)
}
