// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Vm} from "forge-std/Vm.sol";

import {IPreauthEscrow} from "../../src/interfaces/IPreauthEscrow.sol";
import {Actions} from "./Actions.sol";
import {Dice} from "./Dice.sol";

/// @dev A batch does what its calls do one by one: the same calls are made both ways from the same state, and results,
/// balances, claims, ends and events are compared.
abstract contract Batches is Actions {
    uint256 private constant MOST_CALLS = 4;
    uint256 private constant LONGEST_REASON = 132;
    uint256 private constant RAW_LENGTH = 110;

    function performBatch(Dice memory dice) internal {
        Call[] memory calls = drawCalls(dice);
        address caller = drawCaller(dice, calls[0]);
        bytes[] memory items = new bytes[](calls.length);
        for (uint256 i = 0; i < calls.length; ++i) {
            items[i] = raw(calls[i]);
        }
        if (dice.chance(20)) return performInvalidBatch(dice, caller, items);

        if (dice.chance(40)) turnAgainst(dice, calls[0].terms);
        arm(dice);
        for (uint256 i = 0; i < calls.length; ++i) {
            takeOff(calls[i].terms);
        }
        (Outcome[] memory alone, bytes32 stateAlone, bytes32 eventsAlone) = oneByOne(caller, calls);
        vm.recordLogs();
        Outcome[] memory together = batchBy(caller, list(items));
        assertEq(digestOfEvents(), eventsAlone, "a batch tells of other events");
        assertEq(digestOfState(calls), stateAlone, "a batch leads elsewhere");
        land();

        for (uint256 i = 0; i < calls.length; ++i) {
            bool success = together[i].success;
            if (success != alone[i].success) fail("a call of a batch ends otherwise");
            if (keccak256(cut(together[i].reason)) != keccak256(alone[i].reason)) {
                assertEq(together[i].reason, alone[i].reason, "a call of a batch fails otherwise");
            }
            reach("batch", success ? "call succeeded" : "call failed");
            if (success) record(calls[i], caller);
        }
    }

    /// @dev What is no list of operations, or cannot get the gas it is promised, fails whole, whatever it does otherwise.
    function performInvalidBatch(Dice memory dice, address caller, bytes[] memory items) private {
        uint256 way = dice.roll(4);
        bytes4 expected = way == 0 ? IPreauthEscrow.InsufficientGas.selector : IPreauthEscrow.InvalidCall.selector;
        if (way == 1) items[dice.roll(items.length)] = new bytes(dice.roll(RAW_LENGTH) + 4);
        bytes memory calls = list(items);
        if (way == 2) {
            uint256 missing = dice.between(1, items[items.length - 1].length - 3);
            assembly ("memory-safe") {
                mstore(calls, sub(mload(calls), missing))
            }
        }
        bytes memory data = batching(calls, GAS_PER_CALL);
        if (way == 3) {
            data = items[0];
            data[4] = bytes1(uint8(dice.between(5, 255)));
        }
        vm.prank(caller);
        (bool success, bytes memory reason) = address(escrow).call{gas: way == 0 ? GAS_PER_CALL : gasleft()}(data);
        if (success || bytes4(reason) != expected) fail("what is no list of operations is taken");
        reach("batch", way == 0 ? "InsufficientGas" : way == 3 ? "no operation" : "InvalidCall");
    }

    /// @dev Now and then several calls are about one hold.
    function drawCalls(Dice memory dice) private returns (Call[] memory calls) {
        calls = new Call[](dice.between(1, MOST_CALLS));
        for (uint256 i = 0; i < calls.length; ++i) {
            uint256 what = dice.roll(10);
            if (what < 3) calls[i] = drawLock(dice);
            else if (what == 3) calls[i] = dice.chance(50) ? drawWrongLock(dice) : drawUsedLock(dice);
            else if (what < 7) calls[i] = drawSettlement(dice);
            else if (what < 8) calls[i] = drawCancellation(dice);
            else calls[i] = drawExpiry(dice);
            if (i != 0 && calls[i].kind != Kind.Authorize && dice.chance(30)) {
                calls[i].terms = calls[i - 1].terms;
                calls[i].amount = uint96(dice.between(1, uint256(calls[i].terms.hold) + 1));
            }
        }
    }

    function oneByOne(address caller, Call[] memory calls)
        private
        returns (Outcome[] memory results, bytes32 state, bytes32 events)
    {
        uint256 snapshot = vm.snapshotState();
        vm.recordLogs();
        results = new Outcome[](calls.length);
        for (uint256 i = 0; i < calls.length; ++i) {
            vm.prank(caller);
            (bool success, bytes memory reason) = address(escrow).call{gas: GAS_PER_CALL}(encoded(calls[i]));
            results[i] = Outcome(success, success ? bytes("") : cut(reason));
        }
        (state, events) = (digestOfState(calls), digestOfEvents());
        vm.revertToStateAndDelete(snapshot);
    }

    /// @dev As a batch keeps it. Foundry puts words of its own, without a selector, where a call fails with none.
    function cut(bytes memory reason) private pure returns (bytes memory) {
        if (bytes4(reason) == 0) return "";
        if (reason.length > LONGEST_REASON) {
            assembly ("memory-safe") {
                mstore(reason, LONGEST_REASON)
            }
        }
        return reason;
    }

    /// @dev Of all whom the calls name. Whom they do not name the books look after.
    function digestOfState(Call[] memory calls) private view returns (bytes32 digest) {
        for (uint256 i = 0; i < calls.length; ++i) {
            IPreauthEscrow.Terms memory terms = calls[i].terms;
            uint256 claim = escrow.claimable(terms.sender, terms.token);
            digest = keccak256(abi.encode(digest, escrow.preauths(terms.preauthId), claim));
            if (!isAsset(terms.token) || tellsNoBalance(terms.token)) continue;
            IERC20 asset = IERC20(terms.token);
            uint256[3] memory held =
                [asset.balanceOf(terms.sender), asset.balanceOf(terms.receiver), asset.balanceOf(address(escrow))];
            digest = keccak256(abi.encode(digest, held));
        }
    }

    /// @dev Terms that were altered may name something else.
    function isAsset(address asset) private view returns (bool) {
        for (uint256 i = 0; i < assets.length; ++i) {
            if (assets[i] == asset) return true;
        }
        return false;
    }

    /// @dev All but those by which a batch tells of its failures.
    function digestOfEvents() private returns (bytes32 digest) {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] == IPreauthEscrow.CallFailed.selector) continue;
            digest = keccak256(abi.encode(digest, logs[i].emitter, logs[i].topics, logs[i].data));
        }
    }
}
