//! Who is calling: the tenant of an API key, and what the key may be used for.
//!
//! The [gate](super::gate) before the routes asks once; whoever is behind it is told what it found.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use super::HttpState;
use super::api_key::PresentedKey;
use super::error::ApiError;
use crate::model::{Scope, Tenant};

/// The header of the API's contract; `Authorization: Bearer` does as well.
const API_KEY_HEADER: &str = "x-api-key";

/// A tenant's system, authenticated.
#[derive(Debug, Clone)]
pub struct Caller {
    pub tenant: Tenant,
    scopes: Vec<Scope>,
    /// What the API key is called: not secret.
    pub prefix: String,
    /// The SHA-256 of the API key, by which it is counted how often it is used.
    pub key: ApiKeyHash,
}

/// The SHA-256 of an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ApiKeyHash(pub [u8; 32]);

/// What the gate found, for those behind it.
#[derive(Debug, Clone)]
pub struct Admitted(pub Result<Caller, ApiError>);

/// A caller whose key may look at things.
pub struct Reader(pub Caller);

/// A caller whose key may change things.
pub struct Writer(pub Caller);

/// A caller whose key may begin new things: a disabled tenant settles and cancels what is open, and begins nothing.
pub struct Opener(pub Caller);

/// A caller whose key may look at parties.
pub struct OnboardingReader(pub Caller);

/// A caller whose key may onboard parties.
pub struct OnboardingWriter(pub Caller);

/// A caller whose key may decide about parties.
pub struct Staff(pub Caller);

impl Caller {
    /// Whether the key has a scope. None implies another.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }

    /// The caller whose API key is in the headers.
    ///
    /// # Errors
    /// 401, or a fault of the database.
    pub async fn authenticate(headers: &HeaderMap, state: &HttpState) -> Result<Self, ApiError> {
        let presented = presented(headers).and_then(PresentedKey::parse);
        let presented = presented.ok_or_else(ApiError::unauthenticated)?;
        let candidates = state.store.key_holders(presented.prefix()).await?;
        let (_, tenant, scopes) = candidates
            .into_iter()
            .find(|(hash, ..)| presented.matches(hash))
            .ok_or_else(ApiError::unauthenticated)?;
        tracing::Span::current().record("tenant", tracing::field::display(tenant.id));
        let (prefix, key) = (presented.prefix().to_owned(), ApiKeyHash(presented.hash()));
        Ok(Self { tenant, scopes, prefix, key })
    }

    fn demand(self, scope: Scope) -> Result<Self, ApiError> {
        if self.may(scope) { Ok(self) } else { Err(ApiError::forbidden("missing_scope")) }
    }
}

impl FromRequestParts<HttpState> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, ApiError> {
        match parts.extensions.get::<Admitted>() {
            Some(Admitted(admitted)) => admitted.clone(),
            None => Self::authenticate(&parts.headers, state).await,
        }
    }
}

impl FromRequestParts<HttpState> for Reader {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, ApiError> {
        Caller::from_request_parts(parts, state).await?.demand(Scope::Read).map(Self)
    }
}

impl FromRequestParts<HttpState> for Writer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, ApiError> {
        Caller::from_request_parts(parts, state).await?.demand(Scope::Write).map(Self)
    }
}

impl FromRequestParts<HttpState> for Opener {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, ApiError> {
        let Writer(caller) = Writer::from_request_parts(parts, state).await?;
        if caller.tenant.disabled { Err(ApiError::forbidden("tenant_disabled")) } else { Ok(Self(caller)) }
    }
}

impl FromRequestParts<HttpState> for OnboardingReader {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, ApiError> {
        Caller::from_request_parts(parts, state).await?.demand(Scope::OnboardingRead).map(Self)
    }
}

impl FromRequestParts<HttpState> for OnboardingWriter {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, ApiError> {
        Caller::from_request_parts(parts, state).await?.demand(Scope::OnboardingWrite).map(Self)
    }
}

impl FromRequestParts<HttpState> for Staff {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, ApiError> {
        Caller::from_request_parts(parts, state).await?.demand(Scope::Staff).map(Self)
    }
}

pub(super) fn presented(headers: &HeaderMap) -> Option<&str> {
    if let Some(key) = headers.get(API_KEY_HEADER) {
        return key.to_str().ok();
    }
    let (scheme, key) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim_start_matches(' '))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::House;

    const DENIED: &str = "Access Denied";

    #[tokio::test]
    async fn both_headers_are_taken() {
        let house = House::open().await;
        let key = house.key(&[Scope::Read]).await;
        assert_eq!(house.get("/tokens").header("x-api-key", &key).send().await.status, 200);
        for scheme in ["Bearer", "bearer"] {
            let request = house.get("/tokens").header("authorization", &format!("{scheme} {key}"));
            assert_eq!(request.send().await.status, 200);
        }
    }

    #[tokio::test]
    async fn no_key_a_wrong_key_and_a_revoked_key_are_401() {
        let house = House::open().await;
        let key = house.key(&[Scope::Read]).await;
        let other = house.key(&[Scope::Read]).await;
        let expected = (401, DENIED, DENIED, "unauthenticated");
        assert_eq!(house.get("/tokens").send().await.error(), expected);
        // The prefix of one key with the secret of another.
        let forged = format!("{}{}", &key[..12], &other[12..]);
        for wrong in ["", "pak_", &forged, "ü"] {
            let answer = house.get("/tokens").header("x-api-key", wrong).send().await;
            assert_eq!(answer.error(), expected, "{wrong}");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
        assert_eq!(house.get("/tokens").header("authorization", &key).send().await.status, 401);
        house.revoke(&key[..12]).await;
        assert_eq!(house.get("/tokens").header("x-api-key", &key).send().await.error(), expected);
        assert_eq!(house.get("/tokens").header("x-api-key", &other).send().await.status, 200);
    }

    #[tokio::test]
    async fn a_scope_opens_its_own_doors_only() {
        let house = House::open().await;
        let forbidden = (403, DENIED, DENIED, "missing_scope");
        for (scopes, reads, writes) in [
            (&[Scope::Read][..], true, false),
            (&[Scope::Write], false, true),
            (&[Scope::Admin], false, false),
            (&[Scope::Read, Scope::Write], true, true),
        ] {
            let key = house.key(scopes).await;
            let read = house.get("/wallets").header("x-api-key", &key).send().await;
            let written = house.post("/wallets", "{}").header("x-api-key", &key).send().await;
            assert_eq!(read.status == 200, reads, "{scopes:?}");
            assert_eq!(written.status == 400, writes, "{scopes:?}");
            assert!(reads || read.error() == forbidden);
            assert!(writes || written.error() == forbidden);
        }
    }

    #[tokio::test]
    async fn a_disabled_tenant_begins_nothing_and_finishes_what_is_open() {
        let house = House::open().await;
        let key = house.key(&Scope::ALL).await;
        house.disable_tenant().await;
        for begins in ["/onchain-preauth", "/preauth-terms", "/wallets"] {
            let answer = house.post(begins, "{}").header("x-api-key", &key).send().await;
            assert_eq!(answer.error(), (403, DENIED, DENIED, "tenant_disabled"), "{begins}");
        }
        assert_eq!(house.get("/tokens").header("x-api-key", &key).send().await.status, 200);
        let settle = house.post("/onchain-preauth/INV-1/settle", r#"{"amount":"1"}"#);
        assert_eq!(settle.header("x-api-key", &key).send().await.status, 404);
    }

    #[tokio::test]
    async fn access_is_judged_before_the_body() {
        let house = House::open().await;
        assert_eq!(house.post("/onchain-preauth", "nonsense").send().await.status, 401);
    }
}
