//! `preauthd backup`: a copy of the database that can be relied upon.

use std::path::PathBuf;
use std::process::ExitCode;

use alloy::primitives::Address;
use alloy::primitives::utils::format_units;
use clap::Args;
use futures::FutureExt;
use serde::Serialize;

use super::output::{complain, table};
use super::progress::waiting;
use super::surroundings::{Surroundings, must_exist};
use crate::model::Token;
use crate::store::backup::{self, Inspection};

/// The copy is damaged.
const DAMAGED: u8 = 1;
/// It could not be made, or nothing can be said about it.
const FAULT: u8 = 2;
/// Faults that are printed.
const SHOWN: usize = 20;

/// Copy the database beside the running daemon, and check the copy; or check a copy
///
/// The copy gets its name only after it was read back as a whole and found sound: structure, references, and the checksum of
/// every row that is money. To restore it, stop the daemon and put it into the data folder as preauthd.sqlite, in
/// place of preauthd.sqlite, preauthd.sqlite-wal and preauthd.sqlite-shm.
/// Exit code 0: sound; 1: damaged; 2: it could not be made, or found out.
#[derive(Args)]
pub(super) struct Backup {
    /// The copy; must not be there yet
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Only check FILE, which a backup made
    #[arg(long)]
    verify: bool,
}

/// What is in the file, as scripts read it. Amounts are base units.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    sound: bool,
    file: String,
    chain_id: Option<u64>,
    /// The block up to which the daemon had read the chain.
    block: Option<u64>,
    preauthorizations: std::collections::BTreeMap<&'static str, u64>,
    held: Vec<HeldLine>,
    fault_count: u64,
    /// The first 1,000.
    faults: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HeldLine {
    escrow: Address,
    token: Address,
    symbol: Option<String>,
    decimals: Option<u8>,
    units: String,
}

impl Backup {
    /// Does it, prints what the copy holds, and says by the exit code whether it is sound.
    pub(super) async fn run(&self, around: &Surroundings) -> ExitCode {
        match self.try_run(around).await {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::from(DAMAGED),
            Err(error) => {
                complain(&format!("error: {error:#}"));
                ExitCode::from(FAULT)
            }
        }
    }

    async fn try_run(&self, around: &Surroundings) -> anyhow::Result<bool> {
        let (file, inspection) = if self.verify {
            (
                self.file.clone(),
                waiting("reading the copy as a whole", backup::inspect(&self.file).boxed_local()).await?,
            )
        } else {
            let config = around.config()?;
            must_exist(&config)?;
            let work = backup::back_up(&config.data_dir, &self.file).boxed_local();
            match waiting("copying, and reading the copy as a whole", work).await? {
                backup::Backup::Made(inspection) => (self.file.clone(), inspection),
                backup::Backup::Damaged(partial, inspection) => (partial, inspection),
            }
        };
        let report = Report {
            sound: inspection.is_sound(),
            file: file.display().to_string(),
            chain_id: inspection.chain_id,
            block: inspection.block,
            preauthorizations: inspection.preauths.clone(),
            held: held(&inspection),
            fault_count: inspection.faults.count,
            faults: inspection.faults.kept,
        };
        around.output.done(&in_words(&report), &report)?;
        Ok(report.sound)
    }
}

fn held(inspection: &Inspection) -> Vec<HeldLine> {
    let token = |address: &Address| -> Option<&Token> {
        inspection.tokens.iter().find(|token| token.contract.address() == *address)
    };
    let lines = inspection.held.iter().map(|((escrow, address), units)| HeldLine {
        escrow: *escrow,
        token: *address,
        symbol: token(address).map(|token| token.symbol.clone()),
        decimals: token(address).map(|token| token.decimals),
        units: units.to_string(),
    });
    lines.collect()
}

fn in_words(report: &Report) -> String {
    let mut parts = vec![headline(report)];
    if !report.faults.is_empty() {
        let mut lines: Vec<String> = report.faults.iter().take(SHOWN).cloned().collect();
        let more = report.fault_count - lines.len() as u64;
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
        parts.push(lines.join("\n"));
    }
    let counts: Vec<_> = report
        .preauthorizations
        .iter()
        .map(|(status, count)| [(*status).to_owned(), count.to_string()])
        .collect();
    if !counts.is_empty() {
        parts.push(table(["STATUS", "PREAUTHORIZATIONS"], &counts));
    }
    let held: Vec<_> = report.held.iter().map(held_row).collect();
    if !held.is_empty() {
        parts.push(table(["TOKEN", "ESCROW", "OPEN HOLDS"], &held));
    }
    parts.join("\n\n")
}

fn headline(report: &Report) -> String {
    let verdict = match report.fault_count {
        0 => "is sound".to_owned(),
        count => format!("is DAMAGED, in {count} places"),
    };
    let of = match (report.chain_id, report.block) {
        (Some(chain), Some(block)) => format!(": chain {chain}, up to block {block}"),
        (Some(chain), None) => format!(": chain {chain}"),
        _ => String::new(),
    };
    format!("{} {verdict}{of}.", report.file)
}

fn held_row(line: &HeldLine) -> [String; 3] {
    let units = line.units.parse::<alloy::primitives::U256>().ok();
    let amount = units.zip(line.decimals).and_then(|(units, decimals)| format_units(units, decimals).ok());
    [
        line.symbol.clone().unwrap_or_else(|| line.token.to_string()),
        line.escrow.to_string(),
        amount.unwrap_or_else(|| format!("{} base units", line.units)),
    ]
}
