// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IPreauthEscrow} from "../src/interfaces/IPreauthEscrow.sol";
import {EscrowTest} from "./EscrowTest.sol";
import {HostileToken} from "./mocks/HostileToken.sol";

/// @dev A refund is deferred when the token refuses it, never because someone gave too little gas. The token of these
/// tests needs nearly all the gas a refund is given, so the smallest shortage would show.
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
        // With the transfer itself this is just below REFUND_GAS, cold slots included.
        hungry.setGasToBurn(60_000);
    }

    function test_TheTokenOfTheseTestsNeedsItsGas() public {
        hungry.setGasToBurn(99_000);
        vm.prank(operator);
        escrow.cancel(held);
        assertEq(escrow.claimable(sender, address(hungry)), HOLD);
    }

    function test_ACallerOfExpireCannotStarveTheRefund() public {
        vm.warp(held.expiresAt);
        sweep(stranger, expiring(held), IPreauthEscrow.Status.Expired);
    }

    function test_ACallerOfCancelCannotStarveTheRefund() public {
        sweep(receiver, cancelling(held), IPreauthEscrow.Status.Cancelled);
    }

    function test_AnOperatorCannotStarveTheRefundOfASettlement() public {
        hungry.setGasToBurn(1);
        sweep(operator, settling(held, AMOUNT), IPreauthEscrow.Status.Settled);
    }

    function test_ACallerOfABatchCannotStarveTheRefund() public {
        vm.warp(held.expiresAt);
        uint256 state = vm.snapshotState();
        uint256 released;
        for (uint256 gasPerCall = 20_000; gasPerCall < 260_000; gasPerCall += 499) {
            vm.prank(stranger);
            IPreauthEscrow.CallResult[] memory results = escrow.batch(list(expiring(held)), gasPerCall);
            assertEq(escrow.claimable(sender, address(hungry)), 0);
            assertStatus(held, results[0].success ? IPreauthEscrow.Status.Expired : IPreauthEscrow.Status.Open);
            if (results[0].success) ++released;
            vm.revertToState(state);
        }
        assertGt(released, 100);

        for (uint256 gasGiven = 20_000; gasGiven < 320_000; gasGiven += 499) {
            bytes memory data = abi.encodeCall(IPreauthEscrow.batch, (list(expiring(held)), 150_000));
            vm.prank(stranger);
            (bool success,) = address(escrow).call{gas: gasGiven}(data);
            assertEq(escrow.claimable(sender, address(hungry)), 0);
            assertStatus(held, success ? IPreauthEscrow.Status.Expired : IPreauthEscrow.Status.Open);
            vm.revertToState(state);
        }
    }

    /// @dev Whatever gas the call is sent with: the sender is refunded, or nothing has happened.
    function sweep(address caller, bytes memory data, IPreauthEscrow.Status closed) private {
        uint256 state = vm.snapshotState();
        uint256 succeeded;
        uint256 failed;
        for (uint256 gasGiven = 5000; gasGiven < 260_000; gasGiven += 251) {
            vm.prank(caller);
            (bool success,) = address(escrow).call{gas: gasGiven}(data);
            if (success) ++succeeded;
            else ++failed;
            assertStatus(held, success ? closed : IPreauthEscrow.Status.Open);
            assertEq(escrow.claimable(sender, address(hungry)), 0);
            assertEq(hungry.balanceOf(address(escrow)), success ? 0 : HOLD);
            vm.revertToState(state);
        }
        assertGt(succeeded, 100);
        assertGt(failed, 100);
    }
}
