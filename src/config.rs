//! The configuration: a TOML file, the environment laid over it, everything checked at start.
//!
//! A daemon that holds other people's money does not guess: an unknown key, a value out of its bounds or a missing one
//! is refused, and each refusal names the key, the place it was written in, and what is expected there.

mod keys;
mod operators;
mod reader;
mod source;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use alloy::primitives::Address;
use secrecy::{ExposeSecret, SecretString};

use crate::chain::RpcEndpoints;
use crate::http::RateSettings;
use crate::keys::OperatorKey;
use crate::lane::LaneSettings;
use crate::onboarding::{Gateway, MasterKey};
use crate::outbound::{Outbound, Vault};
use crate::webhooks::WebhookSettings;

pub use keys::{KeyError, KeySource, OperatorSource, PasswordSource};
use reader::Reader;
use source::{Place, Source};

/// The file that is read where none is named.
pub const DEFAULT_FILE: &str = "preauthd.toml";

/// A configuration in which every key is explained, with its default where it has one.
pub const EXAMPLE: &str = include_str!("../preauthd.example.toml");

/// How often a daemon compares its database with the chain where nothing else is said.
pub const DEFAULT_RECONCILE_EVERY: Duration = Duration::from_secs(3_600);

/// How long before its expiry a hold is announced to expire where nothing else is said.
pub const DEFAULT_EXPIRING_BEFORE: Duration = Duration::from_secs(3_600);

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Pretty,
    Json,
}

/// The checked configuration. Values that only some commands need may be absent; asking for them says what is missing.
#[derive(Debug, Clone)]
pub struct Config {
    pub data_dir: PathBuf,
    pub listen: SocketAddr,
    /// Where those who run the daemon are let in; `None`: nowhere.
    pub admin_listen: Option<SocketAddr>,
    /// A block explorer, for links; `None`: there are none.
    pub explorer_url: Option<String>,
    pub lane: LaneSettings,
    /// What payers see before `/pay/…`; `None`: `http://` and where the API listens.
    pub public_url: Option<String>,
    /// A node that a payer's wallet is told where it does not know the chain.
    pub wallet_rpc_url: Option<String>,
    pub request_timeout: Duration,
    /// How often a running daemon compares its database with the chain; `None`: never.
    pub reconcile_every: Option<Duration>,
    /// How long before its expiry a hold is announced to expire; zero: never.
    pub expiring_before: Duration,
    /// How often an API key may be used.
    pub rates: RateSettings,
    pub log_format: LogFormat,
    /// A collector of traces (OTLP over HTTP); `None`: nothing is traced.
    pub otlp_endpoint: Option<String>,
    pub rpc: Option<RpcEndpoints>,
    pub chain_id: Option<u64>,
    pub escrow: Option<Address>,
    pub escrow_block: Option<u64>,
    operators: Vec<(String, OperatorSource)>,
    /// But for the key of their vault.
    webhooks: WebhookSettings,
    /// The variable that holds that key.
    webhooks_key: Option<String>,
    onboarding: OnboardingKeys,
}

/// How parties are onboarded.
#[derive(Debug, Clone)]
pub struct OnboardingConfig {
    /// What personal data are encrypted with.
    pub key: SecretString,
    /// Nothing is sent, codes are 123456, identities follow test values.
    pub sandbox: bool,
    /// A gateway for SMS and e-mail: its URL, and the key that signs what is sent to it.
    pub gateway: Option<(String, SecretString)>,
    /// Who verifies identities and checks documents: its URL, and the key that signs what is said on both sides.
    pub provider: Option<(String, SecretString)>,
}

/// The URL and the key of a system that parties are told to, from the keys and values that name them.
fn system(
    [url_key, secret_key]: [&'static str; 2],
    [url, secret]: [&Option<String>; 2],
    in_sandbox: bool,
) -> Result<Option<(String, SecretString)>, ConfigError> {
    match (url, secret) {
        (None, None) => Ok(None),
        (Some(_), _) if in_sandbox => {
            let message = "goes to another system, and onboarding_sandbox says that nothing is sent";
            Err(one_problem(url_key, message.to_owned()))
        }
        (Some(url), Some(secret)) => {
            let secret = secret_in(secret_key, secret, "whsec_… of 24 to 64 bytes", Gateway::is_secret)?;
            Ok(Some((url.clone(), secret)))
        }
        (Some(_), None) | (None, Some(_)) => {
            let message = format!("needs {secret_key} beside it, and the other way round");
            Err(one_problem(url_key, message))
        }
    }
}

/// What is written of it; its keys are in variables.
#[derive(Debug, Clone, Default)]
struct OnboardingKeys {
    key: Option<String>,
    sandbox: bool,
    gateway_url: Option<String>,
    gateway_key: Option<String>,
    provider_url: Option<String>,
    provider_key: Option<String>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    key: String,
    place: Option<Place>,
    message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(formatter, "{} ({place}): {}", self.key, self.message),
            None => write!(formatter, "{}: {}", self.key, self.message),
        }
    }
}

/// Everything that is wrong with a configuration, at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError(pub Vec<Problem>);

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the configuration cannot be used:")?;
        self.0.iter().try_for_each(|problem| write!(formatter, "\n  {problem}"))
    }
}

impl Config {
    /// Reads `file` (or `./preauthd.toml`, if it is there) and the environment.
    ///
    /// # Errors
    /// [`ConfigError`] with every problem that was found.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let path = file.unwrap_or(Path::new(DEFAULT_FILE));
        let text = match std::fs::read_to_string(path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && file.is_none() => None,
            Err(error) => {
                let message = format!("cannot be read: {error}");
                return Err(ConfigError(vec![Problem {
                    key: path.display().to_string(),
                    place: None,
                    message,
                }]));
            }
        };
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self::read(text.as_deref().map(|text| (path, text)), variables)
    }

    /// Reads a file's text and variables of the environment.
    ///
    /// # Errors
    /// [`ConfigError`] with every problem that was found.
    pub fn read(
        file: Option<(&Path, &str)>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut source = Source::default();
        if let Some((path, text)) = file {
            source.read_file(path, text).map_err(|problem| ConfigError(vec![problem]))?;
        }
        source.read_environment(variables);
        Reader::new(source).finish().map_err(ConfigError)
    }

    /// How webhooks are sent; reads the key that their keys are encrypted with, where one is named.
    ///
    /// # Errors
    /// [`ConfigError`] when that key cannot be had.
    pub fn webhooks(&self) -> Result<WebhookSettings, ConfigError> {
        let Some(name) = &self.webhooks_key else { return Ok(self.webhooks.clone()) };
        let key = keys::read_variable(name).map_err(|error| error.to_string());
        let vault = key.and_then(|key| {
            let vault = Vault::locked_with(key.expose_secret());
            vault.ok_or_else(|| format!("environment variable {name} does not hold 64 hexadecimal digits"))
        });
        match vault {
            Ok(vault) => {
                let outbound = Outbound { vault, ..self.webhooks.outbound.clone() };
                Ok(WebhookSettings { outbound, ..self.webhooks.clone() })
            }
            Err(message) => {
                Err(ConfigError(vec![Problem { key: "webhooks_key_env".to_owned(), place: None, message }]))
            }
        }
    }

    /// How parties are onboarded; `None`: nobody is. Reads the keys that are named.
    ///
    /// # Errors
    /// [`ConfigError`] when one cannot be had, or what is written does not go together.
    pub fn onboarding(&self) -> Result<Option<OnboardingConfig>, ConfigError> {
        let written = &self.onboarding;
        let Some(key) = &written.key else {
            let needs_key = [
                ("onboarding_sandbox", written.sandbox),
                ("onboarding_gateway_url", written.gateway_url.is_some()),
                ("onboarding_gateway_key_env", written.gateway_key.is_some()),
                ("onboarding_provider_url", written.provider_url.is_some()),
                ("onboarding_provider_key_env", written.provider_key.is_some()),
            ];
            let message =
                "says how parties are onboarded, and onboarding_key_env names no key for their data";
            return match needs_key.into_iter().find(|(_, given)| *given) {
                Some((key, _)) => Err(one_problem(key, message.to_owned())),
                None => Ok(None),
            };
        };
        let key = secret_in("onboarding_key_env", key, "64 hexadecimal digits", |text| {
            MasterKey::parse(text).is_some()
        })?;
        let gateway = system(
            ["onboarding_gateway_url", "onboarding_gateway_key_env"],
            [&written.gateway_url, &written.gateway_key],
            written.sandbox,
        )?;
        let provider = system(
            ["onboarding_provider_url", "onboarding_provider_key_env"],
            [&written.provider_url, &written.provider_key],
            written.sandbox,
        )?;
        Ok(Some(OnboardingConfig { key, sandbox: written.sandbox, gateway, provider }))
    }

    /// Opens every operator key. One in a key management service that does not answer is opened later where its address is
    /// configured.
    ///
    /// # Errors
    /// [`ConfigError`] when there is none, one cannot be opened, or two are the same.
    pub async fn open_operators(&self) -> Result<Vec<OperatorKey>, ConfigError> {
        let mut problems = Vec::new();
        let mut keys = Vec::new();
        for (place, operator) in &self.operators {
            match operator.open().await {
                Ok(key) => keys.push(key),
                Err(error) => {
                    problems.push(Problem { key: place.clone(), place: None, message: error.to_string() });
                }
            }
        }
        if self.operators.is_empty() {
            problems.push(missing(
                "operators",
                "at least one operator key: a keystore, a key of a KMS, or the name of a variable",
            ));
        }
        if let Some(address) = keys::first_shared(&keys) {
            let message =
                format!("two operators have the same key, that of {address}; each lane needs its own");
            problems.push(Problem { key: "operators".to_owned(), place: None, message });
        }
        if problems.is_empty() { Ok(keys) } else { Err(ConfigError(problems)) }
    }
}

fn one_problem(key: &str, message: String) -> ConfigError {
    ConfigError(vec![Problem { key: key.to_owned(), place: None, message }])
}

/// The secret in a variable, its form checked.
fn secret_in(
    key: &str,
    variable: &str,
    expected: &str,
    is_good: impl Fn(&str) -> bool,
) -> Result<SecretString, ConfigError> {
    let secret = keys::read_variable(variable).map_err(|error| one_problem(key, error.to_string()))?;
    if is_good(secret.expose_secret()) {
        return Ok(secret);
    }
    Err(one_problem(key, format!("environment variable {variable} does not hold {expected}")))
}

/// The problem of a key that is needed and absent.
#[must_use]
pub fn missing(key: &str, expected: &str) -> Problem {
    let message = format!(
        "is missing (file, or environment variable PREAUTHD_{}); expected {expected}",
        key.to_ascii_uppercase()
    );
    Problem { key: key.to_owned(), place: None, message }
}
