//! Whose tokens a creation may name, and what counts as his consent.

use alloy::primitives::Address;

use super::{Demand, Refusal, Stop};
use crate::model::{ChainTime, Consent, PayLinkState, PayTokenHash, TenantId, WalletRole};
use crate::store::{Connection, Store, pay_links};

/// How the sender of a creation came to be its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Payer {
    /// The merchant's system names him. His allowance may be his whole consent, and he may have given it for somebody
    /// else; so his wallet must be registered with the tenant, which takes his own proof.
    Named,
    /// He names himself, on the page of a pay link. Anybody could name anybody there, so nothing but a signature over
    /// exactly these terms counts, which the contract checks: an allowance alone never does. That signature proves more
    /// than a registration would, so none is needed, and none is made: it is good for this one hold and for no later one.
    OfLink(PayTokenHash),
}

impl Payer {
    /// Refuses a sender who must be registered and is not.
    pub(super) async fn may_be_named(
        self,
        store: &Store,
        tenant: TenantId,
        sender: Address,
    ) -> Result<(), Stop> {
        let role = WalletRole::Sender;
        match self {
            Self::OfLink(_) => Ok(()),
            Self::Named if store.is_registered(tenant, sender, role).await? => Ok(()),
            Self::Named => Err(Refusal::WalletNotRegistered(role).into()),
        }
    }

    /// Refuses a creation without a signed consent, which means by the allowance, where that does not count.
    pub(super) fn has_consented(self, consent: Option<&Consent>) -> Result<(), Refusal> {
        match self {
            Self::OfLink(_) if consent.is_none() => Err(Refusal::ConsentRequired(Demand::PayLink)),
            Self::OfLink(_) | Self::Named => Ok(()),
        }
    }

    /// Refuses, inside the change that stores the creation, a link that was taken back or lapsed meanwhile. That it was
    /// not used is what the invoice's uniqueness sees to.
    pub(super) async fn may_still_pay(self, tx: &mut Connection, now: ChainTime) -> Result<(), Stop> {
        let Self::OfLink(token) = self else { return Ok(()) };
        let link = pay_links::by_token(tx, token).await?.ok_or(Refusal::PayLinkNotFound)?;
        match link.state(false, now) {
            PayLinkState::Open => Ok(()),
            PayLinkState::Lapsed => Err(Refusal::PayLinkLapsed.into()),
            PayLinkState::Withdrawn | PayLinkState::Used => Err(Refusal::PayLinkNotFound.into()),
        }
    }
}
