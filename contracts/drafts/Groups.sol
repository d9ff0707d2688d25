// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IPreauthEscrow} from "../src/interfaces/IPreauthEscrow.sol";

/// @title Slots that are shared
/// @notice A group is up to 2**DEPTH holds that were locked in one transaction. Its slot keeps 192 bits of the Merkle
/// root over the hashes of their terms, and two bits for each: open, settled, cancelled or expired. What closes a hold
/// brings its place (group and index) and the siblings on the way to the root.
/// @dev Places are used once, preauth ids are not. `head` makes the best of it: a compare-and-swap on all that was locked.
abstract contract Groups {
    uint256 private constant ROOT_SHIFT = 64;
    /// @dev Two bits for each of 32 holds are what the root leaves of a word.
    uint256 private constant MAX_DEPTH = 5;
    /// @dev A place is four bytes of group and one of index; the siblings follow.
    uint256 internal constant PLACE_LENGTH = 5;

    uint256 private immutable GROUP_SIZE;

    /// @dev The number of groups in the lower 64 bits, above it 192 bits of a hash over all of them.
    uint256 public head;
    mapping(uint256 group => uint256 word) public groups;

    /// @notice A slot was written. Its leaves are the terms of the `holds` Authorized events that end here, in order.
    event Grouped(uint256 indexed group, uint256 holds);

    /// @notice Something was locked that whoever wrote this batch did not know of.
    error HistoryMoved(uint256 head);
    /// @notice No such hold at this place.
    error NotThere(bytes32 preauthId);

    constructor(uint256 depth) {
        if (depth > MAX_DEPTH) revert IPreauthEscrow.InvalidSetting();
        GROUP_SIZE = 1 << depth;
    }

    function _checkHead(uint256 known) internal view {
        if (known != head) revert HistoryMoved(head);
    }

    /// @dev Writes the slots of holds that were locked.
    function _append(bytes32[] memory leaves) internal {
        uint256 newHead = head;
        for (uint256 first = 0; first < leaves.length; first += GROUP_SIZE) {
            uint256 holds = leaves.length - first;
            if (holds > GROUP_SIZE) holds = GROUP_SIZE;
            bytes32 root = _rootOf(leaves, first, holds);
            uint256 group = uint64(newHead) + 1;
            groups[group] = _cut(root);
            newHead = _cut(keccak256(abi.encode(newHead, root))) | group;
            emit Grouped(group, holds);
        }
        head = newHead;
    }

    /// @dev A leaf is the hash of 224 bytes, a node of 64, so neither is ever taken for the other: whoever closes a
    /// hold brings its terms, not their hash. All bits of the index are used up on the way, so a hold has one place only.
    function _close(bytes32 preauthId, bytes32 leaf, bytes calldata place, IPreauthEscrow.Status status) internal {
        uint256 group = uint32(bytes4(place));
        uint256 index = uint8(place[4]);
        bytes calldata siblings = place[PLACE_LENGTH:];
        uint256 path = index;
        bytes32 node = leaf;
        assembly ("memory-safe") {
            let end := add(siblings.offset, siblings.length)
            for { let at := siblings.offset } lt(at, end) { at := add(at, 0x20) } {
                let side := shl(5, and(path, 1))
                mstore(side, node)
                mstore(xor(side, 0x20), calldataload(at))
                node := keccak256(0x00, 0x40)
                path := shr(1, path)
            }
        }
        uint256 word = groups[group];
        if (path != 0 || uint256(node) >> ROOT_SHIFT != word >> ROOT_SHIFT) revert NotThere(preauthId);
        uint256 state = word >> (2 * index) & 3;
        if (state != 0) revert IPreauthEscrow.NotOpen(preauthId, IPreauthEscrow.Status(state + 1));
        groups[group] = word | (uint256(status) - 1) << (2 * index);
    }

    /// @dev The smallest full tree over these leaves; what is missing is zero.
    function _rootOf(bytes32[] memory leaves, uint256 first, uint256 count) private pure returns (bytes32 root) {
        assembly ("memory-safe") {
            let nodes := mload(0x40)
            mcopy(nodes, add(leaves, shl(5, add(first, 1))), shl(5, count))
            let width := 1
            for {} lt(width, count) { width := shl(1, width) } {}
            calldatacopy(add(nodes, shl(5, count)), calldatasize(), shl(5, sub(width, count)))
            for {} gt(width, 1) {} {
                width := shr(1, width)
                for { let i := 0 } lt(i, width) { i := add(i, 1) } {
                    mstore(add(nodes, shl(5, i)), keccak256(add(nodes, shl(6, i)), 0x40))
                }
            }
            root := mload(nodes)
        }
    }

    function _cut(bytes32 hash) private pure returns (uint256) {
        return uint256(hash) >> ROOT_SHIFT << ROOT_SHIFT;
    }
}
