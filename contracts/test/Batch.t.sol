// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";

import {IPreauthEscrow} from "../src/interfaces/IPreauthEscrow.sol";
import {EscrowTest} from "./EscrowTest.sol";
import {HostileToken} from "./mocks/HostileToken.sol";
import {Wallet} from "./mocks/Wallet.sol";

contract BatchTest is EscrowTest {
    HostileToken private hostile;

    function setUp() public override {
        super.setUp();
        hostile = new HostileToken();
        hostile.mint(sender, FUNDS);
        vm.prank(sender);
        hostile.approve(address(escrow), type(uint256).max);
    }

    function test_AllFourOperationsTravelTogether() public {
        IPreauthEscrow.Terms memory expired = someHold();
        vm.warp(expired.expiresAt);
        IPreauthEscrow.Terms memory locked = someTerms();
        IPreauthEscrow.Terms memory settled = someHold();
        IPreauthEscrow.Terms memory cancelled = someHold();
        bytes[] memory calls = new bytes[](4);
        calls[0] = authorizing(locked);
        calls[1] = settling(settled, AMOUNT);
        calls[2] = cancelling(cancelled);
        calls[3] = expiring(expired);

        IPreauthEscrow.CallResult[] memory results = sent(calls);

        for (uint256 i = 0; i < 4; ++i) {
            assertTrue(results[i].success);
            assertEq(results[i].reason, "");
        }
        assertStatus(locked, IPreauthEscrow.Status.Open);
        assertStatus(settled, IPreauthEscrow.Status.Settled);
        assertStatus(cancelled, IPreauthEscrow.Status.Cancelled);
        assertStatus(expired, IPreauthEscrow.Status.Expired);
        assertEq(token.balanceOf(address(escrow)), HOLD);
        assertEq(token.balanceOf(receiver), AMOUNT);
        assertEq(token.balanceOf(sender), FUNDS - HOLD - AMOUNT);
    }

    function test_OneHoldGoesThroughItsWholeLifeInOneBatch() public {
        IPreauthEscrow.Terms memory terms = someTerms();
        IPreauthEscrow.CallResult[] memory results =
            sent(list(authorizing(terms), settling(terms, AMOUNT), settling(terms, AMOUNT)));
        assertTrue(results[0].success && results[1].success && !results[2].success);
        assertEq(results[2].reason, notOpen(terms.preauthId, IPreauthEscrow.Status.Settled));
        assertEq(token.balanceOf(receiver), AMOUNT);
    }

    function test_AnEmptyBatchIsFine() public {
        assertEq(sent(new bytes[](0)).length, 0);
    }

    function test_TheCallersRightsAreThoseOfEachOperation() public {
        IPreauthEscrow.Terms memory fresh = someTerms();
        IPreauthEscrow.Terms memory held = someHold();
        vm.prank(receiver);
        IPreauthEscrow.CallResult[] memory results =
            escrow.batch(list(authorizing(fresh), settling(held, AMOUNT), cancelling(held)), GAS_PER_CALL);
        assertEq(results[0].reason, notOperator(receiver));
        assertEq(results[1].reason, notOperator(receiver));
        assertTrue(results[2].success);

        vm.prank(stranger);
        results = escrow.batch(list(cancelling(someTerms())), GAS_PER_CALL);
        assertEq(results[0].reason, notOperator(stranger));
    }

    function test_AnyoneReleasesManyExpiredHolds() public {
        IPreauthEscrow.Terms memory one = someHold();
        IPreauthEscrow.Terms memory two = someHold();
        vm.warp(one.expiresAt);
        vm.prank(stranger);
        escrow.batch(list(expiring(one), expiring(two)), GAS_PER_CALL);
        assertEq(token.balanceOf(sender), FUNDS);
    }

    function test_PauseFailsAuthorizationsOnly() public {
        IPreauthEscrow.Terms memory fresh = someTerms();
        IPreauthEscrow.Terms memory held = someHold();
        vm.prank(guardian);
        escrow.pause();
        IPreauthEscrow.CallResult[] memory results = sent(list(authorizing(fresh), settling(held, AMOUNT)));
        assertEq(results[0].reason, abi.encodePacked(Pausable.EnforcedPause.selector));
        assertTrue(results[1].success);
    }

    // ------------------------------------------------------------------ isolation

    function test_AFailingCallChangesNothingAndIsToldByEvent() public {
        IPreauthEscrow.Terms memory good = someTerms();
        IPreauthEscrow.Terms memory bad = someTerms();
        bad.receiver = stranger;
        IPreauthEscrow.Terms memory alsoGood = someTerms();
        bytes memory reason = abi.encodeWithSelector(IPreauthEscrow.ReceiverNotRegistered.selector, stranger);

        expectEvent();
        emit IPreauthEscrow.CallFailed(bad.preauthId, 1, IPreauthEscrow.authorize.selector, reason);
        IPreauthEscrow.CallResult[] memory results =
            sent(list(authorizing(good), authorizing(bad), authorizing(alsoGood)));

        assertTrue(results[0].success && !results[1].success && results[2].success);
        assertEq(results[1].reason, reason);
        assertStatus(good, IPreauthEscrow.Status.Open);
        assertStatus(bad, IPreauthEscrow.Status.None);
        assertStatus(alsoGood, IPreauthEscrow.Status.Open);
        assertEq(token.balanceOf(address(escrow)), 2 * uint256(HOLD));
    }

    function test_AFailureAfterTheEffectsLeavesNoTrace() public {
        IPreauthEscrow.Terms memory bad = someTerms(address(hostile));
        hostile.setManner(HostileToken.Manner.SendMore);
        IPreauthEscrow.CallResult[] memory results = sent(list(authorizing(bad)));
        assertEq(results[0].reason, abi.encodeWithSelector(IPreauthEscrow.InexactTransfer.selector, HOLD, HOLD + 1));
        assertStatus(bad, IPreauthEscrow.Status.None);
        assertEq(hostile.balanceOf(address(escrow)), 0);
        assertEq(hostile.balanceOf(sender), FUNDS);
    }

    function test_ABatchOfNothingButFailuresIsStillABatch() public {
        bytes[] memory calls = new bytes[](20);
        for (uint256 i = 0; i < calls.length; ++i) {
            calls[i] = settling(someTerms(), AMOUNT);
        }
        IPreauthEscrow.CallResult[] memory results = sent(calls);
        for (uint256 i = 0; i < calls.length; ++i) {
            assertFalse(results[i].success);
            assertEq(results[i].reason.length, 4 + 64);
        }
    }

    function test_AGasBurningTokenCostsNoMoreThanTheCap() public {
        IPreauthEscrow.Terms memory before = someTerms();
        IPreauthEscrow.Terms memory bad = someTerms(address(hostile));
        IPreauthEscrow.Terms memory afterwards = someTerms();
        hostile.setManner(HostileToken.Manner.BurnAllGas);
        uint256 gasBefore = gasleft();
        IPreauthEscrow.CallResult[] memory results =
            sent(list(authorizing(before), authorizing(bad), authorizing(afterwards)));
        assertLt(gasBefore - gasleft(), GAS_PER_CALL + 300_000);
        assertTrue(results[0].success && !results[1].success && results[2].success);
        assertEq(results[1].reason, "");
    }

    function test_AReturnBombIsCutShort() public {
        IPreauthEscrow.Terms memory bad = someTerms(address(hostile));
        hostile.setManner(HostileToken.Manner.RevertBomb);
        IPreauthEscrow.Terms memory good = someTerms();
        uint256 gasBefore = gasleft();
        IPreauthEscrow.CallResult[] memory results = sent(list(authorizing(bad), authorizing(good)));
        assertLt(gasBefore - gasleft(), GAS_PER_CALL + 200_000);
        assertFalse(results[0].success);
        assertLe(results[0].reason.length, 132);
        assertTrue(results[1].success);
    }

    /// @dev Here the bomb is small enough for the call to hand it on, and large enough to be cut.
    function test_AReasonIsCutTo132Bytes() public {
        IPreauthEscrow.Terms memory bad = someTerms(address(hostile));
        for (uint256 length = 0; length < 300; length += 7) {
            bytes memory reason = new bytes(length);
            for (uint256 i = 0; i < length; ++i) {
                reason[i] = bytes1(uint8(i + 1));
            }
            vm.mockCallRevert(address(hostile), abi.encodePacked(hostile.transferFrom.selector), reason);
            IPreauthEscrow.CallResult[] memory results = sent(list(authorizing(bad), authorizing(someTerms())));
            assertEq(results[0].reason.length, length < 132 ? length : 132);
            for (uint256 i = 0; i < results[0].reason.length; ++i) {
                assertEq(results[0].reason[i], reason[i]);
            }
            assertTrue(results[1].success);
        }
    }

    function test_AWalletThatBurnsGasOrBombsFailsAlone() public {
        Wallet wallet = new Wallet(keccak256("password"));
        Wallet.Manner[2] memory manners = [Wallet.Manner.BurnAllGas, Wallet.Manner.ReturnBomb];
        for (uint256 i = 0; i < manners.length; ++i) {
            wallet.setManner(manners[i]);
            IPreauthEscrow.Terms memory bad = someTerms();
            bad.sender = address(wallet);
            bytes memory call = abi.encodeCall(IPreauthEscrow.authorize, (bad, abi.encodePacked(uint8(1), bytes32(0))));
            IPreauthEscrow.CallResult[] memory results = sent(list(call, authorizing(someTerms())));
            assertFalse(results[0].success);
            assertTrue(results[1].success);
        }
    }

    function test_ABlockedRefundDoesNotFailItsCall() public {
        IPreauthEscrow.Terms memory bad = someHold(address(hostile));
        IPreauthEscrow.Terms memory good = someHold();
        HostileToken.Manner[3] memory manners =
            [HostileToken.Manner.BurnAllGas, HostileToken.Manner.ReturnBomb, HostileToken.Manner.RevertBomb];
        uint256 state = vm.snapshotState();
        for (uint256 i = 0; i < manners.length; ++i) {
            hostile.setManner(manners[i]);
            IPreauthEscrow.CallResult[] memory results = sent(list(cancelling(bad), cancelling(good)));
            assertTrue(results[0].success && results[1].success);
            assertEq(escrow.claimable(sender, address(hostile)), HOLD);
            vm.revertToState(state);
        }
    }

    // --------------------------------------------------------------- invalid calls

    function test_OnlyTheFourOperationsAreCalls() public {
        IPreauthEscrow.Terms memory terms = someHold();
        bytes memory arguments = abi.encode(terms, AMOUNT, GAS_PER_CALL);
        bytes4[12] memory others = [
            IPreauthEscrow.batch.selector,
            IPreauthEscrow.claim.selector,
            IPreauthEscrow.requireSignedConsent.selector,
            IPreauthEscrow.registerReceiver.selector,
            IPreauthEscrow.setOperator.selector,
            IPreauthEscrow.setGuardian.selector,
            IPreauthEscrow.pause.selector,
            IPreauthEscrow.unpause.selector,
            IPreauthEscrow.statusOf.selector,
            escrow.transferOwnership.selector,
            bytes4(0),
            bytes4(0xffffffff)
        ];
        for (uint256 i = 0; i < others.length; ++i) {
            refused(admin, abi.encodeWithSelector(IPreauthEscrow.InvalidCall.selector, 0));
            escrow.batch(list(bytes.concat(others[i], arguments)), GAS_PER_CALL);
        }
    }

    function test_AnInvalidCallFailsTheWholeBatch() public {
        IPreauthEscrow.Terms memory good = someTerms();
        bytes memory tooShort = new bytes(4 + 6 * 32 - 1);
        bytes memory valid = expiring(someTerms());
        for (uint256 i = 0; i < tooShort.length; ++i) {
            tooShort[i] = valid[i];
        }
        refused(operator, abi.encodeWithSelector(IPreauthEscrow.InvalidCall.selector, 1));
        escrow.batch(list(authorizing(good), tooShort, authorizing(someTerms())), GAS_PER_CALL);
        refused(operator, abi.encodeWithSelector(IPreauthEscrow.InvalidCall.selector, 0));
        escrow.batch(list(""), GAS_PER_CALL);
        refused(operator, abi.encodeWithSelector(IPreauthEscrow.InvalidCall.selector, 2));
        escrow.batch(list(authorizing(good), valid, hex"010203"), GAS_PER_CALL);
        assertStatus(good, IPreauthEscrow.Status.None);
    }

    /// @dev Long enough for terms, too short for the method: a failure of this call and of no other.
    function test_ACallWithoutItsLastArgumentFailsAlone() public {
        IPreauthEscrow.Terms memory terms = someHold();
        bytes memory call = bytes.concat(IPreauthEscrow.settle.selector, abi.encode(terms));
        IPreauthEscrow.CallResult[] memory results = sent(list(call, authorizing(someTerms())));
        assertFalse(results[0].success);
        assertTrue(results[1].success);
    }

    // ----------------------------------------------------------------------- gas

    function test_ACallThatNeedsMoreThanItsCapFailsAlone() public {
        IPreauthEscrow.Terms memory terms = someTerms();
        vm.prank(operator);
        IPreauthEscrow.CallResult[] memory results = escrow.batch(list(authorizing(terms)), 10_000);
        assertFalse(results[0].success);
        assertStatus(terms, IPreauthEscrow.Status.None);
    }

    function test_ACapBeyondTheGasLeftFailsTheWholeBatch() public {
        IPreauthEscrow.Terms memory terms = someTerms();
        uint256[3] memory caps = [uint256(600_000), type(uint256).max, type(uint256).max - 5000];
        for (uint256 i = 0; i < caps.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IPreauthEscrow.InsufficientGas.selector, caps[i]));
            vm.prank(operator);
            escrow.batch{gas: 600_000}(list(authorizing(terms)), caps[i]);
        }
    }

    /// @dev Whatever gas the batch is sent with: all of its calls take effect, or the whole of it fails. The last call
    /// needs every unit of its cap, so that the smallest shortage would show; and the cap is large, so that what a
    /// shortage leaves (1/64) would do to report a failure.
    function test_RunningOutOfGasIsNeverTheFailureOfACall() public {
        uint256 need = 2_000_000;
        hostile.setGasNeeded(need);
        bytes[] memory calls =
            list(authorizing(someTerms()), settling(someHold(), AMOUNT), authorizing(someTerms(address(hostile))));
        uint256 state = vm.snapshotState();
        (uint256 tooLittle, uint256 cap) = (need, 2 * need);
        while (cap - tooLittle > 1) {
            uint256 middle = (tooLittle + cap) / 2;
            vm.prank(operator);
            if (escrow.batch(calls, middle)[2].success) cap = middle;
            else tooLittle = middle;
            vm.revertToState(state);
        }

        bytes memory data = abi.encodeCall(IPreauthEscrow.batch, (calls, cap));
        uint256 enough;
        (tooLittle, enough) = (cap, 2 * cap);
        while (enough - tooLittle > 1) {
            uint256 middle = (tooLittle + enough) / 2;
            if (allSucceedWith(middle, data)) enough = middle;
            else tooLittle = middle;
            vm.revertToState(state);
        }
        for (uint256 gasGiven = 3000; gasGiven < 2 * cap; gasGiven += 50_021) {
            allSucceedWith(gasGiven, data);
            vm.revertToState(state);
        }
        for (uint256 gasGiven = enough - 40_000; gasGiven < enough + 3000; gasGiven += 83) {
            allSucceedWith(gasGiven, data);
            vm.revertToState(state);
        }
    }

    /// @dev Answers whether the batch took effect; then each of its calls must have.
    function allSucceedWith(uint256 gasGiven, bytes memory data) private returns (bool success) {
        bytes memory answer;
        vm.prank(operator);
        (success, answer) = address(escrow).call{gas: gasGiven}(data);
        if (!success) return false;
        IPreauthEscrow.CallResult[] memory results = abi.decode(answer, (IPreauthEscrow.CallResult[]));
        for (uint256 i = 0; i < results.length; ++i) {
            assertTrue(results[i].success);
        }
    }

    function sent(bytes[] memory calls) private returns (IPreauthEscrow.CallResult[] memory) {
        vm.prank(operator);
        return escrow.batch(calls, GAS_PER_CALL);
    }
}
