// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {IPreauthEscrow} from "../src/interfaces/IPreauthEscrow.sol";
import {EscrowTest} from "./EscrowTest.sol";
import {HostileToken} from "./mocks/HostileToken.sol";
import {MoodyToken} from "./mocks/MoodyToken.sol";

contract SettleTest is EscrowTest {
    function test_PaysTheReceiverAndReturnsTheRest() public {
        IPreauthEscrow.Terms memory terms = someHold();

        expectEvent();
        emit IPreauthEscrow.Settled(terms.preauthId, AMOUNT);
        vm.prank(operator);
        escrow.settle(terms, AMOUNT);

        assertEq(token.balanceOf(receiver), AMOUNT);
        assertEq(token.balanceOf(sender), FUNDS - AMOUNT);
        assertEq(token.balanceOf(address(escrow)), 0);
        assertStatus(terms, IPreauthEscrow.Status.Settled);
    }

    function test_TheWholeHoldCanBeSettled() public {
        IPreauthEscrow.Terms memory terms = someHold();
        vm.expectCall(address(token), abi.encodeCall(token.transfer, (sender, 0)), 0);
        vm.prank(operator);
        escrow.settle(terms, HOLD);
        assertEq(token.balanceOf(receiver), HOLD);
        assertEq(token.balanceOf(sender), FUNDS - HOLD);
    }

    /// @dev Without a rest there is no refund, and so no gas to set aside for it.
    function test_TheWholeHoldNeedsNoRefundGas() public {
        IPreauthEscrow.Terms memory terms = someHold();
        vm.prank(operator);
        escrow.settle{gas: 90_000}(terms, HOLD);
        assertStatus(terms, IPreauthEscrow.Status.Settled);
    }

    function testFuzz_EveryUnitGoesToOneOfTheTwo(uint96 hold, uint96 amount) public {
        IPreauthEscrow.Terms memory terms = someTerms();
        terms.hold = uint96(bound(hold, 1, type(uint96).max));
        amount = uint96(bound(amount, 1, terms.hold));
        token.mint(sender, terms.hold);
        lock(terms);

        vm.prank(operator);
        escrow.settle(terms, amount);

        assertEq(token.balanceOf(receiver), amount);
        assertEq(token.balanceOf(sender), FUNDS + terms.hold - amount);
        assertEq(token.balanceOf(address(escrow)), 0);
    }

    function test_AnotherHoldIsNotTouched() public {
        IPreauthEscrow.Terms memory terms = someHold();
        IPreauthEscrow.Terms memory other = someHold();
        vm.prank(operator);
        escrow.settle(terms, AMOUNT);
        assertEq(token.balanceOf(address(escrow)), HOLD);
        assertStatus(other, IPreauthEscrow.Status.Open);
    }

    // ------------------------------------------------------------------- caller

    function test_OnlyOperatorsSettle() public {
        IPreauthEscrow.Terms memory terms = someHold();
        address[5] memory callers = [stranger, admin, guardian, sender, receiver];
        for (uint256 i = 0; i < callers.length; ++i) {
            refused(callers[i], notOperator(callers[i]));
            escrow.settle(terms, AMOUNT);
        }
    }

    function test_PauseDoesNotStopIt() public {
        IPreauthEscrow.Terms memory terms = someHold();
        vm.prank(guardian);
        escrow.pause();
        vm.prank(operator);
        escrow.settle(terms, AMOUNT);
        assertEq(token.balanceOf(receiver), AMOUNT);
    }

    function test_ARemovedReceiverIsStillPaid() public {
        IPreauthEscrow.Terms memory terms = someHold();
        vm.prank(admin);
        escrow.removeReceiver(receiver);
        vm.prank(operator);
        escrow.settle(terms, AMOUNT);
        assertEq(token.balanceOf(receiver), AMOUNT);
    }

    // ----------------------------------------------------------------- deadline

    function test_SettleJustBeforeExpiryIsFine() public {
        IPreauthEscrow.Terms memory terms = someHold();
        vm.warp(terms.expiresAt - 1);
        vm.prank(operator);
        escrow.settle(terms, AMOUNT);
        assertStatus(terms, IPreauthEscrow.Status.Settled);
    }

    function test_SettleAtExpiryIsRejected() public {
        IPreauthEscrow.Terms memory terms = someHold();
        vm.warp(terms.expiresAt);
        refused(
            operator, abi.encodeWithSelector(IPreauthEscrow.PreauthExpired.selector, terms.preauthId, terms.expiresAt)
        );
        escrow.settle(terms, AMOUNT);
    }

    // ------------------------------------------------------------------- amounts

    function test_ZeroIsNoSettlement() public {
        IPreauthEscrow.Terms memory terms = someHold();
        refused(operator, invalidAmount(0));
        escrow.settle(terms, 0);
    }

    function test_MoreThanTheHoldIsRejected() public {
        IPreauthEscrow.Terms memory terms = someHold();
        someHold();
        refused(operator, invalidAmount(HOLD + 1));
        escrow.settle(terms, HOLD + 1);
        refused(operator, invalidAmount(type(uint96).max));
        escrow.settle(terms, type(uint96).max);
    }

    // --------------------------------------------------------------------- state

    function test_AnUnknownIdIsRejected() public {
        IPreauthEscrow.Terms memory terms = someTerms();
        refused(operator, notOpen(terms.preauthId, IPreauthEscrow.Status.None));
        escrow.settle(terms, AMOUNT);
    }

    function test_AHoldIsSettledOnce() public {
        IPreauthEscrow.Terms memory terms = someHold();
        someHold();
        vm.prank(operator);
        escrow.settle(terms, AMOUNT);
        refused(operator, notOpen(terms.preauthId, IPreauthEscrow.Status.Settled));
        escrow.settle(terms, AMOUNT);
    }

    function test_AClosedHoldIsToldBeforeItsExpiry() public {
        IPreauthEscrow.Terms memory terms = someHold();
        vm.warp(terms.expiresAt);
        escrow.expire(terms);
        refused(operator, notOpen(terms.preauthId, IPreauthEscrow.Status.Expired));
        escrow.settle(terms, AMOUNT);
    }

    function test_OtherTermsAreRejected() public {
        IPreauthEscrow.Terms memory terms = someHold();
        for (uint256 field = 0; field < ALTERABLE_FIELDS; ++field) {
            IPreauthEscrow.Terms memory other = altered(terms, field);
            refused(operator, termsMismatch(terms.preauthId));
            escrow.settle(other, AMOUNT);
        }
    }

    // --------------------------------------------------------------------- tokens

    function test_ABlockedReceiverLeavesTheHoldOpen() public {
        MoodyToken moody = new MoodyToken("Moody", "MOOD", 6);
        IPreauthEscrow.Terms memory terms = heldIn(moody);
        moody.block(receiver, true);
        refused(operator, abi.encodeWithSelector(MoodyToken.AccountBlocked.selector, receiver));
        escrow.settle(terms, AMOUNT);
        assertStatus(terms, IPreauthEscrow.Status.Open);
        assertEq(moody.balanceOf(address(escrow)), HOLD);

        moody.block(receiver, false);
        vm.prank(operator);
        escrow.settle(terms, AMOUNT);
        assertEq(moody.balanceOf(receiver), AMOUNT);
    }

    function test_ATokenThatAnswersFalseLeavesTheHoldOpen() public {
        MoodyToken moody = new MoodyToken("Moody", "MOOD", 6);
        IPreauthEscrow.Terms memory terms = heldIn(moody);
        moody.setReturnFalse(true);
        refused(operator, abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, moody));
        escrow.settle(terms, AMOUNT);
        assertStatus(terms, IPreauthEscrow.Status.Open);
    }

    function test_ABlockedSenderDoesNotStopThePayout() public {
        MoodyToken moody = new MoodyToken("Moody", "MOOD", 6);
        IPreauthEscrow.Terms memory terms = heldIn(moody);
        moody.block(sender, true);

        expectEvent();
        emit IPreauthEscrow.Settled(terms.preauthId, AMOUNT);
        expectEvent();
        emit IPreauthEscrow.RefundDeferred(terms.preauthId, sender, address(moody), HOLD - AMOUNT);
        vm.prank(operator);
        escrow.settle(terms, AMOUNT);

        assertEq(moody.balanceOf(receiver), AMOUNT);
        assertEq(escrow.claimable(sender, address(moody)), HOLD - AMOUNT);
        assertEq(moody.balanceOf(address(escrow)), HOLD - AMOUNT);
    }

    function test_TooLittleGasForTheRefundIsToldByName() public {
        IPreauthEscrow.Terms memory terms = someHold();
        vm.expectRevert(abi.encodeWithSelector(IPreauthEscrow.InsufficientGas.selector, escrow.REFUND_GAS()));
        vm.prank(operator);
        escrow.settle{gas: 110_000}(terms, AMOUNT);
        assertStatus(terms, IPreauthEscrow.Status.Open);
    }

    function heldIn(MoodyToken moody) private returns (IPreauthEscrow.Terms memory) {
        moody.mint(sender, FUNDS);
        vm.prank(sender);
        moody.approve(address(escrow), type(uint256).max);
        return someHold(address(moody));
    }
}
