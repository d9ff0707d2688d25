//! How terms can be consented to: which kinds there are for a token, what has to be signed for each, and what is wrong
//! with a consent that the dry run refused.

use alloy::primitives::{Address, B256, Bytes, U256};
use futures::try_join;
use serde_json::Value;

use super::refusal::{ConsentFlaw, Demand};
use super::terms::Plan;
use super::{Fault, Preauths, Refusal, Stop};
use crate::chain::{ChainError, approve_input};
use crate::model::{Consent, ConsentKind, ECDSA_BYTES, SignedMethod, Tenant, Terms, ToSign, Token};

/// A way to consent to offered terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsentOffer {
    Eip712 {
        terms: Value,
        /// Of the `approve` that has to come first; `None`: the allowance suffices.
        approve_input: Option<Bytes>,
    },
    Erc2612 {
        terms: Value,
        permit: Value,
    },
    Erc3009 {
        authorization: Value,
    },
    Permit2 {
        transfer: Value,
        nonce: B256,
        /// As above, for Permit2.
        approve_input: Option<Bytes>,
    },
}

impl Preauths {
    /// The kinds of consent there are for a token, as far as they are known without asking it anew.
    #[must_use]
    pub fn consent_kinds(&self, token: &Token) -> Vec<ConsentKind> {
        let is_known = |kind| match kind {
            ConsentKind::Eip712 => true,
            ConsentKind::Permit2 => self.inner.settings.permit2.is_some(),
            ConsentKind::Erc2612 | ConsentKind::Erc3009 => {
                token.signing.as_ref().is_some_and(|signing| signing.method(kind).is_some())
            }
        };
        ConsentKind::ALL.into_iter().filter(|kind| is_known(*kind)).collect()
    }

    /// Every way to consent to terms of a token.
    pub(super) async fn consent_offers(
        &self,
        terms: &Terms,
        token: &Token,
    ) -> Result<Vec<ConsentOffer>, Stop> {
        let offers =
            try_join!(self.offer_plain(terms), self.offers_of_token(terms, token), self.offer_permit2(terms));
        let (plain, by_token, by_permit2) = offers.map_err(unanswered)?;
        Ok(std::iter::once(plain).chain(by_token).chain(by_permit2).collect())
    }

    async fn offer_plain(&self, terms: &Terms) -> Result<ConsentOffer, Fault> {
        let escrow = self.inner.settings.escrow;
        let to_sign = ToSign::terms(terms, self.inner.chain.chain_id(), escrow);
        let approve_input = self.missing_approval(terms, escrow, U256::from(terms.hold.get())).await?;
        Ok(ConsentOffer::Eip712 { terms: to_sign.typed_data, approve_input })
    }

    async fn offers_of_token(&self, terms: &Terms, token: &Token) -> Result<Vec<ConsentOffer>, Fault> {
        let (chain, escrow) = (&self.inner.chain, self.inner.settings.escrow);
        let signing = self.signing(token).await?;
        let mut offers = Vec::new();
        if let Some(SignedMethod { domain, .. }) = &signing.permit
            && let Some(nonce) = chain.permit_nonce(terms.token, terms.sender).await?
        {
            offers.push(ConsentOffer::Erc2612 {
                terms: ToSign::terms(terms, chain.chain_id(), escrow).typed_data,
                permit: ToSign::permit(terms, escrow, domain, nonce).typed_data,
            });
        }
        if let Some(SignedMethod { domain, .. }) = &signing.authorization {
            let to_sign = ToSign::authorization(terms, escrow, domain);
            offers.push(ConsentOffer::Erc3009 { authorization: to_sign.typed_data });
        }
        Ok(offers)
    }

    async fn offer_permit2(&self, terms: &Terms) -> Result<Option<ConsentOffer>, Fault> {
        let Some(permit2) = self.inner.settings.permit2 else { return Ok(None) };
        // The preauth id is used once, as a nonce must be, and needs no memory.
        let nonce = terms.preauth_id;
        let escrow = self.inner.settings.escrow;
        let to_sign = ToSign::permit2(terms, self.inner.chain.chain_id(), escrow, permit2, nonce);
        let approve_input = self.missing_approval(terms, permit2, U256::MAX).await?;
        Ok(Some(ConsentOffer::Permit2 { transfer: to_sign.typed_data, nonce, approve_input }))
    }

    /// The call of `approve` that is needed before `spender` can take the hold; none where it can already.
    async fn missing_approval(
        &self,
        terms: &Terms,
        spender: Address,
        amount: U256,
    ) -> Result<Option<Bytes>, ChainError> {
        let allowed = self.inner.chain.allowance(terms.token, terms.sender, spender).await?;
        let is_missing = allowed < U256::from(terms.hold.get());
        Ok(is_missing.then(|| approve_input(spender, amount)))
    }

    /// Whether a creation brings the consent that its tenant demands, in a kind that its token has.
    pub(super) async fn judge_consent(
        &self,
        tenant: &Tenant,
        consent: Option<&Consent>,
        token: &Token,
    ) -> Result<(), Stop> {
        let Some(consent) = consent else {
            let demanded = Refusal::ConsentRequired(Demand::Tenant);
            return if tenant.require_signed_consent { Err(demanded.into()) } else { Ok(()) };
        };
        let kind = consent.kind();
        let signature = match consent {
            Consent::Eip712 { .. } => return Ok(()),
            Consent::Permit2 { .. } if self.inner.settings.permit2.is_some() => return Ok(()),
            Consent::Permit2 { .. } => return Err(Refusal::ConsentNotSupported(kind).into()),
            Consent::Erc2612 { permit_signature, .. } => permit_signature,
            Consent::Erc3009 { signature } => signature,
        };
        let signing = self.signing(token).await.map_err(unanswered)?;
        let method = signing.method(kind).ok_or(Refusal::ConsentNotSupported(kind))?;
        if signature.len() != ECDSA_BYTES && !method.by_contracts {
            return Err(Refusal::ConsentNotByContract(kind).into());
        }
        Ok(())
    }

    /// Says more exactly why the dry run of a creation with a consent was refused, where the consent may be why. It is
    /// advice for whoever reads it: a node that does not answer leaves the refusal as it was.
    pub(super) async fn look_closer(&self, plan: &Plan, refusal: Refusal) -> Refusal {
        let flaw = match (&plan.consent, &refusal) {
            (Some(Consent::Erc2612 { .. }), Refusal::InsufficientAllowance) => Ok(Some(ConsentFlaw::Permit)),
            (Some(Consent::Erc3009 { signature }), Refusal::TokenRefused(_)) => {
                self.flaw_of_authorization(plan, signature).await
            }
            _ => Ok(None),
        };
        match flaw {
            Ok(Some(flaw)) => Refusal::InvalidConsent(flaw),
            Ok(None) | Err(_) => refusal,
        }
    }

    /// The token refuses in words of its own, whatever the reason. What the signature is worth can be found out without
    /// it.
    async fn flaw_of_authorization(
        &self,
        plan: &Plan,
        signature: &Bytes,
    ) -> Result<Option<ConsentFlaw>, Fault> {
        let (chain, terms) = (&self.inner.chain, &plan.terms);
        if chain.authorization_used(terms.token, terms.sender, terms.hash()).await? {
            return Ok(Some(ConsentFlaw::Used));
        }
        let signing = self.signing(&plan.token).await?;
        let Some(method) = signing.authorization else { return Ok(None) };
        let digest = ToSign::authorization(terms, self.inner.settings.escrow, &method.domain).digest;
        let is_signed = chain.is_signed_by(terms.sender, digest, signature).await?;
        Ok((!is_signed).then_some(ConsentFlaw::NotSigned))
    }
}

/// A node that does not answer is no fault of ours: nothing was stored, and the request can be sent again.
fn unanswered(fault: Fault) -> Stop {
    match fault {
        Fault::Chain(error) => {
            tracing::warn!(%error, "what a token's holders can sign could not be asked");
            Refusal::PreapprovalUnknown.into()
        }
        Fault::Store(error) => error.into(),
    }
}
