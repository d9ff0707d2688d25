//! `POST /terms-and-conditions`, `GET /terms-and-conditions`: what parties accept.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{actor, refused};
use crate::http::HttpState;
use crate::http::caller::{OnboardingReader, Staff};
use crate::http::error::ApiError;
use crate::http::json::{JsonBody, Parameters};
use crate::http::shape::Shape;
use crate::model::{Language, TermsName, TermsText};

/// Characters of a text at most.
const MAX_TEXT_CHARS: usize = 50_000;

/// A version of the terms, in one language.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTerms {
    /// A new name makes a new version, which everybody has to accept.
    #[schema(pattern = "^[A-Za-z0-9._-]{1,32}$", examples("1.0"))]
    version: String,
    #[schema(pattern = "^[a-z]{2}(-[A-Z]{2})?$", default = "en")]
    language: Option<String>,
    #[schema(min_length = 1, max_length = 50_000)]
    text: String,
}

/// A version of the terms, in one language.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TermsBody {
    /// What `lastTermsAccepted` names.
    pub version: String,
    pub language: String,
    pub text: String,
    /// Whether there is no newer version.
    pub newest: bool,
    #[schema(format = "date-time")]
    pub published_at: String,
}

/// Which terms to show.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TermsParameters {
    /// Default: the newest.
    #[param(pattern = "^[A-Za-z0-9._-]{1,32}$")]
    pub version: Option<String>,
    #[param(default = "en", pattern = "^[a-z]{2}(-[A-Z]{2})?$")]
    pub language: Option<String>,
}

impl From<TermsText> for TermsBody {
    fn from(terms: TermsText) -> Self {
        Self {
            version: terms.version.name.as_str().to_owned(),
            language: terms.language.as_str().to_owned(),
            text: terms.text,
            newest: terms.newest,
            published_at: terms.version.published_at.to_rfc3339(),
        }
    }
}

/// Publish terms
///
/// A version whose name is new is the one that counts from now on: parties that have to accept the terms are not verified until they
/// accept it. The same name with another language is a translation.
#[utoipa::path(
    post, path = "/terms-and-conditions", operation_id = "publishTerms", tag = "Terms", request_body = NewTerms,
    responses((status = 201, description = "Published", body = TermsBody)),
)]
pub async fn publish(
    Staff(caller): Staff,
    State(state): State<HttpState>,
    JsonBody(body): JsonBody<NewTerms>,
) -> Result<(StatusCode, Json<TermsBody>), ApiError> {
    let mut shape = Shape::of_body();
    let version = shape.read("version", TermsName::parse(&body.version));
    let language = shape.read("language", language(body.language.as_deref()));
    let length = body.text.chars().count();
    let is_good = (1..=MAX_TEXT_CHARS).contains(&length);
    let text = if is_good { Ok(body.text) } else { Err("must have 1 to 50000 characters") };
    let text = shape.read("text", text);
    let (Some(version), Some(language), Some(text)) = (version, language, text) else {
        return Err(shape.refused());
    };
    let onboarding = state.onboarding()?;
    let published =
        onboarding.publish_terms(caller.tenant.id, version, language, text, &actor(&caller)).await?;
    Ok((StatusCode::CREATED, Json(published.map_err(refused)?.into())))
}

/// Download the terms
///
/// The newest version, in English, unless you ask for another.
#[utoipa::path(
    get, path = "/terms-and-conditions", operation_id = "getTerms", tag = "Terms", params(TermsParameters),
    responses((status = 200, description = "The terms", body = TermsBody)),
)]
pub async fn get(
    OnboardingReader(caller): OnboardingReader,
    State(state): State<HttpState>,
    Parameters(parameters): Parameters<TermsParameters>,
) -> Result<Json<TermsBody>, ApiError> {
    let mut shape = Shape::of_query();
    let version = shape.read_optional("version", parameters.version.as_deref().map(TermsName::parse));
    let language = shape.read("language", language(parameters.language.as_deref()));
    let (Some(version), Some(language)) = (version, language) else { return Err(shape.refused()) };
    let found = state.onboarding()?.terms(caller.tenant.id, version, language).await?;
    Ok(Json(found.map_err(refused)?.into()))
}

fn language(text: Option<&str>) -> Result<Language, &'static str> {
    text.map_or_else(|| Ok(Language::english()), Language::parse)
}
