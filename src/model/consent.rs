//! A payer's consent to the terms of one hold, in the kinds the contract knows.

use std::ops::Range;

use alloy::primitives::{B256, Bytes, b256};

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

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: B256 = B256::repeat_byte(0xf7);

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
