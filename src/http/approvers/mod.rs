//! Whom a tenant wants to be asked before a hold is locked: `/approvers`.

pub mod change;
pub mod manage;
pub mod rotate;
pub mod test;

use axum::extract::{FromRequestParts, Path};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Object;
use uuid::Uuid;

use super::HttpState;
use super::error::ApiError;
use super::words::one_of;
use crate::approvers::{ApproverFault, ApproverRefusal};
use crate::model::{Approver, Decision};

/// An approver: a system of yours that is asked before a hold is locked.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Approver)]
pub struct ApproverBody {
    #[schema(format = "uuid")]
    pub id: String,
    #[schema(examples("fraud"))]
    pub name: String,
    #[schema(format = "uri")]
    pub url: String,
    /// How long its answer may take, in milliseconds.
    pub time_limit_ms: u32,
    /// Whether it is asked.
    pub enabled: bool,
    /// Until when the key before signs, too; null where there is none.
    #[schema(required, format = "date-time")]
    pub old_key_until: Option<String>,
    #[schema(format = "date-time")]
    pub created_at: String,
}

/// An approver with its key.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApproverWithSecret {
    #[serde(flatten)]
    pub approver: ApproverBody,
    /// `whsec_…`, shown this once.
    pub secret: String,
}

impl From<&Approver> for ApproverBody {
    fn from(approver: &Approver) -> Self {
        Self {
            id: approver.id.to_string(),
            name: approver.name.as_str().to_owned(),
            url: approver.url.clone(),
            time_limit_ms: approver.time_limit_ms,
            enabled: approver.enabled,
            old_key_until: approver.old_secret.as_ref().map(|(_, until)| until.to_rfc3339()),
            created_at: approver.created_at.to_rfc3339(),
        }
    }
}

/// The words for what came of asking, in the document.
pub(super) fn decisions() -> Object {
    let meaning = "`approved`, `refused`; `unavailable`: it gave no answer that counts; `withdrawn`: another one had refused, \
        and its answer was not waited for.";
    one_of(meaning, Decision::ALL.map(Decision::as_str))
}

/// The approver that a path names. What cannot be a name names none: 404.
pub struct ApproverPath(pub Uuid);

impl FromRequestParts<HttpState> for ApproverPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, ApiError> {
        let segment = Path::<String>::from_request_parts(parts, state).await.ok();
        let id = segment.and_then(|Path(text)| Uuid::try_parse(&text).ok());
        id.map(Self).ok_or_else(|| refused(ApproverRefusal::Unknown))
    }
}

/// The answer to a refused wish.
pub fn refused(refusal: ApproverRefusal) -> ApiError {
    match refusal {
        ApproverRefusal::Url(why) => {
            ApiError::new(StatusCode::BAD_REQUEST, "invalid_field", format!("url {why}")).field("url")
        }
        ApproverRefusal::NameTaken => {
            let message = "An approver of this name is there already";
            ApiError::new(StatusCode::CONFLICT, "approver_exists", message).field("name")
        }
        ApproverRefusal::TooMany(most) => {
            let message = format!("A tenant has at most {most} approvers");
            ApiError::new(StatusCode::CONFLICT, "too_many_approvers", message)
        }
        ApproverRefusal::Unknown => {
            ApiError::new(StatusCode::NOT_FOUND, "approver_not_found", "Approver not found")
        }
    }
}

impl From<ApproverFault> for ApiError {
    fn from(fault: ApproverFault) -> Self {
        match fault {
            ApproverFault::Store(error) => error.into(),
            other => {
                tracing::error!(error = %other, "a request about approvers failed");
                Self::internal()
            }
        }
    }
}

/// Checks a time limit.
fn time_limit(time_limit_ms: u64) -> Result<u32, &'static str> {
    u32::try_from(time_limit_ms)
        .ok()
        .filter(|time_limit| Approver::TIME_LIMITS_MS.contains(time_limit))
        .ok_or(BAD_TIME_LIMIT)
}

pub(super) const BAD_TIME_LIMIT: &str = "must be a number from 100 to 10000";
