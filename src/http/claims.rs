//! `GET /claims`.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::HttpState;
use super::caller::Reader;
use super::cursor::{self, List};
use super::error::ApiError;
use super::json::Parameters;
use super::list::{NO_CURSOR, limit};
use super::shape::Shape;
use crate::model::{Preauth, PreauthKey};

/// Which claims to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ClaimParameters {
    /// How many at most, 1 to 100.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 20)]
    pub limit: Option<String>,
    /// The `nextCursor` of the page before.
    pub cursor: Option<String>,
}

/// A refund that the token refused, and that its sender has not claimed yet.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    pub invoice_id: String,
    /// To whom it belongs. `claim(sender, token)` on the escrow pays him, whoever calls it.
    pub sender: String,
    pub contract_address: String,
    /// The contract that holds it.
    pub escrow: String,
    /// In whole tokens.
    #[schema(examples("30.25"))]
    pub amount: String,
    /// In base units of the token.
    #[schema(examples("30250000"))]
    pub base_units: String,
    /// The transaction that put it off.
    #[schema(required)]
    pub transaction_hash: Option<String>,
}

impl From<&Preauth> for Claim {
    fn from(preauth: &Preauth) -> Self {
        let refund = preauth.deferred_refund.unwrap_or_default();
        Self {
            invoice_id: preauth.invoice.to_string(),
            sender: preauth.sender.written().to_owned(),
            contract_address: preauth.token.written().to_owned(),
            escrow: preauth.escrow.to_checksum(None),
            amount: refund.in_tokens(preauth.decimals).to_string(),
            base_units: refund.to_string(),
            transaction_hash: preauth.close_transaction.map(|hash| hash.to_string()),
        }
    }
}

/// A page of refunds that wait.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimPage {
    pub data: Vec<Claim>,
    /// Whether there is a next page.
    pub has_more: bool,
    /// For the next page; null on the last.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

/// List refunds that wait
///
/// What tokens refused to send back to your payers, and what these have not claimed yet: blocked accounts, paused tokens.
#[utoipa::path(
    get, path = "/claims", operation_id = "listClaims", tag = "Reports", params(ClaimParameters),
    responses((status = 200, description = "A page", body = ClaimPage)),
)]
pub async fn list(
    Reader(caller): Reader,
    State(state): State<HttpState>,
    Parameters(parameters): Parameters<ClaimParameters>,
) -> Result<Json<ClaimPage>, ApiError> {
    let tenant = caller.tenant.id;
    let mut shape = Shape::of_query();
    let limit = shape.read("limit", limit(parameters.limit.as_deref()));
    let after = parameters.cursor.as_deref().map_or(Ok(0), |cursor| {
        cursor::decode(List::Claims, tenant, cursor).and_then(|last| last.parse().ok()).ok_or(NO_CURSOR)
    });
    let after = shape.read("cursor", after);
    let (Some(limit), Some(after)) = (limit, after) else { return Err(shape.refused()) };
    let mut waiting = state.preauths.claims(tenant, PreauthKey(after), limit + 1).await?;
    let shown = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = waiting.len() > shown;
    waiting.truncate(shown);
    let last = waiting.last().filter(|_| has_more);
    let next_cursor = last.map(|last| cursor::encode(List::Claims, tenant, &last.key.0.to_string()));
    Ok(Json(ClaimPage { data: waiting.iter().map(Into::into).collect(), has_more, next_cursor }))
}
