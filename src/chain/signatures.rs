//! Whether a wallet signed a digest: ECDSA first, because an EIP-7702 account has code and a key, then ERC-1271, for a
//! wallet that is not deployed yet in a simulation that deploys it (ERC-6492).

use alloy::primitives::{Address, B256, Bytes, Signature};
use alloy::providers::Provider;
use alloy::rpc::types::state::StateOverride;
use alloy::sol_types::{SolCall, SolValue};

use super::bindings::ContractWallet;
use super::rehearsal::{self, Call, Rehearsed};
use super::{Chain, ChainError};
use crate::model::unwrap_undeployed;

/// ERC-1271's answer for a valid signature.
const VALID_SIGNATURE: [u8; 4] = [0x16, 0x26, 0xba, 0x7e];

/// A made-up account that deploys a wallet and asks it.
const ASKER: Address = Address::repeat_byte(0xa4);

/// A signature that brings the deployment of its wallet along.
struct Wrapped {
    factory: Address,
    input: Bytes,
    signature: Bytes,
}

impl Wrapped {
    fn read(signature: &Bytes) -> Option<Self> {
        let content = unwrap_undeployed(signature)?;
        let (factory, input, signature) = <(Address, Bytes, Bytes)>::abi_decode_params(content).ok()?;
        Some(Self { factory, input, signature })
    }
}

impl Chain {
    /// Whether `signature` is `wallet`'s over `digest`.
    ///
    /// # Errors
    /// [`ChainError`] when the node does not answer, or cannot simulate where a wallet has to be deployed.
    pub async fn is_signed_by(
        &self,
        wallet: Address,
        digest: B256,
        signature: &Bytes,
    ) -> Result<bool, ChainError> {
        let recovered = Signature::try_from(signature.as_ref())
            .ok()
            .and_then(|ecdsa| ecdsa.recover_address_from_prehash(&digest).ok());
        if recovered == Some(wallet) {
            return Ok(true);
        }
        let asked = |signature: &Bytes| ContractWallet::isValidSignatureCall {
            hash: digest,
            signature: signature.clone(),
        };
        let answer = match Wrapped::read(signature) {
            None => self.view(wallet, asked(signature)).await?,
            Some(wrapped) if self.provider.get_code_at(wallet).await?.is_empty() => {
                self.view_deployed(wallet, &wrapped, asked(&wrapped.signature)).await?
            }
            Some(wrapped) => self.view(wallet, asked(&wrapped.signature)).await?,
        };
        Ok(answer.is_some_and(|magic| magic.0 == VALID_SIGNATURE))
    }

    /// Calls a view of a wallet as if it had been deployed.
    async fn view_deployed<C: SolCall>(
        &self,
        wallet: Address,
        wrapped: &Wrapped,
        call: C,
    ) -> Result<Option<C::Return>, ChainError> {
        let deployed = Call { to: wrapped.factory, input: wrapped.input.clone() };
        let calls = vec![deployed, rehearsal::call(wallet, &call)];
        match self.rehearse(&[ASKER], calls, StateOverride::default()).await? {
            Rehearsed::Outcomes(outcomes) => Ok(outcomes
                .last()
                .filter(|asked| asked.success)
                .and_then(|asked| C::abi_decode_returns(&asked.answer).ok())),
            Rehearsed::Refused(why) => {
                Err(ChainError::Rpc(format!("a wallet's deployment could not be simulated: {why}")))
            }
        }
    }
}
