//! The part of AWS KMS that signs, over its JSON protocol.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Mood, Protocol, Vault};
use crate::harness::receiver::never;

const SECRET: &str = "wJalrXUtnFEMIbPxRfiCYEXAMPLEKEY";

/// AWS KMS.
pub struct Aws;

impl Protocol for Aws {
    const NAME: &'static str = "AWS KMS";
    const OPERATOR: &'static str = r#"aws_kms = "arn:aws:kms:eu-central-1:111122223333:key/4711""#;
    const DENIAL: &'static str = "is not authorized";
    const FAILURE: &'static str = "KMSInternalException";
    const SECRETS: &'static [&'static str] = &[SECRET];

    fn credentials(_: &str, _: &Path) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
        ]
    }

    fn router(vault: Arc<Vault>) -> Router {
        Router::new().fallback(answer).with_state(vault)
    }
}

async fn answer(State(vault): State<Arc<Vault>>, headers: HeaderMap, raw: Bytes) -> Response {
    match vault.mood() {
        Mood::Signs => {}
        Mood::Denies => {
            let message = "User: arn:aws:iam::111122223333:user/lane is not authorized to perform: kms:Sign";
            return refused(StatusCode::BAD_REQUEST, "AccessDeniedException", message);
        }
        Mood::Fails => {
            return refused(StatusCode::INTERNAL_SERVER_ERROR, "KMSInternalException", "try again");
        }
        Mood::Hangs => return never().await,
    }
    let asked: Value = serde_json::from_slice(&raw).unwrap_or_default();
    let of = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_signed = of("authorization").starts_with("AWS4-HMAC-SHA256 ")
        && of("authorization").contains("/eu-central-1/kms/aws4_request");
    let answered = match of("x-amz-target") {
        _ if !is_signed => None,
        "TrentService.GetPublicKey" => Some(public_key(&vault, &asked)),
        "TrentService.Sign" => signature(&vault, &asked),
        _ => None,
    };
    match answered {
        Some(body) => spoken(StatusCode::OK, &body),
        None => {
            vault.note_nonsense(format!("{} {asked}", of("x-amz-target")));
            refused(StatusCode::BAD_REQUEST, "ValidationException", "what is that?")
        }
    }
}

fn public_key(vault: &Vault, asked: &Value) -> Value {
    json!({
        "KeyId": asked["KeyId"],
        "PublicKey": STANDARD.encode(vault.public_key()),
        "KeySpec": "ECC_SECG_P256K1",
        "KeyUsage": "SIGN_VERIFY",
        "SigningAlgorithms": ["ECDSA_SHA_256"],
    })
}

fn signature(vault: &Vault, asked: &Value) -> Option<Value> {
    if (asked["MessageType"].as_str(), asked["SigningAlgorithm"].as_str())
        != (Some("DIGEST"), Some("ECDSA_SHA_256"))
    {
        return None;
    }
    let digest = STANDARD.decode(asked["Message"].as_str()?).ok().filter(|digest| digest.len() == 32)?;
    Some(json!({
        "KeyId": asked["KeyId"],
        "Signature": STANDARD.encode(vault.sign(&digest)),
        "SigningAlgorithm": "ECDSA_SHA_256",
    }))
}

fn spoken(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/x-amz-json-1.1")], body.to_string()).into_response()
}

fn refused(status: StatusCode, kind: &str, message: &str) -> Response {
    spoken(status, &json!({ "__type": kind, "message": message }))
}
