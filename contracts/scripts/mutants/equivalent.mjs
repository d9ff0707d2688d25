// Mutants that no test can notice, each with the reason. The key is what the run prints, without the line.

/** In the words of the run: the line, and what stands in its place. */
const instead = (line, ...others) => others.map((other) => `${line}  =>  ${other}`);
const all = (keys, reason) => Object.fromEntries(keys.map((key) => [key, reason]));

const NO_OUTPUT = "no output is asked for: one byte of it, or its place, is scratch space that nobody reads";
const ONE_MORE = "the second word of scratch space, which nobody reads afterwards";
const ROOM = "more room or another place behind the free memory pointer: memory is used up faster, and nothing else";
const MARGIN = "a margin, generous on purpose: one gas more or less decides nothing";
const NEVER_USED = "zero is the number of Status.None, and one is never stored: an open preauth stores a hash";
const PADDING = "Solidity clears the padding itself when it encodes bytes";
const CHECKED = "what is computed there cannot overflow, so checking costs gas and changes nothing";

export const EQUIVALENT = {
  ...all(
    instead(
      "PreauthEscrow.sol if (word == 0) return Status.None;",
      "if (false) return Status.None;",
      "if (word == 1) return Status.None;",
    ),
    NEVER_USED,
  ),
  ...all(
    [
      ...instead(
        "PreauthEscrow.sol unchecked { _refund(terms, terms.hold - amount); }",
        "{ _refund(terms, terms.hold - amount); }",
      ),
      ...instead(
        "Guarded.sol unchecked { left -= CALL_OVERHEAD; if (left - left / 64 < required) revert InsufficientGas(required); }",
        "{ left -= CALL_OVERHEAD; if (left - left / 64 < required) revert InsufficientGas(required); }",
      ),
      ...instead("RawCalls.sol unchecked { ++i; }", "{ ++i; }"),
    ],
    CHECKED,
  ),
  ...all(
    [
      ...instead(
        "Guarded.sol uint256 private constant CALL_OVERHEAD = 5000;",
        "uint256 private constant CALL_OVERHEAD = 5001;",
      ),
      ...instead(
        "Guarded.sol if (left < CALL_OVERHEAD) revert InsufficientGas(required);",
        "if (left <= CALL_OVERHEAD) revert InsufficientGas(required);",
      ),
      ...instead(
        "Guarded.sol if (left - left / 64 < required) revert InsufficientGas(required);",
        "if (left - left / 64 <= required) revert InsufficientGas(required);",
      ),
    ],
    MARGIN,
  ),
  ...all(instead("Guarded.sol entered = 1;", "entered = 2;"), "the lock is whatever is not zero"),
  ...all(
    instead("Guarded.sol mstore(0x00, 0)", "mstore(1, 0)"),
    "the first byte is written by whatever answer there is, and without one the word is not read",
  ),
  ...all(
    [
      ...instead(
        "Guarded.sol success := call(REFUND_GAS, token, 0, data, 0x44, 0x00, 0x20)",
        "success := call(REFUND_GAS, token, 0, data, 0x44, 0x00, 33)",
      ),
      ...instead(
        "Guarded.sol success := staticcall(gas(), token, 0x00, 0x24, 0x00, 0x20)",
        "success := staticcall(gas(), token, 0x00, 0x24, 0x00, 33)",
      ),
    ],
    ONE_MORE,
  ),
  ...all(
    [
      ...instead(
        "RawCalls.sol success := delegatecall(gasPerCall, address(), mload(0x40), add(call.length, 0x04), 0, 0)",
        "success := delegatecall(gasPerCall, address(), mload(0x40), add(call.length, 0x04), 1, 0)",
        "success := delegatecall(gasPerCall, address(), mload(0x40), add(call.length, 0x04), 0, 1)",
      ),
      ...instead(
        "Consent.sol pop(call(gas(), token, 0, add(data, 0x20), mload(data), 0, 0))",
        "pop(call(gas(), token, 0, add(data, 0x20), mload(data), 1, 0))",
        "pop(call(gas(), token, 0, add(data, 0x20), mload(data), 0, 1))",
      ),
      ...instead(
        "WalletDeployer.sol pop(call(gas(), factory, 0, data, factoryCall.length, 0, 0))",
        "pop(call(gas(), factory, 0, data, factoryCall.length, 1, 0))",
        "pop(call(gas(), factory, 0, data, factoryCall.length, 0, 1))",
      ),
    ],
    NO_OUTPUT,
  ),
  ...all(
    [
      ...instead("RawCalls.sol list := mload(0x40)", "list := mload(65)"),
      ...instead(
        "RawCalls.sol mstore(0x40, add(list, mul(add(most, 1), 0x20)))",
        "mstore(0x40, add(list, mul(add(most, 2), 0x20)))",
        "mstore(0x40, add(list, mul(add(most, 1), 33)))",
      ),
      ...instead(
        "RawCalls.sol mstore(0x40, and(add(add(data, 0x3f), size), not(0x1f)))",
        "mstore(0x40, and(add(add(data, 64), size), not(0x1f)))",
      ),
      ...instead("WalletDeployer.sol let data := mload(0x40)", "let data := mload(65)"),
    ],
    ROOM,
  ),
  ...all(
    instead("RawCalls.sol list := mload(0x40)", "{}"),
    "the list then begins at the zero slot, behind which a batch has nothing yet, and no empty array is read after it",
  ),
  ...all(instead("RawCalls.sol mstore(list, 0)", "{}"), "memory behind the free pointer is zero when a batch begins"),
  ...all(
    instead(
      "RawCalls.sol mstore(add(add(data, 0x20), size), 0)",
      "{}",
      "mstore(add(add(data, 33), size), 0)",
      "mstore(add(add(data, 0x20), size), 1)",
    ),
    PADDING,
  ),
  ...all(
    instead("Consent.sol mcopy(add(encoded, 0x20), terms, 0xc0)", "mcopy(add(encoded, 0x20), terms, 193)"),
    "the byte too many lies behind what is hashed",
  ),
  ...all(
    instead("Consent.sol if (payload.length < 2) revert InvalidConsent();", "if (false) revert InvalidConsent();"),
    "a length that is cut short is read with zeros, and the next check refuses it as well",
  ),
  ...all(
    instead(
      "Consent.sol uint256 start = uint256(bytes32(encoded[head:head + 32])) + 32;",
      "uint256 start = uint256(bytes32(encoded[head:head + 33])) + 32;",
    ),
    "the first word of the slice is read, and a wrap ends with its mark, so there is always a byte more",
  ),
};
