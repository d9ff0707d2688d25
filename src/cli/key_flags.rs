//! The flags by which a command is given a private key, without the key standing on the command line.

use std::path::PathBuf;

use alloy::signers::local::PrivateKeySigner;
use anyhow::Context;
use clap::Args;

use crate::config::{KeySource, PasswordSource};

#[derive(Args)]
#[command(next_help_heading = "The key that signs")]
#[group(skip)]
pub(super) struct KeyFlags {
    /// An encrypted keystore file
    #[arg(long, value_name = "FILE", required_unless_present = "key_env", conflicts_with = "key_env")]
    keystore: Option<PathBuf>,
    /// The environment variable that holds the keystore's password
    #[arg(long, value_name = "VARIABLE", requires = "keystore", conflicts_with = "password_file")]
    password_env: Option<String>,
    /// The file that holds the keystore's password
    #[arg(long, value_name = "FILE", requires = "keystore")]
    password_file: Option<PathBuf>,
    /// The environment variable that holds the key itself, in hexadecimal digits
    #[arg(long, value_name = "VARIABLE")]
    key_env: Option<String>,
}

impl KeyFlags {
    pub fn open(&self) -> anyhow::Result<PrivateKeySigner> {
        let password = match (&self.password_env, &self.password_file) {
            (Some(variable), _) => Some(PasswordSource::Variable(variable.clone())),
            (None, Some(file)) => Some(PasswordSource::File(file.clone())),
            (None, None) => None,
        };
        let source = match (&self.keystore, password, &self.key_env) {
            (None, _, Some(variable)) => KeySource::Variable(variable.clone()),
            (Some(path), Some(password), _) => KeySource::Keystore { path: path.clone(), password },
            _ => anyhow::bail!(
                "--keystore needs its password: give --password-env or --password-file (or use --key-env)"
            ),
        };
        source.open().context("the key that signs")
    }
}
