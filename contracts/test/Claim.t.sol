// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IPreauthEscrow} from "../src/interfaces/IPreauthEscrow.sol";
import {EscrowTest} from "./EscrowTest.sol";
import {HostileToken} from "./mocks/HostileToken.sol";
import {MoodyToken} from "./mocks/MoodyToken.sol";

contract ClaimTest is EscrowTest {
    MoodyToken private moody;

    function setUp() public override {
        super.setUp();
        moody = new MoodyToken("Moody", "MOOD", 6);
        moody.mint(sender, FUNDS);
        vm.prank(sender);
        moody.approve(address(escrow), type(uint256).max);
    }

    function test_ARefusedRefundCanBeClaimed() public {
        IPreauthEscrow.Terms memory terms = someHold(address(moody));
        moody.block(sender, true);
        vm.warp(terms.expiresAt);

        expectEvent();
        emit IPreauthEscrow.Expired(terms.preauthId);
        expectEvent();
        emit IPreauthEscrow.RefundDeferred(terms.preauthId, sender, address(moody), HOLD);
        escrow.expire(terms);
        assertEq(escrow.claimable(sender, address(moody)), HOLD);
        assertStatus(terms, IPreauthEscrow.Status.Expired);

        moody.block(sender, false);
        expectEvent();
        emit IPreauthEscrow.Claimed(sender, address(moody), HOLD);
        vm.prank(stranger);
        escrow.claim(sender, address(moody));
        assertEq(moody.balanceOf(sender), FUNDS);
        assertEq(moody.balanceOf(address(escrow)), 0);
        assertEq(escrow.claimable(sender, address(moody)), 0);
    }

    function test_RefusedRefundsAddUp() public {
        IPreauthEscrow.Terms memory one = someHold(address(moody));
        IPreauthEscrow.Terms memory two = someHold(address(moody));
        moody.setPaused(true);
        vm.startPrank(operator);
        escrow.cancel(one);
        escrow.cancel(two);
        vm.stopPrank();
        assertEq(escrow.claimable(sender, address(moody)), 2 * uint256(HOLD));
        moody.setPaused(false);
        escrow.claim(sender, address(moody));
        assertEq(moody.balanceOf(sender), FUNDS);
    }

    function test_EveryKindOfRefusalIsDeferred() public {
        HostileToken hostile = new HostileToken();
        hostile.mint(sender, FUNDS);
        vm.prank(sender);
        hostile.approve(address(escrow), type(uint256).max);
        HostileToken.Manner[5] memory manners = [
            HostileToken.Manner.BurnAllGas,
            HostileToken.Manner.ReturnBomb,
            HostileToken.Manner.RevertBomb,
            HostileToken.Manner.ShortAnswer,
            HostileToken.Manner.OddAnswer
        ];
        for (uint256 i = 0; i < manners.length; ++i) {
            hostile.setManner(HostileToken.Manner.Fair);
            IPreauthEscrow.Terms memory terms = someHold(address(hostile));
            hostile.setManner(manners[i]);
            vm.prank(operator);
            // Bounded: the token gets no more than its fixed gas, and what it answers is not copied.
            escrow.cancel{gas: 220_000}(terms);
            assertEq(escrow.claimable(sender, address(hostile)), uint256(HOLD) * (i + 1));
            assertStatus(terms, IPreauthEscrow.Status.Cancelled);
        }
        hostile.setManner(HostileToken.Manner.Fair);
        escrow.claim(sender, address(hostile));
        assertEq(hostile.balanceOf(sender), FUNDS);
    }

    function test_ATokenWhoseCodeIsGoneDefersTheRefund() public {
        IPreauthEscrow.Terms memory terms = someHold(address(moody));
        bytes memory code = address(moody).code;
        vm.etch(address(moody), "");
        vm.prank(operator);
        escrow.cancel(terms);
        assertEq(escrow.claimable(sender, address(moody)), HOLD);
        vm.etch(address(moody), code);
        escrow.claim(sender, address(moody));
        assertEq(moody.balanceOf(sender), FUNDS);
    }

    function test_NothingToClaim() public {
        someHold(address(moody));
        refused(stranger, abi.encodeWithSelector(IPreauthEscrow.NothingToClaim.selector, sender, address(moody)));
        escrow.claim(sender, address(moody));
    }

    function test_AClaimIsPaidOnce() public {
        IPreauthEscrow.Terms memory terms = someHold(address(moody));
        someHold(address(moody));
        moody.block(sender, true);
        vm.prank(operator);
        escrow.cancel(terms);
        moody.block(sender, false);
        escrow.claim(sender, address(moody));
        refused(sender, abi.encodeWithSelector(IPreauthEscrow.NothingToClaim.selector, sender, address(moody)));
        escrow.claim(sender, address(moody));
    }

    function test_AClaimTheTokenStillRefusesIsKept() public {
        IPreauthEscrow.Terms memory terms = someHold(address(moody));
        moody.block(sender, true);
        vm.prank(operator);
        escrow.cancel(terms);
        refused(sender, abi.encodeWithSelector(MoodyToken.AccountBlocked.selector, sender));
        escrow.claim(sender, address(moody));
        assertEq(escrow.claimable(sender, address(moody)), HOLD);
    }

    function test_PauseDoesNotStopIt() public {
        IPreauthEscrow.Terms memory terms = someHold(address(moody));
        moody.block(sender, true);
        vm.prank(operator);
        escrow.cancel(terms);
        moody.block(sender, false);
        vm.prank(guardian);
        escrow.pause();
        escrow.claim(sender, address(moody));
        assertEq(moody.balanceOf(sender), FUNDS);
    }
}
