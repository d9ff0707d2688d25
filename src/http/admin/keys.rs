//! `GET` and `POST /admin/keys`, `DELETE /admin/keys/{prefix}`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use futures::FutureExt;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use super::AdminState;
use super::operator::{Keeper, Onlooker};
use crate::chain::wall_now;
use crate::http::api_key;
use crate::http::error::ApiError;
use crate::http::json::JsonBody;
use crate::http::shape::Shape;
use crate::model::Scope;
use crate::store::admin_keys::AdminKey;
use crate::store::{StoreError, admin_keys, audit};

/// Characters of a key's name at most.
const MAX_NAME_CHARS: usize = 64;

/// A key, never its secret.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    name: String,
    prefix: String,
    scopes: Vec<&'static str>,
    created_at: String,
    revoked_at: Option<String>,
}

/// All keys, oldest first.
#[derive(Debug, Serialize)]
pub struct KeyList {
    data: Vec<Shown>,
}

/// A key to be made.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    name: String,
    scopes: Vec<String>,
}

/// A key that was made. It is shown this once.
#[derive(Debug, Serialize)]
pub struct Made {
    key: String,
    prefix: String,
}

pub async fn list(_: Onlooker, State(state): State<AdminState>) -> Result<Json<KeyList>, ApiError> {
    let keys = admin_keys::all(&mut *state.api.store.read().await?).await?;
    let show = |key: AdminKey| Shown {
        name: key.name,
        prefix: key.prefix,
        scopes: key.scopes.iter().map(|scope| scope.as_str()).collect(),
        created_at: key.created_at.to_rfc3339(),
        revoked_at: key.revoked_at.map(|at| at.to_rfc3339()),
    };
    Ok(Json(KeyList { data: keys.into_iter().map(show).collect() }))
}

pub async fn make(
    keeper: Keeper,
    State(state): State<AdminState>,
    JsonBody(body): JsonBody<NewKey>,
) -> Result<(StatusCode, Json<Made>), ApiError> {
    let mut shape = Shape::of_body();
    let is_named = (1..=MAX_NAME_CHARS).contains(&body.name.chars().count());
    let name = shape.read("name", if is_named { Ok(body.name) } else { Err("must have 1 to 64 characters") });
    let scopes: Option<Vec<Scope>> = body
        .scopes
        .iter()
        .map(|word| Scope::OF_ADMINS.into_iter().find(|scope| scope.as_str() == word))
        .collect();
    let scopes = scopes.filter(|scopes| !scopes.is_empty());
    let scopes = shape.read("scopes", scopes.ok_or("must be some of read, write and admin"));
    let (Some(name), Some(scopes)) = (name, scopes) else { return Err(shape.refused()) };
    let new = api_key::generate_admin();
    let act = keeper.act("admin_key.new", format!("{} {name}", new.prefix));
    let made = Made { key: new.secret.expose_secret().to_owned(), prefix: new.prefix.clone() };
    let now = wall_now();
    let key = AdminKey { name, prefix: new.prefix, scopes, created_at: now, revoked_at: None };
    let hash = new.hash;
    state
        .api
        .store
        .write::<_, StoreError, _>(move |tx| {
            async move {
                admin_keys::insert(tx, &key, &hash).await?;
                audit::note(tx, &act, now).await
            }
            .boxed()
        })
        .await?;
    Ok((StatusCode::CREATED, Json(made)))
}

pub async fn revoke(
    keeper: Keeper,
    State(state): State<AdminState>,
    Path(prefix): Path<String>,
) -> Result<StatusCode, ApiError> {
    let act = keeper.act("admin_key.revoke", prefix.clone());
    let now = wall_now();
    let was_live = state
        .api
        .store
        .write::<_, StoreError, _>(move |tx| {
            async move {
                let was_live = admin_keys::revoke(tx, &prefix, now).await?;
                if was_live {
                    audit::note(tx, &act, now).await?;
                }
                Ok(was_live)
            }
            .boxed()
        })
        .await?;
    if was_live {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::new(StatusCode::NOT_FOUND, "admin_key_not_found", "There is no such live key"))
    }
}
