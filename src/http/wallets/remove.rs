//! `DELETE /wallets/{address}`.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Role, role};
use crate::http::HttpState;
use crate::http::caller::Writer;
use crate::http::error::ApiError;
use crate::http::json::Parameters;
use crate::http::shape::Shape;
use crate::model::Account;

/// Which registration to remove.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RemovalParameters {
    /// Only in this role. Default: in both.
    #[param(value_type = Option<Role>)]
    pub role: Option<String>,
}

/// Remove a wallet
///
/// Stops new preauthorizations with it. Open ones go on: they are settled, cancelled or expire as if nothing happened.
#[utoipa::path(
    delete, path = "/wallets/{address}", operation_id = "removeWallet", tag = "Wallets",
    params(("address" = String, Path, description = "The wallet, in any spelling"), RemovalParameters),
    responses((status = 204, description = "Removed")),
)]
pub async fn remove(
    Writer(caller): Writer,
    State(state): State<HttpState>,
    Path(address): Path<String>,
    Parameters(parameters): Parameters<RemovalParameters>,
) -> Result<StatusCode, ApiError> {
    let mut shape = Shape::of_query();
    let account = shape.read("address", Account::parse(&address));
    let role = shape.read_optional("role", parameters.role.as_deref().map(role));
    let (Some(account), Some(role)) = (account, role) else { return Err(shape.refused()) };
    if state.preauths.remove_wallet(&caller.tenant, account.address(), role).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(not_registered())
    }
}

/// There is no such registration.
pub fn not_registered() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "wallet_not_registered", "Wallet not registered").field("address")
}
