//! Whether the wallets of a creation may take part, where their tenant wants verified parties only. That is all that is known of
//! parties here; how they are onboarded is the business of others.

use alloy::primitives::Address;

use super::{Refusal, Stop};
use crate::model::{Participation, RuleRefusal, Tenant, TenantId, WalletRole};
use crate::store::onboarding::participation;
use crate::store::{Connection, Store, StoreError};

/// The name of the setting, as rules are named where they refuse.
const SETTING: &str = "requireVerifiedParty";

/// Wallets that must be those of verified parties.
#[derive(Debug, Clone, Copy)]
pub(super) struct Participants {
    tenant: TenantId,
    /// `None`: not known yet.
    sender: Option<Address>,
    receiver: Address,
}

/// What is so of them.
pub(super) struct Standings(Vec<(WalletRole, Participation)>);

impl Participants {
    /// `None`: the tenant takes anybody.
    pub(super) fn of(tenant: &Tenant, sender: Option<Address>, receiver: Address) -> Option<Self> {
        tenant.require_verified_party.then_some(Self { tenant: tenant.id, sender, receiver })
    }

    fn wallets(self) -> impl Iterator<Item = (Address, WalletRole)> {
        let sender = self.sender.map(|sender| (sender, WalletRole::Sender));
        sender.into_iter().chain([(self.receiver, WalletRole::Receiver)])
    }

    pub(super) async fn look(self, store: &Store) -> Result<Standings, StoreError> {
        let mut standings = Vec::new();
        for (address, role) in self.wallets() {
            standings.push((role, store.participation(self.tenant, address, role).await?));
        }
        Ok(Standings(standings))
    }

    /// Looks once more in the change that stores the creation: who was suspended meanwhile is refused.
    pub(super) async fn may_still_take_part(self, tx: &mut Connection) -> Result<(), Stop> {
        let mut standings = Vec::new();
        for (address, role) in self.wallets() {
            standings.push((role, participation::of(tx, (self.tenant, address, role)).await?));
        }
        let standings = Standings(standings);
        standings.none_is_suspended()?;
        Ok(standings.all_are_verified()?)
    }
}

impl Standings {
    /// Refuses, as a rule does, a wallet of somebody who is suspended.
    pub(super) fn none_is_suspended(&self) -> Result<(), Refusal> {
        let suspended = self.0.iter().find(|(_, standing)| *standing == Participation::Suspended);
        match suspended {
            None => Ok(()),
            Some((role, _)) => {
                let why = match role {
                    WalletRole::Sender => "the sender's party is suspended",
                    WalletRole::Receiver => "the receiver's party is suspended",
                };
                Err(Refusal::Rule(RuleRefusal { rule: SETTING.into(), why: why.into() }))
            }
        }
    }

    /// Refuses, as one that is not registered, a wallet of nobody, or of somebody who is not verified.
    pub(super) fn all_are_verified(&self) -> Result<(), Refusal> {
        let strange = self.0.iter().find(|(_, standing)| *standing != Participation::Admitted);
        strange.map_or(Ok(()), |(role, _)| Err(Refusal::PartyNotVerified(*role)))
    }
}
