//! The part of Google Cloud KMS that signs, over gRPC. HTTP/2 is what the features of the client add to the tests' server.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, Version, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full};
use prost::Message;

use super::google_tokens::{self, ACCESS_TOKEN, SUBJECT_TOKEN};
use super::{Kms, Mood, Protocol, Vault};
use crate::harness::receiver::never;

const KEY: &str = "projects/shop/locations/europe-west3/keyRings/lanes/cryptoKeys/one/cryptoKeyVersions/1";

/// `EC_SIGN_SECP256K1_SHA256` among the algorithms.
const SECP256K1: i32 = 31;

/// How gRPC numbers what went wrong.
const INVALID_ARGUMENT: u16 = 3;
const PERMISSION_DENIED: u16 = 7;
const INTERNAL: u16 = 13;
const UNAUTHENTICATED: u16 = 16;

/// Google Cloud KMS.
pub struct Gcp;

impl Protocol for Gcp {
    const NAME: &'static str = "Google Cloud KMS";
    const OPERATOR: &'static str = r#"gcp_kms = "projects/shop/locations/europe-west3/keyRings/lanes/cryptoKeys/one/cryptoKeyVersions/1""#;
    const DENIAL: &'static str = "Permission 'cloudkms.cryptoKeyVersions.useToSign' denied";
    const FAILURE: &'static str = "Internal error encountered.";
    const SECRETS: &'static [&'static str] = &[SUBJECT_TOKEN, ACCESS_TOKEN];

    fn credentials(url: &str, folder: &Path) -> Vec<(&'static str, String)> {
        google_tokens::of_a_workload(url, folder)
    }

    fn router(vault: Arc<Vault>) -> Router {
        google_tokens::router().fallback(answer).with_state(vault)
    }
}

impl Kms<Gcp> {
    /// Takes none of the tokens any more that were given out so far, long before they expire.
    pub fn revokes_tokens(&self) {
        self.vault.tokens().revoke();
    }

    /// Credentials of a service account, which asks for its tokens with a key of its own; and that key.
    pub fn service_account(&self, folder: &Path) -> (Vec<(&'static str, String)>, String) {
        google_tokens::of_a_service_account(&mut self.vault.tokens(), &self.url(), folder)
    }
}

#[derive(Clone, PartialEq, Message)]
struct GetPublicKey {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct PublicKey {
    #[prost(string, tag = "1")]
    pem: String,
    #[prost(int32, tag = "2")]
    algorithm: i32,
    #[prost(string, tag = "4")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct AsymmetricSign {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "3")]
    digest: Option<Digest>,
}

#[derive(Clone, PartialEq, Message)]
struct Digest {
    #[prost(bytes = "vec", optional, tag = "1")]
    sha256: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct Signed {
    #[prost(bytes = "vec", tag = "1")]
    signature: Vec<u8>,
    #[prost(string, tag = "4")]
    name: String,
}

async fn answer(
    State(vault): State<Arc<Vault>>,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
    raw: Bytes,
) -> Response {
    match vault.mood() {
        Mood::Signs => {}
        Mood::Denies => {
            let message = format!("{} on resource '{KEY}' (or it may not exist).", Gcp::DENIAL);
            return refused(PERMISSION_DENIED, &message);
        }
        Mood::Fails => return refused(INTERNAL, Gcp::FAILURE),
        Mood::Hangs => return never().await,
    }
    let of = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if of("authorization") != format!("Bearer {}", vault.tokens().current()) {
        return refused(UNAUTHENTICATED, "Request had invalid authentication credentials.");
    }
    let is_proper = version == Version::HTTP_2
        && of("content-type") == "application/grpc"
        && of("te") == "trailers"
        && of("x-goog-request-params").replace("%2F", "/") == format!("name={KEY}");
    let answered = match uri.path() {
        _ if !is_proper => None,
        "/google.cloud.kms.v1.KeyManagementService/GetPublicKey" => public_key(&vault, &raw),
        "/google.cloud.kms.v1.KeyManagementService/AsymmetricSign" => signature(&vault, &raw),
        _ => None,
    };
    answered.unwrap_or_else(|| {
        vault.note_nonsense(format!("{version:?} {uri} {raw:?}"));
        refused(INVALID_ARGUMENT, "what is that?")
    })
}

fn public_key(vault: &Vault, raw: &[u8]) -> Option<Response> {
    let asked: GetPublicKey = unframed(raw)?;
    let pem = pem("PUBLIC KEY", &vault.public_key());
    (asked.name == KEY).then(|| spoken(&PublicKey { pem, algorithm: SECP256K1, name: asked.name }))
}

fn signature(vault: &Vault, raw: &[u8]) -> Option<Response> {
    let asked: AsymmetricSign = unframed(raw).filter(|asked: &AsymmetricSign| asked.name == KEY)?;
    let digest = asked.digest?.sha256.filter(|digest| digest.len() == 32)?;
    Some(spoken(&Signed { signature: vault.sign(&digest), name: asked.name }))
}

/// The message of a frame that is not compressed.
fn unframed<M: Message + Default>(raw: &[u8]) -> Option<M> {
    let (head, message) = raw.split_first_chunk::<5>()?;
    let [0, length @ ..] = *head else { return None };
    let is_whole = usize::try_from(u32::from_be_bytes(length)) == Ok(message.len());
    M::decode(message).ok().filter(|_| is_whole)
}

fn spoken(message: &impl Message) -> Response {
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).expect("a short message");
    let frame = [&[0], length.to_be_bytes().as_slice(), &message].concat();
    let trailers =
        HeaderMap::from_iter([(header::HeaderName::from_static("grpc-status"), HeaderValue::from(0))]);
    let body = Full::new(Bytes::from(frame)).with_trailers(async { Some(Ok(trailers)) });
    (StatusCode::OK, [(header::CONTENT_TYPE, "application/grpc")], Body::new(body)).into_response()
}

/// A refusal is told without a body, in the headers.
fn refused(code: u16, message: &str) -> Response {
    let said = message.replace('%', "%25");
    let headers = [("content-type", "application/grpc"), ("grpc-message", said.as_str())];
    (StatusCode::OK, headers, [("grpc-status", code.to_string())]).into_response()
}

/// PEM, in lines as strict readers want them.
pub(super) fn pem(kind: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| str::from_utf8(line).expect("ASCII")).collect();
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", lines.join("\n"))
}
