//! `POST /consumers`, `GET /consumers/{consumerId}`, `PATCH /consumers/{consumerId}`: a consumer is created by his phone number,
//! and the rest comes step by step.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::fields::{one_of, short, whole};
use super::parties::{RequirementBody, VerificationBody};
use super::{PartyPath, actor, refused};
use crate::http::HttpState;
use crate::http::caller::{OnboardingReader, OnboardingWriter};
use crate::http::error::ApiError;
use crate::http::event_view::party_statuses;
use crate::http::idempotency::UnderKey;
use crate::http::json::{JsonBody, Object};
use crate::http::shape::Shape;
use crate::model::{
    Email, ExternalId, PartyKind, Phone, Profile, RequirementKind, RequirementStatus, TermsName,
};
use crate::onboarding::{OnboardingRefusal, PartyWish, PartyWithProfile, ProfileEdit, ProfileWish};

/// What is asked of a consumer. The e-mail address may be confirmed and need not be.
const REQUIREMENTS: [(RequirementKind, bool); 4] = [
    (RequirementKind::PhoneNumber, true),
    (RequirementKind::Terms, true),
    (RequirementKind::Identity, true),
    (RequirementKind::Email, false),
];
/// Characters of the metadata at most, as JSON.
const MAX_METADATA_CHARS: usize = 3_000;

const COUNTRY_CODES: &str = include_str!("country_codes.txt");
const SOURCES_OF_FUNDS: [&str; 16] = [
    "COMPENSATION_PAYOUT",
    "COMPANY_PROFITS",
    "COMPANY_SALE",
    "DIVIDEND_PAYMENTS",
    "DIVORCE_SETTLEMENT",
    "FIXED_DEPOSITS",
    "GIFT",
    "INHERITANCE",
    "INSURANCE_PAYOUT",
    "LOAN",
    "LOTTERY_OR_GAMBLING_WIN",
    "RETIREMENT_INCOME",
    "SALE_OF_INVESTMENT",
    "SALE_OF_PROPERTY",
    "SAVINGS_FROM_SALARY",
    "OTHER",
];
const OCCUPATIONS: [&str; 17] = [
    "BUSINESS_OWNER",
    "CLERGY",
    "CRAFTSMAN",
    "ENGINEER",
    "EXECUTIVE",
    "FARMER",
    "FREELANCE",
    "LIBERAL_PROFESSION",
    "POLITICIAN",
    "PROFESSOR",
    "PUBLIC_SERVANT",
    "RETIRED",
    "SHOPKEEPER",
    "STUDENT",
    "UNEMPLOYED",
    "WORKER",
    "OTHER",
];

/// A phone number.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PhoneRequest {
    #[schema(schema_with = country_codes)]
    country_code: String,
    #[schema(max_length = 32, pattern = "^[0-9 ./()-]+$", examples("612345678"))]
    number: String,
}

/// A consumer to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({
    "externalId": "user-1001",
    "phone": { "countryCode": "33", "number": "612345678" },
    "emailAddress": "amber.wenny@mail.com",
    "sourceOfFunds": "SAVINGS_FROM_SALARY",
    "occupation": "ENGINEER",
    "lastTermsAccepted": "1.0",
    "metadata": { "shop": "Berlin" }
}))]
pub struct NewConsumer {
    /// Ignored: you are known by your key.
    #[schema(max_length = 511)]
    partner_name: Option<String>,
    /// Your own name for the consumer, unique among your parties.
    #[schema(max_length = 511)]
    external_id: Option<String>,
    #[schema(value_type = PhoneRequest)]
    phone: Object<PhoneRequest>,
    #[schema(format = "email")]
    email_address: Option<String>,
    #[schema(schema_with = sources_of_funds)]
    source_of_funds: Option<String>,
    #[schema(max_length = 511)]
    other_source_of_funds: Option<String>,
    #[schema(schema_with = occupations)]
    occupation: Option<String>,
    #[schema(max_length = 511)]
    other_occupation: Option<String>,
    /// The version of the terms that the consumer has accepted; it has to be the newest.
    #[schema(pattern = "^[A-Za-z0-9._-]{1,32}$", examples("1.0"))]
    last_terms_accepted: Option<String>,
    /// Yours; at most 3,000 characters as JSON.
    #[schema(value_type = Option<std::collections::HashMap<String, serde_json::Value>>)]
    metadata: Option<Map<String, Value>>,
}

/// What is to be changed about a consumer; absent: it stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConsumerChange {
    /// Another number has to be verified again.
    #[schema(value_type = Option<PhoneRequest>)]
    phone: Option<Object<PhoneRequest>>,
    #[schema(format = "email")]
    email_address: Option<String>,
    #[schema(schema_with = sources_of_funds)]
    source_of_funds: Option<String>,
    #[schema(max_length = 511)]
    other_source_of_funds: Option<String>,
    #[schema(schema_with = occupations)]
    occupation: Option<String>,
    #[schema(max_length = 511)]
    other_occupation: Option<String>,
    /// The version of the terms that the consumer has accepted; it has to be the newest.
    #[schema(pattern = "^[A-Za-z0-9._-]{1,32}$", examples("1.0"))]
    last_terms_accepted: Option<String>,
    /// Instead of what there was.
    #[schema(value_type = Option<std::collections::HashMap<String, serde_json::Value>>)]
    metadata: Option<Map<String, Value>>,
}

fn country_codes() -> utoipa::openapi::Object {
    utoipa::openapi::ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::Type::String)
        .description(Some(
            "The code of the country, without a plus; where a country shares one, with the code of the area",
        ))
        .enum_values(Some(COUNTRY_CODES.split_whitespace()))
        .build()
}

fn sources_of_funds() -> utoipa::openapi::Object {
    crate::http::words::one_of("Where the consumer's money comes from", SOURCES_OF_FUNDS)
}

fn occupations() -> utoipa::openapi::Object {
    crate::http::words::one_of("The consumer's usual or principal work or business", OCCUPATIONS)
}

/// A consumer that was created.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConsumerId {
    /// Names him from now on.
    #[schema(format = "uuid")]
    pub id: String,
}

/// A phone number and whether it was verified.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PhoneBody {
    pub country_code: String,
    pub number: String,
    pub verified: bool,
}

/// A consumer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Consumer {
    #[schema(format = "uuid")]
    pub id: String,
    #[schema(required)]
    pub external_id: Option<String>,
    #[schema(schema_with = party_statuses)]
    pub status: &'static str,
    #[schema(required)]
    pub phone: Option<PhoneBody>,
    #[schema(required)]
    pub email_address: Option<String>,
    pub email_verified: bool,
    #[schema(required)]
    pub source_of_funds: Option<String>,
    #[schema(required)]
    pub other_source_of_funds: Option<String>,
    #[schema(required)]
    pub occupation: Option<String>,
    #[schema(required)]
    pub other_occupation: Option<String>,
    /// The newest version of the terms that he has accepted.
    #[schema(required)]
    pub last_terms_accepted: Option<String>,
    /// Whether that is the newest there is.
    pub terms_accepted: bool,
    /// The newest verification of his identity; null: none was begun.
    #[schema(required)]
    pub kyc: Option<VerificationBody>,
    /// What is asked of him.
    pub requirements: Vec<RequirementBody>,
    #[schema(required, value_type = Option<std::collections::HashMap<String, serde_json::Value>>)]
    pub metadata: Option<Map<String, Value>>,
    #[schema(format = "date-time")]
    pub created_at: String,
}

impl From<PartyWithProfile> for Consumer {
    fn from(known: PartyWithProfile) -> Self {
        let PartyWithProfile { shown, mut profile } = known;
        let is_fulfilled = |kind| {
            let mut requirements = shown.party.requirements.iter();
            requirements.any(|one| one.kind == kind && one.status == RequirementStatus::Fulfilled)
        };
        let mut text = |field: &str| match profile.particulars.remove(field) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let (source_of_funds, other_source_of_funds) = (text("sourceOfFunds"), text("otherSourceOfFunds"));
        let (occupation, other_occupation) = (text("occupation"), text("otherOccupation"));
        let metadata = match profile.particulars.remove("metadata") {
            Some(Value::Object(metadata)) => Some(metadata),
            _ => None,
        };
        Self {
            id: shown.party.id.to_string(),
            external_id: shown.party.external_id.as_ref().map(|id| id.as_str().to_owned()),
            status: shown.party.status().as_str(),
            phone: profile.phone.as_ref().map(|phone| PhoneBody {
                country_code: phone.country_code().to_owned(),
                number: phone.number().to_owned(),
                verified: is_fulfilled(RequirementKind::PhoneNumber),
            }),
            email_address: profile.email.as_ref().map(|email| email.as_str().to_owned()),
            email_verified: is_fulfilled(RequirementKind::Email),
            source_of_funds,
            other_source_of_funds,
            occupation,
            other_occupation,
            last_terms_accepted: shown.accepted.as_ref().map(|version| version.name.as_str().to_owned()),
            terms_accepted: is_fulfilled(RequirementKind::Terms),
            kyc: shown.verification.as_ref().map(Into::into),
            requirements: shown.party.requirements.iter().map(Into::into).collect(),
            metadata,
            created_at: shown.party.created_at.to_rfc3339(),
        }
    }
}

/// What a creation and a change have in common, read.
#[derive(Debug)]
struct Particulars {
    phone: Option<Phone>,
    email: Option<Email>,
    accepted: Option<TermsName>,
    others: Vec<(&'static str, Value)>,
}

impl ConsumerChange {
    /// Reads every field, and notes what is wrong with them.
    fn read(self, shape: &mut Shape) -> Option<Particulars> {
        let phone = self.phone.map(|Object(phone)| read_phone(shape, &phone));
        let email = self.email_address.as_deref().map(Email::parse);
        let email = shape.read_optional("emailAddress", email);
        let accepted = self.last_terms_accepted.as_deref().map(TermsName::parse);
        let accepted = shape.read_optional("lastTermsAccepted", accepted);
        let others = [
            (
                "sourceOfFunds",
                self.source_of_funds.map(|text| one_of(text, &SOURCES_OF_FUNDS).map(Value::String)),
            ),
            ("otherSourceOfFunds", self.other_source_of_funds.map(text)),
            ("occupation", self.occupation.map(|text| one_of(text, &OCCUPATIONS).map(Value::String))),
            ("otherOccupation", self.other_occupation.map(text)),
            ("metadata", self.metadata.map(small)),
        ];
        let others: Vec<_> =
            others.into_iter().map(|(field, read)| (field, shape.read_optional(field, read))).collect();
        Some(Particulars {
            phone: whole(phone)?,
            email: email?,
            accepted: accepted?,
            others: others
                .into_iter()
                .map(|(field, read)| read.map(|value| value.map(|value| (field, value))))
                .collect::<Option<Vec<_>>>()?
                .into_iter()
                .flatten()
                .collect(),
        })
    }
}

impl Particulars {
    fn lay_over(self, profile: &mut Profile) {
        profile.phone = self.phone.or(profile.phone.take());
        profile.email = self.email.or(profile.email.take());
        for (field, value) in self.others {
            profile.particulars.insert(field.to_owned(), value);
        }
    }
}

fn read_phone(shape: &mut Shape, phone: &PhoneRequest) -> Option<Phone> {
    let is_known = COUNTRY_CODES.split_whitespace().any(|code| code == phone.country_code);
    let known = if is_known { Ok(()) } else { Err("must be the code of a country, such as 33") };
    shape.read("phone.countryCode", known)?;
    shape.read("phone.number", Phone::parse(&phone.country_code, &phone.number))
}

fn text(text: String) -> Result<Value, String> {
    short(text).map(Value::String)
}

fn small(metadata: Map<String, Value>) -> Result<Value, String> {
    let value = Value::Object(metadata);
    if value.to_string().chars().count() <= MAX_METADATA_CHARS {
        Ok(value)
    } else {
        Err(format!("must have at most {MAX_METADATA_CHARS} characters as JSON"))
    }
}

/// The answer to a refused wish whose body may name a version of the terms.
fn refused_in_body(refusal: OnboardingRefusal) -> ApiError {
    if refusal == OnboardingRefusal::UnknownTerms {
        let mut shape = Shape::of_body();
        shape.read::<(), _>("lastTermsAccepted", Err("must be a version of the terms"));
        return shape.refused();
    }
    refused(refusal)
}

/// Create a consumer
///
/// His phone number is enough. Let him accept the newest version of the terms before, and say so; then verify his number
/// (`POST /consumers/{consumerId}/phone/verification-code`) and his identity (`POST /consumers/{consumerId}/kyc-link`).
#[utoipa::path(
    post, path = "/consumers", operation_id = "createConsumer", tag = "Consumers", request_body = NewConsumer,
    responses((status = 201, description = "Created", body = ConsumerId)),
)]
pub async fn create(
    OnboardingWriter(caller): OnboardingWriter,
    State(state): State<HttpState>,
    UnderKey(once): UnderKey,
    JsonBody(body): JsonBody<NewConsumer>,
) -> Result<(StatusCode, Json<ConsumerId>), ApiError> {
    if caller.tenant.disabled {
        return Err(ApiError::forbidden("tenant_disabled"));
    }
    let mut shape = Shape::of_body();
    let partner = shape.read_optional("partnerName", body.partner_name.map(short));
    let external_id = body.external_id.filter(|id| !id.is_empty());
    let external_id = shape.read_optional("externalId", external_id.as_deref().map(ExternalId::parse));
    let rest = ConsumerChange {
        phone: Some(body.phone),
        email_address: body.email_address,
        source_of_funds: body.source_of_funds,
        other_source_of_funds: body.other_source_of_funds,
        occupation: body.occupation,
        other_occupation: body.other_occupation,
        last_terms_accepted: body.last_terms_accepted,
        metadata: body.metadata,
    };
    let rest = rest.read(&mut shape);
    let (Some(_), Some(external_id), Some(mut rest)) = (partner, external_id, rest) else {
        return Err(shape.refused());
    };
    let accepted = rest.accepted.take();
    let mut profile = Profile::default();
    rest.lay_over(&mut profile);
    let wish =
        PartyWish { external_id, accepted, ..PartyWish::new(PartyKind::Consumer, profile, &REQUIREMENTS) };
    let onboarding = state.onboarding()?.under(once);
    let id = onboarding.create(caller.tenant.id, wish, &actor(&caller)).await?.map_err(refused_in_body)?;
    Ok((StatusCode::CREATED, Json(ConsumerId { id: id.to_string() })))
}

/// Get a consumer
///
/// With everything that is known of him; that you looked is in the audit log. `termsAccepted` turns false when you publish a new
/// version of the terms.
#[utoipa::path(
    get, path = "/consumers/{consumerId}", operation_id = "getConsumer", tag = "Consumers",
    params(("consumerId" = String, Path, format = "uuid")),
    responses((status = 200, description = "The consumer", body = Consumer)),
)]
pub async fn get(
    OnboardingReader(caller): OnboardingReader,
    State(state): State<HttpState>,
    PartyPath(id): PartyPath,
) -> Result<Json<Consumer>, ApiError> {
    let known = state.onboarding()?.read(caller.tenant.id, id, &actor(&caller)).await?.map_err(refused)?;
    Ok(Json(known.into()))
}

/// Update a consumer
///
/// What is absent stays. A phone number or an e-mail address that changes has to be verified again.
#[utoipa::path(
    patch, path = "/consumers/{consumerId}", operation_id = "updateConsumer", tag = "Consumers",
    params(("consumerId" = String, Path, format = "uuid")), request_body = ConsumerChange,
    responses((status = 200, description = "The consumer as he is now", body = Consumer)),
)]
pub async fn update(
    OnboardingWriter(caller): OnboardingWriter,
    State(state): State<HttpState>,
    PartyPath(id): PartyPath,
    JsonBody(body): JsonBody<ConsumerChange>,
) -> Result<Json<Consumer>, ApiError> {
    let mut shape = Shape::of_body();
    let Some(mut rest) = body.read(&mut shape) else { return Err(shape.refused()) };
    let accepted = rest.accepted.take();
    let edit = ProfileEdit::new(move |profile| rest.lay_over(profile));
    let wish = ProfileWish { edit, remarks: None, accepted };
    let (onboarding, actor) = (state.onboarding()?, actor(&caller));
    onboarding.change(caller.tenant.id, id, wish, &actor).await?.map_err(refused_in_body)?;
    let known = onboarding.read(caller.tenant.id, id, &actor).await?.map_err(refused)?;
    Ok(Json(known.into()))
}
