//! From a creation to its terms: the checks that need no chain, in the order that is fixed, and the offer of terms a
//! payer can sign.

use std::sync::Arc;

use alloy::primitives::{Address, Bytes, U256};

use super::participants::Participants;
use super::payer::Payer;
use super::{
    ConsentOffer, Fault, MAX_TTL_SECONDS, MIN_TTL_SECONDS, NewAuthorization, Preauths, Refusal,
    RequestedTime, Stop,
};
use crate::chain::approve_input;
use crate::model::{
    ALLOWANCE, Account, AmountError, BaseUnits, ChainTime, Consent, Creation, InvoiceId, Rulebook, Schedule,
    Tenant, TenantId, Terms, Token, TokenAmount, WalletRole, derive_preauth_id, hold_with_tip,
};
use crate::store::{Connection, preauths};

/// Terms as they would be locked, and how to consent to them.
#[derive(Debug, Clone)]
pub struct OfferedTerms {
    pub terms: Terms,
    pub escrow: Address,
    pub chain_id: u64,
    pub decimals: u8,
    /// For `eth_signTypedData_v4`.
    pub typed_data: serde_json::Value,
    /// Input of the transaction to the token that allows the escrow to take the hold.
    pub approve_input: Bytes,
    /// Every way to consent that there is for the token.
    pub consents: Vec<ConsentOffer>,
}

/// What a plan is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Terms that are to be consented to: no consent is looked at.
    Offer,
    Lock,
}

/// A creation that passed every check but the chain's.
pub(super) struct Plan {
    pub terms: Terms,
    pub token: Token,
    pub schedule: Option<Schedule>,
    /// `None`: the allowance is the consent.
    pub consent: Option<Consent>,
    pub judged: Judged,
    /// `None`: the tenant takes anybody.
    pub participants: Option<Participants>,
}

impl Preauths {
    /// Fixes the terms of a creation without storing anything.
    ///
    /// # Errors
    /// A [`Fault`] of the database.
    pub async fn offer_terms(
        &self,
        tenant: &Tenant,
        creation: NewAuthorization,
    ) -> Result<Result<OfferedTerms, Refusal>, Fault> {
        self.told(self.offer_to(tenant, &creation, Payer::Named).await)
    }

    pub(super) async fn offer_to(
        &self,
        tenant: &Tenant,
        creation: &NewAuthorization,
        payer: Payer,
    ) -> Result<OfferedTerms, Stop> {
        let plan = self.plan(tenant, creation, payer, Purpose::Offer).await?;
        let escrow = self.inner.settings.escrow;
        let chain_id = self.inner.chain.chain_id();
        Ok(OfferedTerms {
            consents: self.consent_offers(&plan.terms, &plan.token).await?,
            terms: plan.terms,
            escrow,
            chain_id,
            decimals: plan.token.decimals,
            typed_data: plan.terms.typed_data(chain_id, escrow),
            approve_input: approve_input(escrow, U256::from(plan.terms.hold.get())),
        })
    }

    /// Amount, wallets, token, expiry, rules, consent, registrations, invoice: in this order.
    pub(super) async fn plan(
        &self,
        tenant: &Tenant,
        creation: &NewAuthorization,
        payer: Payer,
        purpose: Purpose,
    ) -> Result<Plan, Stop> {
        let price = self.price(tenant, &Asked::from(creation), payer, purpose).await?;
        let terms = Terms {
            sender: creation.sender.address(),
            receiver: creation.receiver.address(),
            token: creation.token.address(),
            hold: price.judged.hold,
            expires_at: price.judged.expires_at,
            preauth_id: derive_preauth_id(tenant.id, &creation.invoice),
        };
        let Price { token, schedule, judged, participants } = price;
        Ok(Plan { terms, token, schedule, consent: creation.consent.clone(), judged, participants })
    }

    /// The same checks where it may not be known yet who pays.
    pub(super) async fn price(
        &self,
        tenant: &Tenant,
        asked: &Asked<'_>,
        payer: Payer,
        purpose: Purpose,
    ) -> Result<Price, Stop> {
        if asked.amount.is_zero() {
            return Err(Refusal::AmountNotPositive.into());
        }
        let (sender, receiver) = (asked.sender.map(Account::address), asked.receiver.address());
        if sender == Some(receiver) {
            return Err(Refusal::SameWallet.into());
        }
        let rules = self.inner.rulebooks.of(tenant).await;
        let token = self.inner.store.token(asked.token.address()).await?;
        let token = token.filter(|token| token.active).ok_or(Refusal::TokenNotActive)?;
        let amount = in_base_units(asked.amount, token.decimals)?;
        let hold = hold_with_tip(amount, tenant.allowed_tip_bps).map_err(|_| Refusal::AmountTooLarge)?;

        let now = self.inner.clock.now();
        let expires_at = expiry(asked, tenant, now)?;
        let schedule = full_settlement(asked, amount, now, expires_at)?;
        let judged = Judged {
            tenant: tenant.id,
            rules,
            invoice: asked.invoice.clone(),
            token: token.clone(),
            sender,
            receiver,
            amount,
            hold,
            now,
            expires_at,
            consent: (purpose == Purpose::Lock)
                .then(|| asked.consent.map_or(ALLOWANCE, |consent| consent.kind().as_str())),
            pay_link: matches!(payer, Payer::OfLink(_)),
            scheduled: schedule.is_some(),
        };
        self.judge(&judged).await?;
        let store = &self.inner.store;
        let participants = Participants::of(tenant, sender, receiver);
        let standings = match participants {
            Some(participants) => Some(participants.look(store).await?),
            None => None,
        };
        if let Some(standings) = &standings {
            standings.none_is_suspended()?;
        }
        if purpose == Purpose::Lock {
            payer.has_consented(asked.consent)?;
            self.judge_consent(tenant, asked.consent, &token).await?;
        }

        let (payer, payee, known) = tokio::join!(
            async {
                match sender {
                    Some(sender) => payer.may_be_named(store, tenant.id, sender).await,
                    None => Ok(()),
                }
            },
            store.is_registered(tenant.id, receiver, WalletRole::Receiver),
            self.by_invoice(tenant.id, asked.invoice),
        );
        payer?;
        if !payee? {
            return Err(Refusal::WalletNotRegistered(WalletRole::Receiver).into());
        }
        if let Some(standings) = &standings {
            standings.all_are_verified()?;
        }
        if known?.is_some() {
            return Err(Refusal::InvoiceExists.into());
        }
        Ok(Price { token, schedule, judged, participants })
    }

    async fn judge(&self, judged: &Judged) -> Result<(), Stop> {
        if !judged.depends_on_others() {
            return judged.pass(0);
        }
        let mut reader = self.inner.store.read().await?;
        judged.judge(&mut reader).await
    }
}

/// What is asked for, whoever pays.
pub(super) struct Asked<'a> {
    pub invoice: &'a InvoiceId,
    pub sender: Option<&'a Account>,
    pub receiver: &'a Account,
    pub token: &'a Account,
    pub amount: TokenAmount,
    pub expires_at: RequestedTime,
    pub settle_at: RequestedTime,
    pub consent: Option<&'a Consent>,
}

impl<'a> From<&'a NewAuthorization> for Asked<'a> {
    fn from(creation: &'a NewAuthorization) -> Self {
        Self {
            invoice: &creation.invoice,
            sender: Some(&creation.sender),
            receiver: &creation.receiver,
            token: &creation.token,
            amount: creation.amount,
            expires_at: creation.expires_at,
            settle_at: creation.settle_at,
            consent: creation.consent.as_ref(),
        }
    }
}

/// What was asked for, checked and counted.
pub(super) struct Price {
    pub token: Token,
    pub schedule: Option<Schedule>,
    pub judged: Judged,
    pub participants: Option<Participants>,
}

/// A creation as the rules see it. Where a rule depends on what else is open it is judged once more in the change that
/// stores it: creations of one sender that arrive together must not each count the others as not there.
#[derive(Clone)]
pub(super) struct Judged {
    tenant: TenantId,
    rules: Arc<Rulebook>,
    invoice: InvoiceId,
    token: Token,
    sender: Option<Address>,
    receiver: Address,
    pub amount: BaseUnits,
    pub hold: BaseUnits,
    pub now: ChainTime,
    pub expires_at: ChainTime,
    consent: Option<&'static str>,
    pay_link: bool,
    scheduled: bool,
}

impl Judged {
    pub(super) fn depends_on_others(&self) -> bool {
        self.rules.needs_open_total(self.token.contract.address())
    }

    pub(super) async fn judge(&self, connection: &mut Connection) -> Result<(), Stop> {
        let contract = self.token.contract.address();
        let open_total = match self.sender.filter(|_| self.depends_on_others()) {
            Some(sender) => preauths::open_total(connection, self.tenant, sender, contract).await?,
            None => 0,
        };
        self.pass(open_total)
    }

    /// The rules, where so much of the sender's is held already, in base units.
    fn pass(&self, open_total: u128) -> Result<(), Stop> {
        let creation = Creation {
            invoice: &self.invoice,
            sender: self.sender,
            receiver: self.receiver,
            token: &self.token,
            amount: self.amount,
            hold: self.hold,
            open_total,
            now: self.now,
            expires_at: self.expires_at,
            consent: self.consent,
            pay_link: self.pay_link,
            scheduled: self.scheduled,
        };
        self.rules.judge(&creation).map_err(|refusal| Refusal::Rule(refusal).into())
    }
}

/// The amount in base units, or why not.
pub(super) fn in_base_units(amount: TokenAmount, decimals: u8) -> Result<BaseUnits, Refusal> {
    amount.in_base_units(decimals).map_err(|error| match error {
        AmountError::TooManyDecimals => Refusal::AmountTooPrecise { decimals },
        AmountError::NotPositive => Refusal::AmountNotPositive,
        AmountError::TooLarge | AmountError::Malformed => Refusal::AmountTooLarge,
    })
}

fn expiry(asked: &Asked<'_>, tenant: &Tenant, now: ChainTime) -> Result<ChainTime, Refusal> {
    let expires_at = match asked.expires_at {
        RequestedTime::At(expires_at) => expires_at,
        RequestedTime::Malformed => return Err(Refusal::InvalidExpiry("must be RFC 3339 with a time zone")),
        RequestedTime::Absent if asked.consent.is_some() => return Err(Refusal::ConsentWithoutExpiry),
        RequestedTime::Absent => return Ok(now.saturating_add(tenant.default_ttl_seconds)),
    };
    let ttl = expires_at.seconds_since(now);
    if ttl < MIN_TTL_SECONDS {
        return Err(Refusal::InvalidExpiry("must be at least 60 seconds ahead"));
    }
    if ttl > MAX_TTL_SECONDS {
        return Err(Refusal::InvalidExpiry("must be at most 30 days ahead"));
    }
    Ok(expires_at)
}

fn full_settlement(
    asked: &Asked<'_>,
    amount: BaseUnits,
    now: ChainTime,
    expires_at: ChainTime,
) -> Result<Option<Schedule>, Refusal> {
    let settle_at = settlement_time(asked.settle_at, now, expires_at)?;
    Ok(settle_at.map(|settle_at| Schedule { settle_at, amount, written: asked.amount }))
}

/// When to settle: ahead of now and before the expiry.
pub(super) fn settlement_time(
    requested: RequestedTime,
    now: ChainTime,
    expires_at: ChainTime,
) -> Result<Option<ChainTime>, Refusal> {
    match requested {
        RequestedTime::Absent => Ok(None),
        RequestedTime::Malformed => Err(Refusal::InvalidSettleAt("must be RFC 3339 with a time zone")),
        RequestedTime::At(settle_at) if settle_at <= now => {
            Err(Refusal::InvalidSettleAt("must be in the future"))
        }
        RequestedTime::At(settle_at) if settle_at >= expires_at => {
            Err(Refusal::InvalidSettleAt("must be before expiresAt"))
        }
        RequestedTime::At(settle_at) => Ok(Some(settle_at)),
    }
}
