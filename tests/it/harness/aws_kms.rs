//! The part of AWS KMS that signs, over its JSON protocol: one key, whose service answers as its story wants.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use alloy::hex;
use alloy::primitives::Address;
use alloy::signers::k256::ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner};
use alloy::signers::local::PrivateKeySigner;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::receiver::never;

/// What comes before an uncompressed point of secp256k1 in a SubjectPublicKeyInfo.
const SPKI_HEAD: [u8; 23] = hex!("3056301006072a8648ce3d020106052b8104000a034200");

/// How the service answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Signs,
    /// Whoever asks may not use the key.
    Denies,
    /// It has troubles of its own.
    Fails,
    /// It takes a request and never answers.
    Hangs,
}

/// The service. Clones share it.
#[derive(Clone)]
pub struct AwsKms {
    pub url: String,
    inner: Arc<Inner>,
}

struct Inner {
    key: SigningKey,
    address: Address,
    book: Mutex<Book>,
}

struct Book {
    mood: Mood,
    signed: usize,
    /// Requests that no client of the service would send.
    nonsense: Vec<String>,
}

impl AwsKms {
    /// A service at a free port.
    pub async fn open() -> Self {
        Self::at(free_address().await).await
    }

    /// A service at an address where nothing listens yet.
    pub async fn at(address: SocketAddr) -> Self {
        Self::with_key(address, PrivateKeySigner::random()).await
    }

    pub async fn with_key(address: SocketAddr, signer: PrivateKeySigner) -> Self {
        let book = Book { mood: Mood::Signs, signed: 0, nonsense: Vec::new() };
        let inner = Arc::new(Inner {
            key: signer.credential().clone(),
            address: signer.address(),
            book: Mutex::new(book),
        });
        let listener = tokio::net::TcpListener::bind(address).await.expect("the port");
        let url = format!("http://{address}");
        let router = Router::new().fallback(answer).with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, inner }
    }

    pub fn address(&self) -> Address {
        self.inner.address
    }

    pub fn becomes(&self, mood: Mood) {
        self.inner.book.lock().expect("no panic").mood = mood;
    }

    /// How often it has signed.
    pub fn signed(&self) -> usize {
        self.inner.book.lock().expect("no panic").signed
    }

    pub fn assert_it_was_asked_properly(&self) {
        let nonsense = self.inner.book.lock().expect("no panic").nonsense.clone();
        assert_eq!(nonsense, Vec::<String>::new());
    }
}

/// An address at which nothing listens, for now.
pub async fn free_address() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address")
}

async fn answer(State(inner): State<Arc<Inner>>, headers: HeaderMap, raw: Bytes) -> Response {
    let mood = inner.book.lock().expect("no panic").mood;
    match mood {
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
        "TrentService.GetPublicKey" => Some(inner.public_key(&asked)),
        "TrentService.Sign" => inner.sign(&asked),
        _ => None,
    };
    match answered {
        Some(body) => spoken(StatusCode::OK, &body),
        None => {
            inner.book.lock().expect("no panic").nonsense.push(format!("{} {asked}", of("x-amz-target")));
            refused(StatusCode::BAD_REQUEST, "ValidationException", "what is that?")
        }
    }
}

impl Inner {
    fn public_key(&self, asked: &Value) -> Value {
        let point = self.key.verifying_key().to_encoded_point(false);
        json!({
            "KeyId": asked["KeyId"],
            "PublicKey": STANDARD.encode([&SPKI_HEAD, point.as_bytes()].concat()),
            "KeySpec": "ECC_SECG_P256K1",
            "KeyUsage": "SIGN_VERIFY",
            "SigningAlgorithms": ["ECDSA_SHA_256"],
        })
    }

    /// Half of the signatures have a high s, as the service's do: Ethereum takes none of those.
    fn sign(&self, asked: &Value) -> Option<Value> {
        if (asked["MessageType"].as_str(), asked["SigningAlgorithm"].as_str())
            != (Some("DIGEST"), Some("ECDSA_SHA_256"))
        {
            return None;
        }
        let digest = STANDARD.decode(asked["Message"].as_str()?).ok().filter(|digest| digest.len() == 32)?;
        let signature: Signature = self.key.sign_prehash(&digest).expect("a signature");
        let low = signature.normalize_s().unwrap_or(signature);
        let mut book = self.book.lock().expect("no panic");
        book.signed += 1;
        let (r, s) = low.split_scalars();
        let given = if book.signed.is_multiple_of(2) {
            low
        } else {
            Signature::from_scalars(r, -s).expect("a signature")
        };
        Some(json!({
            "KeyId": asked["KeyId"],
            "Signature": STANDARD.encode(given.to_der().as_bytes()),
            "SigningAlgorithm": "ECDSA_SHA_256",
        }))
    }
}

fn spoken(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/x-amz-json-1.1")], body.to_string()).into_response()
}

fn refused(status: StatusCode, kind: &str, message: &str) -> Response {
    spoken(status, &json!({ "__type": kind, "message": message }))
}
