// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Guarded} from "./Guarded.sol";

/// @title Operations told in as few bytes as they take, alone and in batches
abstract contract RawCalls is Guarded {
    /// @dev What a raw call begins with: operation, sender, receiver, token, hold, expiresAt and preauthId, packed.
    uint256 private constant RAW_LENGTH = 110;
    uint256 private constant RAW_PREAUTH_ID = 78;

    uint256 private constant AUTHORIZE = 1;
    uint256 private constant SETTLE = 2;
    uint256 private constant CANCEL = 3;
    uint256 private constant EXPIRE = 4;

    /// @dev Revert data that is kept of a failed call: a selector and four words.
    uint256 private constant MAX_REASON_LENGTH = 132;

    /// @dev The name has the lowest selector, which is looked for first: each before it would cost 22 gas.
    function performRaw() external {
        if (msg.data.length < 4 + RAW_LENGTH) revert InvalidCall(0);
        Terms memory terms = Terms({
            sender: address(bytes20(_calldataWord(5))),
            receiver: address(bytes20(_calldataWord(25))),
            token: address(bytes20(_calldataWord(45))),
            hold: uint96(bytes12(_calldataWord(65))),
            expiresAt: uint40(bytes5(_calldataWord(77))),
            preauthId: _calldataWord(82)
        });
        bytes calldata rest = msg.data[4 + RAW_LENGTH:];
        uint256 operation = uint8(bytes1(_calldataWord(4)));
        if (operation == AUTHORIZE) {
            _authorize(terms, rest);
        } else if (operation == SETTLE && rest.length == 12) {
            _settle(terms, uint96(bytes12(rest)));
        } else if (operation == CANCEL && rest.length == 0) {
            _cancel(terms);
        } else if (operation == EXPIRE && rest.length == 0) {
            _expire(terms);
        } else {
            revert InvalidCall(0);
        }
    }

    function batch(bytes calldata calls, uint256 gasPerCall) external notEntered returns (Failure[] memory failures) {
        failures = _emptyList(calls.length / RAW_LENGTH);
        bytes calldata rest = calls;
        for (uint256 i = 0; rest.length != 0;) {
            bytes calldata call;
            (call, rest) = _firstCall(rest, i);
            if (!_delegateToSelf(call, gasPerCall)) {
                bytes memory reason = _boundedReturnData();
                _append(failures, Failure(i, reason));
                emit CallFailed(bytes32(call[RAW_PREAUTH_ID:]), i, uint8(call[0]), reason);
            }
            unchecked {
                ++i;
            }
        }
    }

    // ---------------------------------------------------- what the escrow does with them

    function _authorize(Terms memory terms, bytes calldata consent) internal virtual;
    function _settle(Terms memory terms, uint96 amount) internal virtual;
    function _cancel(Terms memory terms) internal virtual;
    function _expire(Terms memory terms) internal virtual;

    // --------------------------------------------------------------------------- pieces

    // slither-disable-start assembly: for gas, or for what Solidity has no words for; each says which.

    /// @dev The first call of a batch, without its length, and what follows it. In assembly for gas: slices check each
    /// of their ends.
    function _firstCall(bytes calldata calls, uint256 index)
        private
        pure
        returns (bytes calldata call, bytes calldata rest)
    {
        uint256 missing;
        assembly ("memory-safe") {
            // A slice is two words, its length and its offset, each written once.
            // slither-disable-next-line write-after-write
            call.length := shr(240, calldataload(calls.offset))
            call.offset := add(calls.offset, 2)
            // slither-disable-next-line write-after-write
            rest.offset := add(call.offset, call.length)
            rest.length := sub(sub(calls.length, call.length), 2)
            missing := or(lt(call.length, RAW_LENGTH), gt(rest.length, calls.length))
        }
        if (missing != 0) revert InvalidCall(index);
    }

    /// @dev In assembly because Solidity copies all return data, and to use one piece of memory for all calls of a batch: it lies behind
    /// the free memory pointer, which does not move (`_checkGas` writes memory only to revert).
    function _delegateToSelf(bytes calldata call, uint256 gasPerCall) private returns (bool success) {
        bytes4 selector = this.performRaw.selector;
        assembly ("memory-safe") {
            let data := mload(0x40)
            mstore(data, selector)
            calldatacopy(add(data, 0x04), call.offset, call.length)
        }
        _checkGas(gasPerCall);
        assembly ("memory-safe") {
            success := delegatecall(gasPerCall, address(), mload(0x40), add(call.length, 0x04), 0, 0)
        }
    }

    /// @dev Solidity reads calldata outside of arguments byte by byte only.
    function _calldataWord(uint256 offset) private pure returns (bytes32 word) {
        assembly ("memory-safe") {
            word := calldataload(offset)
        }
    }

    /// @dev A list with room for `most` failures, which are not written before there is one.
    function _emptyList(uint256 most) private pure returns (Failure[] memory list) {
        assembly ("memory-safe") {
            list := mload(0x40)
            mstore(list, 0)
            mstore(0x40, add(list, mul(add(most, 1), 0x20)))
        }
    }

    /// @dev Solidity lets no array in memory grow.
    function _append(Failure[] memory list, Failure memory failure) private pure {
        assembly ("memory-safe") {
            let length := add(mload(list), 1)
            mstore(list, length)
            mstore(add(list, mul(length, 0x20)), failure)
        }
    }

    /// @dev Solidity copies all return data.
    function _boundedReturnData() private pure returns (bytes memory data) {
        assembly ("memory-safe") {
            let size := returndatasize()
            if gt(size, MAX_REASON_LENGTH) { size := MAX_REASON_LENGTH }
            data := mload(0x40)
            mstore(data, size)
            returndatacopy(add(data, 0x20), 0, size)
            // A whole number of words, so that what follows stays aligned and the padding is zero.
            mstore(add(add(data, 0x20), size), 0)
            mstore(0x40, and(add(add(data, 0x3f), size), not(0x1f)))
        }
    }
    // slither-disable-end assembly
}
