//! `/v1/user`: a user is created, brings files that show who he is and where he lives, and is verified.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::schema::Type;
use utoipa::openapi::{ArrayBuilder, ObjectBuilder, RefOr, Schema};

use super::fields::{birthday, content, date, name, one_of, today};
use super::{actor, refused};
use crate::http::HttpState;
use crate::http::caller::{Caller, OnboardingReader, OnboardingWriter};
use crate::http::error::ApiError;
use crate::http::idempotency::UnderKey;
use crate::http::json::{JsonBody, Object};
use crate::http::shape::Shape;
use crate::http::words;
use crate::model::{
    Claim, ClaimKind, Country, DocumentLabel, DocumentPurpose, DocumentSide, DocumentState, Email,
    ExternalId, FailureReason, PartyId, PartyKind, PartyStatus, Phone, PostalAddress, Profile,
    RequirementKind, VerificationState,
};
use crate::onboarding::{DocumentWish, OnboardingRefusal, PartyWish, ProfileEdit, ShownDocument, VerifyWish};

/// Where all its routes begin.
pub const PREFIX: &str = "/v1/user";

/// What is asked of a user.
const REQUIREMENTS: [(RequirementKind, bool); 3] = [
    (RequirementKind::IdentityDocuments, true),
    (RequirementKind::Identity, true),
    (RequirementKind::ProofOfAddress, false),
];
const DOCUMENT_TYPES: [&str; 4] = ["ID_CARD", "PASSPORT", "DRIVER_LICENSE", "RESIDENCE_PERMIT"];
const PROOFS_OF_ADDRESS: [&str; 4] = ["UTILITY_BILL", "BANK_STATEMENT", "TAX_NOTICE", "RENTAL_AGREEMENT"];
const SIDES: [&str; 3] = ["FRONT", "BACK", "SELFIE"];
const REASONS: [&str; 6] = ["DAILY_USE", "SAVINGS", "INVESTMENT", "BUSINESS", "REMITTANCE", "OTHER"];
const INCOME_SOURCES: [&str; 8] =
    ["SALARY", "BUSINESS", "PENSION", "SAVINGS", "INVESTMENT", "INHERITANCE", "BENEFITS", "OTHER"];
const RISK_LEVELS: [&str; 3] = ["LOW", "MEDIUM", "HIGH"];

/// A user to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({
    "externalUserId": "f47ac10b-58cc-4372-a567-0e02b2c3d479", "firstName": "Amber", "lastName": "Wenny",
    "dateOfBirth": "1997-04-02", "email": "amber.wenny@mail.com", "phone": "+33612345678", "nationality": "FR",
}))]
pub struct NewUser {
    /// Your own name for the user, unique among your parties.
    #[schema(min_length = 1, max_length = 511)]
    external_user_id: String,
    #[schema(min_length = 1, max_length = 511)]
    first_name: String,
    #[schema(min_length = 1, max_length = 511)]
    last_name: String,
    #[schema(format = "date")]
    date_of_birth: String,
    #[schema(format = "email")]
    email: Option<String>,
    /// With a plus and the code of the country.
    #[schema(pattern = "^\\+[0-9]{5,15}$")]
    phone: Option<String>,
    #[schema(min_length = 2, max_length = 2)]
    nationality: Option<String>,
    #[schema(value_type = Option<UserAddress>)]
    address: Option<Object<UserAddress>>,
}

/// Where a user lives.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserAddress {
    #[schema(min_length = 1, max_length = 511)]
    street: String,
    #[schema(min_length = 1, max_length = 511)]
    city: String,
    #[schema(min_length = 1, max_length = 511)]
    postal_code: Option<String>,
    #[schema(min_length = 2, max_length = 2)]
    country: String,
}

/// A file of a user.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KycFile {
    #[schema(min_length = 1, max_length = 511)]
    external_user_id: String,
    #[schema(schema_with = document_types)]
    document_type: String,
    #[schema(schema_with = sides)]
    side: Option<String>,
    #[schema(min_length = 2, max_length = 2)]
    country: Option<String>,
    #[schema(min_length = 1, max_length = 511)]
    file_name: String,
    /// In base64: a JPEG, PNG or PDF of at most 4 MiB.
    file: String,
}

/// A file that shows where a user lives.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PoaFile {
    #[schema(min_length = 1, max_length = 511)]
    external_user_id: String,
    #[schema(schema_with = proofs_of_address)]
    document_type: String,
    #[schema(min_length = 1, max_length = 511)]
    file_name: String,
    /// In base64: a JPEG, PNG or PDF of at most 4 MiB.
    file: String,
}

/// What a verification takes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({
    "externalUserId": "f47ac10b-58cc-4372-a567-0e02b2c3d479", "documentType": "ID_CARD",
    "documentNumber": "6I12UQ171A", "documentExpirationDate": "2030-06-11", "openAccountReason": "DAILY_USE",
    "incomeSource": "SALARY", "occupation": "IT", "riskLvl": "LOW",
}))]
pub struct NewUserVerification {
    #[schema(min_length = 1, max_length = 511)]
    external_user_id: String,
    #[schema(schema_with = document_types)]
    document_type: String,
    /// One user's alone.
    #[schema(pattern = "^[A-Za-z0-9 ./-]{1,64}$")]
    document_number: String,
    #[schema(format = "date")]
    document_expiration_date: String,
    #[schema(schema_with = reasons)]
    open_account_reason: String,
    #[schema(schema_with = income_sources)]
    income_source: String,
    #[schema(min_length = 1, max_length = 511)]
    occupation: String,
    #[schema(schema_with = risk_levels)]
    risk_lvl: String,
}

/// That something was done.
#[derive(Debug, Serialize, ToSchema)]
pub struct Done {
    message: &'static str,
}

/// A user that was created.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserCreated {
    message: &'static str,
    data: UserName,
}

/// How a user is called.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserName {
    /// The party's.
    #[schema(format = "uuid")]
    user_id: String,
    external_user_id: String,
}

/// A file that was taken.
#[derive(Debug, Serialize, ToSchema)]
pub struct FileAdded {
    message: &'static str,
    data: UserFile,
}

/// A file of a user, as it stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserFile {
    #[schema(format = "uuid")]
    file_id: String,
    #[schema(required)]
    document_type: Option<String>,
    status: &'static str,
    /// Why it was refused; else null.
    #[schema(required)]
    reason: Option<&'static str>,
}

/// Where a user stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct KycStatus {
    #[schema(format = "uuid")]
    user_id: String,
    external_user_id: String,
    /// `NOT_STARTED`, `PENDING`, `VERIFIED`, `FAILED`, `REJECTED` or `SUSPENDED`.
    status: &'static str,
    /// Why it failed; else null.
    #[schema(required)]
    reason: Option<&'static str>,
    /// The newest verification, by which it can be justified; null: none was begun.
    #[schema(required, format = "uuid")]
    verification_id: Option<String>,
    files: Vec<UserFile>,
}

fn document_types() -> utoipa::openapi::Object {
    words::one_of("What kind of document it is", DOCUMENT_TYPES)
}

fn proofs_of_address() -> utoipa::openapi::Object {
    words::one_of("What kind of document it is", PROOFS_OF_ADDRESS)
}

fn sides() -> utoipa::openapi::Object {
    words::one_of("Which side is shown", SIDES)
}

fn reasons() -> utoipa::openapi::Object {
    words::one_of("What the account is for", REASONS)
}

fn income_sources() -> utoipa::openapi::Object {
    words::one_of("Where the income comes from", INCOME_SOURCES)
}

fn risk_levels() -> utoipa::openapi::Object {
    words::one_of("How you see the risk", RISK_LEVELS)
}

/// An error with the dialect's code.
pub fn error(error: &ApiError) -> (StatusCode, Value) {
    let code = error.code().unwrap_or(ApiError::INTERNAL);
    let is_missing = error.items().iter().any(|item| item.message.ends_with(" is missing"));
    let (status, code, message) = match code {
        "party_not_found" => (StatusCode::BAD_REQUEST, "P412", "User not exist"),
        "too_many_verifications" | "verification_pending" => {
            (StatusCode::BAD_REQUEST, "P430", "Too many verifications")
        }
        "already_verified" => (StatusCode::BAD_REQUEST, "P442", "User already verified"),
        "document_expired" => (StatusCode::BAD_REQUEST, "P446", "KYC is not valid or expired"),
        "documents_missing" => (StatusCode::NOT_FOUND, "P427", "Missing KYC files"),
        "claimed" => (StatusCode::BAD_REQUEST, "P466", "User exists with this document number"),
        "invalid_field" if is_missing => (StatusCode::BAD_REQUEST, "P473", "Missing required parameters"),
        "no_verifier" | "not_ready" => (StatusCode::BAD_REQUEST, "P501", "Service temporarily unavailable"),
        ApiError::INTERNAL => (StatusCode::BAD_REQUEST, "P500", "Unknown exception"),
        _ => match error.status() {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => (error.status(), "P401", "Access Denied"),
            StatusCode::TOO_MANY_REQUESTS => (error.status(), "P429", "Too many requests"),
            StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY => {
                (error.status(), "P403", "Validation error")
            }
            status if status.is_client_error() => (status, "P403", "Validation error"),
            _ => (StatusCode::BAD_REQUEST, "P500", "Unknown exception"),
        },
    };
    let details: Vec<_> = match error.status() {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Vec::new(),
        status if status.is_server_error() => Vec::new(),
        _ => error.items().iter().map(|item| item.message.as_str()).collect(),
    };
    (status, json!({ "code": code, "message": message, "details": details }))
}

pub fn error_schema() -> RefOr<Schema> {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .property("code", text().pattern(Some("^P[0-9]{3}$")))
        .property("message", text())
        .property("details", ArrayBuilder::new().items(text()))
        .required("code")
        .required("message")
        .required("details")
        .into()
}

/// The user of an external id.
async fn find(state: &HttpState, caller: &Caller, external_id: &ExternalId) -> Result<PartyId, ApiError> {
    state.onboarding()?.find_external(caller.tenant.id, external_id).await?.map_err(refused)
}

impl UserAddress {
    fn read(&self, shape: &mut Shape) -> Option<PostalAddress> {
        let line1 = shape.read("address.street", name(&self.street));
        let city = shape.read("address.city", name(&self.city));
        let code = shape.read_optional("address.postalCode", self.postal_code.as_deref().map(name));
        let country = shape.read("address.country", Country::parse(&self.country));
        let (line2, state) = (None, None);
        Some(PostalAddress {
            line1: line1?,
            line2,
            city: city?,
            state,
            postal_code: code?,
            country: country?,
        })
    }
}

/// Create User Account
#[utoipa::path(
    post, path = "/v1/user", operation_id = "createUser", tag = "Users", request_body = NewUser,
    responses((status = 201, description = "Created", body = UserCreated)),
)]
pub async fn create(
    OnboardingWriter(caller): OnboardingWriter,
    State(state): State<HttpState>,
    UnderKey(once): UnderKey,
    JsonBody(body): JsonBody<NewUser>,
) -> Result<(StatusCode, Json<UserCreated>), ApiError> {
    if caller.tenant.disabled {
        return Err(ApiError::forbidden("tenant_disabled"));
    }
    let mut shape = Shape::of_body();
    let external_id = shape.read("externalUserId", ExternalId::parse(&body.external_user_id));
    let first = shape.read("firstName", name(&body.first_name));
    let last = shape.read("lastName", name(&body.last_name));
    let birth = shape.read("dateOfBirth", birthday(&body.date_of_birth, today()));
    let email = shape.read_optional("email", body.email.as_deref().map(Email::parse));
    let phone = shape.read_optional("phone", body.phone.as_deref().map(Phone::parse_international));
    let nationality = shape.read_optional("nationality", body.nationality.as_deref().map(Country::parse));
    let address = match body.address {
        None => Some(None),
        Some(Object(address)) => address.read(&mut shape).map(Some),
    };
    let (Some(external_id), Some(first), Some(last), Some(birth)) = (external_id, first, last, birth) else {
        return Err(shape.refused());
    };
    let (Some(email), Some(phone), Some(nationality), Some(address)) = (email, phone, nationality, address)
    else {
        return Err(shape.refused());
    };
    let mut profile = Profile {
        phone,
        email,
        legal_name: Some(format!("{first} {last}")),
        date_of_birth: Some(birth),
        main_address: address,
        ..Profile::default()
    };
    let nationality = nationality.map(|country| country.as_str().to_owned());
    for (field, value) in [("firstName", Some(first)), ("lastName", Some(last)), ("nationality", nationality)]
    {
        if let Some(value) = value {
            profile.particulars.insert(field.to_owned(), value.into());
        }
    }
    let external_user_id = external_id.as_str().to_owned();
    let wish = PartyWish {
        external_id: Some(external_id),
        ..PartyWish::new(PartyKind::Consumer, profile, &REQUIREMENTS)
    };
    let onboarding = state.onboarding()?.under(once);
    let id = onboarding.create(caller.tenant.id, wish, &actor(&caller)).await?.map_err(refused)?;
    let data = UserName { user_id: id.to_string(), external_user_id };
    Ok((StatusCode::CREATED, Json(UserCreated { message: "User created successfully", data })))
}

async fn add(
    state: &HttpState,
    caller: &Caller,
    external_id: &ExternalId,
    wish: DocumentWish,
) -> Result<ShownDocument, ApiError> {
    let id = find(state, caller, external_id).await?;
    let added = state.onboarding()?.add_document(caller.tenant.id, id, wish, &actor(caller)).await?;
    added.map_err(refused)
}

fn file(document: &ShownDocument) -> UserFile {
    UserFile {
        file_id: document.id.to_string(),
        document_type: document.label.kind.clone(),
        status: match document.state {
            DocumentState::Pending => "PENDING",
            DocumentState::Accepted => "ACCEPTED",
            DocumentState::Refused => "REFUSED",
        },
        reason: document.reason.map(FailureReason::as_str),
    }
}

/// Add KYC File
///
/// A file that shows who the user is. It is checked; how that ends is told by `document.checked`.
#[utoipa::path(
    post, path = "/v1/user/kyc-file", operation_id = "addKycFile", tag = "Users", request_body = KycFile,
    responses((status = 201, description = "Added", body = FileAdded)),
)]
pub async fn add_kyc_file(
    OnboardingWriter(caller): OnboardingWriter,
    State(state): State<HttpState>,
    JsonBody(body): JsonBody<KycFile>,
) -> Result<(StatusCode, Json<FileAdded>), ApiError> {
    let mut shape = Shape::of_body();
    let external_id = shape.read("externalUserId", ExternalId::parse(&body.external_user_id));
    let kind = shape.read("documentType", one_of(body.document_type, &DOCUMENT_TYPES));
    let side = shape.read_optional("side", body.side.map(|side| one_of(side, &SIDES)));
    let country = shape.read_optional("country", body.country.as_deref().map(Country::parse));
    let file_name = shape.read("fileName", name(&body.file_name));
    let bytes = shape.read("file", content(&body.file));
    let (Some(external_id), Some(kind), Some(side)) = (external_id, kind, side) else {
        return Err(shape.refused());
    };
    let (Some(country), Some(file_name), Some(bytes)) = (country, file_name, bytes) else {
        return Err(shape.refused());
    };
    let label = DocumentLabel {
        kind: Some(kind),
        side: side.and_then(|side| DocumentSide::parse(&side.to_ascii_lowercase())),
        country: country.map(|country| country.as_str().to_owned()),
        file_name,
        valid_from: None,
        valid_until: None,
    };
    let wish = DocumentWish { purpose: DocumentPurpose::Identity, label, bytes };
    let added = add(&state, &caller, &external_id, wish).await?;
    Ok((StatusCode::CREATED, Json(FileAdded { message: "KYC file added successfully", data: file(&added) })))
}

/// Add POA File
///
/// A file that shows where the user lives. It is checked; how that ends is told by `document.checked`.
#[utoipa::path(
    post, path = "/v1/user/poa-file", operation_id = "addPoaFile", tag = "Users", request_body = PoaFile,
    responses((status = 201, description = "Added", body = FileAdded)),
)]
pub async fn add_poa_file(
    OnboardingWriter(caller): OnboardingWriter,
    State(state): State<HttpState>,
    JsonBody(body): JsonBody<PoaFile>,
) -> Result<(StatusCode, Json<FileAdded>), ApiError> {
    let mut shape = Shape::of_body();
    let external_id = shape.read("externalUserId", ExternalId::parse(&body.external_user_id));
    let kind = shape.read("documentType", one_of(body.document_type, &PROOFS_OF_ADDRESS));
    let file_name = shape.read("fileName", name(&body.file_name));
    let bytes = shape.read("file", content(&body.file));
    let (Some(external_id), Some(kind), Some(file_name), Some(bytes)) = (external_id, kind, file_name, bytes)
    else {
        return Err(shape.refused());
    };
    let label = DocumentLabel {
        kind: Some(kind),
        side: None,
        country: None,
        file_name,
        valid_from: None,
        valid_until: None,
    };
    let wish = DocumentWish { purpose: DocumentPurpose::ProofOfAddress, label, bytes };
    let added = add(&state, &caller, &external_id, wish).await?;
    Ok((StatusCode::CREATED, Json(FileAdded { message: "POA file added successfully", data: file(&added) })))
}

fn number(text: &str) -> Result<String, &'static str> {
    let is_sign = |byte: u8| byte.is_ascii_alphanumeric() || b" ./-".contains(&byte);
    let has_some = text.bytes().any(|byte| byte.is_ascii_alphanumeric());
    if has_some && text.len() <= 64 && text.bytes().all(is_sign) {
        Ok(text.to_owned())
    } else {
        Err("must have 1 to 64 letters and digits")
    }
}

fn not_expired(day: Date) -> Result<(), ApiError> {
    if day > today() {
        return Ok(());
    }
    let message = "documentExpirationDate is past";
    Err(ApiError::new(StatusCode::BAD_REQUEST, "document_expired", message).field("documentExpirationDate"))
}

/// Add User Verification
///
/// Begins the verification, which takes at least one KYC file that was not refused. How it ends is told by
/// `verification.completed`. At most five of a user, one at a time.
#[utoipa::path(
    post, path = "/v1/user/verification", operation_id = "addUserVerification", tag = "Users",
    request_body = NewUserVerification,
    responses((status = 201, description = "Begun", body = Done)),
)]
pub async fn verify(
    OnboardingWriter(caller): OnboardingWriter,
    State(state): State<HttpState>,
    JsonBody(body): JsonBody<NewUserVerification>,
) -> Result<(StatusCode, Json<Done>), ApiError> {
    let mut shape = Shape::of_body();
    let external_id = shape.read("externalUserId", ExternalId::parse(&body.external_user_id));
    let number = shape.read("documentNumber", number(&body.document_number));
    let expires = shape.read("documentExpirationDate", date(&body.document_expiration_date));
    let told = [
        ("documentType", one_of(body.document_type, &DOCUMENT_TYPES)),
        ("openAccountReason", one_of(body.open_account_reason, &REASONS)),
        ("incomeSource", one_of(body.income_source, &INCOME_SOURCES)),
        ("occupation", name(&body.occupation).map_err(str::to_owned)),
        ("riskLvl", one_of(body.risk_lvl, &RISK_LEVELS)),
    ];
    let told: Vec<_> =
        told.into_iter().map(|(field, read)| Some((field, shape.read(field, read)?))).collect();
    let told: Option<Vec<_>> = told.into_iter().collect();
    let (Some(external_id), Some(number), Some(expires), Some(told)) = (external_id, number, expires, told)
    else {
        return Err(shape.refused());
    };
    let id = find(&state, &caller, &external_id).await?;
    not_expired(expires)?;
    let claims = vec![Claim::new(ClaimKind::DocumentNumber, &number)];
    let edit = ProfileEdit::new(move |profile| {
        profile.legal_identifier = Some(number);
        let expires = ("documentExpirationDate", expires.to_string());
        for (field, value) in told.into_iter().chain([expires]) {
            profile.particulars.insert(field.to_owned(), value.into());
        }
    });
    let wish = VerifyWish { edit: Some(edit), claims, needs_documents: true };
    state.onboarding()?.verify(caller.tenant.id, id, wish, &actor(&caller)).await?.map_err(refused)?;
    Ok((StatusCode::CREATED, Json(Done { message: "Verification documents to user added successfully" })))
}

/// Get KYC Status
///
/// That you looked is in the audit log.
#[utoipa::path(
    get, path = "/v1/user/{externalUserId}/kyc-status", operation_id = "getKycStatus", tag = "Users",
    params(("externalUserId" = String, Path, min_length = 1, max_length = 511)),
    responses((status = 200, description = "Where the user stands", body = KycStatus)),
)]
pub async fn status(
    OnboardingReader(caller): OnboardingReader,
    State(state): State<HttpState>,
    Path(external_id): Path<String>,
) -> Result<Json<KycStatus>, ApiError> {
    let external_id =
        ExternalId::parse(&external_id).map_err(|_| refused(OnboardingRefusal::UnknownParty))?;
    let id = find(&state, &caller, &external_id).await?;
    let onboarding = state.onboarding()?;
    let shown = onboarding.show(caller.tenant.id, id).await?.map_err(refused)?;
    let documents = onboarding.documents(caller.tenant.id, id, &actor(&caller)).await?.map_err(refused)?;
    let verification = shown.verification.as_ref();
    Ok(Json(KycStatus {
        user_id: id.to_string(),
        external_user_id: external_id.as_str().to_owned(),
        status: match (shown.party.status(), verification.map(|one| one.state)) {
            (PartyStatus::Verified, _) => "VERIFIED",
            (PartyStatus::Rejected, _) => "REJECTED",
            (PartyStatus::Suspended, _) => "SUSPENDED",
            (PartyStatus::Onboarding, None) => "NOT_STARTED",
            (PartyStatus::Onboarding, Some(VerificationState::Failed)) => "FAILED",
            (PartyStatus::Onboarding, Some(_)) => "PENDING",
        },
        reason: verification.and_then(|one| one.reason).map(FailureReason::as_str),
        verification_id: verification.map(|one| one.id.to_string()),
        files: documents.iter().map(file).collect(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_and_absence_have_codes_too() {
        for (told, status, code) in [
            (ApiError::internal(), StatusCode::BAD_REQUEST, "P500"),
            (ApiError::of_status(StatusCode::BAD_GATEWAY), StatusCode::BAD_REQUEST, "P500"),
            (ApiError::not_ready("database: disk full"), StatusCode::BAD_REQUEST, "P501"),
            (refused(OnboardingRefusal::NoVerifier), StatusCode::BAD_REQUEST, "P501"),
            (ApiError::too_often(1), StatusCode::TOO_MANY_REQUESTS, "P429"),
            (ApiError::of_status(StatusCode::PAYLOAD_TOO_LARGE), StatusCode::PAYLOAD_TOO_LARGE, "P403"),
        ] {
            let (answered, body) = error(&told);
            assert_eq!((answered, &body["code"]), (status, &json!(code)), "{told:?}");
            assert!(code != "P500" || body["details"] == json!([]), "a fault shows nothing of itself");
        }
    }
}
