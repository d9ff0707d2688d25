//! Pay links: a merchant offers terms to whoever has the link, and the payer consents to them by himself.
//!
//! A link stores terms and nothing else. Paying one is a creation like any other, in the tenant's name and through the
//! same verb; what differs is who names the sender (see [`super::payer`]).

use futures::FutureExt;

use super::payer::Payer;
use super::terms::{Asked, Price, Purpose};
use super::{
    DEFAULT_LINK_SECONDS, Ending, Fault, MAX_TTL_SECONDS, MIN_TTL_SECONDS, NewAuthorization, OFFER_SECONDS,
    OfferedTerms, Preauths, Refusal, RequestedTime, Snapshot, Stop, Wait,
};
use crate::model::{
    Account, BaseUnits, ChainTime, Consent, InvoiceId, PayLink, PayLinkState, PayToken, PayTokenHash, Tenant,
    Token, TokenAmount, hold_with_tip,
};
use crate::store::{pay_links, tenants, tokens};

/// A wish for a link, its shape checked.
#[derive(Debug, Clone)]
pub struct NewPayLink {
    pub invoice: InvoiceId,
    /// The only wallet that may pay; `None`: any.
    pub sender: Option<Account>,
    pub receiver: Account,
    pub token: Account,
    pub amount: TokenAmount,
    pub expires_at: RequestedTime,
    pub settle_at: RequestedTime,
    pub description: Option<String>,
    pub return_url: Option<String>,
    pub lapses: RequestedTime,
}

/// A link that was just made. This is the only moment at which its token is known.
#[derive(Debug)]
pub struct MadePayLink {
    pub link: PayLink,
    pub token: PayToken,
}

/// A link and where it stands.
#[derive(Debug)]
pub struct PayLinkView {
    pub link: PayLink,
    pub state: PayLinkState,
}

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
    /// Makes a link. The checks are those of a creation, as far as they can be made before anybody pays.
    ///
    /// # Errors
    /// A [`Fault`] of the database.
    pub async fn make_pay_link(
        &self,
        tenant: &Tenant,
        wish: NewPayLink,
    ) -> Result<Result<MadePayLink, Refusal>, Fault> {
        self.told(self.try_make_pay_link(tenant, wish).await)
    }

    async fn try_make_pay_link(&self, tenant: &Tenant, wish: NewPayLink) -> Result<MadePayLink, Stop> {
        let asked = Asked {
            invoice: &wish.invoice,
            sender: wish.sender.as_ref(),
            receiver: &wish.receiver,
            token: &wish.token,
            amount: wish.amount,
            expires_at: wish.expires_at,
            settle_at: wish.settle_at,
            consent: None,
        };
        // Nobody is named yet who would have to be registered: whoever comes with the link has to sign.
        let token = PayToken::from_random(rand::random());
        let price = self.price(tenant, &asked, Payer::OfLink(token.hash()), Purpose::Offer).await?;
        let link = PayLink {
            tenant: tenant.id,
            lapses: lapse(&wish, &price)?,
            invoice: wish.invoice,
            token_hash: token.hash(),
            sender: wish.sender,
            receiver: wish.receiver,
            token: wish.token,
            amount: wish.amount,
            expires_at: named(wish.expires_at),
            settle_at: named(wish.settle_at),
            description: wish.description,
            return_url: wish.return_url,
            withdrawn_at: None,
            created_at: self.inner.clock.wall(),
        };
        let (stored, now) = (link.clone(), price.judged.now);
        let is_new: bool = self
            .inner
            .store
            .write(move |tx| async move { pay_links::insert(tx, &stored, now).await }.boxed())
            .await?;
        if is_new { Ok(MadePayLink { link, token }) } else { Err(Refusal::PayLinkExists.into()) }
    }

    /// A tenant's link of an invoice; another tenant's does not exist for it.
    ///
    /// # Errors
    /// A [`Fault`] of the database.
    pub async fn pay_link(
        &self,
        tenant: &Tenant,
        invoice: &InvoiceId,
    ) -> Result<Result<PayLinkView, Refusal>, Fault> {
        self.told(self.try_pay_link(tenant, invoice).await)
    }

    async fn try_pay_link(&self, tenant: &Tenant, invoice: &InvoiceId) -> Result<PayLinkView, Stop> {
        let is_used = self.by_invoice(tenant.id, invoice).await?.is_some();
        let mut reader = self.inner.store.read().await?;
        let link = pay_links::by_invoice(&mut reader, tenant.id, invoice).await?;
        let link = link.ok_or(Refusal::PayLinkNotFound)?;
        Ok(PayLinkView { state: link.state(is_used, self.inner.clock.now()), link })
    }

    /// Takes a link back: from then on nobody sees it. One that was used stays, because the payer needs its page to
    /// see what becomes of his tokens, and to have them back after the expiry.
    ///
    /// # Errors
    /// A [`Fault`] of the database.
    pub async fn withdraw_pay_link(
        &self,
        tenant: &Tenant,
        invoice: &InvoiceId,
    ) -> Result<Result<PayLinkView, Refusal>, Fault> {
        self.told(self.try_withdraw_pay_link(tenant, invoice).await)
    }

    async fn try_withdraw_pay_link(&self, tenant: &Tenant, invoice: &InvoiceId) -> Result<PayLinkView, Stop> {
        let (tenant, invoice) = (tenant.id, invoice.clone());
        let (now, wall) = (self.inner.clock.now(), self.inner.clock.wall());
        let link = self.inner.store.write::<_, Stop, _>(move |tx| {
            async move {
                let link = pay_links::by_invoice(tx, tenant, &invoice).await?;
                let link = link.ok_or(Refusal::PayLinkNotFound)?;
                let is_used = super::unclaimed::by_invoice(tx, tenant, &invoice).await?.is_some();
                match link.state(is_used, now) {
                    PayLinkState::Used => Err(Refusal::PayLinkUsed.into()),
                    PayLinkState::Open | PayLinkState::Lapsed | PayLinkState::Withdrawn => {
                        Ok(pay_links::withdraw(tx, link, wall).await?)
                    }
                }
            }
            .boxed()
        });
        Ok(PayLinkView { link: link.await?, state: PayLinkState::Withdrawn })
    }

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
        let amount = super::terms::in_base_units(link.amount, token.decimals)?;
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

fn named(time: RequestedTime) -> Option<ChainTime> {
    match time {
        RequestedTime::At(time) => Some(time),
        RequestedTime::Absent | RequestedTime::Malformed => None,
    }
}

/// When a link lapses: as asked, or after its default time, but never later than its terms can still be met.
fn lapse(wish: &NewPayLink, price: &Price) -> Result<ChainTime, Refusal> {
    let now = price.judged.now;
    let before_expiry = named(wish.expires_at).map(|at| ChainTime(at.0.saturating_sub(MIN_TTL_SECONDS)));
    let latest = [before_expiry, named(wish.settle_at)]
        .into_iter()
        .flatten()
        .fold(now.saturating_add(MAX_TTL_SECONDS), ChainTime::min);
    match wish.lapses {
        RequestedTime::Absent => Ok(latest.min(now.saturating_add(DEFAULT_LINK_SECONDS))),
        RequestedTime::Malformed => Err(Refusal::InvalidLinkExpiry("must be RFC 3339 with a time zone")),
        RequestedTime::At(at) if at <= now => Err(Refusal::InvalidLinkExpiry("must be in the future")),
        RequestedTime::At(at) if at > latest => Err(Refusal::InvalidLinkExpiry(
            "must be at most 30 days ahead, a minute before expiresAt, and not after settleAt",
        )),
        RequestedTime::At(at) => Ok(at),
    }
}
