//! `GET /tenant/customer/pii-customer-details/{customerAccountId}`: everything that is known of a party, and how it came to be.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::schema::Type;
use utoipa::openapi::{ArrayBuilder, ObjectBuilder, RefOr, Schema};

use super::fields::text_of;
use super::{actor, party_id, refused};
use crate::http::HttpState;
use crate::http::caller::OnboardingReader;
use crate::http::error::ApiError;
use crate::model::{
    DocumentPurpose, DocumentSide, Millis, PartyId, PostalAddress, Profile, RequirementKind,
    RequirementStatus,
};
use crate::onboarding::{ProfileVersion, ShownDocument, ShownParty};

/// Where all its routes begin.
pub const PREFIX: &str = "/tenant/customer";

/// What was fetched.
#[derive(Debug, Serialize, ToSchema)]
pub struct CustomerAnswer {
    message: &'static str,
    data: CustomerDetails,
}

/// What is known of a customer. A text that nobody told is empty.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CustomerDetails {
    #[schema(format = "uuid")]
    customer_account_id: String,
    #[schema(format = "uuid")]
    tenant_id: String,
    first_name: String,
    middle_name: String,
    last_name: String,
    tax_id: String,
    ssn: String,
    phone: String,
    email: String,
    dob: String,
    gid_name: String,
    gid_dob: String,
    address: CustomerAddress,
    occupation: String,
    ip_address: String,
    lat_long: String,
    annual_salary: String,
    account_purpose: String,
    gender: String,
    expected_monthly_volume: String,
    gid_photo: String,
    gid_country: String,
    gid_state: String,
    gid_issue_date: String,
    gid_expiration_date: String,
    gid_address: FullAddress,
    verified_gender: String,
    denial_code: String,
    denial_reason: String,
    /// `Verified` or `Not Verified`.
    govt_id_verification: &'static str,
    /// `Verified` or `Not Verified`.
    poa_verification_status: &'static str,
    /// Always `Not Verified`: nobody verifies it here.
    ssn_verification_status: &'static str,
    /// Always `Not Verified`: nobody verifies it here.
    bank_verification_status: &'static str,
    /// Always empty: no bank takes part in a preauthorization.
    bank_accounts: Vec<Value>,
    /// Always empty.
    namespaces: Vec<Value>,
    /// Each change, newest first.
    history_data: Vec<Change>,
}

/// An address.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CustomerAddress {
    city: String,
    state: String,
    address1: String,
    address2: String,
    country: String,
    postal_code: String,
    iso_country_code: String,
}

/// An address in one line.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FullAddress {
    full_address: String,
}

/// A change of what is known.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    old_details: DetailsThen,
    new_details: DetailsThen,
    remarks: String,
    /// The API key, the link or the daemon that changed it.
    updated_by: String,
    #[schema(format = "date-time")]
    created_at: String,
}

/// What was known at a time.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DetailsThen {
    #[schema(format = "uuid")]
    customer_account_id: String,
    first_name: String,
    middle_name: String,
    last_name: String,
    date_of_birth: String,
    address: CustomerAddress,
    marital_status: String,
    phone: String,
    email: String,
    gender: String,
    ssn: String,
    /// Always empty: a picture of the person is among the documents.
    selfie_content: String,
    tax: Tax,
    /// Those that were there by then.
    government_documents: Vec<CustomerDocument>,
    proof_of_address: Vec<CustomerDocument>,
    /// Always empty: no bank takes part in a preauthorization.
    bank_account_details: BankAccountDetails,
    verified_name: String,
    #[serde(rename = "verifiedDOB")]
    verified_dob: String,
    verified_photo: String,
    #[serde(rename = "verifiedIDNumber")]
    verified_id_number: String,
    verified_country: String,
    verified_state: String,
    #[serde(rename = "verifiedIDIssueDate")]
    verified_id_issue_date: String,
    #[serde(rename = "verifiedIDExpirationDate")]
    verified_id_expiration_date: String,
    verified_address: FullAddress,
    verified_gender: String,
    occupation: String,
    annual_salary: String,
    account_purpose: String,
    expected_monthly_volume: String,
    remarks: String,
    custom_namespace: String,
}

/// A bank account, of which there is none.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BankAccountDetails {
    bank_legal_name: String,
    bank_account_holder_name: String,
    bank_account_type: String,
    bank_account_number: String,
    bank_account_holder_phone_number: String,
    bank_account_holder_email: String,
    bank_account_holder_address: String,
}

/// By which a state knows a customer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tax {
    country: String,
    id_number: String,
    state: String,
}

/// A document of a customer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CustomerDocument {
    #[schema(format = "uuid")]
    document_id: String,
    /// Always empty.
    description: String,
    file_name: String,
    side: String,
    #[serde(rename = "type")]
    kind: String,
    /// Always null: `GET /parties/{partyId}/documents/{documentId}` gives it.
    #[schema(required)]
    content: Option<String>,
    /// Always empty: it is the customer's `taxId`, where it was told.
    number: String,
    issued_country: String,
    expired: bool,
    valid_from_date: String,
    valid_till_date: String,
}

/// An error in the dialect's words.
pub fn error(error: &ApiError) -> (StatusCode, Value) {
    let status = error.status();
    let errors = match error.code() {
        Some("party_not_found") => vec![
            json!({ "type": "No data found", "message": "Please provide valid tenant id" }),
            json!({
                "type": "No data available",
                "message": "There is no such customer account in the given tenant id",
            }),
        ],
        Some("invalid_parameter") => vec![
            json!({ "type": "catch", "message": "Error while fetching full customer pii history." }),
            json!({ "type": "Invalid UUID", "message": "Please provide valid customer id" }),
        ],
        _ if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            vec![json!({ "type": "Access Denied", "message": "Access Denied" })]
        }
        _ => error.items().iter().map(|item| json!({ "type": "catch", "message": item.message })).collect(),
    };
    (status, json!({ "errors": errors }))
}

pub fn error_schema() -> RefOr<Schema> {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let item = ObjectBuilder::new()
        .schema_type(Type::Object)
        .property("type", text())
        .property("message", text())
        .required("type")
        .required("message");
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .property("errors", ArrayBuilder::new().items(item))
        .required("errors")
        .into()
}

fn address(address: Option<&PostalAddress>) -> CustomerAddress {
    let Some(address) = address else { return CustomerAddress::default() };
    CustomerAddress {
        city: address.city.clone(),
        state: address.state.clone().unwrap_or_default(),
        address1: address.line1.clone(),
        address2: address.line2.clone().unwrap_or_default(),
        country: address.country.as_str().to_owned(),
        postal_code: address.postal_code.clone().unwrap_or_default(),
        iso_country_code: address.country.as_str().to_owned(),
    }
}

/// First, middle and last name: as they were told, or the legal name as the last.
fn names(profile: &Profile) -> [String; 3] {
    let told = |field: &str| text_of(&profile.particulars, field);
    let last = told("lastName").or_else(|| profile.legal_name.clone());
    [told("firstName"), told("middleName"), last].map(Option::unwrap_or_default)
}

fn text(profile: &Profile, field: &str) -> String {
    text_of(&profile.particulars, field).unwrap_or_default()
}

fn then(id: PartyId, version: &ProfileVersion, documents: &[ShownDocument]) -> DetailsThen {
    let profile = &version.profile;
    let [first_name, middle_name, last_name] = names(profile);
    let of = |purpose| {
        let there = documents.iter().filter(|document| document.created_at <= version.at);
        there
            .filter(|document| document.purpose == purpose)
            .map(|document| paper(document, version.at))
            .collect()
    };
    DetailsThen {
        customer_account_id: id.to_string(),
        first_name,
        middle_name,
        last_name,
        date_of_birth: profile.date_of_birth.map(|day| day.to_string()).unwrap_or_default(),
        address: address(profile.main_address.as_ref()),
        marital_status: text(profile, "maritalStatus"),
        phone: profile.phone.as_ref().map(|phone| phone.e164().to_owned()).unwrap_or_default(),
        email: profile.email.as_ref().map(|email| email.as_str().to_owned()).unwrap_or_default(),
        gender: text(profile, "gender"),
        ssn: text(profile, "ssn"),
        selfie_content: String::new(),
        tax: Tax {
            country: text(profile, "taxCountry"),
            id_number: profile.legal_identifier.clone().unwrap_or_default(),
            state: text(profile, "taxState"),
        },
        government_documents: of(DocumentPurpose::Identity),
        proof_of_address: of(DocumentPurpose::ProofOfAddress),
        bank_account_details: BankAccountDetails::default(),
        verified_name: profile.legal_name.clone().unwrap_or_default(),
        verified_dob: String::new(),
        verified_photo: String::new(),
        verified_id_number: String::new(),
        verified_country: String::new(),
        verified_state: String::new(),
        verified_id_issue_date: String::new(),
        verified_id_expiration_date: text(profile, "documentExpirationDate"),
        verified_address: FullAddress::default(),
        verified_gender: String::new(),
        occupation: text(profile, "occupation"),
        annual_salary: text(profile, "annualSalary"),
        account_purpose: text(profile, "accountPurpose"),
        expected_monthly_volume: text(profile, "expectedMonthlyVolume"),
        remarks: version.remarks.clone().unwrap_or_default(),
        custom_namespace: text(profile, "customNamespace"),
    }
}

fn paper(document: &ShownDocument, at: Millis) -> CustomerDocument {
    let label = &document.label;
    let day = |day: Option<jiff::civil::Date>| day.map(|day| day.to_string()).unwrap_or_default();
    let today = at.to_rfc3339();
    CustomerDocument {
        document_id: document.id.to_string(),
        description: String::new(),
        file_name: label.file_name.clone(),
        side: label.side.map(DocumentSide::as_str).unwrap_or_default().to_owned(),
        kind: label.kind.clone().unwrap_or_default(),
        content: None,
        number: String::new(),
        issued_country: label.country.clone().unwrap_or_default(),
        // Days are compared as they are written.
        expired: label
            .valid_until
            .is_some_and(|until| until.to_string().as_str() < today.get(..10).unwrap_or_default()),
        valid_from_date: day(label.valid_from),
        valid_till_date: day(label.valid_until),
    }
}

fn details(shown: &ShownParty, versions: &[ProfileVersion], documents: &[ShownDocument]) -> CustomerDetails {
    let id = shown.party.id;
    let profile = versions.last().map(|version| version.profile.clone()).unwrap_or_default();
    let [first_name, middle_name, last_name] = names(&profile);
    let verified = |kind| {
        let mut requirements = shown.party.requirements.iter();
        let is_met = requirements.any(|one| one.kind == kind && one.status == RequirementStatus::Fulfilled);
        if is_met { "Verified" } else { "Not Verified" }
    };
    let reason = shown.verification.as_ref().and_then(|verification| verification.reason);
    let reason = reason.map(|reason| reason.as_str().to_owned()).unwrap_or_default();
    let changes = versions.iter().zip(versions.iter().skip(1)).map(|(before, after)| Change {
        old_details: then(id, before, documents),
        new_details: then(id, after, documents),
        remarks: after.remarks.clone().unwrap_or_default(),
        updated_by: after.actor.clone(),
        created_at: after.at.to_rfc3339(),
    });
    let mut history_data: Vec<_> = changes.collect();
    history_data.reverse();
    CustomerDetails {
        customer_account_id: id.to_string(),
        tenant_id: shown.party.tenant.to_string(),
        first_name,
        middle_name,
        last_name,
        tax_id: profile.legal_identifier.clone().unwrap_or_default(),
        ssn: text(&profile, "ssn"),
        phone: profile.phone.as_ref().map(|phone| phone.e164().to_owned()).unwrap_or_default(),
        email: profile.email.as_ref().map(|email| email.as_str().to_owned()).unwrap_or_default(),
        dob: profile.date_of_birth.map(|day| day.to_string()).unwrap_or_default(),
        gid_name: String::new(),
        gid_dob: String::new(),
        address: address(profile.main_address.as_ref()),
        occupation: text(&profile, "occupation"),
        ip_address: text(&profile, "ipAddress"),
        lat_long: text(&profile, "latLong"),
        annual_salary: text(&profile, "annualSalary"),
        account_purpose: text(&profile, "accountPurpose"),
        gender: text(&profile, "gender"),
        expected_monthly_volume: text(&profile, "expectedMonthlyVolume"),
        gid_photo: String::new(),
        gid_country: text(&profile, "nationality"),
        gid_state: String::new(),
        gid_issue_date: String::new(),
        gid_expiration_date: text(&profile, "documentExpirationDate"),
        gid_address: FullAddress::default(),
        verified_gender: String::new(),
        denial_code: reason.clone(),
        denial_reason: reason,
        govt_id_verification: verified(RequirementKind::Identity),
        poa_verification_status: verified(RequirementKind::ProofOfAddress),
        ssn_verification_status: "Not Verified",
        bank_verification_status: "Not Verified",
        bank_accounts: Vec::new(),
        namespaces: Vec::new(),
        history_data,
    }
}

/// Fetch PII data with full change history
///
/// Of any party, by its id. That you looked is in the audit log.
#[utoipa::path(
    get, path = "/tenant/customer/pii-customer-details/{customerAccountId}", operation_id = "getCustomerDetails",
    tag = "Tenant customers", params(("customerAccountId" = String, Path, format = "uuid")),
    responses((status = 200, description = "What is known", body = CustomerAnswer)),
)]
pub async fn get(
    OnboardingReader(caller): OnboardingReader,
    State(state): State<HttpState>,
    Path(id): Path<String>,
) -> Result<Json<CustomerAnswer>, ApiError> {
    let id = party_id(&id).ok_or_else(|| {
        let message = "customerAccountId must be a UUID";
        ApiError::new(StatusCode::BAD_REQUEST, "invalid_parameter", message)
    })?;
    let (onboarding, actor) = (state.onboarding()?, actor(&caller));
    let found = onboarding.history(caller.tenant.id, id, &actor).await?;
    let (shown, versions) = found.map_err(refused)?;
    let documents = onboarding.documents(caller.tenant.id, id, &actor).await?.map_err(refused)?;
    let data = details(&shown, &versions, &documents);
    Ok(Json(CustomerAnswer { message: "Customer full details fetched successfully", data }))
}
