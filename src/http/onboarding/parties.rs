//! `GET /parties`, `GET /parties/{partyId}`, `POST /parties/{partyId}/suspend|resume|reject`, `DELETE /parties/{partyId}`: parties,
//! by whichever dialect they came in. Nothing personal is shown here.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::wallets::TiedWallet;
use super::{PartyPath, actor, refused};
use crate::http::HttpState;
use crate::http::caller::{Caller, OnboardingReader, Staff};
use crate::http::cursor::{self, List};
use crate::http::error::ApiError;
use crate::http::event_view::party_statuses;
use crate::http::json::Parameters;
use crate::http::list::{NO_CURSOR, limit};
use crate::http::shape::Shape;
use crate::http::words::one_of;
use crate::model::{
    BarEvent, FailureReason, Party, PartyId, PartyKind, Requirement, RequirementKind, RequirementStatus,
    Verification, VerificationState,
};
use crate::onboarding::ShownParty;

/// Something that is asked of a party.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Requirement)]
pub struct RequirementBody {
    #[serde(rename = "type")]
    #[schema(schema_with = requirement_kinds)]
    pub kind: &'static str,
    /// Why it is asked for, for people.
    pub reason: &'static str,
    /// Whether the party cannot be verified without it.
    pub mandatory: bool,
    #[schema(schema_with = requirement_statuses)]
    pub status: &'static str,
    /// The statuses it can come to.
    pub allowed_statuses: Vec<&'static str>,
}

/// A verification of an identity.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Verification)]
pub struct VerificationBody {
    #[schema(format = "uuid")]
    pub id: String,
    #[schema(schema_with = verification_states)]
    pub status: &'static str,
    /// Why it failed; else null.
    #[schema(required, schema_with = failure_reasons)]
    pub reason: Option<&'static str>,
    #[schema(format = "date-time")]
    pub created_at: String,
}

/// A party in a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartyLine {
    #[schema(format = "uuid")]
    pub id: String,
    #[serde(rename = "type")]
    #[schema(schema_with = party_kinds)]
    pub kind: &'static str,
    #[schema(required)]
    pub external_id: Option<String>,
    #[schema(schema_with = party_statuses)]
    pub status: &'static str,
    #[schema(format = "date-time")]
    pub created_at: String,
}

/// A party, and why it stands where it stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Party)]
pub struct PartyBody {
    #[serde(flatten)]
    pub line: PartyLine,
    pub requirements: Vec<RequirementBody>,
    /// The newest; null: none was begun.
    #[schema(required)]
    pub verification: Option<VerificationBody>,
    /// Its wallets.
    pub wallets: Vec<TiedWallet>,
}

/// A page of parties, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartyPage {
    pub data: Vec<PartyLine>,
    /// Whether there is a next page.
    pub has_more: bool,
    /// For the next page; null on the last.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

/// Which parties to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PartyParameters {
    /// How many at most, 1 to 100.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 20)]
    pub limit: Option<String>,
    /// The `nextCursor` of the page before.
    pub cursor: Option<String>,
}

fn party_kinds() -> utoipa::openapi::Object {
    one_of("What the party is", PartyKind::ALL.map(PartyKind::as_str))
}

fn requirement_kinds() -> utoipa::openapi::Object {
    one_of("What is asked for", RequirementKind::ALL.map(RequirementKind::as_str))
}

fn requirement_statuses() -> utoipa::openapi::Object {
    one_of(
        "`in_progress`: something is under way that will tell",
        RequirementStatus::ALL.map(RequirementStatus::as_str),
    )
}

fn verification_states() -> utoipa::openapi::Object {
    one_of("Where it stands", VerificationState::ALL.map(VerificationState::as_str))
}

fn failure_reasons() -> utoipa::openapi::Schema {
    let words = FailureReason::ALL.map(|reason| Some(reason.as_str())).into_iter().chain([None]);
    utoipa::openapi::ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::SchemaType::from_iter([
            utoipa::openapi::schema::Type::String,
            utoipa::openapi::schema::Type::Null,
        ]))
        .description(Some("Why it failed; else null"))
        .enum_values(Some(words))
        .into()
}

impl From<&Requirement> for RequirementBody {
    fn from(requirement: &Requirement) -> Self {
        Self {
            kind: requirement.kind.as_str(),
            reason: requirement.kind.reason(),
            mandatory: requirement.mandatory,
            status: requirement.status.as_str(),
            allowed_statuses: requirement.kind.allowed().iter().map(|status| status.as_str()).collect(),
        }
    }
}

impl From<&Verification> for VerificationBody {
    fn from(verification: &Verification) -> Self {
        Self {
            id: verification.id.to_string(),
            status: verification.state.as_str(),
            reason: verification.reason.map(FailureReason::as_str),
            created_at: verification.created_at.to_rfc3339(),
        }
    }
}

impl From<&Party> for PartyLine {
    fn from(party: &Party) -> Self {
        Self {
            id: party.id.to_string(),
            kind: party.kind.as_str(),
            external_id: party.external_id.as_ref().map(|id| id.as_str().to_owned()),
            status: party.status().as_str(),
            created_at: party.created_at.to_rfc3339(),
        }
    }
}

impl From<&ShownParty> for PartyBody {
    fn from(shown: &ShownParty) -> Self {
        Self {
            line: (&shown.party).into(),
            requirements: shown.party.requirements.iter().map(Into::into).collect(),
            verification: shown.verification.as_ref().map(Into::into),
            wallets: shown.wallets.iter().map(Into::into).collect(),
        }
    }
}

/// List parties
///
/// Newest first.
#[utoipa::path(
    get, path = "/parties", operation_id = "listParties", tag = "Parties", params(PartyParameters),
    responses((status = 200, description = "A page", body = PartyPage)),
)]
pub async fn list(
    OnboardingReader(caller): OnboardingReader,
    State(state): State<HttpState>,
    Parameters(parameters): Parameters<PartyParameters>,
) -> Result<Json<PartyPage>, ApiError> {
    let tenant = caller.tenant.id;
    let mut shape = Shape::of_query();
    let limit = shape.read("limit", limit(parameters.limit.as_deref()));
    let before = parameters.cursor.as_deref().map(|cursor| {
        let last = cursor::decode(List::Parties, tenant, cursor);
        last.and_then(|last| last.parse::<i64>().ok()).ok_or(NO_CURSOR)
    });
    let before = shape.read_optional("cursor", before);
    let (Some(limit), Some(before)) = (limit, before) else { return Err(shape.refused()) };
    let mut page = state.onboarding()?.list(tenant, before, limit + 1).await?;
    let shown = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = page.len() > shown;
    page.truncate(shown);
    let last = page.last().filter(|_| has_more);
    let next_cursor = last.map(|party| cursor::encode(List::Parties, tenant, &party.key.0.to_string()));
    Ok(Json(PartyPage { data: page.iter().map(Into::into).collect(), has_more, next_cursor }))
}

/// Get a party
///
/// Where it stands, and what is still open.
#[utoipa::path(
    get, path = "/parties/{partyId}", operation_id = "getParty", tag = "Parties",
    params(("partyId" = String, Path, format = "uuid")),
    responses((status = 200, description = "The party", body = PartyBody)),
)]
pub async fn get(
    OnboardingReader(caller): OnboardingReader,
    State(state): State<HttpState>,
    PartyPath(id): PartyPath,
) -> Result<Json<PartyBody>, ApiError> {
    shown(&state, &caller, id).await
}

/// Suspend a party
///
/// Its wallets take part in nothing new, where the setting `requireVerifiedParty` is on; what is open still settles, is cancelled or
/// expires. Suspending it again changes nothing.
#[utoipa::path(
    post, path = "/parties/{partyId}/suspend", operation_id = "suspendParty", tag = "Parties",
    params(("partyId" = String, Path, format = "uuid")),
    responses((status = 200, description = "The party as it stands now", body = PartyBody)),
)]
pub async fn suspend(
    Staff(caller): Staff,
    State(state): State<HttpState>,
    PartyPath(id): PartyPath,
) -> Result<Json<PartyBody>, ApiError> {
    decided(&state, &caller, id, BarEvent::Suspend).await
}

/// Resume a party
///
/// Takes back a suspension or a rejection: where it stands follows from its requirements again.
#[utoipa::path(
    post, path = "/parties/{partyId}/resume", operation_id = "resumeParty", tag = "Parties",
    params(("partyId" = String, Path, format = "uuid")),
    responses((status = 200, description = "The party as it stands now", body = PartyBody)),
)]
pub async fn resume(
    Staff(caller): Staff,
    State(state): State<HttpState>,
    PartyPath(id): PartyPath,
) -> Result<Json<PartyBody>, ApiError> {
    decided(&state, &caller, id, BarEvent::Resume).await
}

/// Reject a party
///
/// It is not verified, whatever it does.
#[utoipa::path(
    post, path = "/parties/{partyId}/reject", operation_id = "rejectParty", tag = "Parties",
    params(("partyId" = String, Path, format = "uuid")),
    responses((status = 200, description = "The party as it stands now", body = PartyBody)),
)]
pub async fn reject(
    Staff(caller): Staff,
    State(state): State<HttpState>,
    PartyPath(id): PartyPath,
) -> Result<Json<PartyBody>, ApiError> {
    decided(&state, &caller, id, BarEvent::Reject).await
}

/// Delete a party
///
/// The key of its personal data is destroyed. Its id remains in events; its wallets are tied to nobody.
#[utoipa::path(
    delete, path = "/parties/{partyId}", operation_id = "deleteParty", tag = "Parties",
    params(("partyId" = String, Path, format = "uuid")),
    responses((status = 204, description = "Deleted")),
)]
pub async fn delete(
    Staff(caller): Staff,
    State(state): State<HttpState>,
    PartyPath(id): PartyPath,
) -> Result<StatusCode, ApiError> {
    state.onboarding()?.delete(caller.tenant.id, id, &actor(&caller)).await?.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn shown(
    state: &HttpState,
    caller: &Caller,
    id: PartyId,
) -> Result<Json<PartyBody>, ApiError> {
    let shown = state.onboarding()?.show(caller.tenant.id, id).await?.map_err(refused)?;
    Ok(Json((&shown).into()))
}

async fn decided(
    state: &HttpState,
    caller: &Caller,
    id: PartyId,
    event: BarEvent,
) -> Result<Json<PartyBody>, ApiError> {
    state.onboarding()?.decide(caller.tenant.id, id, event, &actor(caller)).await?.map_err(refused)?;
    shown(state, caller, id).await
}
