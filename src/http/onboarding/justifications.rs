//! `/api/onboarding-justifications/`: a verification that failed is justified, papers are attached, staff decides.

use axum::Json;
use axum::extract::multipart::{MultipartError, MultipartRejection};
use axum::extract::{FromRequestParts, Multipart, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::openapi::schema::Type;
use utoipa::openapi::{ArrayBuilder, ObjectBuilder, OneOfBuilder, RefOr, Schema};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::fields::{MAX_TEXT_CHARS, name};
use super::{actor, refused};
use crate::http::HttpState;
use crate::http::caller::{Caller, OnboardingReader, OnboardingWriter, Staff};
use crate::http::error::ApiError;
use crate::http::json::{JsonBody, OptionalJsonBody, Parameters};
use crate::http::shape::Shape;
use crate::model::{
    DocumentFlaw, DocumentLabel, DocumentPurpose, FailureReason, MAX_DOCUMENT_BYTES, Phone, ReviewDecision,
    ReviewId,
};
use crate::onboarding::{
    DocumentWish, IfOpen, Onboarding, OnboardingRefusal, ReviewEdit, ShownDocument, ShownReview,
};

/// Where all its routes begin.
pub const PREFIX: &str = "/api/onboarding-justifications";
/// Characters of what is said at most.
const MAX_WORDS_CHARS: usize = 10_000;
const DEFAULT_PAGE_SIZE: u32 = 20;
const MAX_PAGE_SIZE: u32 = 100;
/// The last page that is looked for.
const MAX_PAGE: u32 = 100_000;

/// A justification of a failed verification.
#[derive(Debug, Serialize, ToSchema)]
pub struct OnboardingJustification {
    #[schema(format = "uuid")]
    uuid: String,
    #[schema(format = "uri")]
    verification: String,
    #[schema(format = "uuid")]
    verification_uuid: String,
    /// Of the address, or of the phone number.
    country: String,
    #[schema(format = "uri")]
    user: String,
    legal_person_identifier: String,
    legal_name: String,
    /// Why the verification failed.
    error_message: String,
    /// Always empty: what a provider says of a person is not kept.
    error_traceback: String,
    /// User's explanation for why they should be authorized.
    user_justification: String,
    #[schema(required, format = "uri")]
    validated_by: Option<String>,
    #[schema(required, format = "date-time")]
    validated_at: Option<String>,
    /// `VERIFIED` or `FAILED`, as staff decided; null: it is open.
    #[schema(required)]
    validation_decision: Option<&'static str>,
    /// Administrator notes on the review decision.
    staff_notes: String,
    supporting_documentation: Vec<SupportingDocumentation>,
    #[schema(format = "date-time")]
    created: String,
    #[schema(format = "date-time")]
    modified: String,
}

/// A document that was attached.
#[derive(Debug, Serialize, ToSchema)]
pub struct SupportingDocumentation {
    #[schema(format = "uuid")]
    uuid: String,
    /// Where it can be read with your key.
    #[schema(format = "uri")]
    file: String,
    file_name: String,
    file_size: u64,
    #[schema(format = "date-time")]
    created: String,
}

/// A justification to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OnboardingJustificationRequest {
    /// The verification's URI, or any that ends with its UUID.
    #[schema(examples("urn:uuid:019d1f7e-6c1e-7a53-b6f7-3f6d1a2b3c4d"))]
    verification: String,
    /// User's explanation for why they should be authorized.
    #[schema(max_length = 10_000)]
    user_justification: Option<String>,
}

/// A justification to be, by the verification's UUID.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OnboardingJustificationCreateRequest {
    /// UUID of the OnboardingVerification to justify.
    #[schema(format = "uuid")]
    verification_uuid: String,
    /// User's explanation for why they should be authorized.
    #[schema(max_length = 10_000)]
    user_justification: Option<String>,
}

/// What is to be changed; absent: it stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchedOnboardingJustificationRequest {
    verification: Option<String>,
    #[schema(max_length = 10_000)]
    user_justification: Option<String>,
}

/// A decision.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OnboardingJustificationReviewRequest {
    /// Administrator notes about the review decision.
    #[schema(max_length = 10_000)]
    staff_notes: Option<String>,
}

/// A document to attach.
#[derive(Debug, ToSchema)]
#[allow(dead_code)]
pub struct OnboardingJustificationDocumentationRequest {
    /// Upload supporting documentation: a JPEG, PNG or PDF of at most 4 MiB.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageParameters {
    /// A page number within the paginated result set.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100_000, default = 1)]
    page: Option<String>,
    /// Number of results to return per page.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 20)]
    page_size: Option<String>,
}

/// An error in the dialect's words: fields with what is wrong about them, or `detail`.
pub fn error(error: &ApiError) -> (StatusCode, Value) {
    let fields: Option<Vec<_>> =
        error.items().iter().map(|item| item.field.as_ref().map(|field| (field, &item.message))).collect();
    let body = match fields {
        Some(fields) if error.status() == StatusCode::BAD_REQUEST => {
            let mut body = Map::new();
            for (field, message) in fields {
                let said = body.entry(field.clone()).or_insert_with(|| json!([]));
                if let Value::Array(said) = said {
                    said.push(message.clone().into());
                }
            }
            Value::Object(body)
        }
        _ => {
            let first = error.items().first();
            json!({ "detail": first.map_or("Error", |item| item.message.as_str()) })
        }
    };
    (error.status(), body)
}

pub fn error_schema() -> RefOr<Schema> {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let value = OneOfBuilder::new().item(text()).item(ArrayBuilder::new().items(text()));
    ObjectBuilder::new()
        .description(Some("`detail`, or each field with what is wrong about it"))
        .additional_properties(Some(Schema::OneOf(value.build())))
        .into()
}

/// The review that a path names. What cannot be a name names none: 404.
pub struct ReviewPath(ReviewId);

impl FromRequestParts<HttpState> for ReviewPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, ApiError> {
        let segment = Path::<String>::from_request_parts(parts, state).await.ok();
        let id = segment.and_then(|Path(text)| Uuid::try_parse(&text).ok());
        id.map(|id| Self(ReviewId(id))).ok_or_else(|| refused(OnboardingRefusal::UnknownReview))
    }
}

/// Reads what somebody says.
pub(in crate::http) fn words(text: Option<String>) -> Option<Result<String, &'static str>> {
    text.map(|text| {
        if text.chars().count() <= MAX_WORDS_CHARS {
            Ok(text)
        } else {
            Err("must have at most 10000 characters")
        }
    })
}

/// The verification that a URI names.
fn verification(text: &str) -> Result<Uuid, &'static str> {
    let last = text.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or_default();
    Uuid::try_parse(last).map_err(|_| "must be a URI that ends with the UUID of a verification")
}

/// Whoever decided, as a URI. The keys of those who run the daemon have names of any characters.
fn urn(actor: &str) -> String {
    let mut urn = "urn:preauthd:".to_owned();
    for byte in actor.bytes() {
        match byte {
            b' ' => urn.push(':'),
            byte if byte.is_ascii_alphanumeric() || b"-._".contains(&byte) => urn.push(char::from(byte)),
            byte => urn.push_str(&format!("%{byte:02X}")),
        }
    }
    urn
}

fn body_of(onboarding: &Onboarding, review: &ShownReview) -> OnboardingJustification {
    let ShownReview { review: told, party, profile, .. } = review;
    let address = profile.main_address.as_ref().map(|address| address.country.as_str().to_owned());
    let phone = profile.phone.as_ref().and_then(Phone::country);
    let decided = told.decided.as_ref();
    OnboardingJustification {
        uuid: told.id.to_string(),
        verification: format!("urn:uuid:{}", told.verification.id),
        verification_uuid: told.verification.id.to_string(),
        country: address.or(phone).unwrap_or_default(),
        user: format!("{}/parties/{}", onboarding.public_url(), party.id),
        legal_person_identifier: profile.legal_identifier.clone().unwrap_or_default(),
        legal_name: profile.legal_name.clone().unwrap_or_default(),
        error_message: told.verification.reason.map_or("", FailureReason::as_str).to_owned(),
        error_traceback: String::new(),
        user_justification: review.justification.clone().unwrap_or_default(),
        validated_by: decided.map(|(_, by, _)| urn(by)),
        validated_at: decided.map(|(.., at)| at.to_rfc3339()),
        validation_decision: decided.map(|(decision, ..)| match decision {
            ReviewDecision::Approved => "VERIFIED",
            ReviewDecision::Rejected => "FAILED",
        }),
        staff_notes: review.staff_notes.clone().unwrap_or_default(),
        supporting_documentation: review
            .documents
            .iter()
            .map(|document| paper(onboarding, &party.id.to_string(), document))
            .collect(),
        created: told.created_at.to_rfc3339(),
        modified: told.modified_at.to_rfc3339(),
    }
}

fn paper(onboarding: &Onboarding, party: &str, document: &ShownDocument) -> SupportingDocumentation {
    SupportingDocumentation {
        uuid: document.id.to_string(),
        file: format!("{}/parties/{party}/documents/{}", onboarding.public_url(), document.id),
        file_name: document.label.file_name.clone(),
        file_size: document.bytes,
        created: document.created_at.to_rfc3339(),
    }
}

/// List Onboarding Justifications
///
/// Newest first. That you looked is in the audit log.
#[utoipa::path(
    get, path = "/api/onboarding-justifications/", operation_id = "onboarding_justifications_list",
    tag = "Onboarding justifications", params(PageParameters),
    responses((status = 200, description = "A page", body = [OnboardingJustification])),
)]
pub async fn list(
    OnboardingReader(caller): OnboardingReader,
    State(state): State<HttpState>,
    Parameters(parameters): Parameters<PageParameters>,
) -> Result<Json<Vec<OnboardingJustification>>, ApiError> {
    let number = |text: &str, most: u32| {
        let read = text.parse::<u32>().ok().filter(|number| (1..=most).contains(number));
        read.ok_or_else(|| format!("must be a number from 1 to {most}"))
    };
    let mut shape = Shape::of_query();
    let page = shape.read_optional("page", parameters.page.as_deref().map(|text| number(text, MAX_PAGE)));
    let size = parameters.page_size.as_deref().map(|text| number(text, MAX_PAGE_SIZE));
    let size = shape.read_optional("page_size", size);
    let (Some(page), Some(size)) = (page, size) else { return Err(shape.refused()) };
    let (page, size) = (page.unwrap_or(1), size.unwrap_or(DEFAULT_PAGE_SIZE));
    let onboarding = state.onboarding()?;
    let skip = page.saturating_sub(1).saturating_mul(size);
    let all = onboarding.reviews(caller.tenant.id, skip, size, &actor(&caller)).await?;
    if all.is_empty() && page > 1 {
        return Err(ApiError::new(StatusCode::NOT_FOUND, "no_such_page", "Invalid page."));
    }
    Ok(Json(all.iter().map(|review| body_of(onboarding, review)).collect()))
}

/// Retrieve
///
/// That you looked is in the audit log.
#[utoipa::path(
    get, path = "/api/onboarding-justifications/{uuid}/", operation_id = "onboarding_justifications_retrieve",
    tag = "Onboarding justifications", params(("uuid" = String, Path, format = "uuid")),
    responses((status = 200, description = "The justification", body = OnboardingJustification)),
)]
pub async fn retrieve(
    OnboardingReader(caller): OnboardingReader,
    State(state): State<HttpState>,
    ReviewPath(id): ReviewPath,
) -> Result<Json<OnboardingJustification>, ApiError> {
    let onboarding = state.onboarding()?;
    let review = onboarding.review(caller.tenant.id, id, &actor(&caller)).await?.map_err(refused)?;
    Ok(Json(body_of(onboarding, &review)))
}

async fn begin(
    state: &HttpState,
    caller: &Caller,
    field: &str,
    named: Result<Uuid, &'static str>,
    justification: Option<String>,
    if_open: IfOpen,
) -> Result<Json<OnboardingJustification>, ApiError> {
    let mut shape = Shape::of_body();
    let verification = shape.read(field, named);
    let justification = shape.read_optional("user_justification", words(justification));
    let (Some(verification), Some(justification)) = (verification, justification) else {
        return Err(shape.refused());
    };
    let onboarding = state.onboarding()?;
    let begun =
        onboarding.justify(caller.tenant.id, verification, justification, if_open, &actor(caller)).await?;
    Ok(Json(body_of(onboarding, &begun.map_err(refused)?)))
}

/// Create
///
/// Of a verification that failed. It has one open justification at most.
#[utoipa::path(
    post, path = "/api/onboarding-justifications/", operation_id = "onboarding_justifications_create",
    tag = "Onboarding justifications", request_body = OnboardingJustificationRequest,
    responses((status = 201, description = "Created", body = OnboardingJustification)),
)]
pub async fn create(
    OnboardingWriter(caller): OnboardingWriter,
    State(state): State<HttpState>,
    JsonBody(body): JsonBody<OnboardingJustificationRequest>,
) -> Result<(StatusCode, Json<OnboardingJustification>), ApiError> {
    let named = verification(&body.verification);
    let begun =
        begin(&state, &caller, "verification", named, body.user_justification, IfOpen::Refuse).await?;
    Ok((StatusCode::CREATED, begun))
}

/// Create justification for failed verification
///
/// The open one where there is one, with what is said now.
#[utoipa::path(
    post, path = "/api/onboarding-justifications/create_justification/",
    operation_id = "onboarding_justifications_create_justification", tag = "Onboarding justifications",
    request_body = OnboardingJustificationCreateRequest,
    responses((status = 200, description = "The justification", body = OnboardingJustification)),
)]
pub async fn create_justification(
    OnboardingWriter(caller): OnboardingWriter,
    State(state): State<HttpState>,
    JsonBody(body): JsonBody<OnboardingJustificationCreateRequest>,
) -> Result<Json<OnboardingJustification>, ApiError> {
    let named = Uuid::try_parse(&body.verification_uuid).map_err(|_| "must be a UUID");
    begin(&state, &caller, "verification_uuid", named, body.user_justification, IfOpen::Take).await
}

async fn edit(
    state: &HttpState,
    caller: &Caller,
    id: ReviewId,
    named: Option<String>,
    justification: Option<Option<String>>,
) -> Result<Json<OnboardingJustification>, ApiError> {
    let mut shape = Shape::of_body();
    let verification = shape.read_optional("verification", named.as_deref().map(verification));
    let said = shape.read_optional("user_justification", words(justification.clone().flatten()));
    let (Some(verification), Some(said)) = (verification, said) else { return Err(shape.refused()) };
    let edit = ReviewEdit { verification, justification: justification.map(|_| said) };
    let onboarding = state.onboarding()?;
    let changed = onboarding.edit_review(caller.tenant.id, id, edit, &actor(caller)).await?;
    Ok(Json(body_of(onboarding, &changed.map_err(refused)?)))
}

/// Update
///
/// An open one; what is absent is empty afterwards.
#[utoipa::path(
    put, path = "/api/onboarding-justifications/{uuid}/", operation_id = "onboarding_justifications_update",
    tag = "Onboarding justifications", params(("uuid" = String, Path, format = "uuid")),
    request_body = OnboardingJustificationRequest,
    responses((status = 200, description = "As it is now", body = OnboardingJustification)),
)]
pub async fn update(
    OnboardingWriter(caller): OnboardingWriter,
    State(state): State<HttpState>,
    ReviewPath(id): ReviewPath,
    JsonBody(body): JsonBody<OnboardingJustificationRequest>,
) -> Result<Json<OnboardingJustification>, ApiError> {
    edit(&state, &caller, id, Some(body.verification), Some(body.user_justification)).await
}

/// Partial Update
///
/// An open one; what is absent stays.
#[utoipa::path(
    patch, path = "/api/onboarding-justifications/{uuid}/", operation_id = "onboarding_justifications_partial_update",
    tag = "Onboarding justifications", params(("uuid" = String, Path, format = "uuid")),
    request_body = PatchedOnboardingJustificationRequest,
    responses((status = 200, description = "As it is now", body = OnboardingJustification)),
)]
pub async fn partial_update(
    OnboardingWriter(caller): OnboardingWriter,
    State(state): State<HttpState>,
    ReviewPath(id): ReviewPath,
    JsonBody(body): JsonBody<PatchedOnboardingJustificationRequest>,
) -> Result<Json<OnboardingJustification>, ApiError> {
    edit(&state, &caller, id, body.verification, body.user_justification.map(Some)).await
}

/// Delete
///
/// An open one, with what was attached. A decision stays on record.
#[utoipa::path(
    delete, path = "/api/onboarding-justifications/{uuid}/", operation_id = "onboarding_justifications_destroy",
    tag = "Onboarding justifications", params(("uuid" = String, Path, format = "uuid")),
    responses((status = 204, description = "Deleted")),
)]
pub async fn destroy(
    OnboardingWriter(caller): OnboardingWriter,
    State(state): State<HttpState>,
    ReviewPath(id): ReviewPath,
) -> Result<StatusCode, ApiError> {
    state.onboarding()?.delete_review(caller.tenant.id, id, &actor(&caller)).await?.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn decide(
    state: &HttpState,
    caller: &Caller,
    id: ReviewId,
    decision: ReviewDecision,
    body: OnboardingJustificationReviewRequest,
) -> Result<Json<OnboardingJustification>, ApiError> {
    let mut shape = Shape::of_body();
    let Some(notes) = shape.read_optional("staff_notes", words(body.staff_notes)) else {
        return Err(shape.refused());
    };
    let onboarding = state.onboarding()?;
    let decided = onboarding.decide_review(caller.tenant.id, id, decision, notes, &actor(caller)).await?;
    Ok(Json(body_of(onboarding, &decided.map_err(refused)?)))
}

/// Approve justification and mark verification as VERIFIED
///
/// Needs the scope `onboarding:staff`.
#[utoipa::path(
    post, path = "/api/onboarding-justifications/{uuid}/approve/", operation_id = "onboarding_justifications_approve",
    tag = "Onboarding justifications", params(("uuid" = String, Path, format = "uuid")),
    request_body = Option<OnboardingJustificationReviewRequest>,
    responses((status = 200, description = "Approved", body = OnboardingJustification)),
)]
pub async fn approve(
    Staff(caller): Staff,
    State(state): State<HttpState>,
    ReviewPath(id): ReviewPath,
    OptionalJsonBody(body): OptionalJsonBody<OnboardingJustificationReviewRequest>,
) -> Result<Json<OnboardingJustification>, ApiError> {
    decide(&state, &caller, id, ReviewDecision::Approved, body.unwrap_or_default()).await
}

/// Reject justification and mark verification as FAILED
///
/// Needs the scope `onboarding:staff`.
#[utoipa::path(
    post, path = "/api/onboarding-justifications/{uuid}/reject/", operation_id = "onboarding_justifications_reject",
    tag = "Onboarding justifications", params(("uuid" = String, Path, format = "uuid")),
    request_body = Option<OnboardingJustificationReviewRequest>,
    responses((status = 200, description = "Rejected", body = OnboardingJustification)),
)]
pub async fn reject(
    Staff(caller): Staff,
    State(state): State<HttpState>,
    ReviewPath(id): ReviewPath,
    OptionalJsonBody(body): OptionalJsonBody<OnboardingJustificationReviewRequest>,
) -> Result<Json<OnboardingJustification>, ApiError> {
    decide(&state, &caller, id, ReviewDecision::Rejected, body.unwrap_or_default()).await
}

/// Attach supporting document to justification
///
/// To an open one.
#[utoipa::path(
    post, path = "/api/onboarding-justifications/{uuid}/attach_document/",
    operation_id = "onboarding_justifications_attach_document", tag = "Onboarding justifications",
    params(("uuid" = String, Path, format = "uuid")),
    request_body(
        content = inline(OnboardingJustificationDocumentationRequest), content_type = "multipart/form-data",
    ),
    responses((status = 200, description = "Attached", body = SupportingDocumentation)),
)]
pub async fn attach_document(
    OnboardingWriter(caller): OnboardingWriter,
    State(state): State<HttpState>,
    ReviewPath(id): ReviewPath,
    form: Result<Multipart, MultipartRejection>,
) -> Result<Json<SupportingDocumentation>, ApiError> {
    let form = form.map_err(|_| {
        ApiError::of_status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
            .detail("attach_document takes multipart/form-data")
    })?;
    let (file_name, bytes) = file_of(form).await?;
    let label = DocumentLabel {
        kind: None,
        side: None,
        country: None,
        file_name,
        valid_from: None,
        valid_until: None,
    };
    let wish = DocumentWish { purpose: DocumentPurpose::Supporting, label, bytes };
    let onboarding = state.onboarding()?;
    let attached = onboarding.attach(caller.tenant.id, id, wish, &actor(&caller)).await?;
    let (party, document) = attached.map_err(refused)?;
    Ok(Json(paper(onboarding, &party.to_string(), &document)))
}

/// Name and bytes of the one file in a form.
async fn file_of(mut form: Multipart) -> Result<(String, Vec<u8>), ApiError> {
    let malformed = |error: MultipartError| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::of_status(StatusCode::PAYLOAD_TOO_LARGE),
        _ => ApiError::new(StatusCode::BAD_REQUEST, "malformed_form", "The form cannot be read"),
    };
    let mut shape = Shape::of_body();
    let mut file = None;
    while let Some(mut field) = form.next_field().await.map_err(malformed)? {
        let field_name = field.name().unwrap_or_default().to_owned();
        if field_name != "file" || file.is_some() {
            let why = if field_name == "file" { "is given twice" } else { "is not known here" };
            let field_name: String = field_name.chars().take(MAX_TEXT_CHARS).collect();
            shape.read::<(), _>(if field_name.is_empty() { "file" } else { &field_name }, Err(why));
            return Err(shape.refused());
        }
        let file_name = field.file_name().unwrap_or("file").to_owned();
        let mut bytes = Vec::new();
        while let Some(chunk) = field.chunk().await.map_err(malformed)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAX_DOCUMENT_BYTES {
                return Err(refused(OnboardingRefusal::BadDocument(DocumentFlaw::TooLarge)));
            }
        }
        file = Some((file_name, bytes));
    }
    let Some((file_name, bytes)) = file else {
        shape.read::<(), _>("file", Err("is missing"));
        return Err(shape.refused());
    };
    let Some(file_name) =
        shape.read("file", name(&file_name).map_err(|why| format!("has a name that {why}")))
    else {
        return Err(shape.refused());
    };
    Ok((file_name, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_decided_is_a_uri() {
        assert_eq!(urn("key pk_01234567"), "urn:preauthd:key:pk_01234567");
        assert_eq!(urn("key pad_01234567 Zoë/#1"), "urn:preauthd:key:pad_01234567:Zo%C3%AB%2F%231");
    }
}
