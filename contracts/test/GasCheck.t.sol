// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IPreauthEscrow} from "../src/interfaces/IPreauthEscrow.sol";
import {EscrowTest} from "./EscrowTest.sol";

/// @dev What the check before a guarded call says where hardly any gas is left.
contract GasCheckTest is EscrowTest {
    /// @dev Even a call that needs none needs what the check itself stands for, and is refused by name without it.
    function test_TooLittleForTheOverheadIsToldByName() public {
        bytes memory data = batching(list(expiring(someHold())), 0);
        bytes memory reason = abi.encodeWithSelector(IPreauthEscrow.InsufficientGas.selector, 0);
        uint256 told;
        for (uint256 gasGiven = 1000; gasGiven < 20_000; gasGiven += 100) {
            (bool success, bytes memory answer) = address(escrow).call{gas: gasGiven}(data);
            if (!success && keccak256(answer) == keccak256(reason)) ++told;
        }
        assertGt(told, 20);
    }

    /// @dev A call can be given 63/64 of what is left, so what is left has to be that much more.
    function test_TheShareThatStaysBehindIsCounted() public {
        uint256 gasPerCall = 100_000_000;
        bytes memory calls = list(expiring(someHold()));
        vm.expectRevert(abi.encodeWithSelector(IPreauthEscrow.InsufficientGas.selector, gasPerCall));
        escrow.batch{gas: gasPerCall * 64 / 63}(calls, gasPerCall);
        escrow.batch{gas: gasPerCall * 64 / 63 + 50_000}(calls, gasPerCall);
    }
}
