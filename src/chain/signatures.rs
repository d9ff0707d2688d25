//! Whether a wallet signed a digest: ECDSA first, because an EIP-7702 account has code and a key, then ERC-1271.

use alloy::primitives::{Address, B256, Bytes, Signature};

use super::bindings::ContractWallet;
use super::{Chain, ChainError};

/// ERC-1271's answer for a valid signature.
const VALID_SIGNATURE: [u8; 4] = [0x16, 0x26, 0xba, 0x7e];

impl Chain {
    /// Whether `signature` is `wallet`'s over `digest`.
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
        let asked = ContractWallet::isValidSignatureCall { hash: digest, signature: signature.clone() };
        Ok(self.view(wallet, asked).await?.is_some_and(|magic| magic.0 == VALID_SIGNATURE))
    }
}
