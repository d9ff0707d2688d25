//! A payer's consent to the terms of one hold, in the kinds the contract knows.

use std::ops::Range;

use alloy::primitives::{Address, B256, Bytes, U256, b256};
use alloy::sol_types::{Eip712Domain, SolStruct, eip712_domain};
use serde_json::{Value, json};

use super::Terms;
use super::eip712::{self, typed_data};

/// What a signature of a wallet that is not deployed yet ends with (ERC-6492).
const UNDEPLOYED_MARK: B256 = b256!("6492649264926492649264926492649264926492649264926492649264926492");

/// How a payer consents. The allowance alone, without any signature, is no kind: it is the absence of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConsentKind {
    /// A signature over the terms, beside an allowance.
    Eip712,
    /// A permit in place of the allowance, beside a signature over the terms.
    Erc2612,
    /// One signature that the token takes, bound to the terms by its nonce.
    Erc3009,
    /// One signature that Permit2 takes, with the terms as witness, beside an allowance for Permit2.
    Permit2,
}

impl ConsentKind {
    /// In the order in which they are offered.
    pub const ALL: [Self; 4] = [Self::Eip712, Self::Erc2612, Self::Erc3009, Self::Permit2];

    /// Its name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Eip712 => "eip712",
            Self::Erc2612 => "erc2612",
            Self::Erc3009 => "erc3009",
            Self::Permit2 => "permit2",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// The first byte of a consent of this kind.
    #[must_use]
    pub fn byte(self) -> u8 {
        match self {
            Self::Eip712 => 1,
            Self::Erc2612 => 2,
            Self::Erc3009 => 3,
            Self::Permit2 => 4,
        }
    }

    /// The kind of the contract's consent bytes. `None`: they are empty, or of no kind this version knows.
    fn of(consent: &[u8]) -> Option<Self> {
        let first = consent.first()?;
        Self::ALL.into_iter().find(|kind| kind.byte() == *first)
    }
}

/// Bytes of an ECDSA signature.
pub const ECDSA_BYTES: usize = 65;

/// A payer's consent. A signature is ECDSA in 65 bytes, what a contract wallet accepts by ERC-1271, or, for one that is
/// not deployed yet, such a signature wrapped by ERC-6492.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Consent {
    Eip712 {
        signature: Bytes,
    },
    Erc2612 {
        /// Over the permit; at most 65,535 bytes.
        permit_signature: Bytes,
        /// Over the terms.
        signature: Bytes,
    },
    Erc3009 {
        signature: Bytes,
    },
    Permit2 {
        /// Of Permit2; used once by its owner.
        nonce: B256,
        signature: Bytes,
    },
}

impl Consent {
    #[must_use]
    pub fn kind(&self) -> ConsentKind {
        match self {
            Self::Eip712 { .. } => ConsentKind::Eip712,
            Self::Erc2612 { .. } => ConsentKind::Erc2612,
            Self::Erc3009 { .. } => ConsentKind::Erc3009,
            Self::Permit2 { .. } => ConsentKind::Permit2,
        }
    }

    /// The contract's `consent` bytes: the kind's byte, then what the kind needs.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut bytes = vec![self.kind().byte()];
        match self {
            Self::Eip712 { signature } | Self::Erc3009 { signature } => bytes.extend_from_slice(signature),
            Self::Erc2612 { permit_signature, signature } => {
                let length = u16::try_from(permit_signature.len()).unwrap_or(u16::MAX);
                bytes.extend_from_slice(&length.to_be_bytes());
                bytes.extend_from_slice(permit_signature);
                bytes.extend_from_slice(signature);
            }
            Self::Permit2 { nonce, signature } => {
                bytes.extend_from_slice(nonce.as_slice());
                bytes.extend_from_slice(signature);
            }
        }
        bytes.into()
    }

    /// Reads the contract's `consent` bytes. `None`: they are empty, or not laid out as any kind.
    #[must_use]
    pub fn decode(consent: &Bytes) -> Option<Self> {
        let part = |range: Range<usize>| consent.get(range).map(|part| consent.slice_ref(part));
        let rest = |start: usize| part(start..consent.len());
        Some(match ConsentKind::of(consent)? {
            ConsentKind::Eip712 => Self::Eip712 { signature: rest(1)? },
            ConsentKind::Erc3009 => Self::Erc3009 { signature: rest(1)? },
            ConsentKind::Erc2612 => {
                let length = consent.get(1..3)?.try_into().ok()?;
                let end = 3 + usize::from(u16::from_be_bytes(length));
                Self::Erc2612 { permit_signature: part(3..end)?, signature: rest(end)? }
            }
            ConsentKind::Permit2 => {
                Self::Permit2 { nonce: B256::try_from(consent.get(1..33)?).ok()?, signature: rest(33)? }
            }
        })
    }

    /// Every signature in it.
    pub fn signatures(&self) -> impl Iterator<Item = &Bytes> {
        let (first, second) = match self {
            Self::Eip712 { signature } | Self::Erc3009 { signature } | Self::Permit2 { signature, .. } => {
                (signature, None)
            }
            Self::Erc2612 { permit_signature, signature } => (permit_signature, Some(signature)),
        };
        std::iter::once(first).chain(second)
    }
}

/// What a signature wrapped by ERC-6492 holds, encoded: who deploys the wallet, by which call, and the signature itself.
/// `None`: it is not wrapped.
#[must_use]
pub fn unwrap_undeployed(signature: &[u8]) -> Option<&[u8]> {
    signature.strip_suffix(UNDEPLOYED_MARK.as_slice())
}

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

    #[test]
    fn consents_are_laid_out_as_the_contract_reads_them() {
        let signature = Bytes::from_static(&[0xaa, 0xbb]);
        let permit_signature = Bytes::from(vec![0xcc; 300]);
        let permit = [&[2, 1, 44][..], &[0xcc; 300], &[0xaa, 0xbb]].concat();
        let permit2 = [&[4][..], NONCE.as_slice(), &[0xaa, 0xbb]].concat();
        let cases = [
            (Consent::Eip712 { signature: signature.clone() }, vec![1, 0xaa, 0xbb]),
            (Consent::Erc2612 { permit_signature, signature: signature.clone() }, permit),
            (Consent::Erc3009 { signature: signature.clone() }, vec![3, 0xaa, 0xbb]),
            (Consent::Permit2 { nonce: NONCE, signature }, permit2),
        ];
        for (consent, bytes) in cases {
            let bytes = Bytes::from(bytes);
            assert_eq!(consent.encode(), bytes);
            assert_eq!(Consent::decode(&bytes), Some(consent));
        }
        for malformed in [&[][..], &[9, 1], &[2, 0], &[2, 0, 2, 1], &[4, 1]] {
            assert_eq!(Consent::decode(&Bytes::copy_from_slice(malformed)), None, "{malformed:?}");
        }
    }

    #[test]
    fn kinds_are_known_by_their_names() {
        for kind in ConsentKind::ALL {
            assert_eq!(ConsentKind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(ConsentKind::parse("EIP712"), None);
    }

    #[test]
    fn a_wrapped_signature_shows_its_mark() {
        let wrapped = [&[1, 2, 3][..], UNDEPLOYED_MARK.as_slice()].concat();
        assert_eq!(unwrap_undeployed(&wrapped), Some(&[1, 2, 3][..]));
        assert_eq!(unwrap_undeployed(&[0x64; 65]), None);
    }
}
