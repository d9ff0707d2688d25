//! What a node's error says of a call that failed. Every client words it in its own way, and puts what the callee gave back
//! in a place of its own.

use alloy::primitives::Bytes;
use alloy::rpc::json_rpc::ErrorPayload;
use alloy::transports::TransportError;
use serde_json::Value;

/// The code with which geth and its like tell of a revert.
const EXECUTION_REVERTED: i64 = 3;
/// Words that tell of a failure of the callee, in lower case: reverts, and ends that come without them.
const WORDS: [&str; 10] = [
    "revert",
    "out of gas",
    "outofgas",
    "invalid opcode",
    "invalidfeopcode",
    "opcodenotfound",
    "invalid jump",
    "invalidjump",
    "stack underflow",
    // Nethermind's, for all of them.
    "vm execution error",
];

/// What the callee of a call gave back when it failed: empty where it gave nothing back, or ran out of gas. `None`: the
/// error is not the callee's.
pub(super) fn revert_data(error: &TransportError) -> Option<Bytes> {
    error.as_error_resp().and_then(of_payload)
}

/// Whether a node's error says that the callee failed.
pub(super) fn is_revert(error: &TransportError) -> bool {
    revert_data(error).is_some()
}

/// [`revert_data`] of what a node answered.
pub(super) fn of_payload(error: &ErrorPayload) -> Option<Bytes> {
    let message = error.message.to_ascii_lowercase();
    if error.code != EXECUTION_REVERTED && !WORDS.iter().any(|word| message.contains(word)) {
        return None;
    }
    let data = error.data.as_ref().and_then(|data| serde_json::from_str(data.get()).ok());
    Some(data.as_ref().and_then(bytes_in).unwrap_or_default())
}

fn bytes_in(data: &Value) -> Option<Bytes> {
    match data {
        Value::String(text) => {
            // Nethermind's begins with a word.
            let hex = text.strip_prefix("Reverted ").unwrap_or(text);
            hex.starts_with("0x").then(|| hex.parse().ok()).flatten()
        }
        // Hardhat's lies one deeper, beside a message.
        Value::Object(fields) => bytes_in(fields.get("data")?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(error: Value) -> Option<String> {
        let error: ErrorPayload = serde_json::from_value(error).unwrap();
        of_payload(&error).map(|data| data.to_string())
    }

    #[test]
    fn a_revert_is_read_wherever_a_client_puts_it() {
        let geth = json!({"code": 3, "message": "execution reverted", "data": "0x82b42900"});
        assert_eq!(read(geth).unwrap(), "0x82b42900");
        let hardhat = json!({"code": -32603, "message": "Error: VM Exception while processing transaction: reverted with an \
            unrecognized custom error (return data: 0x82b42900)", "data": {"message": "Error: reverted", "data": "0x82b42900"}});
        assert_eq!(read(hardhat).unwrap(), "0x82b42900");
        let besu = json!({"code": -32000, "message": "Execution reverted", "data": "0x82b42900"});
        assert_eq!(read(besu).unwrap(), "0x82b42900");
        let nethermind =
            json!({"code": -32015, "message": "VM execution error.", "data": "Reverted 0x82b42900"});
        assert_eq!(read(nethermind).unwrap(), "0x82b42900");
        // Beside other hex, which is not it.
        let hash = format!("0x{}", "77".repeat(32));
        let sent = json!({"code": -32603, "message": "Transaction reverted",
            "data": {"message": "reverted", "txHash": hash, "data": "0x82b42900"}});
        assert_eq!(read(sent).unwrap(), "0x82b42900");
    }

    #[test]
    fn a_call_that_gives_nothing_back_has_failed_all_the_same() {
        for error in [
            json!({"code": -32000, "message": "execution reverted"}),
            json!({"code": 3, "message": "execution reverted", "data": "0x"}),
            json!({"code": -32603, "message": "Error: Transaction reverted without a reason string",
                "data": {"message": "Error: Transaction reverted without a reason string", "data": "0x"}}),
            json!({"code": -32000, "message": "out of gas"}),
            json!({"code": -32603, "message": "EVM error OutOfGas"}),
            json!({"code": -32000, "message": "Transaction ran out of gas", "data": {"txHash": null, "data": "0x"}}),
            json!({"code": -32603, "message": "EVM error InvalidFEOpcode"}),
            json!({"code": -32603, "message": "Error: VM Exception while processing transaction: invalid opcode",
                "data": {"data": "0x"}}),
            json!({"code": -32015, "message": "VM execution error.", "data": "BadInstruction"}),
        ] {
            assert_eq!(read(error.clone()).as_deref(), Some("0x"), "{error}");
        }
    }

    #[test]
    fn what_is_not_the_callees_is_no_revert() {
        let asked = json!({"method": "eth_call", "params": [{"to": "0x77", "data": "0x82b42900"}]});
        for error in [
            json!({"code": -32000, "message": "header not found"}),
            json!({"code": -32601, "message": "the method eth_simulateV1 does not exist/is not available"}),
            json!({"code": -32004, "message": "Method eth_simulateV1 is not supported",
                "data": {"message": "Method eth_simulateV1 is not supported", "data": asked}}),
            json!({"code": -32602, "message": "trailing characters at line 1 column 160", "data": {"data": asked}}),
            json!({"code": -32000, "message": "Received invalid block tag 629145. Latest block number is 3",
                "data": {"data": null}}),
            json!({"code": -32000, "message": "transaction gas limit (20000000) is greater than the cap (16777216)"}),
            json!({"code": 429, "message": "too many requests"}),
        ] {
            assert_eq!(read(error.clone()), None, "{error}");
        }
    }
}
