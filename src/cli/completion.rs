//! `preauthd completion`: what a shell needs to complete the commands.

use clap::{Args, Command};
use clap_complete::{Shell, generate};

/// Print what a shell needs to complete these commands
///
/// For bash, once: preauthd completion bash > ~/.local/share/bash-completion/completions/preauthd
#[derive(Args)]
pub(super) struct Completion {
    /// Whose language it is written in
    shell: Shell,
}

impl Completion {
    pub fn run(self, commands: &mut Command) -> anyhow::Result<()> {
        let mut script = Vec::new();
        generate(self.shell, commands, "preauthd", &mut script);
        super::output::say(&String::from_utf8(script)?);
        Ok(())
    }
}
