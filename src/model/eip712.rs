//! What wallets sign: the EIP-712 structs of a payer's consent, and typed data as JSON.

use alloy::sol_types::{Eip712Domain, SolStruct};
use serde_json::{Map, Value, json};

// Names and field orders are part of what is signed. `Terms` is the contract's, the others are those of ERC-2612,
// ERC-3009 and Permit2.
alloy::sol! {
    struct Terms {
        address sender;
        address receiver;
        address token;
        uint96 hold;
        uint40 expiresAt;
        bytes32 preauthId;
    }

    struct Permit {
        address owner;
        address spender;
        uint256 value;
        uint256 nonce;
        uint256 deadline;
    }

    struct ReceiveWithAuthorization {
        address from;
        address to;
        uint256 value;
        uint256 validAfter;
        uint256 validBefore;
        bytes32 nonce;
    }

    struct TokenPermissions {
        address token;
        uint256 amount;
    }

    struct PermitWitnessTransferFrom {
        TokenPermissions permitted;
        address spender;
        uint256 nonce;
        uint256 deadline;
        Terms witness;
    }
}

/// The JSON that `eth_signTypedData_v4` takes for an `S` in a domain. `message` holds the fields of the `S`, numbers
/// that may be large as decimal strings: they do not fit a JSON number.
#[must_use]
pub fn typed_data<S: SolStruct>(domain: &Eip712Domain, message: Value) -> Value {
    let mut types = types_of(&domain.encode_type());
    types.extend(types_of(&S::eip712_encode_type()));
    json!({ "types": types, "primaryType": S::NAME, "domain": domain_as_json(domain), "message": message })
}

/// Reads an encoded type: `A(B b,uint256 n)B(address a)` declares `A` and `B`.
fn types_of(encoded: &str) -> Map<String, Value> {
    let declarations = encoded.split(')').filter_map(|declaration| declaration.split_once('('));
    let field = |declared: &str| {
        let (kind, name) = declared.split_once(' ')?;
        Some(json!({ "name": name, "type": kind }))
    };
    declarations
        .map(|(name, fields)| (name.to_owned(), fields.split(',').filter_map(field).collect()))
        .collect()
}

/// Every field that the domain has. The chain id is a number where JSON can carry it: wallets compare it.
fn domain_as_json(domain: &Eip712Domain) -> Value {
    let chain_id = |id: alloy::primitives::U256| match u64::try_from(id) {
        Ok(id) => json!(id),
        Err(_) => json!(id.to_string()),
    };
    let fields = [
        ("name", domain.name.as_ref().map(|name| json!(name))),
        ("version", domain.version.as_ref().map(|version| json!(version))),
        ("chainId", domain.chain_id.map(chain_id)),
        ("verifyingContract", domain.verifying_contract.map(|contract| json!(contract.to_checksum(None)))),
        ("salt", domain.salt.map(|salt| json!(salt))),
    ];
    fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect::<Map<_, _>>()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_declared_as_they_are_encoded() {
        let types = types_of("A(B b,uint256 n)B(address a)");
        let declared = json!({
            "A": [{ "name": "b", "type": "B" }, { "name": "n", "type": "uint256" }],
            "B": [{ "name": "a", "type": "address" }],
        });
        assert_eq!(Value::from(types), declared);
        assert_eq!(Value::from(types_of("EIP712Domain()")), json!({ "EIP712Domain": [] }));
    }
}
