//! Pay links: a merchant offers terms to whoever has the link.
//!
//! A link stores terms and nothing else. Paying one (see [`super::pay`]) is a creation like any other, in the tenant's
//! name and through the same verb; what differs is who names the sender (see [`super::payer`]).

use futures::FutureExt;

use super::payer::Payer;
use super::terms::{Asked, Price, Purpose};
use super::{
    DEFAULT_LINK_SECONDS, Fault, MAX_TTL_SECONDS, MIN_TTL_SECONDS, Preauths, Refusal, RequestedTime, Stop,
};
use crate::model::{Account, ChainTime, InvoiceId, PayLink, PayLinkState, PayToken, Tenant, TokenAmount};
use crate::store::{StoreError, idempotency, pay_links};

/// What is noted of a request that made a link: its invoice says which.
const MADE: i64 = 1;

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
        let token = self.once.map_or_else(rand::random, |once| once.secret);
        let token = PayToken::from_random(token);
        if self.begun_before().await?.is_some() {
            return self.made_before(tenant, &wish.invoice, token).await;
        }
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
        let (stored, now, once) = (link.clone(), price.judged.now, self.once);
        let is_new: bool = self
            .inner
            .store
            .write::<_, StoreError, _>(move |tx| {
                async move {
                    let is_new = pay_links::insert(tx, &stored, now).await?;
                    if is_new {
                        idempotency::note_effect(tx, once, MADE).await?;
                    }
                    Ok(is_new)
                }
                .boxed()
            })
            .await?;
        if is_new { Ok(MadePayLink { link, token }) } else { Err(Refusal::PayLinkExists.into()) }
    }

    /// The link that an earlier run of the same request made, unless it had to make room for another one.
    async fn made_before(
        &self,
        tenant: &Tenant,
        invoice: &InvoiceId,
        token: PayToken,
    ) -> Result<MadePayLink, Stop> {
        let mut reader = self.inner.store.read().await?;
        let link = pay_links::by_invoice(&mut reader, tenant.id, invoice).await?;
        let link = link.filter(|link| link.token_hash == token.hash());
        Ok(MadePayLink { link: link.ok_or(Refusal::PayLinkExists)?, token })
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
        RequestedTime::Absent if latest <= now => {
            Err(Refusal::InvalidLinkExpiry("the terms leave no time to pay"))
        }
        RequestedTime::Absent => Ok(latest.min(now.saturating_add(DEFAULT_LINK_SECONDS))),
        RequestedTime::Malformed => Err(Refusal::InvalidLinkExpiry("must be RFC 3339 with a time zone")),
        RequestedTime::At(at) if at <= now => Err(Refusal::InvalidLinkExpiry("must be in the future")),
        RequestedTime::At(at) if at > latest => Err(Refusal::InvalidLinkExpiry(
            "must be at most 30 days ahead, a minute before expiresAt, and not after settleAt",
        )),
        RequestedTime::At(at) => Ok(at),
    }
}
