//! Key management services of the stories' own: each speaks the protocol of a real one, has one key, and answers as its
//! story wants.

#[cfg(feature = "aws-kms")]
mod aws;
#[cfg(feature = "gcp-kms")]
mod gcp;
#[cfg(feature = "gcp-kms")]
mod google_tokens;
mod wire;

use std::marker::PhantomData;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use alloy::hex;
use alloy::primitives::Address;
use alloy::signers::k256::ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner};
use alloy::signers::local::PrivateKeySigner;
use axum::Router;

#[cfg(feature = "aws-kms")]
pub use aws::Aws;
#[cfg(feature = "gcp-kms")]
pub use gcp::Gcp;
pub use wire::{Cut, Wire};

/// What comes before an uncompressed point of secp256k1 in a SubjectPublicKeyInfo.
const SPKI_HEAD: [u8; 23] = hex!("3056301006072a8648ce3d020106052b8104000a034200");

/// How a service answers.
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

/// What differs from one service to the other.
pub trait Protocol: Sized + 'static {
    /// What the daemon calls the service.
    const NAME: &'static str;
    /// The setting of an operator whose key is there.
    const OPERATOR: &'static str;
    /// What it says in the moods that refuse.
    const DENIAL: &'static str;
    const FAILURE: &'static str;
    /// What nobody may read in a log.
    const SECRETS: &'static [&'static str];

    /// Makes who asks known: variables of the environment, and the files in a folder that they name.
    fn credentials(url: &str, folder: &Path) -> Vec<(&'static str, String)>;

    fn router(vault: Arc<Vault>) -> Router;
}

/// A service.
pub struct Kms<P> {
    pub place: SocketAddr,
    vault: Arc<Vault>,
    protocol: PhantomData<P>,
}

impl<P: Protocol> Kms<P> {
    /// At a free port.
    pub async fn open() -> Self {
        Self::with_key(free_address().await, PrivateKeySigner::random()).await
    }

    /// At an address where nothing listens yet.
    pub async fn with_key(place: SocketAddr, signer: PrivateKeySigner) -> Self {
        let vault = Arc::new(Vault {
            key: signer.credential().clone(),
            address: signer.address(),
            book: Mutex::new(Book { mood: Mood::Signs, signed: 0, nonsense: Vec::new() }),
            #[cfg(feature = "gcp-kms")]
            tokens: Mutex::default(),
        });
        let listener = tokio::net::TcpListener::bind(place).await.expect("the port");
        let router = P::router(Arc::clone(&vault));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { place, vault, protocol: PhantomData }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.place)
    }

    pub fn address(&self) -> Address {
        self.vault.address
    }

    pub fn becomes(&self, mood: Mood) {
        self.vault.book.lock().expect("no panic").mood = mood;
    }

    /// How often it has signed.
    pub fn signed(&self) -> usize {
        self.vault.book.lock().expect("no panic").signed
    }

    pub fn assert_it_was_asked_properly(&self) {
        let nonsense = self.vault.book.lock().expect("no panic").nonsense.clone();
        assert_eq!(nonsense, Vec::<String>::new());
    }
}

/// The key of a service, and what it knows of those who asked for it.
pub struct Vault {
    key: SigningKey,
    address: Address,
    book: Mutex<Book>,
    #[cfg(feature = "gcp-kms")]
    tokens: Mutex<google_tokens::Tokens>,
}

struct Book {
    mood: Mood,
    signed: usize,
    /// Requests that no client of the service would send.
    nonsense: Vec<String>,
}

impl Vault {
    fn mood(&self) -> Mood {
        self.book.lock().expect("no panic").mood
    }

    #[cfg(feature = "gcp-kms")]
    fn tokens(&self) -> std::sync::MutexGuard<'_, google_tokens::Tokens> {
        self.tokens.lock().expect("no panic")
    }

    fn note_nonsense(&self, what: String) {
        self.book.lock().expect("no panic").nonsense.push(what);
    }

    /// The public key as a SubjectPublicKeyInfo.
    fn public_key(&self) -> Vec<u8> {
        [&SPKI_HEAD, self.key.verifying_key().to_encoded_point(false).as_bytes()].concat()
    }

    /// A signature in DER. Half of them have a high s, as the services' do: Ethereum takes none of those.
    fn sign(&self, digest: &[u8]) -> Vec<u8> {
        let signature: Signature = self.key.sign_prehash(digest).expect("a signature");
        let low = signature.normalize_s().unwrap_or(signature);
        let mut book = self.book.lock().expect("no panic");
        book.signed += 1;
        let (r, s) = low.split_scalars();
        let given = if book.signed.is_multiple_of(2) {
            low
        } else {
            Signature::from_scalars(r, -s).expect("a signature")
        };
        given.to_der().as_bytes().to_vec()
    }
}

/// An address at which nothing listens, for now.
pub async fn free_address() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address")
}
