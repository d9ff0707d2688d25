//! `preauthd deploy`: the escrow, and its place in the configuration.

use std::path::{Path, PathBuf};

use alloy::primitives::Address;
use anyhow::{Context, bail};
use clap::Args;
use futures::FutureExt;
use serde_json::json;
use toml_edit::{DocumentMut, value};

use super::key_flags::KeyFlags;
use super::operator::address;
use super::output::complain;
use super::progress::{MINING, waiting};
use super::surroundings::{Surroundings, connect};
use crate::chain::{EscrowPlan, Step};
use crate::config::DEFAULT_FILE;
use crate::keys::OperatorKey;

/// 48 hours, in seconds.
const DEFAULT_RECEIVER_DELAY: u64 = 48 * 60 * 60;
/// The contract takes no longer delay: 365 days.
const LONGEST_RECEIVER_DELAY: u64 = 365 * 24 * 60 * 60;

/// Deploy the escrow, and write its address into the configuration
///
/// Deploys from the signing key's account on the chain of the configured node, then writes chain_id, escrow and
/// escrow_block into the configuration file; its comments stay. An escrow cannot be changed once it is deployed. One
/// that was configured before is served by the same database until it is empty.
///
/// Payers can consent through Permit2 where it is at its usual address on that chain.
#[derive(Args)]
pub(super) struct Deploy {
    /// Who allows receivers and operators, best a multi-signature wallet [default: the signing key's account]
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    admin: Option<Address>,
    /// Who may pause new holds and revoke operators in an emergency, and no more [default: none]
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    guardian: Option<Address>,
    /// A key that may lock and settle; may be given several times [default: the configured operator keys]
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    operator: Vec<Address>,
    /// Seconds between allowing a receiver and its taking effect: the time payers have to notice
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_RECEIVER_DELAY,
          value_parser = clap::value_parser!(u64).range(..=LONGEST_RECEIVER_DELAY))]
    receiver_delay: u64,
    #[command(flatten)]
    key: KeyFlags,
}

impl Deploy {
    pub async fn run(self, around: &Surroundings) -> anyhow::Result<()> {
        let config = around.config()?;
        let file = around.config_file.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
        // What cannot be written shall fail before anything is paid for.
        let document = read_document(&file)?;
        let key = self.key.open()?;
        let operators = if self.operator.is_empty() {
            let keys = config
                .open_operators()
                .await
                .context("which operators? Give --operator, or configure their keys")?;
            keys.iter().map(OperatorKey::address).collect()
        } else {
            self.operator
        };
        // The node decides where this goes; a chain id that was configured for another chain is checked here.
        let chain = connect(&config).await?;
        let mut plan = EscrowPlan {
            admin: self.admin.unwrap_or(key.address()),
            guardian: self.guardian.unwrap_or_default(),
            operators,
            receiver_delay: self.receiver_delay,
            permit2: chain.canonical_permit2().await?,
        };
        plan.operators.sort_unstable();
        plan.operators.dedup();

        around.note("escrow.deploy", &format!("on chain {} by {}", chain.chain_id(), key.address())).await?;
        complain(&format!("deploying to chain {} from {} …", chain.chain_id(), key.address()));
        let mined = waiting(MINING, chain.transact(&key, Step::deploy_escrow(&plan)).boxed_local()).await?;
        let Some(escrow) = mined.contract else {
            bail!("transaction {} deployed nothing", mined.transaction)
        };
        if let Err(mismatch) = chain.check_escrow_code(escrow).await? {
            bail!("transaction {} was mined, but at {escrow} {mismatch}", mined.transaction);
        }

        let written = write_place(document, &file, chain.chain_id(), escrow, mined.block);
        let written = match &written {
            Ok(()) => format!("{} says so now: chain_id, escrow and escrow_block", file.display()),
            Err(error) => format!(
                "{} could not be written ({error:#}): write it yourself:\n\n{}",
                file.display(),
                place(chain.chain_id(), escrow, mined.block)
            ),
        };
        around.output.done(
            &summary(&plan, escrow, mined.block, chain.chain_id(), &written),
            &json!({
                "chainId": chain.chain_id(),
                "escrow": escrow,
                "escrowBlock": mined.block,
                "transaction": mined.transaction,
                "admin": plan.admin,
                "guardian": plan.guardian,
                "operators": plan.operators,
                "receiverDelaySeconds": plan.receiver_delay,
                "permit2": plan.permit2,
                "config": file,
            }),
        )
    }
}

fn summary(plan: &EscrowPlan, escrow: Address, block: u64, chain_id: u64, written: &str) -> String {
    let guardian = if plan.guardian.is_zero() {
        "none: nobody but the admin can pause in an emergency".to_owned()
    } else {
        plan.guardian.to_string()
    };
    let permit2 = match plan.permit2 {
        Some(permit2) => permit2.to_string(),
        None => "none on this chain: payers cannot consent through it".to_owned(),
    };
    let operators: Vec<String> = plan.operators.iter().map(Address::to_string).collect();
    format!(
        "the escrow {escrow} is on chain {chain_id} since block {block}
  admin           {}
  guardian        {guardian}
  operators       {}
  receiver delay  {} s
  Permit2         {permit2}
{written}

Next:
  give each operator's account native coins for gas
  preauthd token add 0xTOKEN
  preauthd tenant create NAME && preauthd tenant key new NAME
  preauthd wallet register NAME 0xRECEIVER --role receiver
  preauthd wallet allow 0xRECEIVER --keystore …    (with the admin's key)
  preauthd serve",
        plan.admin,
        operators.join(", "),
        plan.receiver_delay
    )
}

fn read_document(file: &Path) -> anyhow::Result<DocumentMut> {
    match std::fs::read_to_string(file) {
        Ok(text) => text.parse().with_context(|| format!("reading {}", file.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(DocumentMut::new()),
        Err(error) => Err(error).with_context(|| format!("reading {}", file.display())),
    }
}

/// Writes where the escrow is, into a file beside the old one that then takes its place.
fn write_place(
    mut document: DocumentMut,
    file: &Path,
    chain_id: u64,
    escrow: Address,
    block: u64,
) -> anyhow::Result<()> {
    set_place(&mut document, chain_id, escrow, block)?;
    let mut beside = file.as_os_str().to_owned();
    beside.push(".new");
    std::fs::write(&beside, document.to_string())?;
    if let Ok(old) = std::fs::metadata(file) {
        std::fs::set_permissions(&beside, old.permissions())?;
    }
    std::fs::rename(&beside, file)?;
    Ok(())
}

fn set_place(document: &mut DocumentMut, chain_id: u64, escrow: Address, block: u64) -> anyhow::Result<()> {
    let mut set = |key: &str, new: toml_edit::Item| match document.get_mut(key) {
        // Only the value: what stands around it is the comment beside it.
        Some(toml_edit::Item::Value(old)) => {
            let decor = old.decor().clone();
            if let toml_edit::Item::Value(mut new) = new {
                *new.decor_mut() = decor;
                *old = new;
            }
        }
        _ => {
            document.insert(key, new);
        }
    };
    set("chain_id", value(i64::try_from(chain_id)?));
    set("escrow", value(escrow.to_checksum(None)));
    set("escrow_block", value(i64::try_from(block)?));
    Ok(())
}

fn place(chain_id: u64, escrow: Address, block: u64) -> String {
    format!("chain_id = {chain_id}\nescrow = \"{escrow}\"\nescrow_block = {block}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_everything_else_stay() {
        let text = "# mine\nrpc_url = \"http://x\" # the node\nescrow = \"old\" # where\n\n[[operators]]\nenv = \"A\"\n";
        let mut document: DocumentMut = text.parse().unwrap();
        set_place(&mut document, 1, Address::repeat_byte(0x11), 7).unwrap();
        let written = document.to_string();
        assert_eq!(
            written,
            "# mine\nrpc_url = \"http://x\" # the node\n\
             escrow = \"0x1111111111111111111111111111111111111111\" # where\nchain_id = 1\nescrow_block = 7\n\n\
             [[operators]]\nenv = \"A\"\n"
        );
    }

    #[test]
    fn a_file_that_was_not_there_is_written_whole() {
        let mut document = DocumentMut::new();
        set_place(&mut document, 1, Address::repeat_byte(0x11), 7).unwrap();
        assert_eq!(document.to_string().trim(), place(1, Address::repeat_byte(0x11), 7));
    }
}
