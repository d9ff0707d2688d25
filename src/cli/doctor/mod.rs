//! `preauthd doctor`: whether a daemon could work here, and what to do where it could not.

mod chain;
mod finding;
mod house;

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::output::complain;
use super::surroundings::Surroundings;
use crate::config::Config;
use finding::{Finding, State};

/// Something would keep a daemon from working.
const ILL: u8 = 1;
/// The findings could not be printed.
const FAULT: u8 = 2;

/// Check configuration, keys, disk, database, nodes, clock and escrow, and say what to do
///
/// It only looks: it sends no transaction and changes no row, and runs beside a daemon as well. Exit code 0: a daemon can work
/// here, perhaps with warnings; 1: it cannot.
#[derive(Args)]
pub(super) struct Doctor {}

/// What was found, as scripts read it.
#[derive(Serialize)]
struct Report {
    healthy: bool,
    findings: Vec<Finding>,
}

impl Doctor {
    pub async fn run(self, around: &Surroundings) -> ExitCode {
        let findings = examine(around).await;
        let healthy = findings.iter().all(|finding| finding.state != State::Bad);
        let sentences = finding::in_lines(&findings);
        match around.output.done(&sentences, &Report { healthy, findings }) {
            Ok(()) if healthy => ExitCode::SUCCESS,
            Ok(()) => ExitCode::from(ILL),
            Err(error) => {
                complain(&format!("error: {error:#}"));
                ExitCode::from(FAULT)
            }
        }
    }
}

/// Looks at everything in the order in which a daemon would need it. What cannot be looked at because of something that was
/// found before is left out.
async fn examine(around: &Surroundings) -> Vec<Finding> {
    let config = match Config::load(around.config_file.as_deref()) {
        Ok(config) => config,
        Err(error) => return house::refused_configuration(&error),
    };
    let mut findings = house::configuration(&config, around.config_file.as_deref());
    findings.extend(house::data_folder(&config));
    findings.extend(house::database(&config).await);
    findings.extend(house::rules(&config.data_dir).await);
    let (operators, of_keys) = house::operator_keys(&config).await;
    findings.extend(of_keys);
    findings.extend(chain::examine(&config, &operators).await);
    findings
}
