//! Cursors: where a list goes on, in a form that means nothing to the client.
//!
//! A cursor holds the last row's own name and a checksum over it, the list and the tenant, so that a cursor that was
//! changed or taken from elsewhere is refused rather than misread. It is no secret: what it leads to is the tenant's.

use alloy::hex;
use sha2::{Digest, Sha256};

use crate::model::TenantId;

/// Bytes of the checksum.
const CHECK_BYTES: usize = 6;

/// What a cursor belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    Preauths,
    Wallets,
    Events,
    Deliveries,
    Report,
    Claims,
    Approvals,
    Parties,
}

/// The cursor that goes on after `last`.
#[must_use]
pub fn encode(list: List, tenant: TenantId, last: &str) -> String {
    let mut bytes = check(list, tenant, last).to_vec();
    bytes.extend_from_slice(last.as_bytes());
    hex::encode(bytes)
}

/// The name [`encode`] was given; `None` for what is no cursor of this list and tenant.
#[must_use]
pub fn decode(list: List, tenant: TenantId, cursor: &str) -> Option<String> {
    if cursor.starts_with("0x") {
        return None;
    }
    let bytes = hex::decode(cursor).ok()?;
    let (checksum, last) = bytes.split_at_checked(CHECK_BYTES)?;
    let last = std::str::from_utf8(last).ok()?;
    (checksum == check(list, tenant, last)).then(|| last.to_owned())
}

fn check(list: List, tenant: TenantId, last: &str) -> [u8; CHECK_BYTES] {
    let list = match list {
        List::Preauths => "preauths",
        List::Wallets => "wallets",
        List::Events => "events",
        List::Deliveries => "deliveries",
        List::Report => "report",
        List::Claims => "claims",
        List::Approvals => "approvals",
        List::Parties => "parties",
    };
    let digest = Sha256::new()
        .chain_update(list)
        .chain_update(tenant.0.as_bytes())
        .chain_update(last.as_bytes())
        .finalize();
    let mut checksum = [0; CHECK_BYTES];
    checksum.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    checksum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const TENANT: TenantId = TenantId(Uuid::from_u128(7));

    proptest! {
        #[test]
        fn a_cursor_leads_back(last in "\\PC{1,128}") {
            let cursor = encode(List::Preauths, TENANT, &last);
            prop_assert_eq!(decode(List::Preauths, TENANT, &cursor), Some(last));
        }

        #[test]
        fn a_changed_cursor_does_not(last in "\\PC{1,20}", place in 0usize..1_000, digit in 0u8..16) {
            let cursor = encode(List::Preauths, TENANT, &last);
            let mut digits: Vec<char> = cursor.chars().collect();
            let place = place % digits.len();
            digits[place] = char::from_digit(digit.into(), 16).unwrap();
            let changed: String = digits.into_iter().collect();
            prop_assume!(changed != cursor);
            prop_assert_eq!(decode(List::Preauths, TENANT, &changed), None);
        }
    }

    #[test]
    fn a_cursor_is_good_for_its_list_and_tenant_only() {
        let cursor = encode(List::Preauths, TENANT, "INV-1");
        assert_eq!(decode(List::Wallets, TENANT, &cursor), None);
        assert_eq!(decode(List::Preauths, TenantId(Uuid::from_u128(8)), &cursor), None);
        for text in ["", "x", "0x", &format!("0x{cursor}"), &cursor[..10]] {
            assert_eq!(decode(List::Preauths, TENANT, text), None, "{text}");
        }
    }
}
