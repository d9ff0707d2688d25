//! `preauthd reconcile`: whether the database and the chain agree, and making them.

use std::process::ExitCode;

use alloy::primitives::utils::format_units;
use alloy::primitives::{Address, B256, U256};
use clap::Args;
use futures::FutureExt;
use serde::Serialize;

use super::output::{complain, table};
use super::progress::shown;
use super::repair::{self, RepairReport};
use super::surroundings::{Surroundings, connect, store_reader};
use crate::chain::WallClock;
use crate::config::Config;
use crate::model::{Balance, Drift, Reconciliation, Token, UnknownHold, Unreadable};
use crate::preauth::{Progress, Scope, reconcile};
use crate::store::tokens;

/// Database and chain differ.
const DRIFT: u8 = 1;
/// Whether they differ could not be found out.
const FAULT: u8 = 2;

/// Compare every preauthorization with the chain, and repair what differs
///
/// Reads the database beside a running daemon, and the chain up to the block to which the daemon has read it: status, terms,
/// amounts and transactions of each preauthorization, what the escrows have of each token against what they owe, and the
/// open holds on chain that the database does not know. Exit code 0: all equal; 1: they differ; 2: it could not be found out.
#[derive(Args)]
pub(super) struct Reconcile {
    /// Rebuild from the chain what differs, then compare again; the daemon must be stopped
    ///
    /// Rewrites every row that is not as the chain says, and recovers every hold that has no row: in an empty data folder,
    /// all of them. Recovered holds belong to nobody (`preauthd hold`) until the tenant is there under its old UUID
    /// (`preauthd tenant create NAME --id UUID`) and names the invoice. Can be stopped at any moment and begun again.
    #[arg(long)]
    repair: bool,
}

/// What was found, as scripts read it. Amounts are base units.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    equal: bool,
    /// The daemon's block when the comparison began and when it ended.
    first_block: u64,
    last_block: u64,
    checked: u64,
    agreeing: u64,
    /// The lists hold the first 1,000.
    drifted: u64,
    unknown: u64,
    drifts: Vec<DriftLine>,
    unknown_holds: Vec<UnknownLine>,
    balances: Vec<BalanceLine>,
    /// What was repaired before the comparison.
    #[serde(skip_serializing_if = "Option::is_none")]
    repairs: Option<RepairReport>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DriftLine {
    tenant_id: Option<String>,
    invoice_id: Option<String>,
    preauth_id: Option<B256>,
    escrow: Option<Address>,
    database: &'static str,
    /// What the chain would say if the database were right; `null`: the row cannot be read.
    expected: Option<&'static str>,
    chain: Option<&'static str>,
    differences: Vec<DifferenceLine>,
    /// Why the row cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

#[derive(Serialize)]
struct DifferenceLine {
    field: &'static str,
    database: String,
    chain: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UnknownLine {
    preauth_id: B256,
    escrow: Address,
    sender: Address,
    receiver: Address,
    token: Address,
    hold: String,
    expires_at: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BalanceLine {
    escrow: Address,
    token: Address,
    symbol: Option<String>,
    decimals: Option<u8>,
    /// `null`: the token does not say.
    held: Option<String>,
    open: String,
    claimable: String,
    surplus: String,
    missing: String,
}

impl Reconcile {
    /// Repairs where that is asked for, compares, prints what was found, and says it by the exit code.
    pub async fn run(self, around: &Surroundings) -> ExitCode {
        match self.compare(around).await {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::from(DRIFT),
            Err(error) => {
                complain(&format!("error: {error:#}"));
                ExitCode::from(FAULT)
            }
        }
    }

    async fn compare(self, around: &Surroundings) -> anyhow::Result<bool> {
        let config = around.config()?;
        if !self.repair {
            return compare(around, &config, None).await;
        }
        let (repairs, _lock) = repair::run(&config).await?;
        compare(around, &config, Some(repairs)).await
    }
}

async fn compare(
    around: &Surroundings,
    config: &Config,
    repairs: Option<RepairReport>,
) -> anyhow::Result<bool> {
    let database = store_reader(config).await?;
    let chain = connect(config).await?;
    let (depth, wall, progress) = (config.lane.reorg_depth, WallClock::system(), Progress::default());
    let work = reconcile(&database, &chain, depth, Scope::Everything, &wall, &progress);
    let found = shown(&progress, work.boxed_local()).await?;
    let tokens = tokens::all(&mut *database.snapshot().await?).await?;
    let report = Report {
        equal: found.is_equal(),
        first_block: found.blocks.0,
        last_block: found.blocks.1,
        checked: found.checked,
        agreeing: found.checked - found.drifted(),
        drifted: found.drifted(),
        unknown: found.unknown.count,
        drifts: drift_lines(&found),
        unknown_holds: found.unknown.kept.iter().map(UnknownLine::from).collect(),
        balances: found.balances.iter().map(|balance| BalanceLine::new(balance, &tokens)).collect(),
        repairs,
    };
    around.output.done(&in_words(&report, &found, &tokens), &report)?;
    Ok(report.equal)
}

fn drift_lines(found: &Reconciliation) -> Vec<DriftLine> {
    let unreadable = found.unreadable.kept.iter().map(DriftLine::from);
    found.drifts.kept.iter().map(DriftLine::from).chain(unreadable).collect()
}

impl From<&Drift> for DriftLine {
    fn from(drift: &Drift) -> Self {
        let differences = drift.differences.iter().map(|difference| DifferenceLine {
            field: difference.field,
            database: difference.database.clone(),
            chain: difference.chain.clone(),
        });
        Self {
            tenant_id: Some(drift.tenant.to_string()),
            invoice_id: Some(drift.invoice.to_string()),
            preauth_id: Some(drift.preauth_id),
            escrow: Some(drift.escrow),
            database: drift.status.as_str(),
            expected: Some(drift.word_of(drift.expected)),
            chain: Some(drift.word_of(drift.found)),
            differences: differences.collect(),
            why: None,
        }
    }
}

impl From<&Unreadable> for DriftLine {
    fn from(row: &Unreadable) -> Self {
        Self {
            tenant_id: None,
            invoice_id: row.invoice.clone(),
            preauth_id: row.preauth_id,
            escrow: None,
            database: "UNREADABLE",
            expected: None,
            chain: row.found.map(|found| found.word()),
            differences: Vec::new(),
            why: Some(row.why.clone()),
        }
    }
}

impl DriftLine {
    fn row(&self) -> [String; 6] {
        let or_unknown = |text: Option<&str>| text.unwrap_or("?").to_owned();
        let details = self.differences.iter().map(|difference| {
            format!("{} {}, on chain {}", difference.field, difference.database, difference.chain)
        });
        [
            or_unknown(self.invoice_id.as_deref()),
            self.preauth_id.map_or_else(|| "?".to_owned(), |preauth_id| preauth_id.to_string()),
            self.database.to_owned(),
            or_unknown(self.expected),
            or_unknown(self.chain),
            details.chain(self.why.clone()).collect::<Vec<_>>().join("; "),
        ]
    }
}

impl From<&UnknownHold> for UnknownLine {
    fn from(UnknownHold { escrow, terms }: &UnknownHold) -> Self {
        Self {
            preauth_id: terms.preauth_id,
            escrow: *escrow,
            sender: terms.sender,
            receiver: terms.receiver,
            token: terms.token,
            hold: terms.hold.to_string(),
            expires_at: terms.expires_at.0,
        }
    }
}

impl BalanceLine {
    fn new(balance: &Balance, tokens: &[Token]) -> Self {
        let token = token_of(balance.token, tokens);
        Self {
            escrow: balance.escrow,
            token: balance.token,
            symbol: token.map(|token| token.symbol.clone()),
            decimals: token.map(|token| token.decimals),
            held: balance.held.map(|units| units.to_string()),
            open: balance.open.to_string(),
            claimable: balance.claimable.to_string(),
            surplus: balance.surplus().to_string(),
            missing: balance.missing().to_string(),
        }
    }
}

fn in_words(report: &Report, found: &Reconciliation, tokens: &[Token]) -> String {
    let Report { first_block, last_block, checked, agreeing, drifted, unknown, .. } = report;
    let verdict = if report.equal { "Database and chain agree" } else { "Database and chain DIFFER" };
    let mut parts: Vec<String> = report.repairs.iter().map(RepairReport::in_words).collect();
    parts.push(format!(
        "{verdict} (compared at blocks {first_block} to {last_block}).\n\
         {checked} preauthorizations checked: {agreeing} equal, {drifted} drifted. \
         {unknown} open on chain that the database does not know."
    ));
    if !report.drifts.is_empty() {
        let rows: Vec<_> = report.drifts.iter().map(DriftLine::row).collect();
        parts.push(table(
            ["INVOICE", "PREAUTH ID", "DATABASE SAYS", "EXPECTED ON CHAIN", "CHAIN SAYS", "DIFFERENCES"],
            &rows,
        ));
    }
    if !found.unknown.kept.is_empty() {
        let rows: Vec<_> = found.unknown.kept.iter().map(|hold| unknown_row(hold, tokens)).collect();
        parts.push(table(["UNKNOWN PREAUTH ID", "SENDER", "RECEIVER", "HOLD", "TOKEN", "EXPIRES"], &rows));
    }
    let kept = report.drifts.len() as u64 + found.unknown.kept.len() as u64;
    if kept < drifted + unknown {
        parts.push(format!("{} more are not shown.", drifted + unknown - kept));
    }
    if !found.balances.is_empty() {
        let rows: Vec<_> = found.balances.iter().map(|balance| balance_row(balance, tokens)).collect();
        parts.push(table(["TOKEN", "ESCROW", "HELD", "OPEN HOLDS", "CLAIMABLE", "VERDICT"], &rows));
    }
    parts.join("\n\n")
}

fn unknown_row(hold: &UnknownHold, tokens: &[Token]) -> [String; 6] {
    let terms = &hold.terms;
    let token = token_of(terms.token, tokens);
    [
        terms.preauth_id.to_string(),
        terms.sender.to_string(),
        terms.receiver.to_string(),
        in_tokens(U256::from(terms.hold.get()), token),
        name_of(terms.token, token),
        jiff::Timestamp::from_second(terms.expires_at.as_i64())
            .map_or_else(|_| terms.expires_at.0.to_string(), |time| time.to_string()),
    ]
}

fn balance_row(balance: &Balance, tokens: &[Token]) -> [String; 6] {
    let token = token_of(balance.token, tokens);
    let (surplus, missing) = (balance.surplus(), balance.missing());
    let verdict = if balance.held.is_none() && !balance.owed().is_zero() {
        "DRIFT: the token does not say what the escrow has".to_owned()
    } else if !missing.is_zero() {
        format!("DRIFT: {} missing", in_tokens(missing, token))
    } else if !surplus.is_zero() {
        format!("surplus of {}", in_tokens(surplus, token))
    } else {
        "equal".to_owned()
    };
    [
        name_of(balance.token, token),
        balance.escrow.to_string(),
        balance.held.map_or_else(|| "?".to_owned(), |units| in_tokens(units, token)),
        in_tokens(balance.open, token),
        in_tokens(balance.claimable, token),
        verdict,
    ]
}

fn token_of(address: Address, tokens: &[Token]) -> Option<&Token> {
    tokens.iter().find(|token| token.contract.address() == address)
}

fn name_of(address: Address, token: Option<&Token>) -> String {
    token.map_or_else(|| address.to_string(), |token| token.symbol.clone())
}

/// Whole tokens where the decimals are known, else base units.
fn in_tokens(units: U256, token: Option<&Token>) -> String {
    token
        .and_then(|token| format_units(units, token.decimals).ok())
        .unwrap_or_else(|| format!("{units} base units"))
}
