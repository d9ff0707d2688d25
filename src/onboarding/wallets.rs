//! Say whose a wallet is.

use alloy::primitives::Address;
use futures::FutureExt;

use super::Onboarding;
use super::act::Actor;
use super::refusal::{Done, OnboardingRefusal, told};
use crate::model::{Account, PartyId, TenantId, WalletRole};
use crate::store::onboarding::wallets;

/// Wallets of a party at most, each role counted.
const MOST_WALLETS: u32 = 64;

impl Onboarding {
    /// Ties a wallet to a party in a role. A wallet is one party's in a role; tying it again changes nothing.
    ///
    /// # Errors
    /// [`super::OnboardingFault`].
    pub async fn tie_wallet(
        &self,
        tenant: TenantId,
        id: PartyId,
        account: Account,
        role: WalletRole,
        actor: &Actor,
    ) -> Done<()> {
        let tied = self.act_on(tenant, id, actor, "party.tie_wallet", move |tx, party, now| {
            async move {
                match wallets::owner(tx, tenant, account.address(), role).await? {
                    Some(owner) if owner == party.key => return Ok(()),
                    Some(_) => return Err(OnboardingRefusal::WalletTaken.into()),
                    None => {}
                }
                if wallets::count(tx, party.key).await? >= i64::from(MOST_WALLETS) {
                    return Err(OnboardingRefusal::TooManyWallets(MOST_WALLETS).into());
                }
                Ok(wallets::tie(tx, tenant, party.key, &account, role, now).await?)
            }
            .boxed()
        });
        told(tied.await)
    }

    /// Unties a wallet, in a role or in both. Open holds are not touched.
    ///
    /// # Errors
    /// [`super::OnboardingFault`].
    pub async fn untie_wallet(
        &self,
        tenant: TenantId,
        id: PartyId,
        address: Address,
        role: Option<WalletRole>,
        actor: &Actor,
    ) -> Done<()> {
        let untied = self.act_on(tenant, id, actor, "party.untie_wallet", move |tx, party, now| {
            async move {
                match wallets::untie(tx, party.key, address, role, now).await? {
                    0 => Err(OnboardingRefusal::WalletNotTied.into()),
                    _ => Ok(()),
                }
            }
            .boxed()
        });
        told(untied.await)
    }
}
