// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IPreauthEscrow} from "../../src/interfaces/IPreauthEscrow.sol";
import {ICallback} from "../mocks/CallbackToken.sol";
import {HostileToken} from "../mocks/HostileToken.sol";
import {LyingToken} from "../mocks/LyingToken.sol";
import {Coverage} from "./Coverage.sol";
import {Dice} from "./Dice.sol";
import {Draws} from "./Draws.sol";

/// @dev What goes on around the escrow: time passes, officers decide, senders change their minds, tokens their manners.
abstract contract World is Draws, Coverage {
    uint256 private constant LARGEST_GIFT = 1000;
    uint256 private constant LARGEST_FEE_BPS = 1000;

    address private otherAdmin = actor("admin two");
    address private otherGuardian = actor("guardian two");

    uint256 internal steps;

    modifier step() {
        ++steps;
        _;
        resolveDoubts();
    }

    /// @dev The fuzzer likes to repeat its numbers, so that each counts for its step only.
    function diceOf(uint256 seed) internal view returns (Dice memory) {
        return Dice(uint256(keccak256(abi.encode(seed, steps))));
    }

    /// @dev One receiver is registered from the beginning, one waits, one is not.
    function openOffices() internal {
        activeFrom[receiver] = escrow.receiverActiveFrom(receiver);
        vm.prank(admin);
        escrow.registerReceiver(receivers[1]);
        activeFrom[receivers[1]] = block.timestamp + DELAY;
        vm.startPrank(admin);
        escrow.setOperator(operators[1], true);
        escrow.setOperator(address(witness), true);
        vm.stopPrank();
        vm.prank(senders[1]);
        calling.setHook(witness);
        vm.prank(receivers[1]);
        calling.setHook(witness);
        mayOperate[operators[0]] = mayOperate[operators[1]] = mayOperate[address(witness)] = true;
    }

    // ------------------------------------------------------------------------- time

    function passTime(uint256 seed) external step {
        Dice memory dice = diceOf(seed);
        uint256 time = block.timestamp + dice.between(1, 8 hours);
        if (openPlaces.length != 0 && dice.chance(30)) {
            // The last second of a hold, or the first one after it.
            uint256 edge = all[openPlaces[dice.roll(openPlaces.length)] - 1].expiresAt - dice.roll(2);
            if (edge > block.timestamp && edge < time + 2 days) time = edge;
        }
        vm.warp(time);
    }

    // ---------------------------------------------------------------------- officers

    function decide(uint256 seed) external step {
        Dice memory dice = diceOf(seed);
        uint256 what = dice.roll(12);
        if (what > 9) {
            decideWithoutRight(dice);
        } else if (what < 2) {
            decideOnReceiver(receivers[dice.roll(receivers.length)], dice.chance(75));
        } else if (what < 7) {
            decideOnOperator(operators[dice.roll(operators.length)], dice.chance(85), dice.chance(50));
        } else if (what < 9) {
            decideOnPause(dice.chance(40), dice.chance(50));
        } else {
            handOver();
        }
    }

    function decideOnReceiver(address account, bool allowed) internal {
        vm.prank(admin);
        if (allowed) {
            escrow.registerReceiver(account);
            if (activeFrom[account] == 0) activeFrom[account] = block.timestamp + DELAY;
        } else {
            escrow.removeReceiver(account);
            delete activeFrom[account];
        }
        assertEq(escrow.receiverActiveFrom(account), activeFrom[account]);
        reach("officers", allowed ? "register" : "remove");
    }

    function decideOnOperator(address account, bool allowed, bool byGuardian) internal {
        vm.prank(byGuardian && !allowed ? guardian : admin);
        escrow.setOperator(account, allowed);
        mayOperate[account] = allowed;
        reach("officers", allowed ? "appoint" : "revoke");
    }

    function decideOnPause(bool pause, bool byGuardian) internal {
        if (pause == isPaused) return;
        vm.prank(byGuardian && pause ? guardian : admin);
        if (pause) escrow.pause();
        else escrow.unpause();
        isPaused = pause;
        reach("officers", pause ? "pause" : "unpause");
    }

    /// @dev The guardian stops, and only the admin starts.
    function decideWithoutRight(Dice memory dice) private {
        address[4] memory callers = [operators[0], receivers[0], stranger, guardian];
        uint256 who = dice.chance(50) ? 3 : dice.roll(3);
        address account = dice.chance(50) ? callers[who] : operators[dice.roll(operators.length)];
        bytes[8] memory decisions = [
            abi.encodeCall(escrow.setOperator, (account, true)),
            abi.encodeCall(escrow.registerReceiver, (account)),
            abi.encodeCall(escrow.removeReceiver, (account)),
            abi.encodeCall(escrow.setGuardian, (account)),
            abi.encodeCall(escrow.transferOwnership, (account)),
            abi.encodeCall(escrow.unpause, ()),
            abi.encodeCall(escrow.setOperator, (account, false)),
            abi.encodeCall(escrow.pause, ())
        ];
        // The last two are the guardian's as well.
        uint256 which = dice.roll(callers[who] == guardian ? 6 : 8);
        vm.prank(callers[who]);
        (bool success,) = address(escrow).call(decisions[which]);
        if (success) fail("decided by someone who may not");
        reach("officers", callers[who] == guardian ? "the guardian refused" : "another refused");
    }

    function handOver() private {
        vm.startPrank(admin);
        escrow.setGuardian(otherGuardian);
        escrow.transferOwnership(otherAdmin);
        vm.stopPrank();
        vm.prank(otherAdmin);
        escrow.acceptOwnership();
        (admin, otherAdmin) = (otherAdmin, admin);
        (guardian, otherGuardian) = (otherGuardian, guardian);
        reach("officers", "hand over");
    }

    // ----------------------------------------------------------------------- senders

    function changeMind(uint256 seed) external step {
        Dice memory dice = diceOf(seed);
        address account = senders[dice.roll(senders.length)];
        address asset = assets[dice.roll(assets.length)];
        uint256 what = dice.roll(3);
        if (what == 0) {
            bool required = dice.chance(40);
            vm.prank(account);
            escrow.requireSignedConsent(required);
            demandsSignature[account] = required;
            reach("senders", required ? "demand" : "trust");
        } else if (what == 1) {
            bool withdrawn = dice.chance(30);
            allow(asset, account, withdrawn ? dice.roll(LARGEST_GIFT) : type(uint256).max);
            reach("senders", withdrawn ? "withdraw" : "allow");
        } else if (!refuses(asset, account, address(escrow)) && asset != address(calling) && isExact(asset)) {
            give(asset, account, dice.between(1, LARGEST_GIFT));
        }
    }

    /// @dev Tokens that nobody asked for are no one's, and disturb nothing.
    function give(address asset, address giver, uint256 amount) private {
        vm.prank(giver);
        (bool given,) = asset.call(abi.encodeCall(token.transfer, (address(escrow), amount)));
        assertTrue(given);
        recordGift(asset, giver, amount);
        reach("senders", "give");
    }

    // ------------------------------------------------------------------------ tokens

    function turnToken(uint256 seed) external step {
        Dice memory dice = diceOf(seed);
        if (dice.chance(20)) return calmTokens();
        uint256 which = dice.roll(5);
        if (which == 0) turnMoody(dice);
        else if (which == 1) turnCalling(dice);
        else if (which == 2) hostile.setManner(dice.chance(50) ? HostileToken.Manner.Fair : drawHostility(dice));
        else if (which == 3) turnLying(dice);
        else taxed.setFeeBps(dice.chance(30) ? 0 : dice.roll(LARGEST_FEE_BPS));
    }

    function turnMoody(Dice memory dice) private {
        uint256 what = dice.roll(4);
        if (what == 0) moody.setPaused(dice.chance(30));
        else if (what == 1) moody.setReturnFalse(dice.chance(30));
        else moody.block(drawHolder(dice), dice.chance(30));
    }

    function turnCalling(Dice memory dice) private {
        if (dice.chance(20)) return witness.refuse(dice.chance(40));
        address account = drawHolder(dice);
        if (account == address(escrow)) return;
        vm.prank(account);
        calling.setHook(dice.chance(70) ? ICallback(witness) : ICallback(address(0)));
    }

    /// @dev Of those that keep balances as they are.
    function drawHostility(Dice memory dice) private pure returns (HostileToken.Manner manner) {
        manner = HostileToken.Manner(dice.roll(uint256(type(HostileToken.Manner).max) + 1));
        if (dice.chance(30)) manner = HostileToken.Manner.NeedGas;
    }

    function turnLying(Dice memory dice) private {
        uint256 what = dice.roll(4);
        if (what == 0) lying.mint(address(escrow), dice.roll(LARGEST_GIFT));
        LyingToken.Manner manner = lying.manner();
        lying.setManner(LyingToken.Manner.Honest);
        uint256 held = lying.balanceOf(address(escrow));
        if (what == 1) lying.burn(address(escrow), dice.roll(held / 10 + 1));
        if (what > 1) manner = LyingToken.Manner(dice.roll(uint256(type(LyingToken.Manner).max) + 1));
        lying.setManner(manner);
    }

    /// @dev A token turns against one side, just when a hold is to end.
    function turnAgainst(Dice memory dice, IPreauthEscrow.Terms memory terms) internal {
        address side = dice.chance(65) ? terms.sender : terms.receiver;
        if (terms.token == address(moody)) {
            calmTokens();
            moody.block(side, true);
        } else if (terms.token == address(calling)) {
            vm.prank(terms.receiver);
            calling.setHook(ICallback(address(0)));
            vm.prank(side);
            calling.setHook(witness);
            witness.refuse(dice.chance(60));
        } else if (terms.token == address(hostile)) {
            hostile.setManner(drawHostility(dice));
        }
    }

    function drawHolder(Dice memory dice) private view returns (address) {
        return holders[dice.roll(holders.length)];
    }

    /// @dev Every token does what it was told from now on.
    function calmTokens() internal {
        moody.setPaused(false);
        moody.setReturnFalse(false);
        for (uint256 i = 0; i < holders.length; ++i) {
            if (moody.blocked(holders[i])) moody.block(holders[i], false);
        }
        taxed.setFeeBps(0);
        witness.refuse(false);
        hostile.setManner(HostileToken.Manner.Fair);
        lying.setManner(LyingToken.Manner.Honest);
    }
}
