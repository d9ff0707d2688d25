//! `/v1/user/{user_api_key_id}/user-onboarding`: an onboarding that tells with each step what is still to be fulfilled.

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::schema::Type;
use utoipa::openapi::{ArrayBuilder, ObjectBuilder, RefOr, Schema};

use super::fields::{birthday, content, name, one_of, today, whole};
use super::{actor, refused};
use crate::http::HttpState;
use crate::http::caller::{Caller, OnboardingWriter};
use crate::http::error::ApiError;
use crate::http::idempotency::UnderKey;
use crate::http::json::{JsonBody, Object};
use crate::http::shape::Shape;
use crate::http::words;
use crate::model::{
    ChallengeKind, Country, DocumentLabel, DocumentPurpose, Email, ExternalId, PartyId, PartyKey, PartyKind,
    Phone, PostalAddress, Profile, Requirement, RequirementKind, RequirementStatus,
};
use crate::onboarding::{
    DocumentWish, OnboardingRefusal, PartyWish, ProfileEdit, ProfileWish, ShownParty, VerifyWish,
};

/// Where all its routes begin.
pub const PREFIX: &str = "/v1/user/{user_api_key_id}/user-onboarding";

/// What has to be fulfilled, in the order in which it is listed.
const REQUIREMENTS: [(RequirementKind, bool); 6] = [
    (RequirementKind::MainAddress, true),
    (RequirementKind::DateOfBirth, true),
    (RequirementKind::Email, true),
    (RequirementKind::PostalAddress, true),
    (RequirementKind::Identity, true),
    (RequirementKind::PhoneNumber, true),
];
const DOCUMENT_TYPES: [&str; 4] = ["PASSPORT", "NATIONAL_ID", "DRIVER_LICENSE", "RESIDENCE_PERMIT"];
const STILL_OPEN: &str = "You need to provide additional information in order to perform this action.";

/// An onboarding to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "type": "PARTNER_USER" }))]
pub struct NewUserOnboarding {
    #[serde(rename = "type")]
    #[schema(schema_with = onboarding_types)]
    kind: String,
    /// What the user is to become. There is one such thing.
    #[schema(schema_with = desired_statuses)]
    user_verification_status_desired: Option<String>,
}

/// What is told of a user; absent: nothing about it.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "date_of_birth": "1997-04-02", "email": "amber.wenny@mail.com" }))]
pub struct UserOnboardingStep {
    /// With a plus and the code of the country. A code is sent to it.
    #[schema(pattern = "^\\+[0-9]{5,15}$")]
    phone_number: Option<String>,
    /// The code that was sent.
    #[schema(pattern = "^[0-9]{6}$")]
    phone_number_code: Option<String>,
    /// A link is sent to it.
    #[schema(format = "email")]
    email: Option<String>,
    #[schema(min_length = 1, max_length = 511)]
    legal_name: Option<String>,
    #[schema(format = "date")]
    date_of_birth: Option<String>,
    #[schema(value_type = Option<OnboardingAddress>)]
    address_main: Option<Object<OnboardingAddress>>,
    #[schema(value_type = Option<OnboardingAddress>)]
    address_postal: Option<Object<OnboardingAddress>>,
    /// A document that shows who the user is. With it the verification begins.
    #[schema(value_type = Option<Identification>)]
    identification: Option<Object<Identification>>,
}

/// An address.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OnboardingAddress {
    #[schema(min_length = 1, max_length = 511)]
    street: String,
    #[schema(min_length = 1, max_length = 511)]
    house_number: Option<String>,
    #[schema(min_length = 1, max_length = 511)]
    postal_code: Option<String>,
    #[schema(min_length = 1, max_length = 511)]
    city: String,
    #[schema(min_length = 2, max_length = 2)]
    country: String,
}

/// A document.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Identification {
    #[schema(schema_with = document_types)]
    document_type: String,
    #[schema(min_length = 2, max_length = 2)]
    document_country_of_issuance: Option<String>,
    #[schema(min_length = 1, max_length = 511)]
    file_name: String,
    /// In base64: a JPEG, PNG or PDF of at most 4 MiB.
    content: String,
}

/// What was done.
#[derive(Debug, Serialize, ToSchema)]
pub struct OnboardingResponse {
    #[serde(rename = "Response")]
    response: Vec<IdObject>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct IdObject {
    #[serde(rename = "Id")]
    id: Id,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Id {
    id: i64,
}

/// What came of a step.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum OnboardingAnswer {
    /// Nothing is open any more.
    Done(OnboardingResponse),
    StillOpen(StillOpen),
}

/// What is still open, in the form of an error.
#[derive(Debug, Serialize, ToSchema)]
pub struct StillOpen {
    #[serde(rename = "Error")]
    error: Vec<StillOpenError>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct StillOpenError {
    error_description: &'static str,
    error_description_translated: &'static str,
    error_additional_parameter: Vec<AdditionalParameter>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AdditionalParameter {
    #[serde(rename = "AdditionalFulfillmentParameter")]
    fulfillments: Fulfillments,
}

/// What is open, and what is not any more.
#[derive(Debug, Serialize, ToSchema)]
pub struct Fulfillments {
    all_fulfillment: Vec<Fulfillment>,
    all_fulfillment_fulfilled: Vec<Fulfillment>,
    /// Only in the sandbox, where no e-mail is sent: the link of this step.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    sandbox_email_link: Option<String>,
}

/// Something that has to be fulfilled, or is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Fulfillment {
    #[serde(rename = "type")]
    kind: &'static str,
    reason: &'static str,
    reason_translated: &'static str,
    user_id: i64,
    /// `IN_PROGRESS` or `FULFILLED`; null: nothing was done about it.
    #[schema(required)]
    status: Option<&'static str>,
    /// Always null: it is mandatory from the beginning.
    #[schema(required)]
    time_mandatory: Option<String>,
    all_status_allowed: Vec<&'static str>,
    /// Null where nothing was done about it.
    #[schema(required)]
    id: Option<i64>,
    /// Always null.
    #[schema(required)]
    created_timestamp: Option<String>,
    /// Always null.
    #[schema(required)]
    updated_timestamp: Option<String>,
}

fn onboarding_types() -> utoipa::openapi::Object {
    words::one_of("What is onboarded", ["PARTNER_USER"])
}

fn desired_statuses() -> utoipa::openapi::Object {
    words::one_of("What the user is to become", ["VERIFIED"])
}

fn document_types() -> utoipa::openapi::Object {
    words::one_of("What kind of document it is", DOCUMENT_TYPES)
}

/// An error in the dialect's words.
pub fn error(error: &ApiError) -> (StatusCode, Value) {
    let errors: Vec<_> = error
        .items()
        .iter()
        .map(
            |item| json!({ "error_description": item.message, "error_description_translated": item.message }),
        )
        .collect();
    (error.status(), json!({ "Error": errors }))
}

pub fn error_schema() -> RefOr<Schema> {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let item = ObjectBuilder::new()
        .schema_type(Type::Object)
        .property("error_description", text())
        .property("error_description_translated", text())
        .required("error_description")
        .required("error_description_translated");
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .property("Error", ArrayBuilder::new().items(item))
        .required("Error")
        .into()
}

impl RequirementName for RequirementKind {
    fn fulfillment(self) -> &'static str {
        match self {
            Self::MainAddress => "ADDRESS_MAIN",
            Self::PostalAddress => "ADDRESS_POSTAL",
            Self::DateOfBirth => "DATE_OF_BIRTH",
            Self::Email => "EMAIL",
            Self::PhoneNumber => "PHONE_NUMBER",
            Self::Identity => "IDENTIFICATION_VERIFICATION",
            Self::Terms => "TERMS_OF_SERVICE",
            Self::IdentityDocuments => "IDENTIFICATION_DOCUMENT",
            Self::ProofOfAddress => "PROOF_OF_ADDRESS",
            Self::CompanyDocuments => "COMPANY_DOCUMENT",
            Self::BeneficialOwners => "UBO",
        }
    }
}

/// How a requirement is called here.
trait RequirementName {
    fn fulfillment(self) -> &'static str;
}

fn status_word(status: RequirementStatus) -> Option<&'static str> {
    match status {
        RequirementStatus::Open => None,
        RequirementStatus::InProgress => Some("IN_PROGRESS"),
        RequirementStatus::Fulfilled => Some("FULFILLED"),
    }
}

fn fulfillment(party: PartyKey, user: i64, requirement: &Requirement) -> Fulfillment {
    let kind = requirement.kind;
    let place = RequirementKind::ALL.iter().position(|one| *one == kind).unwrap_or_default();
    let is_begun = requirement.status != RequirementStatus::Open;
    let id = party.0.saturating_mul(16).saturating_add(i64::try_from(place).unwrap_or_default());
    Fulfillment {
        kind: kind.fulfillment(),
        reason: kind.reason(),
        reason_translated: kind.reason(),
        user_id: user,
        status: status_word(requirement.status),
        time_mandatory: None,
        all_status_allowed: kind.allowed().iter().copied().filter_map(status_word).collect(),
        id: is_begun.then_some(id),
        created_timestamp: None,
        updated_timestamp: None,
    }
}

fn answer(shown: &ShownParty, user: i64, link: Option<String>) -> OnboardingAnswer {
    let party = &shown.party;
    let (fulfilled, open): (Vec<_>, Vec<_>) =
        party.requirements.iter().partition(|one| one.status == RequirementStatus::Fulfilled);
    if open.is_empty() {
        return OnboardingAnswer::Done(OnboardingResponse::of(party.key));
    }
    let all = |requirements: Vec<&Requirement>| -> Vec<Fulfillment> {
        requirements.into_iter().map(|one| fulfillment(party.key, user, one)).collect()
    };
    let fulfillments = Fulfillments {
        all_fulfillment: all(open),
        all_fulfillment_fulfilled: all(fulfilled),
        sandbox_email_link: link,
    };
    OnboardingAnswer::StillOpen(StillOpen {
        error: vec![StillOpenError {
            error_description: STILL_OPEN,
            error_description_translated: STILL_OPEN,
            error_additional_parameter: vec![AdditionalParameter { fulfillments }],
        }],
    })
}

impl OnboardingResponse {
    fn of(party: PartyKey) -> Self {
        Self { response: vec![IdObject { id: Id { id: party.0 } }] }
    }
}

/// The numbers in the path. What is no number names nobody.
pub struct Numbers(Vec<i64>);

impl FromRequestParts<HttpState> for Numbers {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, ApiError> {
        let segments = Path::<Vec<(String, String)>>::from_request_parts(parts, state).await.ok();
        let read = |(_, text): (String, String)| {
            let digits = (1..=18).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse().ok()).flatten()
        };
        let numbers = segments.and_then(|Path(segments)| segments.into_iter().map(read).collect());
        numbers.map(Self).ok_or_else(|| refused(OnboardingRefusal::UnknownParty))
    }
}

fn external_id(user: i64) -> Result<ExternalId, ApiError> {
    ExternalId::parse(&format!("user-api-key {user}")).map_err(|_| refused(OnboardingRefusal::UnknownParty))
}

/// The party of an onboarding.
async fn find(state: &HttpState, caller: &Caller, user: i64, id: i64) -> Result<PartyId, ApiError> {
    let onboarding = state.onboarding()?;
    let party = onboarding.find_external(caller.tenant.id, &external_id(user)?).await?.map_err(refused)?;
    let shown = onboarding.show(caller.tenant.id, party).await?.map_err(refused)?;
    if shown.party.key.0 == id { Ok(party) } else { Err(refused(OnboardingRefusal::UnknownParty)) }
}

/// Provision a user
///
/// `user_api_key_id` is your own number for the user. There is one onboarding of each.
#[utoipa::path(
    post, path = "/v1/user/{user_api_key_id}/user-onboarding", operation_id = "createUserOnboarding",
    tag = "User onboarding", params(("user_api_key_id" = i64, Path, minimum = 0)), request_body = NewUserOnboarding,
    responses((status = 200, description = "Begun", body = OnboardingResponse)),
)]
pub async fn create(
    OnboardingWriter(caller): OnboardingWriter,
    State(state): State<HttpState>,
    UnderKey(once): UnderKey,
    Numbers(numbers): Numbers,
    JsonBody(body): JsonBody<NewUserOnboarding>,
) -> Result<Json<OnboardingResponse>, ApiError> {
    if caller.tenant.disabled {
        return Err(ApiError::forbidden("tenant_disabled"));
    }
    let mut shape = Shape::of_body();
    let kind = shape.read("type", one_of(body.kind, &["PARTNER_USER"]));
    let desired = body.user_verification_status_desired.map(|status| one_of(status, &["VERIFIED"]));
    let desired = shape.read_optional("user_verification_status_desired", desired);
    let [user] = numbers.as_slice() else { return Err(refused(OnboardingRefusal::UnknownParty)) };
    let (Some(_), Some(_)) = (kind, desired) else { return Err(shape.refused()) };
    let wish = PartyWish {
        external_id: Some(external_id(*user)?),
        ..PartyWish::new(PartyKind::Consumer, Profile::default(), &REQUIREMENTS)
    };
    let onboarding = state.onboarding()?.under(once);
    let party = onboarding.create(caller.tenant.id, wish, &actor(&caller)).await?.map_err(refused)?;
    let shown = onboarding.show(caller.tenant.id, party).await?.map_err(refused)?;
    Ok(Json(OnboardingResponse::of(shown.party.key)))
}

/// What a step tells, read.
#[derive(Default)]
struct Told {
    phone: Option<Phone>,
    email: Option<Email>,
    legal_name: Option<String>,
    date_of_birth: Option<jiff::civil::Date>,
    main: Option<PostalAddress>,
    postal: Option<PostalAddress>,
    code: Option<String>,
    document: Option<DocumentWish>,
}

impl UserOnboardingStep {
    fn read(self) -> Result<Told, ApiError> {
        let mut shape = Shape::of_body();
        let phone = self.phone_number.as_deref().map(Phone::parse_international);
        let phone = shape.read_optional("phone_number", phone);
        let email = shape.read_optional("email", self.email.as_deref().map(Email::parse));
        let legal_name = shape.read_optional("legal_name", self.legal_name.as_deref().map(name));
        let birth = self.date_of_birth.as_deref().map(|text| birthday(text, today()));
        let date_of_birth = shape.read_optional("date_of_birth", birth);
        let main = self.address_main.map(|Object(address)| address.read("address_main", &mut shape));
        let postal = self.address_postal.map(|Object(address)| address.read("address_postal", &mut shape));
        let code = self.phone_number_code.map(|code| {
            let is_code = code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit());
            if is_code { Ok(code) } else { Err("must be 6 digits") }
        });
        let code = shape.read_optional("phone_number_code", code);
        let document = self.identification.map(|Object(document)| document.read(&mut shape));
        let read = || {
            Some(Told {
                phone: phone?,
                email: email?,
                legal_name: legal_name?,
                date_of_birth: date_of_birth?,
                main: whole(main)?,
                postal: whole(postal)?,
                code: code?,
                document: whole(document)?,
            })
        };
        read().ok_or_else(|| shape.refused())
    }
}

impl OnboardingAddress {
    fn read(&self, field: &str, shape: &mut Shape) -> Option<PostalAddress> {
        let street = shape.read(&format!("{field}.street"), name(&self.street));
        let house = self.house_number.as_deref().map(name);
        let house = shape.read_optional(&format!("{field}.house_number"), house);
        let code = self.postal_code.as_deref().map(name);
        let code = shape.read_optional(&format!("{field}.postal_code"), code);
        let city = shape.read(&format!("{field}.city"), name(&self.city));
        let country = shape.read(&format!("{field}.country"), Country::parse(&self.country));
        let street = street?;
        Some(PostalAddress {
            line1: house?.map_or_else(|| street.clone(), |house| format!("{street} {house}")),
            line2: None,
            city: city?,
            state: None,
            postal_code: code?,
            country: country?,
        })
    }
}

impl Identification {
    fn read(self, shape: &mut Shape) -> Option<DocumentWish> {
        let kind = shape.read("identification.document_type", one_of(self.document_type, &DOCUMENT_TYPES));
        let country = self.document_country_of_issuance.as_deref().map(Country::parse);
        let country = shape.read_optional("identification.document_country_of_issuance", country);
        let file_name = shape.read("identification.file_name", name(&self.file_name));
        let bytes = shape.read("identification.content", content(&self.content));
        let label = DocumentLabel {
            kind: Some(kind?),
            side: None,
            country: country?.map(|country| country.as_str().to_owned()),
            file_name: file_name?,
            valid_from: None,
            valid_until: None,
        };
        Some(DocumentWish { purpose: DocumentPurpose::Identity, label, bytes: bytes? })
    }
}

/// Update Onboarding model
///
/// Takes what is told and says what is still open, until nothing is. A list of what is open is no failure: the step is done, so
/// the status is 200. A code is sent to a new phone number, a link to a new e-mail address; in the sandbox the code is 123456 and
/// the link is in the answer.
#[utoipa::path(
    put, path = "/v1/user/{user_api_key_id}/user-onboarding/{user_onboarding_id}", operation_id = "updateUserOnboarding",
    tag = "User onboarding",
    params(("user_api_key_id" = i64, Path, minimum = 0), ("user_onboarding_id" = i64, Path, minimum = 0)),
    request_body = UserOnboardingStep,
    responses((status = 200, description = "The id, or what is still open", body = OnboardingAnswer)),
)]
pub async fn update(
    OnboardingWriter(caller): OnboardingWriter,
    State(state): State<HttpState>,
    Numbers(numbers): Numbers,
    JsonBody(body): JsonBody<UserOnboardingStep>,
) -> Result<Json<OnboardingAnswer>, ApiError> {
    let [user, id] = numbers.as_slice() else { return Err(refused(OnboardingRefusal::UnknownParty)) };
    let told = body.read()?;
    let id = find(&state, &caller, *user, *id).await?;
    let (onboarding, tenant, actor) = (state.onboarding()?, caller.tenant.id, actor(&caller));
    let (sends_code, sends_link) = (told.phone.is_some(), told.email.is_some());
    let Told { phone, email, legal_name, date_of_birth, main, postal, code, document } = told;
    let edit = ProfileEdit::new(move |profile| {
        profile.phone = phone.or(profile.phone.take());
        profile.email = email.or(profile.email.take());
        profile.legal_name = legal_name.or(profile.legal_name.take());
        profile.date_of_birth = date_of_birth.or(profile.date_of_birth.take());
        profile.main_address = main.or(profile.main_address.take());
        profile.postal_address = postal.or(profile.postal_address.take());
    });
    let wish = ProfileWish { edit, remarks: None, accepted: None };
    onboarding.change(tenant, id, wish, &actor).await?.map_err(refused)?;
    if sends_code {
        let sent = onboarding.send_challenge(tenant, id, ChallengeKind::PhoneCode, &actor).await?;
        unless_confirmed(sent)?;
    }
    let mut link = None;
    if sends_link {
        let sent = onboarding.send_challenge(tenant, id, ChallengeKind::EmailLink, &actor).await?;
        link = unless_confirmed(sent)?.and_then(|sent| sent.link);
    }
    if let Some(code) = code {
        onboarding.answer_code(tenant, id, code, &actor).await?.map_err(refused)?;
    }
    if let Some(document) = document {
        onboarding.add_document(tenant, id, document, &actor).await?.map_err(refused)?;
        let wish = VerifyWish { edit: None, claims: Vec::new(), needs_documents: true };
        onboarding.verify(tenant, id, wish, &actor).await?.map_err(refused)?;
    }
    let shown = onboarding.show(tenant, id).await?.map_err(refused)?;
    Ok(Json(answer(&shown, *user, link)))
}

/// What was told again and is confirmed needs nothing sent.
fn unless_confirmed<T>(sent: Result<T, OnboardingRefusal>) -> Result<Option<T>, ApiError> {
    match sent {
        Ok(sent) => Ok(Some(sent)),
        Err(OnboardingRefusal::AlreadyConfirmed(_)) => Ok(None),
        Err(refusal) => Err(refused(refusal)),
    }
}
