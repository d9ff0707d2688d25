//! `POST /parties/{partyId}/wallets`, `DELETE /parties/{partyId}/wallets/{address}`: whose a wallet is.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::parties::{PartyBody, shown};
use super::{PartyPath, actor, party_id, refused};
use crate::http::HttpState;
use crate::http::caller::OnboardingWriter;
use crate::http::error::ApiError;
use crate::http::json::{JsonBody, Parameters};
use crate::http::shape::Shape;
use crate::http::wallets::{Role, role};
use crate::model::Account;
use crate::onboarding::{OnboardingRefusal, PartyWallet};

/// A wallet of a party.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TiedWallet {
    /// As it was written.
    pub address: String,
    pub role: Role,
    #[schema(format = "date-time")]
    pub tied_at: String,
}

/// Whose wallet to note.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WalletToTie {
    #[schema(
        format = "address",
        pattern = "^0x(?!0{40}$)[0-9a-fA-F]{40}$",
        examples("0xaec528683845350e9bfc937e0f6c72bc999b5123")
    )]
    address: String,
    #[schema(value_type = Role)]
    role: String,
}

/// Which wallet to untie.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UntieParameters {
    /// Only in this role. Default: in both.
    #[param(value_type = Option<Role>)]
    pub role: Option<String>,
}

impl From<&PartyWallet> for TiedWallet {
    fn from(wallet: &PartyWallet) -> Self {
        Self {
            address: wallet.account.written().to_owned(),
            role: wallet.role.into(),
            tied_at: wallet.tied_at.to_rfc3339(),
        }
    }
}

/// Tie a wallet to a party
///
/// You vouch for it that the wallet is the party's. It may be registered before or after (`POST /wallets`): that says whether it may
/// be named in a preauthorization, this says who is behind it. Tying it again changes nothing.
#[utoipa::path(
    post, path = "/parties/{partyId}/wallets", operation_id = "tieWallet", tag = "Parties",
    params(("partyId" = String, Path, format = "uuid")), request_body = WalletToTie,
    responses((status = 200, description = "The party and its wallets", body = PartyBody)),
)]
pub async fn tie(
    OnboardingWriter(caller): OnboardingWriter,
    State(state): State<HttpState>,
    PartyPath(id): PartyPath,
    JsonBody(body): JsonBody<WalletToTie>,
) -> Result<Json<PartyBody>, ApiError> {
    let mut shape = Shape::of_body();
    let account = shape.read("address", Account::parse(&body.address));
    let role = shape.read("role", role(&body.role));
    let (Some(account), Some(role)) = (account, role) else { return Err(shape.refused()) };
    let tied = state.onboarding()?.tie_wallet(caller.tenant.id, id, account, role, &actor(&caller)).await?;
    tied.map_err(refused)?;
    shown(&state, &caller, id).await
}

/// Untie a wallet from a party
///
/// Open preauthorizations with it go on.
#[utoipa::path(
    delete, path = "/parties/{partyId}/wallets/{address}", operation_id = "untieWallet", tag = "Parties",
    params(
        ("partyId" = String, Path, format = "uuid"),
        ("address" = String, Path, format = "address", pattern = "^0x(?!0{40}$)[0-9a-fA-F]{40}$", description = "The wallet"),
        UntieParameters,
    ),
    responses((status = 204, description = "Untied")),
)]
pub async fn untie(
    OnboardingWriter(caller): OnboardingWriter,
    State(state): State<HttpState>,
    Path((party, address)): Path<(String, String)>,
    Parameters(parameters): Parameters<UntieParameters>,
) -> Result<StatusCode, ApiError> {
    let id = party_id(&party).ok_or_else(|| refused(OnboardingRefusal::UnknownParty))?;
    let mut shape = Shape::of_query();
    let account = shape.read("address", Account::parse(&address));
    let role = shape.read_optional("role", parameters.role.as_deref().map(role));
    let (Some(account), Some(role)) = (account, role) else { return Err(shape.refused()) };
    let onboarding = state.onboarding()?;
    let untied =
        onboarding.untie_wallet(caller.tenant.id, id, account.address(), role, &actor(&caller)).await?;
    untied.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}
