//! `preauthd reconcile`: whether the database and the chain agree.

use std::process::ExitCode;

use alloy::primitives::utils::format_units;
use alloy::primitives::{Address, B256, U256};
use serde::Serialize;

use super::output::{complain, table};
use super::surroundings::{Surroundings, connect, store_reader};
use crate::model::{Balance, Drift, Reconciliation, Token, UnknownHold};
use crate::preauth::reconcile;
use crate::store::tokens;

/// Database and chain differ.
const DRIFT: u8 = 1;
/// Whether they differ could not be found out.
const FAULT: u8 = 2;

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
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DriftLine {
    tenant_id: String,
    invoice_id: String,
    preauth_id: B256,
    escrow: Address,
    database: &'static str,
    /// What the chain would say if the database were right.
    expected: &'static str,
    chain: &'static str,
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

/// Compares, prints what was found, and says it by the exit code.
pub(super) async fn run(around: &Surroundings) -> ExitCode {
    match compare(around).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(DRIFT),
        Err(error) => {
            complain(&format!("error: {error:#}"));
            ExitCode::from(FAULT)
        }
    }
}

async fn compare(around: &Surroundings) -> anyhow::Result<bool> {
    let config = around.config()?;
    let database = store_reader(&config).await?;
    let chain = connect(&config).await?;
    let found = reconcile(&database, &chain).await?;
    let tokens = tokens::all(&mut *database.snapshot().await?).await?;
    let report = Report {
        equal: found.is_equal(),
        first_block: found.blocks.0,
        last_block: found.blocks.1,
        checked: found.checked,
        agreeing: found.checked - found.drifts.count,
        drifted: found.drifts.count,
        unknown: found.unknown.count,
        drifts: found.drifts.kept.iter().map(DriftLine::from).collect(),
        unknown_holds: found.unknown.kept.iter().map(UnknownLine::from).collect(),
        balances: found.balances.iter().map(|balance| BalanceLine::new(balance, &tokens)).collect(),
    };
    around.output.done(&in_words(&report, &found, &tokens), &report)?;
    Ok(report.equal)
}

impl From<&Drift> for DriftLine {
    fn from(drift: &Drift) -> Self {
        Self {
            tenant_id: drift.tenant.to_string(),
            invoice_id: drift.invoice.as_str().to_owned(),
            preauth_id: drift.preauth_id,
            escrow: drift.escrow,
            database: drift.status.as_str(),
            expected: drift.word_of(drift.expected),
            chain: drift.word_of(drift.found),
        }
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
    let mut parts = vec![format!(
        "{verdict} (compared at blocks {first_block} to {last_block}).\n\
         {checked} preauthorizations checked: {agreeing} equal, {drifted} drifted. \
         {unknown} open on chain that the database does not know."
    )];
    if !report.drifts.is_empty() {
        let rows: Vec<_> = report
            .drifts
            .iter()
            .map(|line| {
                let words = [line.database, line.expected, line.chain].map(str::to_owned);
                let [database, expected, chain] = words;
                [line.invoice_id.clone(), line.preauth_id.to_string(), database, expected, chain]
            })
            .collect();
        parts.push(table(
            ["INVOICE", "PREAUTH ID", "DATABASE SAYS", "EXPECTED ON CHAIN", "CHAIN SAYS"],
            &rows,
        ));
    }
    if !found.unknown.kept.is_empty() {
        let rows: Vec<_> = found.unknown.kept.iter().map(|hold| unknown_row(hold, tokens)).collect();
        parts.push(table(["UNKNOWN PREAUTH ID", "SENDER", "RECEIVER", "HOLD", "TOKEN", "EXPIRES"], &rows));
    }
    let kept = found.drifts.kept.len() as u64 + found.unknown.kept.len() as u64;
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
