//! `preauthd wallet`: who may pay and be paid.

use alloy::primitives::Address;
use clap::{Args, Subcommand, ValueEnum};
use futures::FutureExt;
use serde::Serialize;
use serde_json::json;

use super::key_flags::KeyFlags;
use super::operator::{account, address};
use super::output::complain;
use super::progress::{MINING, waiting};
use super::surroundings::{Surroundings, act, connect, escrow, tenant};
use crate::chain::{Step, wall_now};
use crate::model::{Account, WalletRole};
use crate::store::{Connection, wallets};

/// Wallets that are read at a time.
const PAGE: u32 = 500;

/// Register the wallets of a tenant; allow receivers on chain
///
/// A preauthorization needs a sender and a receiver that are registered with the tenant. A receiver must also be allowed
/// on chain by the escrow's admin, before an allowance alone (without the payer's signature) can name it.
#[derive(Subcommand)]
pub(super) enum Wallet {
    /// Register a wallet with a tenant, without a proof that it is the payer's
    ///
    /// Tenants register senders over the API, with a signature of the wallet. Do it here only where you know in another
    /// way that the payer agreed: a tenant can draw on what a registered sender allows the escrow.
    Register(Register),
    /// Show the wallets of a tenant
    List {
        /// The tenant's name
        tenant: String,
        /// Only this role
        #[arg(long)]
        role: Option<Role>,
    },
    /// End a registration; open holds are not touched
    Remove {
        /// The tenant's name
        tenant: String,
        /// The wallet
        #[arg(value_parser = address)]
        address: Address,
        /// Only in this role
        #[arg(long)]
        role: Option<Role>,
    },
    /// Allow a receiver on chain (`registerReceiver`); it takes effect after the escrow's delay
    Allow(OnChain),
    /// Withdraw a receiver on chain (`removeReceiver`), at once; open holds are not touched
    Disallow(OnChain),
}

#[derive(Args)]
pub(super) struct Register {
    /// The tenant's name
    tenant: String,
    /// The wallet
    #[arg(value_parser = account)]
    address: Account,
    /// What it does in a preauthorization
    #[arg(long)]
    role: Role,
}

#[derive(Args)]
pub(super) struct OnChain {
    /// The receiver's address
    #[arg(value_parser = address)]
    receiver: Address,
    #[command(flatten)]
    key: KeyFlags,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Role {
    Sender,
    Receiver,
}

impl From<Role> for WalletRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Sender => Self::Sender,
            Role::Receiver => Self::Receiver,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    address: String,
    role: &'static str,
    registered_at: String,
    /// Receivers: from when on an allowance may name it; `None`: not allowed, or no node to ask.
    active_from: Option<String>,
}

impl Wallet {
    pub async fn run(self, around: &Surroundings) -> anyhow::Result<()> {
        match self {
            Self::Register(wish) => register(around, wish).await,
            Self::List { tenant, role } => list(around, &tenant, role.map(Into::into)).await,
            Self::Remove { tenant, address, role } => {
                remove(around, &tenant, address, role.map(Into::into)).await
            }
            Self::Allow(wish) => on_chain(around, wish, true).await,
            Self::Disallow(wish) => on_chain(around, wish, false).await,
        }
    }
}

async fn register(around: &Surroundings, wish: Register) -> anyhow::Result<()> {
    let store = around.existing_store().await?;
    let tenant = tenant(&mut *store.read().await?, &wish.tenant).await?;
    let role = WalletRole::from(wish.role);
    let account = wish.address.clone();
    let subject = format!("{} of {}", account.written(), wish.tenant);
    act(&store, "wallet.register", &subject, move |tx| {
        async move { wallets::register(tx, tenant.id, &account, role, wall_now()).await }.boxed()
    })
    .await?;
    store.close().await;
    let mut text =
        format!("{} is registered as a {} of {}", wish.address.written(), role.as_str(), wish.tenant);
    if role == WalletRole::Receiver {
        text += &format!("\nNext: preauthd wallet allow {} --keystore …", wish.address.written());
    }
    around.output.done(
        &text,
        &json!({ "address": wish.address.written(), "role": role.as_str(), "tenant": wish.tenant }),
    )
}

async fn list(around: &Surroundings, name: &str, role: Option<WalletRole>) -> anyhow::Result<()> {
    let config = around.config()?;
    let store = around.existing_store().await?;
    let mut reader = store.read().await?;
    let tenant = tenant(&mut reader, name).await?;
    let found = all(&mut reader, tenant.id, role).await?;
    drop(reader);
    store.close().await;

    // The list is worth having without a node, too.
    let node = match (escrow(&config), connect(&config).await) {
        (Ok(escrow), Ok(chain)) => Some((escrow, chain)),
        _ => None,
    };
    let mut listed = Vec::with_capacity(found.len());
    for wallet in found {
        let active_from = match &node {
            Some((escrow, chain)) if wallet.role == WalletRole::Receiver => {
                chain.receiver_active_from(*escrow, wallet.account.address()).await?
            }
            _ => None,
        };
        listed.push(Listed {
            address: wallet.account.written().to_owned(),
            role: wallet.role.as_str(),
            registered_at: wallet.registered_at.to_rfc3339(),
            active_from: active_from.map(|time| time.to_rfc3339()),
        });
    }
    if node.is_none() {
        complain("(no node was asked which receivers are allowed on chain)");
    }
    around.output.list(["ADDRESS", "ROLE", "REGISTERED", "ALLOWED ON CHAIN FROM"], &listed, |wallet| {
        let allowed = match (wallet.role, &node) {
            ("receiver", Some(_)) => wallet.active_from.clone().unwrap_or_else(|| "not allowed".to_owned()),
            _ => "-".to_owned(),
        };
        [wallet.address.clone(), wallet.role.to_owned(), wallet.registered_at.clone(), allowed]
    })
}

async fn all(
    reader: &mut Connection,
    tenant: crate::model::TenantId,
    role: Option<WalletRole>,
) -> anyhow::Result<Vec<wallets::Wallet>> {
    let mut found: Vec<wallets::Wallet> = Vec::new();
    loop {
        let after = found.last().map_or(0, |wallet| wallet.id);
        let page = wallets::page(reader, tenant, role, after, PAGE).await?;
        if page.is_empty() {
            return Ok(found);
        }
        found.extend(page);
    }
}

async fn remove(
    around: &Surroundings,
    name: &str,
    address: Address,
    role: Option<WalletRole>,
) -> anyhow::Result<()> {
    let store = around.existing_store().await?;
    let tenant = tenant(&mut *store.read().await?, name).await?;
    let removed = act(&store, "wallet.remove", &format!("{address} of {name}"), move |tx| {
        async move { wallets::remove(tx, tenant.id, address, role, wall_now()).await }.boxed()
    })
    .await?;
    store.close().await;
    if removed == 0 {
        anyhow::bail!("{address} is not registered with {name} in that role");
    }
    around.output.done(
        &format!("{address} is no longer registered with {name}; its open holds go on"),
        &json!({ "address": address, "removed": removed }),
    )
}

async fn on_chain(around: &Surroundings, wish: OnChain, allow: bool) -> anyhow::Result<()> {
    let config = around.config()?;
    let escrow = escrow(&config)?;
    let key = wish.key.open()?;
    let chain = connect(&config).await?;
    let step = if allow {
        Step::register_receiver(escrow, wish.receiver)
    } else {
        Step::remove_receiver(escrow, wish.receiver)
    };
    let word = if allow { "receiver.allow" } else { "receiver.disallow" };
    around.note(word, &wish.receiver.to_string()).await?;
    let mined = waiting(MINING, chain.transact(&key, step).boxed_local()).await?;
    let active_from = chain.receiver_active_from(escrow, wish.receiver).await?.map(|time| time.to_rfc3339());
    let text = match &active_from {
        Some(time) => format!("{} may be paid by allowance from {time} on", wish.receiver),
        None => format!("{} can no longer be paid by allowance; its open holds go on", wish.receiver),
    };
    around.output.done(
        &format!("{text} (transaction {})", mined.transaction),
        &json!({ "receiver": wish.receiver, "activeFrom": active_from, "transaction": mined.transaction }),
    )
}
