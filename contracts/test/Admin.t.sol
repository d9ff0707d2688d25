// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";

import {PreauthEscrow} from "../src/PreauthEscrow.sol";
import {IPreauthEscrow} from "../src/interfaces/IPreauthEscrow.sol";
import {EscrowTest} from "./EscrowTest.sol";

contract AdminTest is EscrowTest {
    // -------------------------------------------------------------- construction

    function test_TheConstructorSetsTheRoles() public {
        address[] memory operators = new address[](2);
        (operators[0], operators[1]) = (operator, stranger);
        vm.expectEmit();
        emit IPreauthEscrow.GuardianSet(guardian);
        vm.expectEmit();
        emit IPreauthEscrow.OperatorSet(operator, true);
        vm.expectEmit();
        emit IPreauthEscrow.OperatorSet(stranger, true);
        PreauthEscrow other = new PreauthEscrow(admin, guardian, operators, DELAY, LONGEST, PERMIT2);
        assertEq(other.owner(), admin);
        assertEq(other.guardian(), guardian);
        assertTrue(other.isOperator(operator));
        assertTrue(other.isOperator(stranger));
        assertFalse(other.isOperator(admin));
        assertEq(other.RECEIVER_DELAY(), DELAY);
        assertEq(other.MAX_HOLD(), LONGEST);
        assertEq(other.REFUND_GAS(), 100_000);
        (, string memory name, string memory version,,,,) = other.eip712Domain();
        assertEq(name, "PreauthEscrow");
        assertEq(version, "1");
    }

    function test_SettingsOutOfBoundsAreRejected() public {
        vm.expectRevert(IPreauthEscrow.InvalidSetting.selector);
        new PreauthEscrow(admin, guardian, new address[](0), DELAY, 0, PERMIT2);
        vm.expectRevert(IPreauthEscrow.InvalidSetting.selector);
        new PreauthEscrow(admin, guardian, new address[](0), 365 days + 1, LONGEST, PERMIT2);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableInvalidOwner.selector, address(0)));
        new PreauthEscrow(address(0), guardian, new address[](0), DELAY, LONGEST, PERMIT2);
        new PreauthEscrow(admin, address(0), new address[](0), 365 days, type(uint40).max, PERMIT2);
    }

    function test_WithoutADelayARegistrationCountsAtOnce() public {
        PreauthEscrow other = new PreauthEscrow(admin, guardian, new address[](0), 0, LONGEST, PERMIT2);
        vm.startPrank(admin);
        other.registerReceiver(receiver);
        other.setOperator(operator, true);
        vm.stopPrank();
        vm.prank(sender);
        token.approve(address(other), HOLD);
        IPreauthEscrow.Terms memory terms = someTerms();
        vm.prank(operator);
        other.authorize(terms, "");
    }

    // ----------------------------------------------------------------- receivers

    function test_TheAdminRegistersReceivers() public {
        expectEvent();
        emit IPreauthEscrow.ReceiverRegistered(stranger, uint40(block.timestamp) + DELAY);
        vm.prank(admin);
        escrow.registerReceiver(stranger);

        expectEvent();
        emit IPreauthEscrow.ReceiverRemoved(stranger);
        vm.prank(admin);
        escrow.removeReceiver(stranger);
        assertEq(escrow.receiverActiveFrom(stranger), 0);
    }

    function test_RegisteringAgainKeepsTheFirstTime() public {
        uint40 activeFrom = escrow.receiverActiveFrom(receiver);
        vm.prank(admin);
        escrow.registerReceiver(receiver);
        assertEq(escrow.receiverActiveFrom(receiver), activeFrom);
        someHold();
    }

    function test_ARemovedReceiverWaitsAgain() public {
        vm.startPrank(admin);
        escrow.removeReceiver(receiver);
        escrow.registerReceiver(receiver);
        vm.stopPrank();
        assertEq(escrow.receiverActiveFrom(receiver), block.timestamp + DELAY);
    }

    function test_TheZeroAddressIsNoReceiver() public {
        refused(admin, abi.encodeWithSelector(IPreauthEscrow.InvalidParty.selector, address(0)));
        escrow.registerReceiver(address(0));
    }

    function test_OnlyTheAdminKeepsTheRegistry() public {
        address[5] memory callers = [stranger, guardian, operator, sender, receiver];
        for (uint256 i = 0; i < callers.length; ++i) {
            refused(callers[i], notAdmin(callers[i]));
            escrow.registerReceiver(receiver);
            refused(callers[i], notAdmin(callers[i]));
            escrow.removeReceiver(receiver);
        }
    }

    // ----------------------------------------------------------------- operators

    function test_TheAdminSetsOperators() public {
        expectEvent();
        emit IPreauthEscrow.OperatorSet(stranger, true);
        vm.prank(admin);
        escrow.setOperator(stranger, true);
        assertTrue(escrow.isOperator(stranger));
        vm.prank(admin);
        escrow.setOperator(stranger, false);
        assertFalse(escrow.isOperator(stranger));
    }

    function test_TheGuardianRevokesOperatorsButAllowsNone() public {
        expectEvent();
        emit IPreauthEscrow.OperatorSet(operator, false);
        vm.prank(guardian);
        escrow.setOperator(operator, false);
        assertFalse(escrow.isOperator(operator));

        refused(guardian, notAdmin(guardian));
        escrow.setOperator(operator, true);
    }

    function test_NobodyElseSetsOperators() public {
        address[4] memory callers = [stranger, operator, sender, receiver];
        for (uint256 i = 0; i < callers.length; ++i) {
            refused(callers[i], abi.encodeWithSelector(IPreauthEscrow.NotGuardian.selector, callers[i]));
            escrow.setOperator(operator, false);
            refused(callers[i], abi.encodeWithSelector(IPreauthEscrow.NotGuardian.selector, callers[i]));
            escrow.setOperator(callers[i], true);
        }
    }

    // --------------------------------------------------------- guardian and pause

    function test_OnlyTheAdminNamesTheGuardian() public {
        address[3] memory callers = [stranger, operator, guardian];
        for (uint256 i = 0; i < callers.length; ++i) {
            refused(callers[i], notAdmin(callers[i]));
            escrow.setGuardian(callers[i]);
        }
        expectEvent();
        emit IPreauthEscrow.GuardianSet(stranger);
        vm.prank(admin);
        escrow.setGuardian(stranger);
        refused(guardian, abi.encodeWithSelector(IPreauthEscrow.NotGuardian.selector, guardian));
        escrow.pause();
        vm.prank(stranger);
        escrow.pause();
    }

    function test_GuardianAndAdminPauseAndTheAdminAloneUnpauses() public {
        vm.prank(guardian);
        escrow.pause();
        refused(admin, Pausable.EnforcedPause.selector);
        escrow.pause();
        refused(guardian, notAdmin(guardian));
        escrow.unpause();
        vm.prank(admin);
        escrow.unpause();
        refused(admin, Pausable.ExpectedPause.selector);
        escrow.unpause();
        vm.prank(admin);
        escrow.pause();
        assertTrue(escrow.paused());
    }

    function test_NobodyElsePauses() public {
        address[4] memory callers = [stranger, operator, sender, receiver];
        for (uint256 i = 0; i < callers.length; ++i) {
            refused(callers[i], abi.encodeWithSelector(IPreauthEscrow.NotGuardian.selector, callers[i]));
            escrow.pause();
        }
    }

    // --------------------------------------------------------------------- admin

    function test_TheAdminHandsOverInTwoSteps() public {
        vm.prank(admin);
        escrow.transferOwnership(stranger);
        assertEq(escrow.owner(), admin);
        vm.prank(stranger);
        escrow.acceptOwnership();
        assertEq(escrow.owner(), stranger);
    }

    function test_TheAdminCannotVanish() public {
        refused(admin, IPreauthEscrow.InvalidSetting.selector);
        escrow.renounceOwnership();
    }

    function notAdmin(address caller) private pure returns (bytes memory) {
        return abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, caller);
    }
}
