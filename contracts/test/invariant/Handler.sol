// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IPreauthEscrow} from "../../src/interfaces/IPreauthEscrow.sol";
import {Batches} from "./Batches.sol";
import {Dice} from "./Dice.sol";

/// @dev Does with the escrow what anyone may do, in any order. Each action is told by one number and checks at once that
/// the escrow did what the books foretold.
contract Handler is Batches {
    uint256 private constant ENOUGH_STEPS = 1000;
    uint256 private constant MOST_LOCKS = 5;

    constructor() {
        openBooks();
        openOffices();
        expectAll();
    }

    function expectAll() private {
        // forgefmt: disable-start
        expectOutcomes("authorize", "by allowance,by signature,by permit,by authorization,through Permit2,NotOperator,AlreadyUsed,EnforcedPause,InvalidAmount,InvalidExpiry,InvalidParty,InvalidConsent,ConsentRequired,ReceiverNotRegistered,InexactTransfer,refused by others,starved");
        expectOutcomes("settle", "all,a part,refund deferred,NotOperator,NotOpen,TermsMismatch,PreauthExpired,InvalidAmount,refused by others,starved");
        expectOutcomes("cancel", "by an operator,by the receiver,refund deferred,NotOperator,NotOpen,TermsMismatch,starved");
        expectOutcomes("expire", "done,refund deferred,NotOpen,TermsMismatch,NotExpired,starved");
        expectOutcomes("claim", "paid,NothingToClaim,refused by others");
        expectOutcomes("batch", "call succeeded,call failed,InvalidCall,InsufficientGas,no operation");
        expectOutcomes("intruder", "authorize,settle,cancel,expire,claim,raw call,batch,empty batch");
        expectOutcomes("officers", "register,remove,appoint,revoke,pause,unpause,hand over,the guardian refused,another refused");
        expectOutcomes("senders", "demand,trust,withdraw,allow,give");
        // forgefmt: disable-end
    }

    // --------------------------------------------------------------------- operations

    /// @dev More than one: three other actions end holds.
    function lock(uint256 seed) external step {
        Dice memory dice = diceOf(seed);
        // A pause that lasted would leave nothing to do.
        if (isPaused && dice.chance(50)) decideOnPause(false, false);
        for (uint256 i = dice.between(1, MOST_LOCKS); i != 0; --i) {
            Call memory call = drawLock(dice);
            perform(dice, call, drawCaller(dice, call));
        }
    }

    function lockWrongly(uint256 seed) external step {
        Dice memory dice = diceOf(seed);
        Call memory call = dice.chance(70) ? drawWrongLock(dice) : drawUsedLock(dice);
        perform(dice, call, drawCaller(dice, call));
    }

    function settle(uint256 seed) external step {
        Dice memory dice = diceOf(seed);
        Call memory call = drawSettlement(dice);
        perform(dice, call, drawCaller(dice, call));
    }

    function cancel(uint256 seed) external step {
        Dice memory dice = diceOf(seed);
        Call memory call = drawCancellation(dice);
        perform(dice, call, drawCaller(dice, call));
    }

    function expire(uint256 seed) external step {
        Dice memory dice = diceOf(seed);
        Call memory call = drawExpiry(dice);
        perform(dice, call, drawCaller(dice, call));
    }

    function claim(uint256 seed) external step {
        Dice memory dice = diceOf(seed);
        (address sender, address asset) = drawClaim(dice);
        performClaim(dice, sender, asset);
    }

    function batch(uint256 seed) external step {
        performBatch(diceOf(seed));
    }

    // ----------------------------------------------------------------------- the end

    function assertTheBooks() external view {
        assertTouchedBooks(steps);
    }

    /// @dev All that can be looked at once only, when nothing more will happen.
    function conclude() external {
        // A run has twice as many steps (foundry.toml); what is shorter repeats a failure.
        if (steps >= ENOUGH_STEPS) assertEverythingWasReached();
        assertEnds(0, all.length);
        releaseAll();
        calmTokens();
        claimAll();
        for (uint256 i = 0; i < assets.length; ++i) {
            assertBooks(assets[i]);
            assertEq(sums[assets[i]].open, 0, "a hold without an end");
        }
        assertEnds(0, all.length);
    }

    /// @dev Officers do their worst, and tokens are as they are: a stranger releases every hold all the same.
    function releaseAll() private {
        decideOnPause(true, true);
        for (uint256 i = 0; i < operators.length; ++i) {
            decideOnOperator(operators[i], false, true);
        }
        for (uint256 i = 0; i < receivers.length; ++i) {
            decideOnReceiver(receivers[i], false);
        }
        vm.warp(vm.getBlockTimestamp() + LONGEST);
        Call memory call;
        call.kind = Kind.Expire;
        while (openPlaces.length != 0) {
            call.terms = all[openPlaces[openPlaces.length - 1] - 1];
            perform(Dice(openPlaces.length), call, stranger, GAS_PER_CALL);
            resolveDoubts();
            assertStatus(call.terms, IPreauthEscrow.Status.Expired);
        }
    }

    /// @dev Once a token lets them, the senders have everything back. The one that lies may have lost it.
    function claimAll() private {
        for (uint256 i = 0; i < senders.length; ++i) {
            for (uint256 j = 0; j < assets.length; ++j) {
                if (claims[senders[i]][assets[j]] == 0) continue;
                performClaim(Dice(i * assets.length + j), senders[i], assets[j]);
                assertTrue(claims[senders[i]][assets[j]] == 0 || assets[j] == address(lying), "a claim without an end");
            }
        }
    }
}
