//! `preauthd report`: the accounts.

use alloy::primitives::Address;
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use jiff::civil::Date;

use super::output::say;
use super::surroundings::{Surroundings, store_reader, tenant};
use crate::chain::wall_now;
use crate::http::{AccountsLine, accounts_headings, accounts_rows};
use crate::model::{ChainTime, Day};
use crate::preauth::{ReportScope, next_day};

/// Days that are shown where no first day was named.
const DAYS: u64 = 30;

/// The accounts, from what was seen on chain
///
/// Reads the database beside a running daemon.
#[derive(Subcommand)]
pub(super) enum Report {
    /// What was authorized, settled, tipped and released, by day, token and receiver, and what it cost
    Settlements(Settlements),
}

#[derive(Args)]
pub(super) struct Settlements {
    /// The first day, in UTC [default: 30 days before the last]
    #[arg(long, value_name = "DAY")]
    from: Option<Date>,
    /// The last day, in UTC [default: today]
    #[arg(long, value_name = "DAY")]
    to: Option<Date>,
    /// Only this tenant
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Only this token
    #[arg(long, value_name = "ADDRESS")]
    token: Option<Address>,
    /// Only this receiver
    #[arg(long, value_name = "ADDRESS")]
    receiver: Option<Address>,
    /// A line for each preauthorization
    #[arg(long)]
    by_invoice: bool,
    /// Answer in CSV, for spreadsheets
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

impl Report {
    pub async fn run(self, around: &Surroundings) -> anyhow::Result<()> {
        let Self::Settlements(settlements) = self;
        settlements.run(around).await
    }
}

fn day(date: Date) -> anyhow::Result<Day> {
    let time: jiff::Timestamp = format!("{date}T00:00:00Z").parse().context("reading a day")?;
    Ok(Day::of(ChainTime::from_i64(time.as_second())))
}

impl Settlements {
    async fn run(self, around: &Surroundings) -> anyhow::Result<()> {
        let today = Day::of(ChainTime::from_i64(wall_now().0 / 1_000));
        let last = self.to.map(day).transpose()?.unwrap_or(today);
        let mut from = self.from.map(day).transpose()?.unwrap_or(last.before(DAYS));
        if from > last {
            bail!("the first day {from} is after the last {last}");
        }
        let database = store_reader(&around.config()?).await?;
        let mut scope = ReportScope {
            tenant: None,
            token: self.token,
            receiver: self.receiver,
            by_invoice: self.by_invoice,
        };
        if let Some(name) = &self.tenant {
            scope.tenant = Some(tenant(&mut *database.snapshot().await?, name).await?.id);
        }
        if self.csv {
            say(accounts_headings().trim_end());
        }
        let mut lines = Vec::new();
        while let Some(report) = next_day(&mut *database.snapshot().await?, &scope, from, last).await? {
            from = report.day.next();
            if self.csv {
                say(accounts_rows(&report.lines).trim_end());
            } else {
                lines.extend(report.lines);
            }
        }
        if self.csv {
            return Ok(());
        }
        let lines: Vec<AccountsLine> = lines.iter().map(AccountsLine::from).collect();
        around.output.list(
            [
                "DAY",
                "TOKEN",
                "RECEIVER",
                "INVOICE",
                "LOCKED",
                "AUTHORIZED",
                "SETTLED",
                "TIPPED",
                "RELEASED",
                "CLAIMABLE",
                "GAS (WEI)",
            ],
            &lines,
            cells,
        )
    }
}

fn cells(line: &AccountsLine) -> [String; 11] {
    [
        line.day.clone(),
        line.contract_address.clone(),
        line.receiver.clone(),
        line.invoice_id.clone().unwrap_or_default(),
        line.authorized.count.to_string(),
        line.authorized.amount.clone(),
        line.settled.amount.clone(),
        line.tipped.amount.clone(),
        line.released.amount.clone(),
        line.claimable.amount.clone(),
        line.gas_cost_wei.clone(),
    ]
}
