//! What a payer consents to.

use alloy::primitives::{Address, B256, Uint};
use alloy::sol_types::{Eip712Domain, SolStruct, eip712_domain};
use serde_json::{Value, json};

use super::eip712::{self, typed_data};
use super::{BaseUnits, ChainTime};

/// The terms of one hold: fixed at creation, hashed into the contract's storage, signed by a payer who consents so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    pub sender: Address,
    pub receiver: Address,
    pub token: Address,
    pub hold: BaseUnits,
    pub expires_at: ChainTime,
    pub preauth_id: B256,
}

impl Terms {
    /// The EIP-712 domain of an escrow.
    #[must_use]
    pub fn domain(chain_id: u64, escrow: Address) -> Eip712Domain {
        eip712_domain! { name: "PreauthEscrow", version: "1", chain_id: chain_id, verifying_contract: escrow, }
    }

    /// The struct hash the contract stores while the hold is open.
    #[must_use]
    pub fn hash(&self) -> B256 {
        self.as_eip712().eip712_hash_struct()
    }

    /// The digest a sender signs.
    #[must_use]
    pub fn signing_hash(&self, chain_id: u64, escrow: Address) -> B256 {
        self.as_eip712().eip712_signing_hash(&Self::domain(chain_id, escrow))
    }

    /// The JSON that `eth_signTypedData_v4` takes.
    #[must_use]
    pub fn typed_data(&self, chain_id: u64, escrow: Address) -> Value {
        typed_data::<eip712::Terms>(&Self::domain(chain_id, escrow), self.message())
    }

    /// The fields, as a wallet shows them.
    pub(super) fn message(&self) -> Value {
        json!({
            "sender": self.sender.to_checksum(None),
            "receiver": self.receiver.to_checksum(None),
            "token": self.token.to_checksum(None),
            // A string: 96 bits do not fit a JSON number.
            "hold": self.hold.to_string(),
            "expiresAt": self.expires_at.0,
            "preauthId": self.preauth_id,
        })
    }

    pub(super) fn as_eip712(&self) -> eip712::Terms {
        eip712::Terms {
            sender: self.sender,
            receiver: self.receiver,
            token: self.token,
            hold: Uint::<96, 2>::saturating_from(self.hold.get()),
            expiresAt: Uint::<40, 1>::saturating_from(self.expires_at.0),
            preauthId: self.preauth_id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::dyn_abi::TypedData;

    #[test]
    fn the_typed_data_hashes_to_what_the_contract_checks() {
        let terms = Terms {
            sender: Address::repeat_byte(1),
            receiver: Address::repeat_byte(2),
            token: Address::repeat_byte(3),
            hold: BaseUnits::new((1 << 96) - 1).unwrap(),
            expires_at: ChainTime(1_774_872_000),
            preauth_id: B256::repeat_byte(7),
        };
        let escrow = Address::repeat_byte(9);
        let typed: TypedData = serde_json::from_value(terms.typed_data(31_337, escrow)).unwrap();
        assert_eq!(typed.eip712_signing_hash().unwrap(), terms.signing_hash(31_337, escrow));
    }
}
