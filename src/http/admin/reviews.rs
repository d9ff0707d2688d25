//! `GET /admin/reviews`, `GET /admin/reviews/{id}`, `POST /admin/reviews/{id}/approve|reject`,
//! `GET /admin/reviews/{id}/documents/{documentId}`: justifications of failed verifications, of all tenants.
//!
//! The queue is ids and words, for whoever may look. What a party says and what it attached is personal: that takes a key that may
//! act, and it is written down who read it.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::AdminState;
use super::holds::tenant_names;
use super::operator::{Actor, Onlooker};
use crate::http::error::ApiError;
use crate::http::json::OptionalJsonBody;
use crate::http::onboarding::documents::attachment;
use crate::http::onboarding::justifications::words;
use crate::http::onboarding::refused;
use crate::http::shape::Shape;
use crate::model::{DocumentId, FailureReason, ReviewDecision, ReviewId, TenantId};
use crate::onboarding::{OnboardingRefusal, ShownDocument, ShownReview};
use crate::store::onboarding::reviews::StoredReview;
use crate::store::onboarding::{parties, reviews};

/// Reviews that are shown.
const MOST: u32 = 100;

/// A review that waits for a decision.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    id: String,
    tenant: String,
    party_id: String,
    /// Why the verification failed.
    reason: Option<&'static str>,
    /// How many were attached.
    documents: usize,
    created_at: String,
}

/// The reviews that wait longest.
#[derive(Debug, Serialize)]
pub struct Queue {
    data: Vec<Waiting>,
}

/// A review, with what was said in it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReviewBody {
    id: String,
    tenant: String,
    party_id: String,
    party_type: &'static str,
    party_status: &'static str,
    reason: Option<&'static str>,
    justification: Option<String>,
    documents: Vec<Paper>,
    /// Null: it waits.
    decision: Option<&'static str>,
    staff_notes: Option<String>,
    created_at: String,
}

/// A document that was attached.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Paper {
    id: String,
    file_name: String,
    media_type: &'static str,
    bytes: u64,
    created_at: String,
}

/// A decision.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    notes: Option<String>,
}

impl From<&ShownDocument> for Paper {
    fn from(document: &ShownDocument) -> Self {
        Self {
            id: document.id.to_string(),
            file_name: document.label.file_name.clone(),
            media_type: document.media_type.as_str(),
            bytes: document.bytes,
            created_at: document.created_at.to_rfc3339(),
        }
    }
}

/// The review that a path names, and whose tenant's it is. What cannot be a name names none.
async fn find(state: &AdminState, id: &str) -> Result<(TenantId, StoredReview), ApiError> {
    let unknown = || refused(OnboardingRefusal::UnknownReview);
    let id = Uuid::try_parse(id).map(ReviewId).map_err(|_| unknown())?;
    let mut reader = state.api.store.read().await?;
    reviews::of_any_tenant(&mut reader, id).await?.ok_or_else(unknown)
}

pub async fn list(_: Onlooker, State(state): State<AdminState>) -> Result<Json<Queue>, ApiError> {
    let mut reader = state.api.store.read().await?;
    let waiting = reviews::waiting(&mut reader, MOST).await?;
    let tenants = tenant_names(&mut reader).await?;
    let keys: Vec<_> = waiting.iter().map(|(_, stored)| stored.review.party).collect();
    let parties = parties::names(&mut reader, &keys).await?;
    let show = |(tenant, StoredReview { review, .. }): &(TenantId, StoredReview)| Waiting {
        id: review.id.to_string(),
        tenant: tenants.get(tenant).cloned().unwrap_or_default(),
        party_id: parties.get(&review.party).map(ToString::to_string).unwrap_or_default(),
        reason: review.verification.reason.map(FailureReason::as_str),
        documents: review.documents.len(),
        created_at: review.created_at.to_rfc3339(),
    };
    Ok(Json(Queue { data: waiting.iter().map(show).collect() }))
}

pub async fn show(
    actor: Actor,
    State(state): State<AdminState>,
    Path(id): Path<String>,
) -> Result<Json<ReviewBody>, ApiError> {
    let (tenant, stored) = find(&state, &id).await?;
    let names = tenant_names(&mut *state.api.store.read().await?).await?;
    let read = state.api.onboarding()?.review(tenant, stored.review.id, &(&actor).into()).await?;
    let ShownReview { review, party, justification, staff_notes, documents, .. } = read.map_err(refused)?;
    Ok(Json(ReviewBody {
        id: review.id.to_string(),
        tenant: names.get(&tenant).cloned().unwrap_or_default(),
        party_id: party.id.to_string(),
        party_type: party.kind.as_str(),
        party_status: party.status().as_str(),
        reason: review.verification.reason.map(FailureReason::as_str),
        justification,
        documents: documents.iter().map(Into::into).collect(),
        decision: review.decided.map(|(decision, ..)| decision.as_str()),
        staff_notes,
        created_at: review.created_at.to_rfc3339(),
    }))
}

pub async fn approve(
    actor: Actor,
    State(state): State<AdminState>,
    Path(id): Path<String>,
    OptionalJsonBody(body): OptionalJsonBody<Decision>,
) -> Result<StatusCode, ApiError> {
    decide(&actor, &state, &id, ReviewDecision::Approved, body).await
}

pub async fn reject(
    actor: Actor,
    State(state): State<AdminState>,
    Path(id): Path<String>,
    OptionalJsonBody(body): OptionalJsonBody<Decision>,
) -> Result<StatusCode, ApiError> {
    decide(&actor, &state, &id, ReviewDecision::Rejected, body).await
}

async fn decide(
    actor: &Actor,
    state: &AdminState,
    id: &str,
    decision: ReviewDecision,
    body: Option<Decision>,
) -> Result<StatusCode, ApiError> {
    let mut shape = Shape::of_body();
    let Some(notes) = shape.read_optional("notes", words(body.unwrap_or_default().notes)) else {
        return Err(shape.refused());
    };
    let (tenant, stored) = find(state, id).await?;
    let onboarding = state.api.onboarding()?;
    let decided = onboarding.decide_review(tenant, stored.review.id, decision, notes, &actor.into()).await?;
    decided.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn document(
    actor: Actor,
    State(state): State<AdminState>,
    Path((review, document)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let unknown = || refused(OnboardingRefusal::UnknownDocument);
    let (tenant, StoredReview { review, .. }) = find(&state, &review).await?;
    let id = Uuid::try_parse(&document).map(DocumentId).map_err(|_| unknown())?;
    // Whoever decides about a review sees what belongs to it, and not everything that the party ever brought.
    if !review.documents.contains(&id) {
        return Err(unknown());
    }
    let names = parties::names(&mut *state.api.store.read().await?, &[review.party]).await?;
    let party = names.get(&review.party).copied().ok_or_else(unknown)?;
    let read = state.api.onboarding()?.document(tenant, party, id, &(&actor).into()).await?;
    let (document, bytes) = read.map_err(refused)?;
    Ok(attachment(&document, bytes))
}
