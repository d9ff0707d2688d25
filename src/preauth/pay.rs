//! Pay: what the holder of a link sees, and how he consents to its terms.

use super::payer::Payer;
use super::terms::in_base_units;
use super::{
    Ending, Fault, NewAuthorization, OFFER_SECONDS, OfferedTerms, Preauths, Refusal, RequestedTime, Snapshot,
    Stop, Wait,
};
use crate::model::{
    Account, BaseUnits, ChainTime, Consent, PayLink, PayLinkState, PayTokenHash, Tenant, Token, hold_with_tip,
};
use crate::store::{pay_links, tenants, tokens};

/// What the holder of a link may see.
#[derive(Debug)]
pub struct OpenedPayLink {
    pub link: PayLink,
    pub tenant: Tenant,
    pub token: Token,
    /// What would be held now: the amount and the tenant's allowed tip.
    pub hold: BaseUnits,
    /// Open, used or lapsed.
    pub state: PayLinkState,
    /// What became of it, once it was used.
    pub snapshot: Option<Snapshot>,
    /// The chain's time.
    pub now: ChainTime,
}

/// A payer's consent to offered terms.
#[derive(Debug, Clone)]
pub struct Signed {
    pub sender: Account,
    /// As the terms had it.
    pub expires_at: RequestedTime,
    pub consent: Consent,
}

impl Preauths {
    /// What the holder of a token may see. A link that was taken back does not exist for him.
    ///
    /// # Errors
    /// A [`Fault`] of the database.
    pub async fn open_pay_link(&self, token: PayTokenHash) -> Result<Result<OpenedPayLink, Refusal>, Fault> {
        self.told(self.try_open_pay_link(token).await)
    }

    async fn try_open_pay_link(&self, token: PayTokenHash) -> Result<OpenedPayLink, Stop> {
        let mut reader = self.inner.store.read().await?;
        let link = pay_links::by_token(&mut reader, token).await?.ok_or(Refusal::PayLinkNotFound)?;
        let tenant = tenants::by_id(&mut reader, link.tenant).await?.ok_or(Refusal::PayLinkNotFound)?;
        let token = tokens::by_address(&mut reader, link.token.address()).await?;
        let token = token.ok_or(Refusal::TokenNotActive)?;
        drop(reader);
        let preauth = self.by_invoice(link.tenant, &link.invoice).await?;
        let now = self.inner.clock.now();
        let state = link.state(preauth.is_some(), now);
        if state == PayLinkState::Withdrawn {
            return Err(Refusal::PayLinkNotFound.into());
        }
        let snapshot = match preauth {
            Some(preauth) => {
                let mut reader = self.inner.store.read().await?;
                Some(Snapshot::read(&mut reader, preauth).await?)
            }
            None => None,
        };
        let amount = in_base_units(link.amount, token.decimals)?;
        let hold = hold_with_tip(amount, tenant.allowed_tip_bps).map_err(|_| Refusal::AmountTooLarge)?;
        Ok(OpenedPayLink { link, tenant, token, hold, state, snapshot, now })
    }

    /// Fixes the terms for a payer, without storing anything.
    ///
    /// # Errors
    /// A [`Fault`] of the database.
    pub async fn offer_to_payer(
        &self,
        opened: &OpenedPayLink,
        sender: Account,
    ) -> Result<Result<OfferedTerms, Refusal>, Fault> {
        if let Err(refusal) = opened.may_be_paid_by(&sender) {
            return Ok(Err(refusal));
        }
        let expires_at = opened.link.expires_at.map_or(RequestedTime::Absent, RequestedTime::At);
        let creation = opened.creation(sender, expires_at, None);
        self.told(self.offer_to(&opened.tenant, &creation, opened.payer()).await)
    }

    /// Locks the hold that a payer has consented to.
    ///
    /// # Errors
    /// A [`Fault`] of the database.
    pub async fn pay(&self, opened: &OpenedPayLink, signed: Signed, wait: Wait) -> Result<Ending, Fault> {
        self.ended(self.try_pay(opened, signed, wait).await)
    }

    async fn try_pay(&self, opened: &OpenedPayLink, signed: Signed, wait: Wait) -> Result<Ending, Stop> {
        opened.may_be_paid_by(&signed.sender)?;
        opened.was_offered(signed.expires_at)?;
        let creation = opened.creation(signed.sender, signed.expires_at, Some(signed.consent));
        self.lock(&opened.tenant, creation, opened.payer(), wait).await
    }
}

impl OpenedPayLink {
    fn payer(&self) -> Payer {
        Payer::OfLink(self.link.token_hash)
    }

    fn may_be_paid_by(&self, sender: &Account) -> Result<(), Refusal> {
        if self.tenant.disabled {
            return Err(Refusal::TenantDisabled);
        }
        match self.state {
            PayLinkState::Open => {}
            PayLinkState::Used => return Err(Refusal::InvoiceExists),
            PayLinkState::Lapsed => return Err(Refusal::PayLinkLapsed),
            PayLinkState::Withdrawn => return Err(Refusal::PayLinkNotFound),
        }
        match &self.link.sender {
            Some(only) if only.address() != sender.address() => Err(Refusal::OtherPayer),
            _ => Ok(()),
        }
    }

    /// A payer chooses no expiry: it is the one that terms of this link have, now or a little earlier. A shorter one
    /// would leave the merchant no time to settle.
    fn was_offered(&self, expires_at: RequestedTime) -> Result<(), Refusal> {
        let RequestedTime::At(expires_at) = expires_at else { return Ok(()) };
        let is_offered = match self.link.expires_at {
            Some(fixed) => expires_at == fixed,
            None => {
                let newest = self.now.saturating_add(self.tenant.default_ttl_seconds);
                // The chain's clock may have gone back a little since.
                newest.seconds_since(expires_at).max(expires_at.seconds_since(newest)) <= OFFER_SECONDS
            }
        };
        if is_offered { Ok(()) } else { Err(Refusal::OfferLapsed) }
    }

    fn creation(
        &self,
        sender: Account,
        expires_at: RequestedTime,
        consent: Option<Consent>,
    ) -> NewAuthorization {
        let PayLink { invoice, receiver, token, amount, settle_at, .. } = self.link.clone();
        NewAuthorization {
            invoice,
            sender,
            receiver,
            token,
            amount,
            expires_at,
            settle_at: settle_at.map_or(RequestedTime::Absent, RequestedTime::At),
            consent,
        }
    }
}
