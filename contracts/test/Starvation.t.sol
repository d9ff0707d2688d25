// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IPreauthEscrow} from "../src/interfaces/IPreauthEscrow.sol";
import {EscrowTest} from "./EscrowTest.sol";
import {HostileToken} from "./mocks/HostileToken.sol";

/// @dev A refund is deferred when the token refuses it, never because someone gave too little gas. The token of these
/// tests needs every unit of the gas a refund is given, so the smallest shortage would show.
contract StarvationTest is EscrowTest {
    HostileToken private hungry;
    IPreauthEscrow.Terms private held;

    function setUp() public override {
        super.setUp();
        hungry = new HostileToken();
        hungry.mint(sender, FUNDS);
        vm.prank(sender);
        hungry.approve(address(escrow), type(uint256).max);
        held = someHold(address(hungry));
    }

    function test_ACallerOfExpireCannotStarveTheRefund() public {
        vm.warp(held.expiresAt);
        sweep(stranger, expiring(held), IPreauthEscrow.Status.Expired);
    }

    function test_ACallerOfCancelCannotStarveTheRefund() public {
        sweep(receiver, cancelling(held), IPreauthEscrow.Status.Cancelled);
    }

    function test_AnOperatorCannotStarveTheRefundOfASettlement() public {
        sweep(operator, settling(held, AMOUNT), IPreauthEscrow.Status.Settled);
    }

    function test_ACallerOfABatchCannotStarveTheRefundByItsGas() public {
        vm.warp(held.expiresAt);
        bytes memory data = batching(list(expiring(held)), 150_000);
        sweep(stranger, data, IPreauthEscrow.Status.Expired);
    }

    function test_ACallerOfABatchCannotStarveTheRefundByItsCap() public {
        vm.warp(held.expiresAt);
        makeHungry(stranger, expiring(held));
        uint256 state = vm.snapshotState();
        uint256 released;
        for (uint256 gasPerCall = 100_000; gasPerCall < 130_000; gasPerCall += 43) {
            Outcome[] memory results = batchBy(stranger, list(expiring(held)), gasPerCall);
            assertOutcome(results[0].success, IPreauthEscrow.Status.Expired);
            if (results[0].success) ++released;
            vm.revertToState(state);
        }
        assertGt(released, 100);
    }

    /// @dev Whatever gas the call is sent with: the sender is refunded, or nothing has happened.
    function sweep(address caller, bytes memory data, IPreauthEscrow.Status closed) private {
        makeHungry(caller, data);
        uint256 state = vm.snapshotState();
        (uint256 tooLittle, uint256 enough) = (0, 1_000_000);
        while (enough - tooLittle > 1) {
            uint256 middle = (tooLittle + enough) / 2;
            if (sentWith(middle, caller, data)) enough = middle;
            else tooLittle = middle;
            vm.revertToState(state);
        }
        // Coarsely over all, finely where it turns.
        for (uint256 gasGiven = 5000; gasGiven < 260_000; gasGiven += 5003) {
            assertOutcome(sentWith(gasGiven, caller, data), closed);
            vm.revertToState(state);
        }
        for (uint256 gasGiven = enough - 3000; gasGiven < enough + 3000; gasGiven += 11) {
            assertOutcome(sentWith(gasGiven, caller, data), closed);
            vm.revertToState(state);
        }
    }

    /// @dev Finds the greatest need of the token that a refund can just meet.
    function makeHungry(address caller, bytes memory data) private {
        (uint256 enough, uint256 tooMuch) = (0, 2 * escrow.REFUND_GAS());
        while (tooMuch - enough > 1) {
            uint256 middle = (enough + tooMuch) / 2;
            uint256 state = vm.snapshotState();
            // Settlement pays the receiver with the gas that is there, and its refund with the fixed gas.
            hungry.setGasNeeded(middle);
            assertTrue(sentWith(1_000_000, caller, data));
            bool refunded = escrow.claimable(sender, address(hungry)) == 0;
            vm.revertToState(state);
            if (refunded) enough = middle;
            else tooMuch = middle;
        }
        assertGt(enough, escrow.REFUND_GAS() * 9 / 10);
        hungry.setGasNeeded(enough);
    }

    function sentWith(uint256 gasGiven, address caller, bytes memory data) private returns (bool success) {
        vm.prank(caller);
        (success,) = address(escrow).call{gas: gasGiven}(data);
    }

    function assertOutcome(bool success, IPreauthEscrow.Status closed) private view {
        assertStatus(held, success ? closed : IPreauthEscrow.Status.Open);
        assertEq(escrow.claimable(sender, address(hungry)), 0);
        assertEq(hungry.balanceOf(address(escrow)), success ? 0 : HOLD);
    }
}
