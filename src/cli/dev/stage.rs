//! Sets the stage: contracts, funds and registrations on chain, the tenant in the database.

use std::path::Path;

use alloy::primitives::{Address, U256};
use alloy::signers::local::PrivateKeySigner;
use anyhow::{Context, ensure};
use futures::FutureExt;
use secrecy::ExposeSecret;

use super::cast::{self, KnownWallet};
use super::saved::{DemoTokenInfo, Saved};
use crate::chain::{Chain, EscrowPlan, Mined, Step, wall_now};
use crate::cli::admin;
use crate::cli::surroundings::change;
use crate::cli::tenant::new_tenant;
use crate::cli::tenant_key::store_new_key;
use crate::model::{Account, Scope, Tenant, Token, WalletRole};
use crate::store::{Store, StoreError, tenants, tokens, wallets};

const TENANT: &str = "demo";
const DASHBOARD_KEY: &str = "dev";
const TOKEN_NAME: &str = "Demo Dollar";
const TOKEN_SYMBOL: &str = "USDX";
const TOKEN_DECIMALS: u8 = 6;
/// A sender's tokens, in base units: 1,000,000.
const SENDER_FUNDS: u64 = 1_000_000 * 1_000_000;
/// Gas of a deployment, and of any other step.
const DEPLOYMENT_GAS: u64 = 6_000_000;
const STEP_GAS: u64 = 150_000;

/// Whether what was set up is still on this very chain.
pub(super) async fn still_stands(chain: &Chain, saved: &Saved) -> anyhow::Result<bool> {
    if chain.chain_id() != saved.chain_id || chain.check_escrow_code(saved.escrow).await?.is_err() {
        return Ok(false);
    }
    let block = chain.block_at(saved.escrow_block).await?;
    Ok(block.is_some_and(|block| block.header.hash == saved.escrow_block_hash))
}

/// Sees to it that the lanes' keys are allowed and can pay. An escrow that was set up for fewer lanes does not know them all
/// yet; one that was set up for more goes on to know the others, and nobody uses them.
pub(super) async fn allow(chain: &Chain, escrow: Address, operators: &[Address]) -> anyhow::Result<()> {
    let admin = cast::admin()?;
    let mut steps = Vec::new();
    for operator in operators {
        if !chain.is_operator(escrow, *operator).await? {
            chain.fund(*operator).await?;
            steps.push((&admin, Step::set_operator(escrow, *operator, true)));
        }
    }
    if !steps.is_empty() {
        chain.perform(steps, STEP_GAS).await?;
    }
    Ok(())
}

/// Sets up chain and database, and tells what it is about to do. An anvil that is `shared` may have been started with other
/// accounts.
pub(in crate::cli) async fn set(
    chain: &Chain,
    data_dir: &Path,
    shared: bool,
    tell: fn(&str),
) -> anyhow::Result<Saved> {
    let cast = Cast {
        admin: cast::admin()?,
        operator: cast::operator()?.address(),
        guardian: cast::guardian()?,
        senders: cast::senders()?,
        receivers: cast::receivers()?,
    };
    if shared {
        cast.fund(chain).await.context("funding the accounts")?;
    }
    tell("  deploying the escrow and the demo token");
    let (escrow, token) = cast.deploy(chain).await.context("deploying the contracts")?;
    let escrow_address = escrow.contract.context("the escrow has no address")?;
    tell(&format!(
        "  funding {} senders, registering {} receivers",
        cast.senders.len(),
        cast.receivers.len()
    ));
    cast.prepare(chain, escrow_address, token).await.context("preparing the wallets")?;

    tell(&format!("  making the tenant {TENANT:?} with its API keys"));
    let tenant = new_tenant(TENANT.to_owned());
    let (api_key, admin_key, dashboard_key) =
        fill_database(chain, data_dir, &tenant, token, &cast).await.context("filling the database")?;
    Ok(Saved {
        api_key,
        admin_key,
        dashboard_key,
        tenant: tenant.id.to_string(),
        chain_id: chain.chain_id(),
        escrow: escrow_address,
        escrow_block: escrow.block,
        escrow_block_hash: escrow.block_hash,
        token: DemoTokenInfo { address: token, symbol: TOKEN_SYMBOL.to_owned(), decimals: TOKEN_DECIMALS },
        admin: cast.admin.address(),
        operator: cast.operator,
        senders: cast.senders,
        receivers: cast.receivers,
    })
}

struct Cast {
    admin: PrivateKeySigner,
    operator: Address,
    guardian: Address,
    senders: Vec<KnownWallet>,
    receivers: Vec<KnownWallet>,
}

impl Cast {
    async fn fund(&self, chain: &Chain) -> anyhow::Result<()> {
        let payers = [self.admin.address(), self.operator, self.guardian];
        let senders = self.senders.iter().map(|sender| sender.address);
        futures::future::try_join_all(payers.into_iter().chain(senders).map(|payer| chain.fund(payer)))
            .await?;
        Ok(())
    }

    /// The escrow as it was mined, and the token's address.
    async fn deploy(&self, chain: &Chain) -> anyhow::Result<(Mined, Address)> {
        let plan = EscrowPlan {
            admin: self.admin.address(),
            guardian: self.guardian,
            operators: vec![self.operator],
            // Merchants of a test do not wait two days.
            receiver_delay: 0,
            permit2: Some(chain.put_permit2().await?),
        };
        let steps = vec![
            (&self.admin, Step::deploy_escrow(&plan)),
            (&self.admin, Step::deploy_demo_token(TOKEN_NAME, TOKEN_SYMBOL, TOKEN_DECIMALS)),
        ];
        let mined = chain.perform(steps, DEPLOYMENT_GAS).await?;
        let [escrow, token] = mined.as_slice() else { anyhow::bail!("a deployment is missing") };
        let token = token.contract.context("the demo token has no address")?;
        ensure!(escrow.contract.is_some(), "the escrow has no address");
        Ok((*escrow, token))
    }

    async fn prepare(&self, chain: &Chain, escrow: Address, token: Address) -> anyhow::Result<()> {
        let signers: Vec<PrivateKeySigner> =
            self.senders.iter().map(KnownWallet::signer).collect::<Result<_, _>>()?;
        let mints = self.senders.iter().map(|sender| {
            (&self.admin, Step::mint_demo_token(token, sender.address, U256::from(SENDER_FUNDS)))
        });
        let registrations = self
            .receivers
            .iter()
            .map(|receiver| (&self.admin, Step::register_receiver(escrow, receiver.address)));
        let approvals = signers.iter().map(|sender| (sender, Step::approve_all(token, escrow)));
        chain.perform(mints.chain(registrations).chain(approvals).collect(), STEP_GAS).await?;
        Ok(())
    }
}

async fn fill_database(
    chain: &Chain,
    data_dir: &Path,
    tenant: &Tenant,
    token: Address,
    cast: &Cast,
) -> anyhow::Result<(String, String, String)> {
    let store = Store::open(data_dir).await?;
    let admitted = Token {
        contract: Account::from_address(token),
        symbol: TOKEN_SYMBOL.to_owned(),
        decimals: TOKEN_DECIMALS,
        active: true,
        signing: Some(chain.probe_signing(token).await?),
    };
    let in_role = |wallets: &[KnownWallet], role: WalletRole| {
        wallets.iter().map(|wallet| (Account::from_address(wallet.address), role)).collect::<Vec<_>>()
    };
    let mut registered = in_role(&cast.senders, WalletRole::Sender);
    registered.extend(in_role(&cast.receivers, WalletRole::Receiver));
    let new_tenant = tenant.clone();
    change(&store, move |tx| {
        async move {
            let now = wall_now();
            tenants::insert(tx, &new_tenant, now).await?;
            tokens::save(tx, &admitted, now).await?;
            for (account, role) in &registered {
                wallets::register(tx, new_tenant.id, account, *role, now).await?;
            }
            Ok::<_, StoreError>(())
        }
        .boxed()
    })
    .await?;
    let daily = vec![Scope::Read, Scope::Write, Scope::OnboardingRead, Scope::OnboardingWrite];
    let api_key = store_new_key(&store, tenant.id, daily).await?;
    let admin_key = store_new_key(&store, tenant.id, Scope::ALL.to_vec()).await?;
    let dashboard_key =
        admin::store_new_key(&store, DASHBOARD_KEY.to_owned(), Scope::OF_ADMINS.to_vec()).await?;
    store.close().await;
    let [api_key, admin_key, dashboard_key] =
        [api_key, admin_key, dashboard_key].map(|key| key.expose_secret().to_owned());
    Ok((api_key, admin_key, dashboard_key))
}
