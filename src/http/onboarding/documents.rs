//! `POST` and `GET /parties/{partyId}/documents`, `GET /parties/{partyId}/documents/{documentId}`: documents, by whichever dialect
//! they came in.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::Object;
use uuid::Uuid;

use super::fields::{content, date, name};
use super::{PartyPath, actor, party_id, refused};
use crate::http::HttpState;
use crate::http::caller::{OnboardingReader, OnboardingWriter};
use crate::http::error::ApiError;
use crate::http::json::JsonBody;
use crate::http::shape::Shape;
use crate::http::words::one_of;
use crate::model::{
    Country, DocumentId, DocumentLabel, DocumentPurpose, DocumentSide, DocumentState, FailureReason,
};
use crate::onboarding::{DocumentWish, OnboardingRefusal, ShownDocument};

/// A document to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewDocument {
    #[schema(schema_with = purposes)]
    purpose: String,
    /// What kind of document it is, in your words.
    #[serde(rename = "type")]
    #[schema(min_length = 1, max_length = 511)]
    kind: Option<String>,
    #[schema(schema_with = sides)]
    side: Option<String>,
    /// Of the authority that issued it.
    #[schema(min_length = 2, max_length = 2, examples("FR"))]
    country: Option<String>,
    #[schema(min_length = 1, max_length = 511, examples("bill.pdf"))]
    file_name: String,
    #[schema(format = "date")]
    valid_from: Option<String>,
    #[schema(format = "date")]
    valid_until: Option<String>,
    /// The file in base64: a JPEG, PNG or PDF of at most 4 MiB.
    #[schema(examples("JVBERi0xLjc="))]
    content: String,
}

/// A document without its content.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Document)]
pub struct DocumentBody {
    #[schema(format = "uuid")]
    pub id: String,
    #[schema(schema_with = purposes)]
    pub purpose: &'static str,
    #[schema(schema_with = states)]
    pub status: &'static str,
    /// Why it was refused; else null.
    #[schema(required)]
    pub reason: Option<&'static str>,
    #[serde(rename = "type")]
    #[schema(required)]
    pub kind: Option<String>,
    #[schema(required)]
    pub side: Option<&'static str>,
    #[schema(required)]
    pub country: Option<String>,
    pub file_name: String,
    /// By what is in it.
    pub media_type: &'static str,
    /// How long it is, in bytes.
    pub bytes: u64,
    /// In hexadecimal.
    pub sha256: String,
    #[schema(required, format = "date")]
    pub valid_from: Option<String>,
    #[schema(required, format = "date")]
    pub valid_until: Option<String>,
    #[schema(format = "date-time")]
    pub created_at: String,
}

fn purposes() -> Object {
    one_of("What it is to show", DocumentPurpose::ALL.map(DocumentPurpose::as_str))
}

fn sides() -> Object {
    one_of("Which side is shown", DocumentSide::ALL.map(DocumentSide::as_str))
}

fn states() -> Object {
    one_of("Where it stands", DocumentState::ALL.map(DocumentState::as_str))
}

impl From<&ShownDocument> for DocumentBody {
    fn from(document: &ShownDocument) -> Self {
        let label = &document.label;
        Self {
            id: document.id.to_string(),
            purpose: document.purpose.as_str(),
            status: document.state.as_str(),
            reason: document.reason.map(FailureReason::as_str),
            kind: label.kind.clone(),
            side: label.side.map(DocumentSide::as_str),
            country: label.country.clone(),
            file_name: label.file_name.clone(),
            media_type: document.media_type.as_str(),
            bytes: document.bytes,
            sha256: document.sha256.clone(),
            valid_from: label.valid_from.map(|day| day.to_string()),
            valid_until: label.valid_until.map(|day| day.to_string()),
            created_at: document.created_at.to_rfc3339(),
        }
    }
}

/// Add a document to a party
///
/// What is to show an identity, an address or a business is checked; how that ends is told by `document.checked`. A document that
/// the party has already is refused.
#[utoipa::path(
    post, path = "/parties/{partyId}/documents", operation_id = "addDocument", tag = "Parties",
    params(("partyId" = String, Path, format = "uuid")), request_body = NewDocument,
    responses((status = 201, description = "Added", body = DocumentBody)),
)]
pub async fn add(
    OnboardingWriter(caller): OnboardingWriter,
    State(state): State<HttpState>,
    PartyPath(id): PartyPath,
    JsonBody(body): JsonBody<NewDocument>,
) -> Result<(StatusCode, Json<DocumentBody>), ApiError> {
    let mut shape = Shape::of_body();
    let purpose = DocumentPurpose::parse(&body.purpose).ok_or("must be a purpose, such as proof_of_address");
    let purpose = shape.read("purpose", purpose);
    let kind = shape.read_optional("type", body.kind.as_deref().map(name));
    let side =
        body.side.as_deref().map(|side| DocumentSide::parse(side).ok_or("must be front, back or selfie"));
    let side = shape.read_optional("side", side);
    let country = shape.read_optional("country", body.country.as_deref().map(Country::parse));
    let file_name = shape.read("fileName", name(&body.file_name));
    let valid_from = shape.read_optional("validFrom", body.valid_from.as_deref().map(date));
    let valid_until = shape.read_optional("validUntil", body.valid_until.as_deref().map(date));
    let bytes = shape.read("content", content(&body.content));
    let (Some(purpose), Some(kind), Some(side), Some(country)) = (purpose, kind, side, country) else {
        return Err(shape.refused());
    };
    let (Some(file_name), Some(valid_from), Some(valid_until), Some(bytes)) =
        (file_name, valid_from, valid_until, bytes)
    else {
        return Err(shape.refused());
    };
    let country = country.map(|country| country.as_str().to_owned());
    let label = DocumentLabel { kind, side, country, file_name, valid_from, valid_until };
    let wish = DocumentWish { purpose, label, bytes };
    let added = state.onboarding()?.add_document(caller.tenant.id, id, wish, &actor(&caller)).await?;
    Ok((StatusCode::CREATED, Json((&added.map_err(refused)?).into())))
}

/// List a party's documents
///
/// Oldest first. That you looked is in the audit log.
#[utoipa::path(
    get, path = "/parties/{partyId}/documents", operation_id = "listDocuments", tag = "Parties",
    params(("partyId" = String, Path, format = "uuid")),
    responses((status = 200, description = "The documents", body = [DocumentBody])),
)]
pub async fn list(
    OnboardingReader(caller): OnboardingReader,
    State(state): State<HttpState>,
    PartyPath(id): PartyPath,
) -> Result<Json<Vec<DocumentBody>>, ApiError> {
    let found = state.onboarding()?.documents(caller.tenant.id, id, &actor(&caller)).await?;
    Ok(Json(found.map_err(refused)?.iter().map(Into::into).collect()))
}

/// Get the content of a document
///
/// That you looked is in the audit log.
#[utoipa::path(
    get, path = "/parties/{partyId}/documents/{documentId}", operation_id = "getDocument", tag = "Parties",
    params(("partyId" = String, Path, format = "uuid"), ("documentId" = String, Path, format = "uuid")),
    responses((
        status = 200, description = "The file",
        content((Vec<u8> = "image/jpeg"), (Vec<u8> = "image/png"), (Vec<u8> = "application/pdf")),
    )),
)]
pub async fn get(
    OnboardingReader(caller): OnboardingReader,
    State(state): State<HttpState>,
    Path((party, document)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let named = party_id(&party).zip(Uuid::try_parse(&document).ok().map(DocumentId));
    let (party, id) = named.ok_or_else(|| refused(OnboardingRefusal::UnknownDocument))?;
    let found = state.onboarding()?.document(caller.tenant.id, party, id, &actor(&caller)).await?;
    let (document, bytes) = found.map_err(refused)?;
    Ok(attachment(&document, bytes))
}

/// A document as a file to keep. It was sent in by somebody else: no browser shows it as a page of this place.
pub(in crate::http) fn attachment(document: &ShownDocument, bytes: Vec<u8>) -> Response {
    let headers: [(HeaderName, HeaderValue); 4] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(document.media_type.as_str())),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox")),
    ];
    (headers, bytes).into_response()
}
