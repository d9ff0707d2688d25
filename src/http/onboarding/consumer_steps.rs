//! What a consumer does after he was created: he proves that the number is his, who he is, and, if he likes, that the address is his.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{PartyPath, actor, refused};
use crate::http::HttpState;
use crate::http::caller::{Caller, OnboardingWriter};
use crate::http::error::ApiError;
use crate::http::json::JsonBody;
use crate::http::shape::Shape;
use crate::model::{ChallengeKind, PartyId};
use crate::onboarding::SentChallenge;

/// Digits of a code.
const CODE_DIGITS: usize = 6;

/// What was sent.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sent {
    /// Until when it can be answered.
    #[schema(format = "date-time")]
    pub expires_at: String,
}

/// A link that was sent.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SentLink {
    /// Until when it can be followed.
    #[schema(format = "date-time")]
    pub expires_at: String,
    /// Only in the sandbox, where nothing is sent; else null.
    #[schema(required, format = "uri")]
    pub url: Option<String>,
}

/// A link for a consumer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct KycLink {
    /// For you to send. It is shown this once, and works once.
    #[schema(format = "uri")]
    pub url: String,
    /// Until when it can be followed.
    #[schema(format = "date-time")]
    pub expires_at: String,
}

/// The code that a consumer was sent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PhoneCode {
    #[schema(pattern = "^[0-9]{6}$", examples("123456"))]
    code: String,
}

async fn send(
    state: &HttpState,
    caller: &Caller,
    id: PartyId,
    kind: ChallengeKind,
) -> Result<SentChallenge, ApiError> {
    let sent = state.onboarding()?.send_challenge(caller.tenant.id, id, kind, &actor(caller)).await?;
    sent.map_err(refused)
}

/// Send a phone verification code by SMS
///
/// Six digits, good for ten minutes and five tries; the one before is good for nothing from now on. At most five an hour. In the
/// sandbox nothing is sent, and the code is 123456.
#[utoipa::path(
    post, path = "/consumers/{consumerId}/phone/verification-code", operation_id = "sendPhoneCode", tag = "Consumers",
    params(("consumerId" = String, Path, format = "uuid")),
    responses((status = 200, description = "Sent", body = Sent)),
)]
pub async fn send_code(
    OnboardingWriter(caller): OnboardingWriter,
    State(state): State<HttpState>,
    PartyPath(id): PartyPath,
) -> Result<Json<Sent>, ApiError> {
    let sent = send(&state, &caller, id, ChallengeKind::PhoneCode).await?;
    Ok(Json(Sent { expires_at: sent.lapses_at.to_rfc3339() }))
}

/// Verify a phone verification code
///
/// Afterwards `phone.verified` is true.
#[utoipa::path(
    post, path = "/consumers/{consumerId}/phone/verification-code/verify", operation_id = "verifyPhoneCode",
    tag = "Consumers", params(("consumerId" = String, Path, format = "uuid")), request_body = PhoneCode,
    responses((status = 204, description = "Verified")),
)]
pub async fn verify_code(
    OnboardingWriter(caller): OnboardingWriter,
    State(state): State<HttpState>,
    PartyPath(id): PartyPath,
    JsonBody(body): JsonBody<PhoneCode>,
) -> Result<StatusCode, ApiError> {
    let is_code = body.code.len() == CODE_DIGITS && body.code.bytes().all(|byte| byte.is_ascii_digit());
    let mut shape = Shape::of_body();
    let code = if is_code { Ok(body.code) } else { Err("must be 6 digits") };
    let Some(code) = shape.read("code", code) else { return Err(shape.refused()) };
    let answered = state.onboarding()?.answer_code(caller.tenant.id, id, code, &actor(&caller)).await?;
    answered.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Send an e-mail verification link by e-mail
///
/// Good for a day; the one before is good for nothing from now on. At most five an hour.
#[utoipa::path(
    post, path = "/consumers/{consumerId}/email/verification-link", operation_id = "sendEmailLink", tag = "Consumers",
    params(("consumerId" = String, Path, format = "uuid")),
    responses((status = 200, description = "Sent", body = SentLink)),
)]
pub async fn send_link(
    OnboardingWriter(caller): OnboardingWriter,
    State(state): State<HttpState>,
    PartyPath(id): PartyPath,
) -> Result<Json<SentLink>, ApiError> {
    let sent = send(&state, &caller, id, ChallengeKind::EmailLink).await?;
    Ok(Json(SentLink { expires_at: sent.lapses_at.to_rfc3339(), url: sent.link }))
}

/// Get a link to prove an identity
///
/// Send it to the consumer. When he follows it, a verification begins; how it ends is told by `verification.completed`, and by
/// `kyc` of the consumer. At most five verifications of a consumer.
#[utoipa::path(
    post, path = "/consumers/{consumerId}/kyc-link", operation_id = "makeKycLink", tag = "Consumers",
    params(("consumerId" = String, Path, format = "uuid")),
    responses((status = 201, description = "Made", body = KycLink)),
)]
pub async fn make_kyc_link(
    OnboardingWriter(caller): OnboardingWriter,
    State(state): State<HttpState>,
    PartyPath(id): PartyPath,
) -> Result<(StatusCode, Json<KycLink>), ApiError> {
    let sent = send(&state, &caller, id, ChallengeKind::IdentityLink).await?;
    let url = sent.link.ok_or_else(ApiError::internal)?;
    Ok((StatusCode::CREATED, Json(KycLink { url, expires_at: sent.lapses_at.to_rfc3339() })))
}
