//! `preauthd config`: a configuration to begin with.

use clap::Args;

use super::output::say;
use crate::config::EXAMPLE;

/// Print a configuration to begin with, every key explained
///
/// It is the reference of this version: each key with what it means and its default. `preauthd doctor` says whether one that
/// was changed is right.
#[derive(Args)]
pub(super) struct PrintConfig {}

impl PrintConfig {
    pub fn run(self) -> anyhow::Result<()> {
        say(EXAMPLE.trim_end());
        Ok(())
    }
}
