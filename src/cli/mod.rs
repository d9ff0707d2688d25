//! The command line: one file per command.
//!
//! Only `serve` and `dev` run a daemon. The other commands open the same database beside it (it is built for that), or
//! send one transaction with a key that the daemon never holds.

mod admin;
mod approver;
mod audit;
mod backup;
mod bench;
mod claims;
mod completion;
mod config;
pub mod daemon;
mod deploy;
mod dev;
mod doctor;
mod events;
mod hold;
mod key_flags;
mod listen;
mod numbers;
mod operator;
mod output;
#[cfg(test)]
mod parity;
mod party;
mod pay_link;
mod preauth;
mod progress;
mod reconcile;
mod remote;
mod repair;
mod report;
mod rules;
mod serve;
mod status;
mod stop_signal;
mod surroundings;
mod tenant;
mod tenant_key;
mod token;
mod trigger;
mod wallet;
mod webhook;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use output::Output;
use surroundings::Surroundings;

const LONG_ABOUT: &str = "\
Card-style preauthorization on ERC-20 tokens.

A merchant's system locks a payer's tokens in an escrow contract with one REST call, and settles all or part of them \
with another; the rest goes back to the payer in the same transaction. What nobody settles goes back when it expires.";

/// Commands stand in groups, in the order in which a new operator needs them.
const HELP: &str = "\
{before-help}{about-with-newline}
{usage-heading} {usage}

Run:
  dev       A whole system on a private chain, to try out and to test against
  serve     The daemon, as configured
  doctor    Whether a daemon could work here, and what to do where not
  status    Whether a running daemon accepts work, and what troubles it has
  bench     How fast the daemon is here, beside what the chain itself can take

Build against it:
  listen    Follow a tenant's events, and forward them to a system under development
  trigger   Make an event happen in a running `preauthd dev`

Use a running daemon in a tenant's name (with one of its API keys):
  preauth   Create, settle, cancel and look at preauthorizations
  pay-link  Links on which payers lock the amount by themselves
  events    What happened, oldest first
  claims    Refunds that a token refused and that wait for their payers

Set up a chain (with an admin or deployer key, which the daemon never holds):
  deploy    Deploy the escrow, and write its address into the configuration
  operator  Allow or revoke an operator key on chain
  wallet    Allow receivers on chain; register the wallets of a tenant

Administer the database (beside a running daemon, too):
  tenant    Merchant systems: their API keys, limits and rules
  rules     What the rules of a tenant would say
  token     The tokens that may be used
  webhook   Where tenants are told of events
  approver  Who is asked before a hold of a tenant is locked
  party     Whom a tenant has onboarded
  admin     Keys of those who run the daemon, for the dashboard
  audit     What was done by those who run it
  hold      Holds recovered from the chain that no tenant has claimed yet
  reconcile Compare every preauthorization with the chain, and repair what differs
  report    The accounts: what was authorized, settled and released, and what it cost
  backup    Copy the database, and check that a copy is sound

Beside all that:
  config     Print a configuration to begin with, every key explained
  completion Print what a shell needs to complete these commands

Options:
{options}{after-help}";

const EXAMPLES: &str = "\
Try it out:
  preauthd dev
  preauthd listen --forward-to localhost:3000/webhooks      # in a second terminal
  preauthd trigger preauth.expired                          # in a third
  preauthd dev clock +2d

Bring it to a chain:
  preauthd config > preauthd.toml             # then name your node and your operator keys
  preauthd deploy --keystore admin.json --password-env ADMIN_PASSWORD
  preauthd token add 0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48
  preauthd tenant create shop --tip-bps 2000
  preauthd tenant key new shop --scope read --scope write
  preauthd wallet register shop 0xRECEIVER --role receiver
  preauthd wallet allow 0xRECEIVER --keystore admin.json --password-env ADMIN_PASSWORD
  preauthd serve

The configuration is ./preauthd.toml with the environment (PREAUTHD_LISTEN=…) laid over it;
`preauthd config` explains every key. `preauthd <command> --help` explains a command.";

#[derive(Parser)]
#[command(
    name = "preauthd",
    version,
    about = "Card-style preauthorization on ERC-20 tokens",
    long_about = LONG_ABOUT,
    help_template = HELP,
    after_help = EXAMPLES,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    max_term_width = 110
)]
struct CommandLine {
    /// The configuration file [default: ./preauthd.toml, if it is there]
    #[arg(
        long,
        global = true,
        display_order = 900,
        value_name = "FILE",
        env = "PREAUTHD_CONFIG",
        hide_env = true
    )]
    config: Option<PathBuf>,
    /// Answer in JSON, for scripts
    #[arg(long, global = true, display_order = 901)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Dev(dev::Dev),
    /// The daemon, as configured
    ///
    /// Refuses to start where the configuration is wrong, the node is on another chain, or the code at the escrow's address
    /// is not the escrow. Ends in order at SIGINT and SIGTERM; what is in flight on chain is found again at the next start.
    /// RUST_LOG chooses what is logged: RUST_LOG=preauthd=debug.
    Serve,
    Doctor(doctor::Doctor),
    Status(status::Status),
    Bench(bench::Bench),
    Listen(listen::Listen),
    Trigger(trigger::Trigger),
    #[command(subcommand)]
    Preauth(preauth::Preauth),
    #[command(subcommand)]
    PayLink(pay_link::PayLink),
    Events(events::Events),
    Claims(claims::Claims),
    Deploy(deploy::Deploy),
    #[command(subcommand)]
    Operator(operator::Operator),
    #[command(subcommand)]
    Wallet(wallet::Wallet),
    #[command(subcommand)]
    Tenant(tenant::Tenant),
    #[command(subcommand)]
    Rules(rules::Rules),
    #[command(subcommand)]
    Token(token::Token),
    #[command(subcommand)]
    Webhook(webhook::Webhook),
    #[command(subcommand)]
    Approver(approver::Approver),
    #[command(subcommand)]
    Party(party::Party),
    #[command(subcommand)]
    Hold(hold::Hold),
    #[command(subcommand)]
    Report(report::Report),
    #[command(subcommand)]
    Admin(admin::Admin),
    Audit(audit::Audit),
    Reconcile(reconcile::Reconcile),
    Backup(backup::Backup),
    Config(config::PrintConfig),
    Completion(completion::Completion),
}

/// Runs the command the process was started with.
pub async fn main() -> ExitCode {
    let line = CommandLine::parse();
    let around = Surroundings { config_file: line.config, output: Output::new(line.json) };
    let done = match line.command {
        Command::Dev(dev) => dev.run(&around).await,
        Command::Serve => serve::run(&around).await,
        Command::Bench(bench) => bench.run(&around).await,
        Command::Listen(listen) => listen.run(&around).await,
        Command::Trigger(trigger) => trigger.run(&around).await,
        Command::Preauth(preauth) => preauth.run(&around).await,
        Command::PayLink(pay_link) => pay_link.run(&around).await,
        Command::Events(events) => events.run(&around).await,
        Command::Claims(claims) => claims.run(&around).await,
        Command::Deploy(deploy) => deploy.run(&around).await,
        Command::Operator(operator) => operator.run(&around).await,
        Command::Wallet(wallet) => wallet.run(&around).await,
        Command::Tenant(tenant) => tenant.run(&around).await,
        Command::Token(token) => token.run(&around).await,
        Command::Webhook(webhook) => webhook.run(&around).await,
        Command::Approver(approver) => approver.run(&around).await,
        Command::Party(party) => party.run(&around).await,
        Command::Hold(hold) => hold.run(&around).await,
        Command::Report(report) => report.run(&around).await,
        Command::Admin(admin) => admin.run(&around).await,
        Command::Audit(audit) => audit.run(&around).await,
        Command::Config(config) => config.run(),
        Command::Completion(completion) => completion.run(&mut CommandLine::command()),
        // What it finds is its answer, so its exit code says more than done or failed.
        Command::Doctor(doctor) => return doctor.run(&around).await,
        // So it is with whether it is ready.
        Command::Status(status) => return status.run(&around).await,
        // So it is with whether there is drift.
        Command::Reconcile(reconcile) => return reconcile.run(&around).await,
        // So it is with what rules say.
        Command::Rules(rules) => return rules.run(&around).await,
        // So it is with the soundness of a backup.
        Command::Backup(backup) => return backup.run(&around).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn the_help_names_every_command() {
        let mut command = CommandLine::command();
        let help = command.render_long_help().to_string();
        for subcommand in command.get_subcommands().filter(|command| command.get_name() != "help") {
            let line = format!("\n  {:<10}", subcommand.get_name());
            assert!(help.contains(&line), "{} is missing", subcommand.get_name());
            assert!(subcommand.get_about().is_some(), "{} explains nothing", subcommand.get_name());
        }
    }
}
