//! `preauthd operator`: which keys may lock and settle.

use alloy::primitives::Address;
use clap::{Args, Subcommand};
use futures::FutureExt;
use serde_json::json;

use super::key_flags::KeyFlags;
use super::progress::{MINING, waiting};
use super::surroundings::{Surroundings, connect, escrow};
use crate::chain::Step;
use crate::model::Account;

/// Allow or revoke an operator key on chain
///
/// An operator may lock what payers allow, settle it to the receiver of the terms, and cancel. The escrow's admin allows
/// operators; its guardian may revoke them.
#[derive(Subcommand)]
pub(super) enum Operator {
    /// Let a key act as an operator of the configured escrow
    Allow(Change),
    /// Take that right away, at once: what a stolen key calls for
    Revoke(Change),
}

#[derive(Args)]
pub(super) struct Change {
    /// The operator's address
    #[arg(value_parser = address)]
    operator: Address,
    #[command(flatten)]
    key: KeyFlags,
}

impl Operator {
    pub async fn run(self, around: &Surroundings) -> anyhow::Result<()> {
        let (change, allowed) = match self {
            Self::Allow(change) => (change, true),
            Self::Revoke(change) => (change, false),
        };
        let config = around.config()?;
        let escrow = escrow(&config)?;
        let key = change.key.open()?;
        let chain = connect(&config).await?;
        let word = if allowed { "operator.allow" } else { "operator.revoke" };
        around.note(word, &change.operator.to_string()).await?;
        let step = Step::set_operator(escrow, change.operator, allowed);
        let mined = waiting(MINING, chain.transact(&key, step).boxed_local()).await?;
        let verb = if allowed { "may now operate" } else { "may no longer operate" };
        around.output.done(
            &format!("{} {verb} the escrow {escrow} (transaction {})", change.operator, mined.transaction),
            &json!({ "operator": change.operator, "allowed": allowed, "transaction": mined.transaction }),
        )
    }
}

/// An address on the command line.
pub(super) fn address(text: &str) -> Result<Address, String> {
    account(text).map(|account| account.address())
}

/// An address on the command line, with its spelling.
pub(super) fn account(text: &str) -> Result<Account, String> {
    Account::parse(text).map_err(|error| error.to_string())
}
