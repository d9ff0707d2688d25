//! Which kinds of consent a token and an escrow support. Found by trying: what a token's holders can sign is signed with
//! a key made up for it, and run without being sent. A right signature must pass and a wrong one must not: a token whose
//! fallback swallows every call would pass both.

use alloy::network::TransactionBuilder;
use alloy::primitives::{Address, B256, Bytes, FixedBytes, Signature, U256, address};
use alloy::rpc::types::TransactionRequest;
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{Eip712Domain, SolCall};

use super::bindings::{PreauthEscrow, SignedToken};
use super::{Chain, ChainError};
use crate::model::{BaseUnits, ChainTime, SignedMethod, Terms, ToSign, TokenSigning, permit2_domain};

/// Where Permit2 is on nearly every chain.
const CANONICAL_PERMIT2: Address = address!("000000000022D473030F116dDEE9F6B43aC78BA3");
/// Gas of a trial: enough for any check of a signature, and not what a token may burn.
const TRIAL_GAS: u64 = 1_000_000;
/// Who would receive in a trial: made up, as the escrow is not known where a token is admitted.
const HOLDER: Address = Address::repeat_byte(0xa2);
/// 2100-01-01, by when no trial expires.
const FAR: ChainTime = ChainTime(4_102_444_800);
/// Bytes of a domain's name or version that are taken.
const MAX_DOMAIN_TEXT: usize = 128;
/// The version of a domain whose token does not tell one.
const USUAL_VERSION: &str = "1";

/// The method of a token that is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Permit,
    Authorization,
}

impl Chain {
    /// What the holders of a token can sign.
    ///
    /// # Errors
    /// [`ChainError`] when the node does not answer.
    pub async fn probe_signing(&self, token: Address) -> Result<TokenSigning, ChainError> {
        let domains = self.likely_domains(token).await?;
        Ok(TokenSigning {
            permit: self.probe_method(token, Method::Permit, &domains).await?,
            authorization: self.probe_method(token, Method::Authorization, &domains).await?,
        })
    }

    /// The separator of the domain a token's holders sign in. `None`: it does not say.
    pub async fn domain_separator(&self, token: Address) -> Result<Option<B256>, ChainError> {
        self.view(token, SignedToken::DOMAIN_SEPARATORCall {}).await
    }

    /// The nonce of a holder's next ERC-2612 permit. `None`: the token does not say.
    pub async fn permit_nonce(&self, token: Address, owner: Address) -> Result<Option<U256>, ChainError> {
        self.view(token, SignedToken::noncesCall { owner }).await
    }

    /// Whether a holder's ERC-3009 nonce was used, or withdrawn by him.
    pub async fn authorization_used(
        &self,
        token: Address,
        holder: Address,
        nonce: B256,
    ) -> Result<bool, ChainError> {
        let asked = SignedToken::authorizationStateCall { authorizer: holder, nonce };
        Ok(self.view(token, asked).await?.unwrap_or(false))
    }

    /// The Permit2 that an escrow uses. `None`: it uses none, or what is there is no Permit2.
    pub async fn permit2_of(&self, escrow: Address) -> Result<Option<Address>, ChainError> {
        let permit2 = self.view(escrow, PreauthEscrow::PERMIT2Call {}).await?;
        match permit2.filter(|permit2| !permit2.is_zero()) {
            Some(permit2) if self.is_permit2(permit2).await? => Ok(Some(permit2)),
            _ => Ok(None),
        }
    }

    /// Permit2 at its canonical address. `None`: it is not on this chain.
    pub async fn canonical_permit2(&self) -> Result<Option<Address>, ChainError> {
        Ok(self.is_permit2(CANONICAL_PERMIT2).await?.then_some(CANONICAL_PERMIT2))
    }

    /// Whether there is a Permit2: something that is signed for in its domain.
    async fn is_permit2(&self, contract: Address) -> Result<bool, ChainError> {
        let separator = permit2_domain(self.chain_id, contract).separator();
        Ok(self.domain_separator(contract).await? == Some(separator))
    }

    /// Every domain that the token's words make likely. Where it tells the separator, only what hashes to that.
    async fn likely_domains(&self, token: Address) -> Result<Vec<Eip712Domain>, ChainError> {
        let mut domains: Vec<Eip712Domain> = self.told_domain(token).await?.into_iter().collect();
        if let Some(name) = self.view(token, SignedToken::nameCall {}).await? {
            let version = self.view(token, SignedToken::versionCall {}).await?;
            domains.extend(usual_domains(token, self.chain_id, &name, version));
        }
        if let Some(separator) = self.domain_separator(token).await? {
            domains.retain(|domain| domain.separator() == separator);
        }
        let is_short = |text: &Option<_>| {
            text.as_ref().is_none_or(|text: &std::borrow::Cow<str>| text.len() <= MAX_DOMAIN_TEXT)
        };
        domains.retain(|domain| is_short(&domain.name) && is_short(&domain.version));
        Ok(domains)
    }

    /// ERC-5267: the token says which fields its domain has, and what is in them.
    async fn told_domain(&self, token: Address) -> Result<Option<Eip712Domain>, ChainError> {
        let Some(told) = self.view(token, SignedToken::eip712DomainCall {}).await? else { return Ok(None) };
        if !told.extensions.is_empty() {
            return Ok(None);
        }
        let FixedBytes([fields]) = told.fields;
        let has = |bit: u8| fields & (1 << bit) != 0;
        Ok(Some(Eip712Domain {
            name: has(0).then(|| told.name.into()),
            version: has(1).then(|| told.version.into()),
            chain_id: has(2).then_some(told.chainId),
            verifying_contract: has(3).then_some(told.verifyingContract),
            salt: has(4).then_some(told.salt),
        }))
    }

    /// The first domain in which the method takes a right signature and refuses a wrong one.
    async fn probe_method(
        &self,
        token: Address,
        method: Method,
        domains: &[Eip712Domain],
    ) -> Result<Option<SignedMethod>, ChainError> {
        let (holder, stranger) = (PrivateKeySigner::random(), PrivateKeySigner::random());
        let nonce = match method {
            Method::Authorization => U256::ZERO,
            Method::Permit => match self.permit_nonce(token, holder.address()).await? {
                Some(nonce) => nonce,
                None => return Ok(None),
            },
        };
        for domain in domains {
            let trial = Trial::new(token, method, holder.address(), domain, nonce);
            let (right, wrong) = (trial.signed_by(&holder)?, trial.signed_by(&stranger)?);
            let mut takes = [false; 2];
            for (takes, in_one_piece) in takes.iter_mut().zip([false, true]) {
                *takes = self.passes(&trial, &right, in_one_piece).await?
                    && !self.passes(&trial, &wrong, in_one_piece).await?;
            }
            // The escrow hands a signature of 65 bytes on in three parts, so a method without that form is none.
            if let [true, by_contracts] = takes {
                return Ok(Some(SignedMethod { domain: domain.clone(), by_contracts }));
            }
        }
        Ok(None)
    }

    async fn passes(
        &self,
        trial: &Trial,
        signature: &Signature,
        in_one_piece: bool,
    ) -> Result<bool, ChainError> {
        let request = TransactionRequest::default()
            .with_from(HOLDER)
            .with_to(trial.terms.token)
            .with_gas_limit(TRIAL_GAS)
            .with_input(trial.input(signature, in_one_piece));
        Ok(self.call(request).await?.is_some())
    }
}

/// Domains as tokens without ERC-5267 have them.
fn usual_domains(token: Address, chain_id: u64, name: &str, version: Option<String>) -> Vec<Eip712Domain> {
    let chain_id = U256::from(chain_id);
    let mut versions = vec![USUAL_VERSION.to_owned()];
    if let Some(version) = version.filter(|version| version != USUAL_VERSION) {
        versions.insert(0, version);
    }
    let named = Eip712Domain {
        name: Some(name.to_owned().into()),
        verifying_contract: Some(token),
        ..Eip712Domain::default()
    };
    let with_version = versions.into_iter().flat_map(|version| {
        let versioned = Eip712Domain { version: Some(version.into()), ..named.clone() };
        [
            Eip712Domain { chain_id: Some(chain_id), ..versioned.clone() },
            // Tokens of bridges that say their chain in the salt.
            Eip712Domain { salt: Some(chain_id.into()), ..versioned },
        ]
    });
    with_version.chain([Eip712Domain { chain_id: Some(chain_id), ..named.clone() }]).collect()
}

/// A call that changes nothing, even if it were sent: it permits one base unit of an account that has none, or moves
/// nothing.
struct Trial {
    method: Method,
    terms: Terms,
    to_sign: ToSign,
}

impl Trial {
    fn new(token: Address, method: Method, holder: Address, domain: &Eip712Domain, nonce: U256) -> Self {
        let terms = Terms {
            sender: holder,
            receiver: HOLDER,
            token,
            hold: BaseUnits::ZERO,
            expires_at: FAR,
            preauth_id: B256::ZERO,
        };
        let to_sign = match method {
            Method::Permit => ToSign::permit(&terms, HOLDER, domain, nonce),
            Method::Authorization => ToSign::authorization(&terms, HOLDER, domain),
        };
        Self { method, terms, to_sign }
    }

    fn signed_by(&self, signer: &PrivateKeySigner) -> Result<Signature, ChainError> {
        let signed = signer.sign_hash_sync(&self.to_sign.digest);
        signed.map_err(|error| ChainError::Unusable(format!("signing: {error}")))
    }

    fn input(&self, signature: &Signature, in_one_piece: bool) -> Bytes {
        let Terms { sender, hold, expires_at, .. } = self.terms;
        let (value, deadline) = (U256::from(hold.get()), U256::from(expires_at.0));
        let (v, r, s) = (27 + u8::from(signature.v()), signature.r().into(), signature.s().into());
        let whole = Bytes::from(signature.as_bytes());
        let (valid_after, nonce) = (U256::ZERO, self.terms.hash());
        match (self.method, in_one_piece) {
            (Method::Permit, false) => {
                SignedToken::permit_0Call { owner: sender, spender: HOLDER, value, deadline, v, r, s }
                    .abi_encode()
            }
            (Method::Permit, true) => SignedToken::permit_1Call {
                owner: sender,
                spender: HOLDER,
                value,
                deadline,
                signature: whole,
            }
            .abi_encode(),
            (Method::Authorization, false) => SignedToken::receiveWithAuthorization_0Call {
                from: sender,
                to: HOLDER,
                value,
                validAfter: valid_after,
                validBefore: deadline,
                nonce,
                v,
                r,
                s,
            }
            .abi_encode(),
            (Method::Authorization, true) => SignedToken::receiveWithAuthorization_1Call {
                from: sender,
                to: HOLDER,
                value,
                validAfter: valid_after,
                validBefore: deadline,
                nonce,
                signature: whole,
            }
            .abi_encode(),
        }
        .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::b256;

    #[test]
    fn the_domains_of_well_known_tokens_are_among_the_likely_ones() {
        // As USD Coin answers on Ethereum, and its bridged form on Polygon, which has its chain in the salt.
        let known = [
            (
                address!("A0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"),
                (1, "USD Coin", Some("2")),
                b256!("06c37168a7db5138defc7866392bb87a741f9b3d104deb5094588ce041cae335"),
            ),
            (
                address!("2791Bca1f2de4661ED88A30C99A7a9449Aa84174"),
                (137, "USD Coin (PoS)", None),
                b256!("294369e003769a2d4d625e8a9ebebffa09ff70dd7c708497d8b56d2c2d199a19"),
            ),
        ];
        for (token, (chain_id, name, version), separator) in known {
            let domains = usual_domains(token, chain_id, name, version.map(str::to_owned));
            let found = domains.iter().filter(|domain| domain.separator() == separator).count();
            assert_eq!(found, 1, "{name}");
        }
    }
}
