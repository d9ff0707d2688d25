//! The operators: a list of tables, each of which says where one key is.

use super::Problem;
use super::keys::{KeySource, OperatorSource, PasswordSource};
use super::reader::{Reader, is_http, is_variable_name};
use super::source::{Entry, Place};
use crate::keys::{GcpKeyVersion, Kms};

/// Every key that the table of an operator may have.
pub(super) const OPERATOR_KEYS: [&str; 9] = [
    "keystore",
    "password_env",
    "password_file",
    "env",
    "aws_kms",
    "gcp_kms",
    "region",
    "endpoint",
    "address",
];

/// The texts of one operator's table, each checked for its shape.
#[derive(Default)]
struct Table {
    keystore: Option<String>,
    password_env: Option<String>,
    password_file: Option<String>,
    env: Option<String>,
    aws_kms: Option<String>,
    gcp_kms: Option<GcpKeyVersion>,
    region: Option<String>,
    endpoint: Option<String>,
    address: Option<alloy::primitives::Address>,
    /// Where the table begins, as far as can be told.
    place: Option<Place>,
}

impl Reader {
    pub(super) fn operators(&mut self) -> Vec<(String, OperatorSource)> {
        let expected = "a list of tables, each with keystore and password_env or password_file, with env, aws_kms or gcp_kms";
        let is_empty = |entry: &Entry| entry.texts().is_some_and(|texts| texts.is_empty());
        if let Some(entry) = self.source.take("operators").filter(|entry| !is_empty(entry)) {
            self.refuse("operators", &entry, expected, true);
        }
        let indexes = self.source.operator_indexes();
        indexes.iter().filter_map(|index| self.operator(index)).collect()
    }

    fn operator(&mut self, index: &str) -> Option<(String, OperatorSource)> {
        let problems = self.problems.len();
        let table = self.operator_table(index);
        let name = format!("operators[{index}]");
        let place = table.place.clone();
        let label = place.as_ref().map_or_else(|| name.clone(), |place| format!("{name} ({place})"));
        if table.gcp_kms.is_some() && table.endpoint.as_deref().is_some_and(|endpoint| !is_for_gcp(endpoint))
        {
            let message = "expected the https:// URL of a host without a port and a path, or an http:// URL: the client of \
                Google Cloud KMS knows no others";
            self.problems.push(Problem {
                key: format!("{name}.endpoint"),
                place,
                message: message.to_owned(),
            });
            return None;
        }
        match table.source() {
            Some(source) => Some((label, source)),
            // One complaint about one thing is enough.
            None if self.problems.len() > problems => None,
            None => {
                let message = "expected either env, or keystore together with one of password_env and password_file, or \
                    aws_kms (with region, endpoint and address where they are needed), or gcp_kms (with endpoint and \
                    address)";
                self.problems.push(Problem { key: name, place, message: message.to_owned() });
                None
            }
        }
    }

    fn operator_table(&mut self, index: &str) -> Table {
        let mut table = Table::default();
        for field in OPERATOR_KEYS {
            let key = format!("operators.{index}.{field}");
            if field == "address" {
                table.address = self.address(&key);
                continue;
            }
            let Some(entry) = self.source.take(&key) else { continue };
            let place = entry.place.clone();
            let expected = match field {
                "keystore" | "password_file" => "a file",
                "aws_kms" => "the id or ARN of a key of AWS KMS",
                "gcp_kms" => "projects/…/locations/…/keyRings/…/cryptoKeys/…/cryptoKeyVersions/N",
                "region" => "the name of a region, such as \"eu-central-1\"",
                "endpoint" => "the http:// or https:// URL of a key management service",
                _ => "the name of an environment variable, not a secret itself",
            };
            if field == "gcp_kms" {
                table.gcp_kms = self.check(&key, entry, expected, false, |entry| entry.text()?.parse().ok());
                table.place.get_or_insert(place);
                continue;
            }
            // Somebody may write a secret where the name of its place belongs.
            let text = self.check(&key, entry, expected, true, |entry| {
                let text = entry.text().filter(|text| !text.is_empty())?;
                match field {
                    "keystore" | "password_file" => {
                        Some(entry.folder().join(text).to_string_lossy().into_owned())
                    }
                    "aws_kms" | "region" => Some(text.to_owned()),
                    "endpoint" => is_http(text).then(|| text.to_owned()),
                    _ => is_variable_name(text).then(|| text.to_owned()),
                }
            });
            let (slot, begins) = match field {
                "keystore" => (&mut table.keystore, true),
                "password_env" => (&mut table.password_env, false),
                "password_file" => (&mut table.password_file, false),
                "env" => (&mut table.env, true),
                "aws_kms" => (&mut table.aws_kms, true),
                "region" => (&mut table.region, false),
                _ => (&mut table.endpoint, false),
            };
            *slot = text;
            if begins {
                table.place.get_or_insert(place);
            }
        }
        table
    }
}

impl Table {
    /// Where the key is; `None`: too little is said, or too much.
    fn source(self) -> Option<OperatorSource> {
        let Self {
            keystore,
            password_env,
            password_file,
            env,
            aws_kms,
            gcp_kms,
            region,
            endpoint,
            address,
            ..
        } = self;
        let password = match (password_env, password_file) {
            (None, None) => None,
            (Some(variable), None) => Some(PasswordSource::Variable(variable)),
            (None, Some(file)) => Some(PasswordSource::File(file.into())),
            (Some(_), Some(_)) => return None,
        };
        let in_kms = aws_kms.is_some() || gcp_kms.is_some();
        if !in_kms && (endpoint.is_some() || address.is_some()) || aws_kms.is_none() && region.is_some() {
            return None;
        }
        match (env, keystore, password, aws_kms, gcp_kms) {
            (Some(env), None, None, None, None) => Some(OperatorSource::Read(KeySource::Variable(env))),
            (None, Some(path), Some(password), None, None) => {
                Some(OperatorSource::Read(KeySource::Keystore { path: path.into(), password }))
            }
            (None, None, None, Some(key), None) => {
                Some(OperatorSource::Kms { kms: Kms::Aws { key, region, endpoint }, address })
            }
            (None, None, None, None, Some(version)) => {
                Some(OperatorSource::Kms { kms: Kms::Gcp { version, endpoint }, address })
            }
            _ => None,
        }
    }
}

/// Whether the client of Google Cloud KMS can use an endpoint: it takes all that follows https:// for the name in the
/// certificate.
fn is_for_gcp(endpoint: &str) -> bool {
    match endpoint.strip_prefix("https://") {
        Some(host) => !host.trim_end_matches('/').contains([':', '/', '?', '#', '@']),
        None => endpoint.starts_with("http://"),
    }
}
