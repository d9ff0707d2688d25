//! `POST /tenant/business-user`: a business is onboarded with everything it brings.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::schema::Type;
use utoipa::openapi::{ArrayBuilder, ObjectBuilder, RefOr, Schema};

use super::business_user::{BusinessAddress, BusinessUser, Read};
use super::{actor, refused};
use crate::http::HttpState;
use crate::http::caller::OnboardingWriter;
use crate::http::error::ApiError;
use crate::http::idempotency::UnderKey;
use crate::http::json::JsonBody;
use crate::model::{PartyKind, RequirementKind};
use crate::onboarding::{OnboardingRefusal, PartyWish};

/// Where all its routes begin.
pub const PREFIX: &str = "/tenant/business-user";

/// What is asked of a business.
const REQUIREMENTS: [(RequirementKind, bool); 3] = [
    (RequirementKind::Identity, true),
    (RequirementKind::CompanyDocuments, true),
    (RequirementKind::BeneficialOwners, true),
];

/// A business that was onboarded.
#[derive(Debug, Serialize, ToSchema)]
pub struct BusinessUserAnswer {
    data: BusinessUserData,
    message: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct BusinessUserData {
    domain: String,
    business_user_name: String,
    business_user_metadata: BusinessUserMetadata,
    is_active: bool,
    #[schema(format = "date-time")]
    created_at: String,
    #[schema(format = "date-time")]
    start_date: String,
    /// Always null: it has no end.
    #[schema(required, format = "date-time")]
    end_date: Option<String>,
    #[schema(format = "uuid")]
    tenant_id: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct BusinessUserMetadata {
    email: String,
    phone: String,
    legal_name: String,
    tax_id: String,
    /// The party's.
    #[serde(rename = "businessUserId")]
    #[schema(format = "uuid")]
    business_user_id: String,
    #[serde(rename = "businessUserMetadataId")]
    #[schema(format = "uuid")]
    business_user_metadata_id: String,
    business_entity_name: String,
    company_address: BusinessAddress,
}

/// An error in the dialect's words.
pub fn error(error: &ApiError) -> (StatusCode, Value) {
    let status = match error.status() {
        StatusCode::CONFLICT if error.code() == Some("claimed") => StatusCode::BAD_REQUEST,
        status => status,
    };
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        return (
            status,
            json!([{
                "type": [{ "type": "Access Denied", "message": "Access Denied" }], "message": "Access Denied",
            }]),
        );
    }
    let kind = |code: &str| match code {
        "claimed" => "Duplicate",
        "no_verifier" => "onboard/Identity",
        _ => "onboard",
    };
    let errors: Vec<_> = error
        .items()
        .iter()
        .map(|item| json!({ "type": kind(item.code), "message": item.message }))
        .collect();
    let message = error.items().first().map_or("Not able to onboard business", |item| item.message.as_str());
    (status, json!([{ "type": errors, "message": message }]))
}

pub fn error_schema() -> RefOr<Schema> {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let reason = ObjectBuilder::new()
        .schema_type(Type::Object)
        .property("type", text())
        .property("message", text())
        .required("type")
        .required("message");
    let item = ObjectBuilder::new()
        .schema_type(Type::Object)
        .property("type", ArrayBuilder::new().items(reason))
        .property("message", text())
        .required("type")
        .required("message");
    ArrayBuilder::new().items(item).into()
}

/// A refused wish; what another business has is told in the words of the dialect.
fn refused_business(refusal: OnboardingRefusal) -> ApiError {
    use crate::model::ClaimKind as Kind;
    let OnboardingRefusal::Claimed(kind) = refusal else { return refused(refusal) };
    let message = match kind {
        Kind::Domain => "Business domain already exists",
        Kind::Email => "Business user is already registered with provided email id",
        Kind::ControllerEmail => "Business's control person is already registered with provided email id",
        Kind::BusinessName => "Business name already exists",
        Kind::DocumentNumber => return refused(refusal),
    };
    ApiError::new(StatusCode::CONFLICT, "claimed", message)
}

/// Onboard a new business user
///
/// With its verification begun; how that ends is told by `verification.completed`, and what comes of its documents by
/// `document.checked`. Domain, name and e-mail address are one business's alone, and so are the addresses of those who control it.
#[utoipa::path(
    post, path = "/tenant/business-user", operation_id = "createBusinessUser", tag = "Business users",
    request_body = BusinessUser,
    responses((status = 201, description = "Onboarded", body = BusinessUserAnswer)),
)]
pub async fn create(
    OnboardingWriter(caller): OnboardingWriter,
    State(state): State<HttpState>,
    UnderKey(once): UnderKey,
    JsonBody(body): JsonBody<BusinessUser>,
) -> Result<(StatusCode, Json<BusinessUserAnswer>), ApiError> {
    if caller.tenant.disabled {
        return Err(ApiError::forbidden("tenant_disabled"));
    }
    let Read { profile, documents, claims, has_owners, told } = body.read()?;
    let met = if has_owners { vec![RequirementKind::BeneficialOwners] } else { Vec::new() };
    let wish = PartyWish {
        met,
        claims,
        documents,
        verify: true,
        ..PartyWish::new(PartyKind::Business, profile, &REQUIREMENTS)
    };
    let onboarding = state.onboarding()?.under(once);
    let id = onboarding.create(caller.tenant.id, wish, &actor(&caller)).await?.map_err(refused_business)?;
    let shown = onboarding.show(caller.tenant.id, id).await?.map_err(refused)?;
    let created_at = shown.party.created_at.to_rfc3339();
    let metadata = BusinessUserMetadata {
        email: told.email,
        phone: told.phone,
        legal_name: told.legal_name,
        tax_id: told.tax_id,
        business_user_id: id.to_string(),
        business_user_metadata_id: id.to_string(),
        business_entity_name: told.entity_name,
        company_address: told.address,
    };
    let data = BusinessUserData {
        domain: told.domain,
        business_user_name: told.name,
        business_user_metadata: metadata,
        is_active: true,
        created_at: created_at.clone(),
        start_date: created_at,
        end_date: None,
        tenant_id: caller.tenant.id.to_string(),
    };
    Ok((
        StatusCode::CREATED,
        Json(BusinessUserAnswer { data, message: "Business user onboarded successfully" }),
    ))
}
