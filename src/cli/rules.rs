//! `preauthd rules`: what the rules of a tenant would say.

use std::path::Path;
use std::process::ExitCode;

use alloy::primitives::Address;
use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde::Serialize;

use super::output::{complain, table};
use super::surroundings::{Surroundings, store_reader, tenant};
use crate::chain::wall_now;
use crate::http::{ApiError, CreateRequest, PayLinkRequest};
use crate::model::{
    ALLOWANCE, Account, ChainTime, Creation, InvoiceId, Rulebook, Rules as TenantRules, Ruling, Token,
    TokenAmount, hold_with_tip,
};
use crate::preauth::{DEFAULT_TTL_SECONDS, RequestedTime};
use crate::store::{preauths, tokens};

/// The rules refuse the creation.
const REFUSED: u8 = 1;
/// What they say could not be found out.
const FAULT: u8 = 2;

/// What the rules of a tenant would say
///
/// Rules are set with `preauthd tenant set NAME --rules`, and shown by `preauthd tenant list --json`.
#[derive(Subcommand)]
pub(super) enum Rules {
    /// Judge a creation, rule by rule, without creating anything
    ///
    /// Exit code 0: the rules allow it; 1: they refuse it; 2: it could not be found out. With --rules and without --tenant,
    /// neither a database nor a configuration is needed.
    Test(Test),
}

#[derive(Args)]
pub(super) struct Test {
    /// The creation: what would be sent to POST /onchain-preauth, as JSON or a file that holds it
    #[arg(value_name = "FILE|JSON", value_parser = json_or_file)]
    creation: String,
    /// The tenant whose rules, tip, tokens and open holds count
    #[arg(long, value_name = "NAME", required_unless_present = "rules")]
    tenant: Option<String>,
    /// The rules that are tried instead of the tenant's: JSON, or a file that holds it
    #[arg(long, value_name = "FILE|JSON", value_parser = read)]
    rules: Option<TenantRules>,
    /// The creation is what would be sent to POST /pay-links: who pays, and how he consents, is not known yet
    #[arg(long)]
    pay_link: bool,
    /// When it is created (RFC 3339) [default: now]
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// What the sender has open already, in whole tokens [default: what he has open with the tenant]
    #[arg(long, value_name = "AMOUNT", value_parser = amount)]
    open_total: Option<TokenAmount>,
    /// The token's symbol, where no tenant is named
    #[arg(long, default_value = "USDX", conflicts_with = "tenant")]
    symbol: String,
    /// The token's decimals, where no tenant is named
    #[arg(long, value_name = "N", default_value_t = 6, conflicts_with = "tenant")]
    #[arg(value_parser = clap::value_parser!(u8).range(0..=28))]
    decimals: u8,
}

/// What the rules say, as scripts read it.
#[derive(Serialize)]
struct Report {
    allowed: bool,
    rules: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    rule: String,
    verdict: &'static str,
    why: Option<String>,
}

/// What a body asks for.
struct Asked {
    invoice: InvoiceId,
    sender: Option<Address>,
    receiver: Address,
    token: Account,
    amount: TokenAmount,
    expires_at: RequestedTime,
    scheduled: bool,
    /// `None`: the payer gives it later.
    consent: Option<&'static str>,
}

/// Under what a creation is judged.
struct Bench {
    rules: TenantRules,
    tip_bps: u16,
    ttl_seconds: u64,
    token: Token,
    /// Base units.
    open_total: u128,
}

impl Rules {
    pub async fn run(self, around: &Surroundings) -> ExitCode {
        let Self::Test(test) = self;
        let judged = match test.judge(around).await {
            Ok(report) => around.output.done(&report.in_words(), &report).map(|()| report.allowed),
            Err(error) => Err(error),
        };
        match judged {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::from(REFUSED),
            Err(error) => {
                complain(&format!("error: {error:#}"));
                ExitCode::from(FAULT)
            }
        }
    }
}

impl Test {
    async fn judge(&self, around: &Surroundings) -> anyhow::Result<Report> {
        let asked = self.asked()?;
        let bench = match &self.tenant {
            Some(name) => self.tenants_bench(around, name, &asked).await?,
            None => self.bare_bench(&asked)?,
        };
        let amount = asked.amount.in_base_units(bench.token.decimals);
        let amount = amount.map_err(|error| anyhow!("amount {error}"))?;
        let now = self.at.map_or_else(|| wall_now().0 / 1_000, Timestamp::as_second);
        let now = ChainTime::from_i64(now);
        let creation = Creation {
            invoice: &asked.invoice,
            sender: asked.sender,
            receiver: asked.receiver,
            token: &bench.token,
            amount,
            hold: hold_with_tip(amount, bench.tip_bps).map_err(|error| anyhow!("amount {error}"))?,
            open_total: bench.open_total,
            now,
            expires_at: match asked.expires_at {
                RequestedTime::At(time) => time,
                RequestedTime::Absent => now.saturating_add(bench.ttl_seconds),
                RequestedTime::Malformed => bail!("expiresAt must be RFC 3339 with a time zone"),
            },
            consent: asked.consent,
            pay_link: self.pay_link,
            scheduled: asked.scheduled,
        };
        let rulebook = Rulebook::open(bench.rules);
        let rules: Vec<Line> = rulebook.rulings(&creation).map(Line::from).collect();
        Ok(Report { allowed: rulebook.judge(&creation).is_ok(), rules })
    }

    fn asked(&self) -> anyhow::Result<Asked> {
        let is_given = |time| !matches!(time, RequestedTime::Absent);
        if self.pay_link {
            let request: PayLinkRequest =
                serde_json::from_str(&self.creation).context("reading the creation")?;
            let wish = request.wish().map_err(in_words)?;
            return Ok(Asked {
                invoice: wish.invoice,
                sender: wish.sender.map(|sender| sender.address()),
                receiver: wish.receiver.address(),
                token: wish.token,
                amount: wish.amount,
                expires_at: wish.expires_at,
                scheduled: is_given(wish.settle_at),
                consent: None,
            });
        }
        let request: CreateRequest = serde_json::from_str(&self.creation).context("reading the creation")?;
        let creation = request.creation().map_err(in_words)?;
        Ok(Asked {
            invoice: creation.invoice,
            sender: Some(creation.sender.address()),
            receiver: creation.receiver.address(),
            token: creation.token,
            amount: creation.amount,
            expires_at: creation.expires_at,
            scheduled: is_given(creation.settle_at),
            consent: Some(creation.consent.map_or(ALLOWANCE, |consent| consent.kind().as_str())),
        })
    }

    async fn tenants_bench(&self, around: &Surroundings, name: &str, asked: &Asked) -> anyhow::Result<Bench> {
        let database = store_reader(&around.config()?).await?;
        let mut snapshot = database.snapshot().await?;
        let tenant = tenant(&mut snapshot, name).await?;
        let contract = asked.token.address();
        let token = tokens::by_address(&mut snapshot, contract).await?;
        let token = token.with_context(|| format!("there is no token {contract}"))?;
        let open_total = match (self.open_total(token.decimals)?, asked.sender) {
            (Some(supposed), _) => supposed,
            (None, Some(sender)) => preauths::open_total(&mut snapshot, tenant.id, sender, contract).await?,
            (None, None) => 0,
        };
        Ok(Bench {
            rules: self.rules.clone().unwrap_or(tenant.rules),
            tip_bps: tenant.allowed_tip_bps,
            ttl_seconds: tenant.default_ttl_seconds,
            token,
            open_total,
        })
    }

    fn bare_bench(&self, asked: &Asked) -> anyhow::Result<Bench> {
        let token = Token {
            contract: asked.token.clone(),
            symbol: self.symbol.clone(),
            decimals: self.decimals,
            active: true,
            signing: None,
        };
        Ok(Bench {
            rules: self.rules.clone().context("either --tenant or --rules must be given")?,
            tip_bps: 0,
            ttl_seconds: DEFAULT_TTL_SECONDS,
            open_total: self.open_total(token.decimals)?.unwrap_or_default(),
            token,
        })
    }

    fn open_total(&self, decimals: u8) -> anyhow::Result<Option<u128>> {
        let units = self.open_total.map(|amount| amount.in_base_units(decimals)).transpose();
        Ok(units.map_err(|error| anyhow!("--open-total {error}"))?.map(|units| units.get()))
    }
}

impl<N: AsRef<str>> From<(N, Ruling)> for Line {
    fn from((rule, ruling): (N, Ruling)) -> Self {
        let (verdict, why) = match ruling {
            Ruling::Passes => ("passes", None),
            Ruling::Refuses(why) => ("refuses", Some(why.into_owned())),
            Ruling::Waits => ("waits", Some("it is asked when the payer is known".to_owned())),
        };
        Self { rule: rule.as_ref().to_owned(), verdict, why }
    }
}

impl Report {
    fn in_words(&self) -> String {
        if self.rules.is_empty() {
            return "No rule applies: allowed.".to_owned();
        }
        let rows: Vec<[String; 3]> = self
            .rules
            .iter()
            .map(|line| [line.rule.clone(), line.verdict.to_owned(), line.why.clone().unwrap_or_default()])
            .collect();
        let ending = if self.allowed { "The rules allow it." } else { "The rules refuse it." };
        format!("{}\n\n{ending}", table(["RULE", "VERDICT", "WHY"], &rows))
    }
}

/// Everything that is wrong with a body.
fn in_words(error: ApiError) -> anyhow::Error {
    let messages: Vec<&str> = error.items().iter().map(|item| item.message.as_str()).collect();
    anyhow!("the creation cannot be judged: {}", messages.join("; "))
}

/// Reads rules that can be saved, from JSON or from a file that holds it.
pub(super) fn read(text: &str) -> Result<TenantRules, String> {
    let rules: TenantRules = serde_json::from_str(&json_or_file(text)?).map_err(|error| error.to_string())?;
    rules.check().map_err(|error| error.to_string())?;
    Ok(rules)
}

fn json_or_file(text: &str) -> Result<String, String> {
    if text.trim_start().starts_with('{') {
        return Ok(text.to_owned());
    }
    std::fs::read_to_string(Path::new(text)).map_err(|error| format!("cannot be read as a file: {error}"))
}

fn amount(text: &str) -> Result<TokenAmount, String> {
    TokenAmount::parse(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_checked_before_they_are_saved() {
        assert_eq!(read("{}"), Ok(TenantRules::default()));
        assert_eq!(read(r#"{"maxTtlSeconds":86400}"#).unwrap().max_ttl_seconds, Some(86_400));
        let token = "0x5fbdb2315678afecb367f032d93f642f64180aa3";
        assert!(read(&format!(r#"{{"maxAmount":{{"{token}":"1e3"}}}}"#)).unwrap_err().contains("amount"));
        assert!(read(r#"{"maxTtl":1}"#).unwrap_err().contains("maxTtl"));
        let expression = r#"{"expressions":[{"name":"small","allow":"amount <","why":"too much"}]}"#;
        assert!(read(expression).unwrap_err().contains("\"small\" in line 1"));
        assert!(read("no-such-file.json").unwrap_err().contains("cannot be read"));
    }
}
