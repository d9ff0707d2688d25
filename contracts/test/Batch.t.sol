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

        Outcome[] memory results = sent(list(calls));

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
        Outcome[] memory results = sent(list(authorizing(terms), settling(terms, AMOUNT), settling(terms, AMOUNT)));
        assertTrue(results[0].success && results[1].success && !results[2].success);
        assertEq(results[2].reason, notOpen(terms.preauthId, IPreauthEscrow.Status.Settled));
        assertEq(token.balanceOf(receiver), AMOUNT);
    }

    function test_AnEmptyBatchIsFine() public {
        assertEq(sent("").length, 0);
    }

    function test_TheCallersRightsAreThoseOfEachOperation() public {
        IPreauthEscrow.Terms memory fresh = someTerms();
        IPreauthEscrow.Terms memory held = someHold();
        Outcome[] memory results = batchBy(receiver, list(authorizing(fresh), settling(held, AMOUNT), cancelling(held)));
        assertEq(results[0].reason, notOperator(receiver));
        assertEq(results[1].reason, notOperator(receiver));
        assertTrue(results[2].success);

        results = batchBy(stranger, list(cancelling(someTerms())));
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
        Outcome[] memory results = sent(list(authorizing(fresh), settling(held, AMOUNT)));
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
        emit IPreauthEscrow.CallFailed(bad.preauthId, 1, 1, reason);
        Outcome[] memory results = sent(list(authorizing(good), authorizing(bad), authorizing(alsoGood)));

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
        Outcome[] memory results = sent(list(authorizing(bad)));
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
        Outcome[] memory results = sent(list(calls));
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
        Outcome[] memory results = sent(list(authorizing(before), authorizing(bad), authorizing(afterwards)));
        assertLt(gasBefore - gasleft(), GAS_PER_CALL + 300_000);
        assertTrue(results[0].success && !results[1].success && results[2].success);
        assertEq(results[1].reason, "");
    }

    function test_AReturnBombIsCutShort() public {
        IPreauthEscrow.Terms memory bad = someTerms(address(hostile));
        hostile.setManner(HostileToken.Manner.RevertBomb);
        IPreauthEscrow.Terms memory good = someTerms();
        uint256 gasBefore = gasleft();
        Outcome[] memory results = sent(list(authorizing(bad), authorizing(good)));
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
            Outcome[] memory results = sent(list(authorizing(bad), authorizing(someTerms())));
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
            bytes memory call = authorizing(bad, abi.encodePacked(uint8(1), bytes32(0)));
            Outcome[] memory results = sent(list(call, authorizing(someTerms())));
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
            Outcome[] memory results = sent(list(cancelling(bad), cancelling(good)));
            assertTrue(results[0].success && results[1].success);
            assertEq(escrow.claimable(sender, address(hostile)), HOLD);
            vm.revertToState(state);
        }
    }

    // --------------------------------------------------------------- invalid calls

    function test_OnlyTheFourOperationsAreCalls() public {
        IPreauthEscrow.Terms memory terms = someHold();
        vm.warp(terms.expiresAt);
        bytes memory reason = abi.encodeWithSelector(IPreauthEscrow.InvalidCall.selector, 0);
        for (uint256 operation = 0; operation < 256; ++operation) {
            if (operation >= 1 && operation <= 4) continue;
            bytes memory call = raw(uint8(operation), terms, "");
            expectEvent();
            emit IPreauthEscrow.CallFailed(terms.preauthId, 0, uint8(operation), reason);
            Outcome[] memory results = sent(list(call, authorizing(terms)));
            assertEq(results[0].reason, reason);

            vm.prank(operator);
            (bool success, bytes memory answer) = address(escrow).call(call);
            assertFalse(success);
            assertEq(answer, reason);
        }
        assertStatus(terms, IPreauthEscrow.Status.Open);
    }

    /// @dev Alone such a call fails, and in a batch the whole batch: what follows would be read at a wrong place.
    function test_ACallTooShortForTermsFailsTheWholeBatch() public {
        IPreauthEscrow.Terms memory good = someTerms();
        bytes memory whole = expiring(someTerms());
        for (uint256 length = 4; length < whole.length; ++length) {
            bytes memory cut = new bytes(length);
            for (uint256 i = 0; i < length; ++i) {
                cut[i] = whole[i];
            }
            bytes memory calls = list(authorizing(good), cut, authorizing(someTerms()));
            refused(operator, abi.encodeWithSelector(IPreauthEscrow.InvalidCall.selector, 1));
            escrow.batch(calls, GAS_PER_CALL);

            vm.prank(operator);
            (bool success,) = address(escrow).call(cut);
            assertFalse(success);
        }
        assertStatus(good, IPreauthEscrow.Status.None);
    }

    /// @dev A length that leads beyond the end of the calls, wherever they are cut.
    function test_ABatchThatEndsWithinACallFails() public {
        IPreauthEscrow.Terms memory good = someTerms();
        bytes memory calls = list(authorizing(good), authorizing(someTerms(), "some consent"));
        uint256 first = list(authorizing(good)).length;
        for (uint256 length = 1; length < calls.length; ++length) {
            if (length == first) continue;
            bytes memory cut = new bytes(length);
            for (uint256 i = 0; i < length; ++i) {
                cut[i] = calls[i];
            }
            refused(operator, abi.encodeWithSelector(IPreauthEscrow.InvalidCall.selector, length < first ? 0 : 1));
            escrow.batch(cut, GAS_PER_CALL);
        }
        calls[first] = 0xff;
        refused(operator, abi.encodeWithSelector(IPreauthEscrow.InvalidCall.selector, 1));
        escrow.batch(calls, GAS_PER_CALL);
        assertStatus(good, IPreauthEscrow.Status.None);
    }

    /// @dev Long enough for terms, but not as long as the operation is: a failure of this call and of no other.
    function test_ACallThatEndsElsewhereFailsAlone() public {
        IPreauthEscrow.Terms memory terms = someHold();
        vm.warp(terms.expiresAt - 1);
        bytes[5] memory calls = [
            raw(2, terms, ""),
            raw(2, terms, new bytes(11)),
            raw(2, terms, abi.encodePacked(AMOUNT, uint8(0))),
            raw(3, terms, hex"00"),
            raw(4, terms, hex"00")
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            Outcome[] memory results = sent(list(calls[i], authorizing(someTerms())));
            assertEq(results[0].reason, abi.encodeWithSelector(IPreauthEscrow.InvalidCall.selector, 0));
        }
        assertStatus(terms, IPreauthEscrow.Status.Open);
    }

    /// @dev A raw call and the method of the same name are one: the same effect, the same event.
    function test_ARawCallIsTheMethod() public {
        IPreauthEscrow.Terms[4] memory twins = [someTerms(), someTerms(), someTerms(), someTerms()];
        bytes[4] memory calls =
            [authorizing(twins[0]), settling(twins[1], AMOUNT), cancelling(twins[2]), expiring(twins[3])];
        bytes[4] memory methods = [
            abi.encodeCall(IPreauthEscrow.authorize, (twins[0], "")),
            abi.encodeCall(IPreauthEscrow.settle, (twins[1], AMOUNT)),
            abi.encodeCall(IPreauthEscrow.cancel, (twins[2])),
            abi.encodeCall(IPreauthEscrow.expire, (twins[3]))
        ];
        for (uint256 i = 0; i < 4; ++i) {
            if (i != 0) lock(twins[i]);
            if (i == 3) vm.warp(twins[i].expiresAt);
            uint256 state = vm.snapshotState();
            bytes32 byMethod = traceOf(methods[i]);
            vm.revertToState(state);
            assertEq(traceOf(calls[i]), byMethod);
        }
    }

    /// @dev What a call leaves behind: its events, and where the tokens are.
    function traceOf(bytes memory call) private returns (bytes32) {
        vm.recordLogs();
        vm.prank(operator);
        (bool success,) = address(escrow).call(call);
        assertTrue(success);
        return keccak256(abi.encode(vm.getRecordedLogs(), token.balanceOf(sender), token.balanceOf(receiver)));
    }

    // ----------------------------------------------------------------------- gas

    function test_ACallThatNeedsMoreThanItsCapFailsAlone() public {
        IPreauthEscrow.Terms memory terms = someTerms();
        Outcome[] memory results = batchBy(operator, list(authorizing(terms)), 10_000);
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
        bytes memory calls =
            list(authorizing(someTerms()), settling(someHold(), AMOUNT), authorizing(someTerms(address(hostile))));
        uint256 state = vm.snapshotState();
        (uint256 tooLittle, uint256 cap) = (need, 2 * need);
        while (cap - tooLittle > 1) {
            uint256 middle = (tooLittle + cap) / 2;
            if (batchBy(operator, calls, middle)[2].success) cap = middle;
            else tooLittle = middle;
            vm.revertToState(state);
        }

        bytes memory data = batching(calls, cap);
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
        assertEq(abi.decode(answer, (IPreauthEscrow.Failure[])).length, 0);
    }

    function sent(bytes memory calls) private returns (Outcome[] memory) {
        return batchBy(operator, calls);
    }
}
