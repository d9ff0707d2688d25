//! `GET /admin/preauths` and `GET /admin/preauths/{id}`: preauthorizations of all tenants.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::AdminState;
use super::audit::row;
use super::operator::Onlooker;
use crate::http::error::ApiError;
use crate::http::event_view::Event;
use crate::http::json::Parameters;
use crate::http::list::limit;
use crate::http::shape::Shape;
use crate::http::view::Preauthorization;
use crate::model::{BaseUnits, Preauth, PreauthKey, PreauthStatus, TenantId};
use crate::preauth::Snapshot;
use crate::store::{Connection, StoreError, dashboard, operations, tenants, tokens};

/// Events of a preauthorization that are shown.
const MOST_EVENTS: u32 = 100;

/// Which preauthorizations to show, newest first.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldParameters {
    invoice: Option<String>,
    limit: Option<String>,
    before: Option<String>,
}

/// A preauthorization as operators see it: whose it is, and where its tokens are.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hold {
    /// The row, to go on before.
    row: i64,
    tenant: String,
    symbol: String,
    decimals: u8,
    #[serde(flatten)]
    preauthorization: Preauthorization,
    /// In base units, so that they can be drawn: what the escrow holds, what the receiver got, what went back, and what the
    /// sender can claim. They sum up to the hold, or are all zero where nothing was ever locked.
    flow: Flow,
}

/// Where the tokens of a hold are, in base units as decimal digits.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Flow {
    held: String,
    received: String,
    returned: String,
    claimable: String,
}

impl Flow {
    fn of(preauth: &Preauth) -> Self {
        let hold = preauth.hold.get();
        let settled = preauth.settlement.map_or(0, |settlement| settlement.amount.get());
        let claimable = preauth.deferred_refund.map_or(0, BaseUnits::get);
        let back = hold.saturating_sub(settled).saturating_sub(claimable);
        let (held, received, returned, claimable) = match preauth.status {
            PreauthStatus::Pending | PreauthStatus::Rejected => (0, 0, 0, 0),
            PreauthStatus::Authorized => (hold, 0, 0, 0),
            PreauthStatus::Settled => (0, settled, back, claimable),
            // What was cancelled before it was locked went nowhere.
            PreauthStatus::Cancelled | PreauthStatus::Expired if preauth.lock_transaction.is_none() => {
                (0, 0, 0, 0)
            }
            PreauthStatus::Cancelled | PreauthStatus::Expired => {
                (0, 0, hold.saturating_sub(claimable), claimable)
            }
        };
        let [held, received, returned, claimable] =
            [held, received, returned, claimable].map(|units| units.to_string());
        Self { held, received, returned, claimable }
    }
}

/// A page of preauthorizations.
#[derive(Debug, Serialize)]
pub struct HoldPage {
    data: Vec<Hold>,
}

/// A preauthorization and what happened to it.
#[derive(Debug, Serialize)]
pub struct HoldStory {
    #[serde(flatten)]
    hold: Hold,
    events: Vec<Event>,
}

/// What tenants are called.
pub(super) async fn tenant_names(
    connection: &mut Connection,
) -> Result<HashMap<TenantId, String>, StoreError> {
    Ok(tenants::all(connection).await?.into_iter().map(|tenant| (tenant.id, tenant.name)).collect())
}

/// Shows rows with the names of their tenants and tokens.
pub(super) async fn shown(
    connection: &mut Connection,
    preauths: Vec<Preauth>,
) -> Result<Vec<Hold>, StoreError> {
    let names = tenant_names(connection).await?;
    let tokens = tokens::all(connection).await?;
    let mut holds = Vec::with_capacity(preauths.len());
    for preauth in preauths {
        let open = operations::open_of(connection, preauth.key).await?;
        let token = tokens.iter().find(|token| token.contract.address() == preauth.token.address());
        let symbol = token.map(|token| token.symbol.clone()).unwrap_or_default();
        let tenant = names.get(&preauth.tenant).cloned().unwrap_or_else(|| "unclaimed".to_owned());
        let (row, decimals, flow) = (preauth.key.0, preauth.decimals, Flow::of(&preauth));
        let snapshot = Snapshot { preauth, pending_operation: open.map(|operation| operation.kind) };
        holds.push(Hold { row, tenant, symbol, decimals, preauthorization: (&snapshot).into(), flow });
    }
    Ok(holds)
}

pub async fn list(
    _: Onlooker,
    State(state): State<AdminState>,
    Parameters(parameters): Parameters<HoldParameters>,
) -> Result<Json<HoldPage>, ApiError> {
    let mut shape = Shape::of_query();
    let limit = shape.read("limit", limit(parameters.limit.as_deref()));
    let before = shape.read_optional("before", parameters.before.as_deref().map(row));
    let (Some(limit), Some(before)) = (limit, before) else { return Err(shape.refused()) };
    let invoice = parameters.invoice.as_deref();
    let mut reader = state.api.store.read().await?;
    let page = dashboard::newest(&mut reader, invoice, before.map(PreauthKey), limit).await?;
    Ok(Json(HoldPage { data: shown(&mut reader, page).await? }))
}

pub async fn show(
    _: Onlooker,
    State(state): State<AdminState>,
    Path(id): Path<String>,
) -> Result<Json<HoldStory>, ApiError> {
    let unknown =
        || ApiError::new(StatusCode::NOT_FOUND, "preauthorization_not_found", "Preauthorization not found");
    let id = Uuid::try_parse(&id).map_err(|_| unknown())?;
    let mut reader = state.api.store.read().await?;
    let preauth = dashboard::by_transaction_id(&mut reader, id).await?.ok_or_else(unknown)?;
    let tenant = tenants::by_id(&mut reader, preauth.tenant).await?.ok_or_else(unknown)?;
    let invoice = preauth.invoice.clone();
    let hold = shown(&mut reader, vec![preauth]).await?.pop().ok_or_else(unknown)?;
    drop(reader);
    let told = state.api.preauths.timeline(&tenant, &invoice, 0, MOST_EVENTS).await?.unwrap_or_default();
    Ok(Json(HoldStory { hold, events: told.iter().map(Into::into).collect() }))
}

#[cfg(test)]
mod tests {
    use alloy::primitives::B256;

    use super::*;
    use crate::http::testing::snapshot;
    use crate::model::{Settlement, TokenAmount};

    fn flow(preauth: &Preauth) -> [u128; 4] {
        let Flow { held, received, returned, claimable } = Flow::of(preauth);
        [held, received, returned, claimable].map(|units| units.parse().unwrap())
    }

    #[test]
    fn the_parts_of_a_hold_sum_up_to_it() {
        let mut preauth = snapshot().preauth;
        assert_eq!(flow(&preauth), [165_825_000, 0, 0, 0]);
        let written = TokenAmount::parse("120.50").unwrap();
        preauth.settlement = Some(Settlement { amount: written.in_base_units(6).unwrap(), written });
        preauth.status = PreauthStatus::Settled;
        assert_eq!(flow(&preauth), [0, 120_500_000, 45_325_000, 0]);
        preauth.deferred_refund = BaseUnits::new(45_325_000);
        assert_eq!(flow(&preauth), [0, 120_500_000, 0, 45_325_000]);
        preauth.settlement = None;
        preauth.deferred_refund = None;
        preauth.status = PreauthStatus::Expired;
        preauth.lock_transaction = Some(B256::repeat_byte(4));
        assert_eq!(flow(&preauth), [0, 0, 165_825_000, 0]);
        preauth.status = PreauthStatus::Cancelled;
        preauth.lock_transaction = None;
        assert_eq!(flow(&preauth), [0; 4]);
    }
}
