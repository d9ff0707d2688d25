// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Vm} from "forge-std/Vm.sol";

import {IPreauthEscrow} from "../src/interfaces/IPreauthEscrow.sol";
import {EscrowTest} from "./EscrowTest.sol";
import {HookToken} from "./mocks/HookToken.sol";

/// @dev The token of these tests is itself an operator and a receiver, so that nothing but the lock stops it.
contract ReentrancyTest is EscrowTest {
    HookToken private hook;
    IPreauthEscrow.Terms private held;
    IPreauthEscrow.Terms private victim;
    bytes[] private entries;

    function setUp() public override {
        super.setUp();
        hook = new HookToken();
        hook.mint(sender, FUNDS);
        vm.prank(sender);
        hook.approve(address(escrow), type(uint256).max);
        vm.prank(admin);
        escrow.setOperator(address(hook), true);
        held = someHold(address(hook));
        victim = someHold();
        IPreauthEscrow.Terms memory fresh = someTerms();

        entries.push(authorizing(fresh));
        entries.push(abi.encodeCall(IPreauthEscrow.authorize, (fresh, "")));
        entries.push(abi.encodeCall(IPreauthEscrow.settle, (victim, AMOUNT)));
        entries.push(abi.encodeCall(IPreauthEscrow.cancel, (victim)));
        entries.push(abi.encodeCall(IPreauthEscrow.expire, (victim)));
        entries.push(settling(victim, AMOUNT));
        entries.push(cancelling(victim));
        entries.push(expiring(victim));
        entries.push(abi.encodeCall(IPreauthEscrow.claim, (sender, address(token))));
        entries.push(batching("", GAS_PER_CALL));
        entries.push(batching(list(settling(victim, AMOUNT)), GAS_PER_CALL));
        // A call that fails: entered, it would tell of its failure within our own transaction.
        entries.push(batching(list(authorizing(held)), GAS_PER_CALL));
    }

    function test_NothingIsEnteredDuringAuthorize() public {
        nothingIsEnteredDuring(operator, authorizing(someTerms(address(hook))));
    }

    function test_NothingIsEnteredDuringSettle() public {
        nothingIsEnteredDuring(operator, settling(held, AMOUNT));
    }

    function test_NothingIsEnteredDuringCancel() public {
        nothingIsEnteredDuring(operator, cancelling(held));
    }

    function test_NothingIsEnteredDuringExpire() public {
        vm.warp(held.expiresAt);
        nothingIsEnteredDuring(stranger, expiring(held));
    }

    function test_NothingIsEnteredDuringClaim() public {
        vm.mockCallRevert(address(hook), abi.encodePacked(hook.transfer.selector), "");
        vm.prank(operator);
        escrow.cancel(held);
        vm.clearMockedCalls();
        assertEq(escrow.claimable(sender, address(hook)), HOLD);
        nothingIsEnteredDuring(stranger, abi.encodeCall(IPreauthEscrow.claim, (sender, address(hook))));
    }

    function test_NothingIsEnteredDuringACallOfABatch() public {
        IPreauthEscrow.Terms memory fresh = someTerms(address(hook));
        nothingIsEnteredDuring(
            operator, batching(list(authorizing(fresh), settling(held, AMOUNT), cancelling(fresh)), 2 * GAS_PER_CALL)
        );
    }

    function test_TheLockOpensAgain() public {
        hook.setHook(address(escrow), entries[entries.length - 1]);
        vm.startPrank(operator);
        escrow.settle(held, AMOUNT);
        escrow.batch(list(settling(victim, AMOUNT)), GAS_PER_CALL);
        vm.stopPrank();
        lock(someTerms());
        vm.prank(operator);
        escrow.batch(list(authorizing(someTerms()), authorizing(held), authorizing(someTerms())), GAS_PER_CALL);
        lock(someTerms());
    }

    function test_AFailedCallLeavesTheLockAsItWas() public {
        refused(operator, alreadyUsed(held.preauthId, IPreauthEscrow.Status.Open));
        escrow.authorize(held, "");
        Outcome[] memory results = batchBy(operator, list(authorizing(held), authorizing(someTerms())));
        assertTrue(!results[0].success && results[1].success);
    }

    /// @dev Each way in is tried from within each transfer of the call; the call itself goes its way.
    function nothingIsEnteredDuring(address caller, bytes memory data) private {
        uint256 state = vm.snapshotState();
        for (uint256 i = 0; i < entries.length; ++i) {
            hook.setHook(address(escrow), entries[i]);
            vm.recordLogs();
            vm.prank(caller);
            (bool success,) = address(escrow).call(data);
            assertTrue(success);

            assertGe(hook.hooksRun(), 1);
            assertFalse(hook.hookSucceeded());
            assertEq(hook.hookAnswer(), abi.encodePacked(IPreauthEscrow.Reentered.selector));
            Vm.Log[] memory logs = vm.getRecordedLogs();
            for (uint256 j = 0; j < logs.length; ++j) {
                assertTrue(logs[j].topics[0] != IPreauthEscrow.CallFailed.selector);
                assertTrue(logs[j].topics[0] != IPreauthEscrow.RefundDeferred.selector);
            }
            assertStatus(victim, IPreauthEscrow.Status.Open);
            vm.revertToState(state);
        }
    }
}
