// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IPreauthEscrow} from "../src/interfaces/IPreauthEscrow.sol";
import {SharedSlotEscrow} from "./SharedSlotEscrow.sol";

/// @title The same draft, with preauth ids that are used once, ever
/// @notice An id has a bucket, named by its first bits, and a fingerprint, its last 32. A word of a bucket remembers
/// eight of them for ever; where it is full, the bucket goes on in a word of the next level. An id whose fingerprint
/// another id of its bucket left is refused though it is new (eight in four thousand million), never the reverse.
contract OnceOnlyEscrow is SharedSlotEscrow {
    uint256 private immutable BUCKET_SHIFT;

    mapping(uint256 level => mapping(uint256 bucket => uint256 fingerprints)) private used;

    constructor(address operator, uint256 depth, uint256 bucketBits) SharedSlotEscrow(operator, depth) {
        BUCKET_SHIFT = 256 - bucketBits;
    }

    function _useOnce(bytes32 preauthId) internal override {
        uint256 bucket = uint256(preauthId) >> BUCKET_SHIFT;
        // Zero is an empty place.
        uint256 fingerprint = uint32(uint256(preauthId));
        if (fingerprint == 0) fingerprint = 1;
        for (uint256 level = 0;; ++level) {
            uint256 word = used[level][bucket];
            for (uint256 shift = 0; shift < 256; shift += 32) {
                uint256 other = uint32(word >> shift);
                if (other == fingerprint) {
                    revert IPreauthEscrow.AlreadyUsed(preauthId, IPreauthEscrow.Status.Open);
                }
                if (other == 0) {
                    used[level][bucket] = word | fingerprint << shift;
                    return;
                }
            }
        }
    }
}
