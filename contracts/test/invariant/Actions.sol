// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IPreauthEscrow} from "../../src/interfaces/IPreauthEscrow.sol";
import {Dice} from "./Dice.sol";
import {World} from "./World.sol";

/// @dev Calls the escrow, compares with the forecast, and writes what happened into the books.
abstract contract Actions is World {
    uint256 private constant ATTACKS = 8;
    uint256 private constant LITTLE_GAS = 50_000;
    uint256 private constant PERHAPS_ENOUGH_GAS = 200_000;

    /// @dev What the witness tries, and how often it was turned away.
    string private armed;
    uint256 private turnedAway;

    function perform(Dice memory dice, Call memory call, address caller) internal {
        perform(dice, call, caller, dice.chance(90) ? GAS_PER_CALL : dice.between(LITTLE_GAS, PERHAPS_ENOUGH_GAS));
    }

    function perform(Dice memory dice, Call memory call, address caller, uint256 gasGiven) internal {
        if (call.kind != Kind.Authorize && dice.chance(50)) turnAgainst(dice, call.terms);
        if (call.terms.token == address(calling)) arm(dice);
        Faults memory faults = forecast(caller, call);
        bytes memory data = dice.chance(50) ? raw(call) : encoded(call);
        takeOff(call.terms);
        vm.prank(caller);
        (bool success, bytes memory reason) = address(escrow).call{gas: gasGiven}(data);
        land();
        // Too little gas may fail a call. It may not make it end otherwise, so a refund is paid if the token lets it.
        if (!success && gasGiven != GAS_PER_CALL) return reach(nameOf(call.kind), "starved");
        if (!isForeseen(faults, success, reason)) failWith(nameOf(call.kind), call.terms.token, success, reason);
        if (success) record(call, caller);
        else reach(nameOf(call.kind), nameOf(reason));
    }

    function record(Call memory call, address caller) internal {
        if (call.kind == Kind.Authorize) {
            recordLock(call.terms);
            reach("authorize", nameOf(call.consentKind));
        } else if (call.kind == Kind.Settle) {
            bool isDeferred = recordSettlement(call.terms, call.amount);
            reach("settle", isDeferred ? "refund deferred" : call.amount == call.terms.hold ? "all" : "a part");
        } else if (call.kind == Kind.Cancel) {
            bool isDeferred = recordRelease(call.terms, IPreauthEscrow.Status.Cancelled);
            bool byReceiver = caller == call.terms.receiver;
            reach("cancel", isDeferred ? "refund deferred" : byReceiver ? "by the receiver" : "by an operator");
        } else {
            bool isDeferred = recordRelease(call.terms, IPreauthEscrow.Status.Expired);
            reach("expire", isDeferred ? "refund deferred" : "done");
        }
    }

    function performClaim(Dice memory dice, address sender, address asset) internal {
        if (asset == address(calling)) arm(dice);
        Faults memory faults = forecastClaim(sender, asset);
        vm.prank(stranger);
        (bool success, bytes memory reason) =
            address(escrow).call{gas: GAS_PER_CALL}(abi.encodeCall(IPreauthEscrow.claim, (sender, asset)));
        if (!isForeseen(faults, success, reason)) failWith("claim", asset, success, reason);
        if (success) recordClaim(sender, asset);
        reach("claim", success ? "paid" : nameOf(reason));
    }

    /// @dev Mostly one that there is.
    function drawClaim(Dice memory dice) internal returns (address sender, address asset) {
        while (deferred.length != 0 && dice.chance(80)) {
            uint256 which = dice.roll(deferred.length);
            (sender, asset) = (deferred[which].sender, deferred[which].asset);
            if (claims[sender][asset] != 0) return (sender, asset);
            deferred[which] = deferred[deferred.length - 1];
            deferred.pop();
        }
        return (senders[dice.roll(senders.length)], assets[dice.roll(assets.length)]);
    }

    /// @dev Tells the witness what to try should a token call it.
    function arm(Dice memory dice) internal {
        lookAfterWitness();
        uint256 way = turnedAway % ATTACKS;
        Call memory call;
        call.terms = drawHold(dice);
        call.amount = 1;
        if (way < 4) {
            call.kind = Kind(way);
            armWith(nameOf(call.kind), encoded(call));
        } else if (way == 4) {
            (address sender, address asset) = drawClaim(dice);
            armWith("claim", abi.encodeCall(IPreauthEscrow.claim, (sender, asset)));
        } else if (way == 5) {
            armWith("raw call", raw(call));
        } else if (way == 6) {
            armWith("batch", batching(list(raw(call)), GAS_PER_CALL / 4));
        } else {
            armWith("empty batch", batching(list(new bytes[](0)), GAS_PER_CALL / 4));
        }
    }

    function armWith(string memory attack, bytes memory data) private {
        armed = attack;
        witness.prepare(this, data);
    }

    /// @dev Counts only attacks that were really made.
    function lookAfterWitness() private {
        uint256 count = witness.turnedAway();
        if (witness.isAlarmed()) fail(witness.flaw());
        if (count == turnedAway) return;
        turnedAway = count;
        reach("intruder", armed);
    }

    /// @dev In words, for whoever has to find out why.
    function failWith(string memory method, address asset, bool success, bytes memory reason) private view {
        uint256 which = 0;
        while (which < assets.length && assets[which] != asset) ++which;
        string memory call = string.concat(method, " in token ", vm.toString(which));
        string memory ending = success ? " must not succeed" : " must not fail: ";
        fail(string.concat(call, ending, success ? "" : vm.toString(reason)));
    }

    function nameOf(uint8 consentKind) private pure returns (string memory) {
        if (consentKind == 0) return "by allowance";
        if (consentKind == 1) return "by signature";
        if (consentKind == 2) return "by permit";
        return consentKind == 3 ? "by authorization" : "through Permit2";
    }

    function nameOf(Kind kind) internal pure returns (string memory) {
        if (kind == Kind.Authorize) return "authorize";
        if (kind == Kind.Settle) return "settle";
        return kind == Kind.Cancel ? "cancel" : "expire";
    }
}
