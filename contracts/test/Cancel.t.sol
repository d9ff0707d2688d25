// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IPreauthEscrow} from "../src/interfaces/IPreauthEscrow.sol";
import {EscrowTest} from "./EscrowTest.sol";

contract CancelTest is EscrowTest {
    function test_TheOperatorGivesEverythingBack() public {
        IPreauthEscrow.Terms memory terms = someHold();
        expectEvent();
        emit IPreauthEscrow.Cancelled(terms.preauthId);
        vm.prank(operator);
        escrow.cancel(terms);
        assertEq(token.balanceOf(sender), FUNDS);
        assertEq(token.balanceOf(address(escrow)), 0);
        assertStatus(terms, IPreauthEscrow.Status.Cancelled);
    }

    function test_TheReceiverGivesEverythingBack() public {
        IPreauthEscrow.Terms memory terms = someHold();
        vm.prank(receiver);
        escrow.cancel(terms);
        assertEq(token.balanceOf(sender), FUNDS);
        assertStatus(terms, IPreauthEscrow.Status.Cancelled);
    }

    function test_NobodyElseDoes() public {
        IPreauthEscrow.Terms memory terms = someHold();
        address[4] memory callers = [stranger, admin, guardian, sender];
        for (uint256 i = 0; i < callers.length; ++i) {
            refused(callers[i], notOperator(callers[i]));
            escrow.cancel(terms);
        }
    }

    function test_NamingOneselfReceiverDoesNotHelp() public {
        IPreauthEscrow.Terms memory terms = someHold();
        terms.receiver = stranger;
        refused(stranger, termsMismatch(terms.preauthId));
        escrow.cancel(terms);
    }

    function test_ItHasNoDeadline() public {
        IPreauthEscrow.Terms memory before = someHold();
        IPreauthEscrow.Terms memory onTime = someHold();
        IPreauthEscrow.Terms memory longAfter = someHold();
        vm.startPrank(operator);
        vm.warp(before.expiresAt - 1);
        escrow.cancel(before);
        vm.warp(onTime.expiresAt);
        escrow.cancel(onTime);
        vm.warp(longAfter.expiresAt + 3650 days);
        escrow.cancel(longAfter);
        vm.stopPrank();
        assertEq(token.balanceOf(sender), FUNDS);
    }

    function test_PauseDoesNotStopIt() public {
        IPreauthEscrow.Terms memory terms = someHold();
        vm.prank(guardian);
        escrow.pause();
        vm.prank(receiver);
        escrow.cancel(terms);
        assertEq(token.balanceOf(sender), FUNDS);
    }

    function test_AnUnknownIdIsRejected() public {
        IPreauthEscrow.Terms memory terms = someTerms();
        refused(operator, notOpen(terms.preauthId, IPreauthEscrow.Status.None));
        escrow.cancel(terms);
    }

    function test_AHoldIsCancelledOnce() public {
        IPreauthEscrow.Terms memory terms = someHold();
        someHold();
        vm.prank(operator);
        escrow.cancel(terms);
        refused(operator, notOpen(terms.preauthId, IPreauthEscrow.Status.Cancelled));
        escrow.cancel(terms);
        refused(operator, notOpen(terms.preauthId, IPreauthEscrow.Status.Cancelled));
        escrow.settle(terms, AMOUNT);
    }

    function test_OtherTermsAreRejected() public {
        IPreauthEscrow.Terms memory terms = someHold();
        for (uint256 field = 0; field < ALTERABLE_FIELDS; ++field) {
            IPreauthEscrow.Terms memory other = altered(terms, field);
            refused(operator, termsMismatch(terms.preauthId));
            escrow.cancel(other);
        }
    }
}
