//! How Google knows who asks: the credentials' files, and the service that gives access tokens for what they say.

use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RsaKeyPair};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Value, json};

use super::Vault;
use super::gcp::pem;

/// What somebody outside of Google's cloud shows to be given a token.
pub const SUBJECT_TOKEN: &str = "subject-token-of-a-workload";
/// How each access token begins.
pub const ACCESS_TOKEN: &str = "ya29.access-token";

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const POOL: &str =
    "//iam.googleapis.com/projects/4711/locations/global/workloadIdentityPools/shop/providers/house";
const ACCOUNT: &str = "lane@shop.iam.gserviceaccount.com";

/// What the service knows of those who ask.
#[derive(Default)]
pub struct Tokens {
    /// How often all tokens were revoked.
    revoked: usize,
    /// The public key of the service account.
    account: Option<Vec<u8>>,
}

impl Tokens {
    pub fn revoke(&mut self) {
        self.revoked += 1;
    }

    /// The only token that counts.
    pub fn current(&self) -> String {
        format!("{ACCESS_TOKEN}-{}", self.revoked)
    }
}

/// Credentials of a workload that is known to somebody Google trusts.
pub fn of_a_workload(url: &str, folder: &Path) -> Vec<(&'static str, String)> {
    let subject = folder.join("subject-token");
    std::fs::write(&subject, SUBJECT_TOKEN).expect("a file");
    let said = json!({
        "type": "external_account",
        "audience": POOL,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("{url}/v1/token"),
        "credential_source": { "file": subject },
    });
    written(folder, &said)
}

/// Credentials of a service account, and its key as the file has it.
pub fn of_a_service_account(
    tokens: &mut Tokens,
    url: &str,
    folder: &Path,
) -> (Vec<(&'static str, String)>, String) {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
    tokens.account = Some(pair.public_key().as_ref().to_vec());
    let der: Pkcs8V1Der<'_> = pair.as_der().expect("a key");
    let key = pem("PRIVATE KEY", der.as_ref());
    let said = json!({
        "type": "service_account",
        "client_email": ACCOUNT,
        "private_key_id": "4711",
        "private_key": key,
        "token_uri": format!("{url}/token"),
    });
    (written(folder, &said), key)
}

fn written(folder: &Path, credentials: &Value) -> Vec<(&'static str, String)> {
    let file = folder.join("credentials.json");
    std::fs::write(&file, credentials.to_string()).expect("a file");
    vec![("GOOGLE_APPLICATION_CREDENTIALS", file.to_string_lossy().into_owned())]
}

pub fn router() -> Router<Arc<Vault>> {
    Router::new().route("/v1/token", post(exchange)).route("/token", post(grant))
}

/// A token for that of somebody else.
async fn exchange(State(vault): State<Arc<Vault>>, Json(asked): Json<Value>) -> (StatusCode, Json<Value>) {
    let wanted = json!({
        "grantType": "urn:ietf:params:oauth:grant-type:token-exchange",
        "audience": POOL,
        "requestedTokenType": "urn:ietf:params:oauth:token-type:access_token",
        "subjectTokenType": "urn:ietf:params:oauth:token-type:jwt",
        "subjectToken": SUBJECT_TOKEN,
        "scope": SCOPE,
    });
    given(&vault, asked == wanted)
}

/// A token for a request that a service account has signed.
async fn grant(State(vault): State<Arc<Vault>>, form: String) -> (StatusCode, Json<Value>) {
    let account = vault.tokens().account.clone();
    let assertion =
        form.strip_prefix("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=");
    let claims = assertion.zip(account).and_then(|(assertion, key)| claims(assertion, &key));
    let is_right = claims.is_some_and(|claims| {
        claims["iss"] == ACCOUNT
            && claims["scope"] == SCOPE
            && claims["exp"].as_u64() > claims["iat"].as_u64()
    });
    given(&vault, is_right)
}

/// What a JWT says, where it was signed with this key.
fn claims(jwt: &str, key: &[u8]) -> Option<Value> {
    let (said, signature) = jwt.rsplit_once('.')?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key);
    key.verify(said.as_bytes(), &signature).ok()?;
    let (_, claims) = said.split_once('.')?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}

fn given(vault: &Vault, is_right: bool) -> (StatusCode, Json<Value>) {
    if !is_right {
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" })));
    }
    let token = vault.tokens().current();
    (StatusCode::OK, Json(json!({ "access_token": token, "token_type": "Bearer", "expires_in": 3600 })))
}
