//! A daemon that is spoken to over its API, as a merchant's system would.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use reqwest::{Client, Method, Response};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::dev::Ready;
use crate::chain::without_urls;

const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// Longer than the daemon lets a request wait for the chain, and than the pauses between signs of life in a stream.
const SILENCE: Duration = Duration::from_secs(45);

/// Which `preauthd dev` is meant.
#[derive(Args)]
#[group(skip)]
pub(super) struct DevFlags {
    /// What a running `preauthd dev` wrote when it was ready; it always writes one into its data folder
    #[arg(long, value_name = "F", default_value = "./.dev/ready.json")]
    ready_file: PathBuf,
}

impl DevFlags {
    pub fn ready(&self) -> anyhow::Result<Ready> {
        Ready::read(&self.ready_file).with_context(|| {
            format!(
                "{} tells of no running daemon; start one with `preauthd dev`, or name its --ready-file",
                self.ready_file.display()
            )
        })
    }
}

/// Why there is no good answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum RemoteError {
    #[error("no daemon answers at {url}: {why}")]
    Unreachable { url: String, why: String },
    /// It answered an error, in its own words.
    #[error("the daemon answered {status}: {message}")]
    Refused { status: u16, code: String, message: String },
}

impl RemoteError {
    /// Whether the same question may be answered later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { status, .. } => *status >= 500 || *status == 429,
        }
    }
}

/// A daemon and one of a tenant's keys.
pub(super) struct Remote {
    http: Client,
    pub url: String,
    key: SecretString,
}

impl Remote {
    pub fn new(url: &str, key: SecretString) -> anyhow::Result<Self> {
        // An error only says that a provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder().connect_timeout(CONNECT_PATIENCE).read_timeout(SILENCE).build()?;
        Ok(Self { http, url: url.trim_end_matches('/').to_owned(), key })
    }

    pub async fn get(&self, path: &str) -> Result<Value, RemoteError> {
        self.json(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, RemoteError> {
        self.json(Method::POST, path, Some(body)).await
    }

    /// The stream of events behind a cursor; without one it begins with what happens next.
    pub async fn stream(&self, after: Option<&str>) -> Result<Response, RemoteError> {
        let mut request = self.request(Method::GET, "/events/stream");
        if let Some(cursor) = after {
            request = request.header("last-event-id", cursor);
        }
        self.answer(request).await
    }

    async fn json(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, RemoteError> {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(body);
        }
        self.answer(request).await?.json().await.map_err(|error| self.unreachable(&error))
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).header("x-api-key", self.key.expose_secret())
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<Response, RemoteError> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let body: Value = response.json().await.unwrap_or_default();
        let said = |field: &str| body.pointer(&format!("/errors/0/{field}")).and_then(Value::as_str);
        let message = said("message").unwrap_or("nothing that a preauthd would say").to_owned();
        Err(RemoteError::Refused { status, code: said("code").unwrap_or_default().to_owned(), message })
    }

    fn unreachable(&self, error: &reqwest::Error) -> RemoteError {
        let mut innermost: &dyn std::error::Error = error;
        while let Some(cause) = innermost.source() {
            innermost = cause;
        }
        RemoteError::Unreachable { url: self.url.clone(), why: without_urls(&innermost.to_string()) }
    }
}
