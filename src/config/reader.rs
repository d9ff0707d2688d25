//! From written values to checked ones.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use alloy::primitives::Address;
use secrecy::SecretString;

use super::source::{Entry, Source, shown_key};
use super::{Config, DEFAULT_EXPIRING_BEFORE, DEFAULT_RECONCILE_EVERY, LogFormat, OnboardingKeys, Problem};
use crate::chain::RpcEndpoints;
use crate::http::{Rate, RateSettings};
use crate::lane::LaneSettings;
use crate::model::{Account, TokenAmount};
use crate::outbound::Outbound;
use crate::webhooks::WebhookSettings;

/// EIP-7825: the most gas one transaction may have.
const TRANSACTION_GAS_CAP: u64 = 16_777_216;
/// Gwei have nine decimals of wei.
const GWEI_DECIMALS: u8 = 9;

/// Every key there is, for suggestions where one is mistyped.
pub(super) const KEYS: [&str; 40] = [
    "data_dir",
    "listen",
    "admin_listen",
    "explorer_url",
    "public_url",
    "wallet_rpc_url",
    "rpc_url",
    "rpc_agreement",
    "chain_id",
    "escrow",
    "escrow_block",
    "operators",
    "confirmations",
    "reorg_depth",
    "poll_interval_ms",
    "replace_after_s",
    "max_fee_gwei",
    "max_transaction_fee_gwei",
    "min_tip_gwei",
    "max_batch_gas",
    "max_batch_items",
    "request_timeout_s",
    "reconcile_every_s",
    "expiring_before_s",
    "reads_per_s",
    "reads_burst",
    "writes_per_s",
    "writes_burst",
    "webhooks_allow_private",
    "webhooks_retry_schedule_s",
    "webhooks_time_limit_s",
    "webhooks_key_env",
    "onboarding_key_env",
    "onboarding_sandbox",
    "onboarding_gateway_url",
    "onboarding_gateway_key_env",
    "onboarding_provider_url",
    "onboarding_provider_key_env",
    "log_format",
    "otlp_endpoint",
];

/// Takes values out of the source and notes what is wrong with them.
pub(super) struct Reader {
    pub(super) source: Source,
    pub(super) problems: Vec<Problem>,
}

impl Reader {
    pub fn new(source: Source) -> Self {
        Self { source, problems: Vec::new() }
    }

    /// The configuration, or everything that is wrong with it.
    pub fn finish(mut self) -> Result<Config, Vec<Problem>> {
        let config = self.config();
        self.problems.extend(self.source.unknown(&KEYS));
        if self.problems.is_empty() { Ok(config) } else { Err(self.problems) }
    }

    fn config(&mut self) -> Config {
        let lane = self.lane();
        Config {
            data_dir: self.path("data_dir", "a folder").unwrap_or_else(|| PathBuf::from("preauthd-data")),
            listen: self
                .text("listen", "an IP address and a port, such as \"127.0.0.1:8080\"", |text| {
                    text.parse().ok()
                })
                .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080))),
            admin_listen: self.text(
                "admin_listen",
                "an IP address and a port, such as \"127.0.0.1:8081\"",
                |text| text.parse().ok(),
            ),
            explorer_url: self.text(
                "explorer_url",
                "an http:// or https:// URL without query and fragment, such as \"https://etherscan.io\"",
                |text| is_base(text).then(|| text.trim_end_matches('/').to_owned()),
            ),
            public_url: self.text(
                "public_url",
                "an http:// or https:// URL without query and fragment, such as \"https://pay.example\"",
                |text| is_base(text).then(|| text.to_owned()),
            ),
            wallet_rpc_url: self.text("wallet_rpc_url", "the http:// or https:// URL of a node", |text| {
                is_http(text).then(|| text.to_owned())
            }),
            request_timeout: self
                .whole("request_timeout_s", 1..=600)
                .map_or(Duration::from_secs(30), Duration::from_secs),
            reconcile_every: self
                .whole("reconcile_every_s", 0..=7 * 24 * 3_600)
                .map_or(Some(DEFAULT_RECONCILE_EVERY), |seconds| {
                    (seconds > 0).then(|| Duration::from_secs(seconds))
                }),
            expiring_before: self
                .whole("expiring_before_s", 0..=30 * 24 * 3_600)
                .map_or(DEFAULT_EXPIRING_BEFORE, Duration::from_secs),
            rates: RateSettings {
                reads: self.rate("reads_per_s", "reads_burst"),
                writes: self.rate("writes_per_s", "writes_burst"),
            },
            log_format: self
                .text("log_format", "\"pretty\" or \"json\"", |text| match text {
                    "pretty" => Some(LogFormat::Pretty),
                    "json" => Some(LogFormat::Json),
                    _ => None,
                })
                .unwrap_or(LogFormat::Pretty),
            otlp_endpoint: self.text(
                "otlp_endpoint",
                "the http:// or https:// URL of a collector, such as \"http://127.0.0.1:4318\"",
                |text| is_base(text).then(|| text.to_owned()),
            ),
            rpc: self.rpc(),
            chain_id: self.whole("chain_id", 1..=u64::MAX),
            escrow: self.address("escrow"),
            escrow_block: self.whole("escrow_block", 0..=u64::MAX),
            operators: self.operators(),
            webhooks: self.webhooks(),
            webhooks_key: self.variable_name("webhooks_key_env"),
            onboarding: self.onboarding(),
            lane,
        }
    }

    /// A rate of 0 is none.
    fn rate(&mut self, per_second: &str, burst: &str) -> Option<Rate> {
        let mut read = |key, range| self.whole(key, range).and_then(|number| u32::try_from(number).ok());
        let per_second = read(per_second, 0..=1_000_000).unwrap_or(RateSettings::DEFAULT_PER_SECOND);
        let burst = read(burst, 1..=1_000_000).unwrap_or(RateSettings::DEFAULT_BURST);
        Rate::new(per_second, burst)
    }

    fn rpc(&mut self) -> Option<RpcEndpoints> {
        let expected = "the http:// or https:// URL of a node, or a list of different ones";
        let urls = self.source.take("rpc_url").and_then(|entry| {
            // Checked without being shown.
            self.check("rpc_url", entry, expected, true, |entry| {
                let texts = entry.texts()?;
                let different: BTreeSet<_> = texts.iter().collect();
                let all_new = !texts.is_empty() && different.len() == texts.len();
                (all_new && texts.iter().all(|text| is_http(text)))
                    .then(|| texts.into_iter().map(SecretString::from).collect())
            })
        });
        let most = urls.as_ref().map_or(u64::MAX, |urls: &Vec<_>| urls.len() as u64);
        let agreement = self.whole("rpc_agreement", 1..=most).and_then(|number| usize::try_from(number).ok());
        let default = RpcEndpoints::new(urls?);
        Some(RpcEndpoints { agreement: agreement.unwrap_or(default.agreement), ..default })
    }

    fn lane(&mut self) -> LaneSettings {
        let default = LaneSettings::default();
        let reorg_depth = self.whole("reorg_depth", 1..=10_000).unwrap_or(default.reorg_depth);
        let max_fee_cap = self.gwei("max_fee_gwei").unwrap_or(default.max_fee_cap);
        let lane = LaneSettings {
            confirmations: self.whole("confirmations", 1..=reorg_depth).unwrap_or(default.confirmations),
            reorg_depth,
            poll_interval: self
                .whole("poll_interval_ms", 10..=60_000)
                .map_or(default.poll_interval, Duration::from_millis),
            replace_after: self
                .whole("replace_after_s", 1..=3_600)
                .map_or(default.replace_after, Duration::from_secs),
            max_fee_cap,
            min_tip: self.gwei("min_tip_gwei").unwrap_or(default.min_tip),
            max_transaction_fee: self.gwei("max_transaction_fee_gwei").unwrap_or(default.max_transaction_fee),
            max_batch_gas: self
                .whole("max_batch_gas", 1_000_000..=TRANSACTION_GAS_CAP)
                .unwrap_or(default.max_batch_gas),
            max_batch_items: self
                .whole("max_batch_items", 1..=1_000)
                .and_then(|items| usize::try_from(items).ok())
                .unwrap_or(default.max_batch_items),
        };
        if lane.min_tip > lane.max_fee_cap {
            let message = "is above max_fee_gwei; expected no more than that".to_owned();
            self.problems.push(Problem { key: "min_tip_gwei".to_owned(), place: None, message });
        }
        lane
    }

    fn webhooks(&mut self) -> WebhookSettings {
        let default = WebhookSettings::default();
        let expected = "a list of 1 to 20 pauses in whole seconds, the first one before the first attempt";
        let schedule = self.source.take("webhooks_retry_schedule_s").and_then(|entry| {
            self.check("webhooks_retry_schedule_s", entry, expected, false, |entry| {
                let digits = entry.numbers()?;
                let pauses: Option<Vec<Duration>> =
                    digits.iter().map(|text| text.parse().ok().map(Duration::from_secs)).collect();
                pauses.filter(|pauses| (1..=20).contains(&pauses.len()))
            })
        });
        WebhookSettings {
            outbound: Outbound {
                allow_private: self
                    .boolean("webhooks_allow_private")
                    .unwrap_or(default.outbound.allow_private),
                ..default.outbound
            },
            retry_schedule: schedule.map_or(default.retry_schedule, Into::into),
            time_limit: self
                .whole("webhooks_time_limit_s", 1..=60)
                .map_or(default.time_limit, Duration::from_secs),
        }
    }

    fn onboarding(&mut self) -> OnboardingKeys {
        OnboardingKeys {
            key: self.variable_name("onboarding_key_env"),
            sandbox: self.boolean("onboarding_sandbox").unwrap_or_default(),
            gateway_url: self.text(
                "onboarding_gateway_url",
                "the http:// or https:// URL of a gateway",
                |text| is_http(text).then(|| text.to_owned()),
            ),
            gateway_key: self.variable_name("onboarding_gateway_key_env"),
            provider_url: self.text(
                "onboarding_provider_url",
                "the http:// or https:// URL of a provider of verifications",
                |text| is_http(text).then(|| text.to_owned()),
            ),
            provider_key: self.variable_name("onboarding_provider_key_env"),
        }
    }

    /// The name of a variable that holds a secret.
    fn variable_name(&mut self, key: &str) -> Option<String> {
        let entry = self.source.take(key)?;
        let expected = "the name of an environment variable, not a secret itself";
        self.check(key, entry, expected, true, |entry| {
            entry.text().filter(|name| is_variable_name(name)).map(str::to_owned)
        })
    }

    fn whole(&mut self, key: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let entry = self.source.take(key)?;
        let expected = match (range.start(), range.end()) {
            (start, &u64::MAX) => format!("a whole number, at least {start}"),
            (start, end) => format!("a whole number from {start} to {end}"),
        };
        self.check(key, entry, &expected, false, |entry| {
            entry.number()?.parse().ok().filter(|number| range.contains(number))
        })
    }

    fn boolean(&mut self, key: &str) -> Option<bool> {
        let entry = self.source.take(key)?;
        self.check(key, entry, "true or false", false, Entry::boolean)
    }

    fn gwei(&mut self, key: &str) -> Option<u128> {
        let entry = self.source.take(key)?;
        let expected = "a number of gwei with at most 9 decimals, such as 1.5";
        self.check(key, entry, expected, false, |entry| {
            let amount = TokenAmount::parse(entry.number()?).ok()?;
            amount.in_base_units(GWEI_DECIMALS).ok().map(|wei| wei.get())
        })
    }

    pub(super) fn address(&mut self, key: &str) -> Option<Address> {
        let entry = self.source.take(key)?;
        let why = match entry.text().map(Account::parse) {
            Some(Ok(account)) => return Some(account.address()),
            Some(Err(error)) => format!("an address; it {error}"),
            None => "an address in quotes".to_owned(),
        };
        self.refuse(key, &entry, &why, false);
        None
    }

    fn path(&mut self, key: &str, expected: &str) -> Option<PathBuf> {
        let entry = self.source.take(key)?;
        self.check(key, entry, expected, false, |entry| {
            entry.text().filter(|path| !path.is_empty()).map(|path| entry.folder().join(path))
        })
    }

    fn text<T>(&mut self, key: &str, expected: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let entry = self.source.take(key)?;
        self.check(key, entry, expected, false, |entry| entry.text().and_then(read))
    }

    pub(super) fn check<T>(
        &mut self,
        key: &str,
        entry: Entry,
        expected: &str,
        is_secret: bool,
        read: impl FnOnce(&Entry) -> Option<T>,
    ) -> Option<T> {
        let value = read(&entry);
        if value.is_none() {
            self.refuse(key, &entry, expected, is_secret);
        }
        value
    }

    pub(super) fn refuse(&mut self, key: &str, entry: &Entry, expected: &str, is_secret: bool) {
        let message = if is_secret {
            format!("expected {expected}")
        } else {
            format!("expected {expected}; found {}", entry.shown())
        };
        self.problems.push(Problem { key: shown_key(key), place: Some(entry.place.clone()), message });
    }
}

pub(super) fn is_http(text: &str) -> bool {
    text.parse().is_ok_and(|url: reqwest::Url| matches!(url.scheme(), "http" | "https"))
}

/// Whether paths can be put behind a text.
fn is_base(text: &str) -> bool {
    is_http(text)
        && text.parse().is_ok_and(|url: reqwest::Url| url.query().is_none() && url.fragment().is_none())
}

/// Whether a text can name a variable, and is not a key that was written where its variable's name belongs.
pub(super) fn is_variable_name(text: &str) -> bool {
    let is_key = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    !is_key
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && text.bytes().next().is_some_and(|byte| !byte.is_ascii_digit())
}
