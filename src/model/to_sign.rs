//! What a payer signs for each kind of consent: the JSON for his wallet, and the digest it comes to.

use alloy::primitives::{Address, B256, U256};
use alloy::sol_types::{Eip712Domain, SolStruct, eip712_domain};
use serde_json::{Value, json};

use super::Terms;
use super::eip712::{self, typed_data};

/// What a wallet is asked to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToSign {
    /// For `eth_signTypedData_v4`.
    pub typed_data: Value,
    /// What the signature is over in the end.
    pub digest: B256,
}

impl ToSign {
    fn new<S: SolStruct>(domain: &Eip712Domain, signed: &S, message: Value) -> Self {
        Self { typed_data: typed_data::<S>(domain, message), digest: signed.eip712_signing_hash(domain) }
    }

    /// The terms themselves.
    #[must_use]
    pub fn terms(terms: &Terms, chain_id: u64, escrow: Address) -> Self {
        Self { typed_data: terms.typed_data(chain_id, escrow), digest: terms.signing_hash(chain_id, escrow) }
    }

    /// ERC-2612: the permit for exactly the hold until the expiry. `nonce` is the token's for the sender.
    #[must_use]
    pub fn permit(terms: &Terms, escrow: Address, token: &Eip712Domain, nonce: U256) -> Self {
        let signed = eip712::Permit {
            owner: terms.sender,
            spender: escrow,
            value: U256::from(terms.hold.get()),
            nonce,
            deadline: U256::from(terms.expires_at.0),
        };
        let message = json!({
            "owner": terms.sender.to_checksum(None),
            "spender": escrow.to_checksum(None),
            "value": terms.hold.to_string(),
            "nonce": nonce.to_string(),
            "deadline": terms.expires_at.0.to_string(),
        });
        Self::new(token, &signed, message)
    }

    /// ERC-3009: the transfer of the hold to the escrow before the expiry. The nonce is the hash of the terms, which
    /// binds the signature to them; only the escrow can use it.
    #[must_use]
    pub fn authorization(terms: &Terms, escrow: Address, token: &Eip712Domain) -> Self {
        let signed = eip712::ReceiveWithAuthorization {
            from: terms.sender,
            to: escrow,
            value: U256::from(terms.hold.get()),
            validAfter: U256::ZERO,
            validBefore: U256::from(terms.expires_at.0),
            nonce: terms.hash(),
        };
        let message = json!({
            "from": terms.sender.to_checksum(None),
            "to": escrow.to_checksum(None),
            "value": terms.hold.to_string(),
            "validAfter": "0",
            "validBefore": terms.expires_at.0.to_string(),
            "nonce": signed.nonce,
        });
        Self::new(token, &signed, message)
    }

    /// Permit2: the transfer of the hold to the escrow before the expiry, with the terms as witness.
    #[must_use]
    pub fn permit2(terms: &Terms, chain_id: u64, escrow: Address, permit2: Address, nonce: B256) -> Self {
        let nonce = U256::from_be_bytes(nonce.0);
        let signed = eip712::PermitWitnessTransferFrom {
            permitted: eip712::TokenPermissions { token: terms.token, amount: U256::from(terms.hold.get()) },
            spender: escrow,
            nonce,
            deadline: U256::from(terms.expires_at.0),
            witness: terms.as_eip712(),
        };
        let message = json!({
            "permitted": { "token": terms.token.to_checksum(None), "amount": terms.hold.to_string() },
            "spender": escrow.to_checksum(None),
            "nonce": nonce.to_string(),
            "deadline": terms.expires_at.0.to_string(),
            "witness": terms.message(),
        });
        Self::new(&permit2_domain(chain_id, permit2), &signed, message)
    }
}

/// The EIP-712 domain of Permit2, which has no version.
#[must_use]
pub fn permit2_domain(chain_id: u64, permit2: Address) -> Eip712Domain {
    eip712_domain! { name: "Permit2", chain_id: chain_id, verifying_contract: permit2, }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BaseUnits, ChainTime};
    use alloy::dyn_abi::TypedData;
    use alloy::primitives::keccak256;

    const CHAIN_ID: u64 = 31_337;
    const ESCROW: Address = Address::repeat_byte(9);
    const NONCE: B256 = B256::repeat_byte(0xf7);

    fn terms() -> Terms {
        Terms {
            sender: Address::repeat_byte(1),
            receiver: Address::repeat_byte(2),
            token: Address::repeat_byte(3),
            hold: BaseUnits::new((1 << 96) - 1).unwrap(),
            expires_at: ChainTime(1_774_872_000),
            preauth_id: B256::repeat_byte(7),
        }
    }

    fn token_domain() -> Eip712Domain {
        eip712_domain! { name: "USD Coin", version: "2", chain_id: CHAIN_ID, verifying_contract: terms().token, }
    }

    /// What a wallet makes of the typed data is the digest, and the digest is that of a token or Permit2, put together
    /// here from the words of its standard.
    fn assert_signs(to_sign: &ToSign, separator: B256, encoded_type: &str, fields: &[B256]) {
        let typed: TypedData = serde_json::from_value(to_sign.typed_data.clone()).unwrap();
        assert_eq!(typed.eip712_signing_hash().unwrap(), to_sign.digest);
        let hashed = keccak256([&[keccak256(encoded_type)], fields].concat().concat());
        assert_eq!(
            keccak256([&[0x19, 0x01], separator.as_slice(), hashed.as_slice()].concat()),
            to_sign.digest
        );
    }

    fn word(number: U256) -> B256 {
        B256::from(number)
    }

    #[test]
    fn the_permit_is_that_of_erc2612() {
        let (terms, domain) = (terms(), token_domain());
        let permit = ToSign::permit(&terms, ESCROW, &domain, U256::from(5));
        assert_signs(
            &permit,
            domain.separator(),
            "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)",
            &[
                terms.sender.into_word(),
                ESCROW.into_word(),
                word(U256::from(terms.hold.get())),
                word(U256::from(5)),
                word(U256::from(terms.expires_at.0)),
            ],
        );
        assert_eq!(permit.typed_data["message"]["value"], "79228162514264337593543950335");
    }

    #[test]
    fn the_authorization_is_that_of_erc3009_and_names_the_terms() {
        let (terms, domain) = (terms(), token_domain());
        assert_signs(
            &ToSign::authorization(&terms, ESCROW, &domain),
            domain.separator(),
            "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)",
            &[
                terms.sender.into_word(),
                ESCROW.into_word(),
                word(U256::from(terms.hold.get())),
                B256::ZERO,
                word(U256::from(terms.expires_at.0)),
                terms.hash(),
            ],
        );
    }

    #[test]
    fn the_transfer_is_that_of_permit2_with_the_terms_as_witness() {
        let (terms, permit2) = (terms(), Address::repeat_byte(0x22));
        let separator = keccak256(
            [
                keccak256("EIP712Domain(string name,uint256 chainId,address verifyingContract)"),
                keccak256("Permit2"),
                word(U256::from(CHAIN_ID)),
                permit2.into_word(),
            ]
            .concat(),
        );
        let permissions = keccak256(
            [
                keccak256("TokenPermissions(address token,uint256 amount)"),
                terms.token.into_word(),
                word(U256::from(terms.hold.get())),
            ]
            .concat(),
        );
        // The stub that Permit2 knows, and the rest that the escrow hands it.
        let encoded_type = "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,\
             Terms witness)Terms(address sender,address receiver,address token,uint96 hold,uint40 expiresAt,bytes32 preauthId)\
             TokenPermissions(address token,uint256 amount)";
        assert_signs(
            &ToSign::permit2(&terms, CHAIN_ID, ESCROW, permit2, NONCE),
            separator,
            encoded_type,
            &[permissions, ESCROW.into_word(), NONCE, word(U256::from(terms.expires_at.0)), terms.hash()],
        );
    }

    #[test]
    fn domains_without_a_chain_are_signed_as_they_are() {
        // As on a chain whose tokens put the chain id into the salt.
        let domain = eip712_domain! {
            name: "Tokens", version: "1", verifying_contract: terms().token, salt: word(U256::from(137)),
        };
        let to_sign = ToSign::authorization(&terms(), ESCROW, &domain);
        let typed: TypedData = serde_json::from_value(to_sign.typed_data).unwrap();
        assert_eq!(typed.eip712_signing_hash().unwrap(), to_sign.digest);
    }
}
