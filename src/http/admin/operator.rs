//! Who is calling: the holder of an admin key.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::AdminState;
use crate::http::api_key::PresentedKey;
use crate::http::caller::presented;
use crate::http::error::ApiError;
use crate::model::Scope;
use crate::onboarding;
use crate::store::admin_keys::{self, AdminKey};
use crate::store::audit::Act;

/// Who may look.
pub struct Onlooker;

/// Who may act on what there is.
pub struct Actor(AdminKey);

/// Who may make and end keys.
pub struct Keeper(AdminKey);

impl Actor {
    pub fn act(&self, act: &'static str, subject: String) -> Act {
        by(&self.0, act, subject)
    }
}

impl Keeper {
    pub fn act(&self, act: &'static str, subject: String) -> Act {
        by(&self.0, act, subject)
    }
}

/// For acts that write themselves down.
impl From<&Actor> for onboarding::Actor {
    fn from(actor: &Actor) -> Self {
        Self::named(named(&actor.0))
    }
}

fn by(key: &AdminKey, act: &'static str, subject: String) -> Act {
    Act { actor: named(key), act, subject }
}

/// A key's holder, as the audit log names him.
fn named(key: &AdminKey) -> String {
    format!("key {} {}", key.prefix, key.name)
}

/// The key that was shown, if it is live and has the scope. It is looked up each time, so a revoked one ends at once.
async fn holder(parts: &Parts, state: &AdminState, scope: Scope) -> Result<AdminKey, ApiError> {
    let presented = presented(&parts.headers).and_then(PresentedKey::parse_admin);
    let presented = presented.ok_or_else(ApiError::unauthenticated)?;
    let mut reader = state.api.store.read().await?;
    let found = admin_keys::by_prefix(&mut reader, presented.prefix()).await?;
    let (_, key) = found.filter(|(hash, _)| presented.matches(hash)).ok_or_else(ApiError::unauthenticated)?;
    if key.scopes.contains(&scope) { Ok(key) } else { Err(ApiError::forbidden("missing_scope")) }
}

impl FromRequestParts<AdminState> for Onlooker {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AdminState) -> Result<Self, ApiError> {
        holder(parts, state, Scope::Read).await.map(|_| Self)
    }
}

impl FromRequestParts<AdminState> for Actor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AdminState) -> Result<Self, ApiError> {
        holder(parts, state, Scope::Write).await.map(Self)
    }
}

impl FromRequestParts<AdminState> for Keeper {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AdminState) -> Result<Self, ApiError> {
        holder(parts, state, Scope::Admin).await.map(Self)
    }
}
