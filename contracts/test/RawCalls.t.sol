// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IPreauthEscrow} from "../src/interfaces/IPreauthEscrow.sol";
import {EscrowTest} from "./EscrowTest.sol";

/// @dev A raw call alone, whose bytes are not what they should be.
contract RawCallsTest is EscrowTest {
    function test_ARawCallTooShortForTermsIsRefusedByName() public {
        bytes memory whole = expiring(someHold());
        bytes memory reason = abi.encodeWithSelector(IPreauthEscrow.InvalidCall.selector, 0);
        for (uint256 length = 4; length < whole.length; ++length) {
            bytes memory cut = new bytes(length);
            for (uint256 i = 0; i < length; ++i) {
                cut[i] = whole[i];
            }
            (bool success, bytes memory answer) = address(escrow).call(cut);
            assertFalse(success);
            assertEq(answer, reason);
        }
    }
}
