//! A daemon that is spoken to over its API, as a merchant's system would.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use reqwest::{Client, Method, RequestBuilder, Response, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::dev::Ready;
use super::surroundings::Surroundings;
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

/// Which daemon is asked, in the name of which tenant.
#[derive(Args)]
#[command(next_help_heading = "The daemon that is asked [default: the `preauthd dev` of this folder]")]
#[group(skip)]
pub(super) struct RemoteFlags {
    /// The daemon's address
    #[arg(long, value_name = "URL", requires = "key_env", conflicts_with = "ready_file")]
    url: Option<String>,
    /// The environment variable that holds an API key of the tenant
    #[arg(long, value_name = "VARIABLE", requires = "url")]
    key_env: Option<String>,
    #[command(flatten)]
    dev: DevFlags,
}

impl RemoteFlags {
    pub fn remote(&self) -> anyhow::Result<Remote> {
        match (&self.url, &self.key_env) {
            (Some(url), Some(variable)) => Remote::new(url, variable_of(variable)?),
            _ => {
                let ready = self.dev.ready()?;
                Remote::new(&ready.url, ready.saved.api_key.into())
            }
        }
    }
}

/// An invoice, and who is asked about it.
#[derive(Args)]
pub(super) struct OneInvoice {
    /// The invoice
    invoice: String,
    #[command(flatten)]
    daemon: RemoteFlags,
}

impl OneInvoice {
    /// Asks for what is at `/{root}/{invoice}`, or below it, and shows the answer.
    pub async fn ask(
        self,
        around: &Surroundings,
        method: Method,
        root: &str,
        below: &[&str],
    ) -> anyhow::Result<()> {
        let remote = self.daemon.remote()?;
        let path = [&[root, self.invoice.as_str()], below].concat();
        around.output.object(&remote.ask(remote.to(method, &path)?).await?)
    }
}

/// A secret of the environment.
pub(super) fn variable_of(name: &str) -> anyhow::Result<SecretString> {
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => Ok(value.into()),
        _ => bail!("the environment variable {name} holds nothing"),
    }
}

/// Why there is no good answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum RemoteError {
    #[error("no daemon answers at {url}: {why}")]
    Unreachable { url: String, why: String },
    /// It answered an error, in its own words.
    #[error("the daemon answered {status}: {message}")]
    Refused {
        status: u16,
        code: String,
        message: String,
        /// All its errors, as they came.
        errors: Vec<Value>,
    },
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
        self.ask(request).await
    }

    /// A request for a resource whose path is made of segments, each of which may hold any character.
    pub fn to(&self, method: Method, segments: &[&str]) -> anyhow::Result<RequestBuilder> {
        Ok(self.keyed(method, self.url_of(segments)?))
    }

    /// A request for a list, with its parameters.
    pub fn to_list(
        &self,
        segments: &[&str],
        parameters: impl IntoIterator<Item = (&'static str, String)>,
    ) -> anyhow::Result<RequestBuilder> {
        let mut url = self.url_of(segments)?;
        let mut parameters = parameters.into_iter().peekable();
        if parameters.peek().is_some() {
            url.query_pairs_mut().extend_pairs(parameters);
        }
        Ok(self.keyed(Method::GET, url))
    }

    fn url_of(&self, segments: &[&str]) -> anyhow::Result<Url> {
        let mut url: Url = self.url.parse().with_context(|| format!("{} is no URL", self.url))?;
        match url.path_segments_mut() {
            Ok(mut path) => path.pop_if_empty().extend(segments),
            Err(()) => bail!("{} is no URL of a daemon", self.url),
        };
        Ok(url)
    }

    fn keyed(&self, method: Method, url: Url) -> RequestBuilder {
        self.http.request(method, url).header("x-api-key", self.key.expose_secret())
    }

    /// Sends a request and reads the JSON it is answered with.
    pub async fn ask(&self, request: RequestBuilder) -> Result<Value, RemoteError> {
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
        let mut message = said("message").unwrap_or("nothing that a preauthd would say").to_owned();
        if let Some(detail) = said("detail") {
            message = format!("{message}: {detail}");
        }
        let code = said("code").unwrap_or_default().to_owned();
        let errors = body.get("errors").and_then(Value::as_array).cloned().unwrap_or_default();
        Err(RemoteError::Refused { status, code, message, errors })
    }

    fn unreachable(&self, error: &reqwest::Error) -> RemoteError {
        let mut innermost: &dyn std::error::Error = error;
        while let Some(cause) = innermost.source() {
            innermost = cause;
        }
        RemoteError::Unreachable { url: self.url.clone(), why: without_urls(&innermost.to_string()) }
    }
}
