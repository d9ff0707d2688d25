// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IPreauthEscrow} from "../src/interfaces/IPreauthEscrow.sol";
import {EscrowTest} from "./EscrowTest.sol";

contract ExpireTest is EscrowTest {
    function test_AnyoneReleasesAnExpiredHold() public {
        IPreauthEscrow.Terms memory terms = someHold();
        vm.warp(terms.expiresAt);
        expectEvent();
        emit IPreauthEscrow.Expired(terms.preauthId);
        vm.prank(stranger);
        escrow.expire(terms);
        assertEq(token.balanceOf(sender), FUNDS);
        assertEq(token.balanceOf(address(escrow)), 0);
        assertStatus(terms, IPreauthEscrow.Status.Expired);
    }

    function test_ExpireOneSecondEarlyIsRejected() public {
        IPreauthEscrow.Terms memory terms = someHold();
        vm.warp(terms.expiresAt - 1);
        refused(operator, abi.encodeWithSelector(IPreauthEscrow.NotExpired.selector, terms.preauthId, terms.expiresAt));
        escrow.expire(terms);
    }

    /// @dev At every second exactly one of the two is possible.
    function testFuzz_SettleAndExpireAreComplementary(uint256 time) public {
        IPreauthEscrow.Terms memory terms = someHold();
        vm.warp(bound(time, block.timestamp, uint256(terms.expiresAt) * 2));
        uint256 state = vm.snapshotState();

        vm.prank(operator);
        (bool settled,) = address(escrow).call(settling(terms, AMOUNT));
        vm.revertToState(state);
        (bool expired,) = address(escrow).call(expiring(terms));

        assertTrue(settled != expired);
        assertEq(expired, block.timestamp >= terms.expiresAt);
    }

    function test_NothingAndNobodyStopsIt() public {
        IPreauthEscrow.Terms memory terms = someHold();
        vm.prank(guardian);
        escrow.pause();
        vm.startPrank(admin);
        escrow.setOperator(operator, false);
        escrow.removeReceiver(receiver);
        vm.stopPrank();
        vm.warp(terms.expiresAt);
        vm.prank(stranger);
        escrow.expire(terms);
        assertEq(token.balanceOf(sender), FUNDS);
    }

    function test_AnUnknownIdIsRejected() public {
        IPreauthEscrow.Terms memory terms = someTerms();
        vm.warp(terms.expiresAt);
        refused(stranger, notOpen(terms.preauthId, IPreauthEscrow.Status.None));
        escrow.expire(terms);
    }

    function test_AHoldExpiresOnce() public {
        IPreauthEscrow.Terms memory terms = someHold();
        someHold();
        vm.warp(terms.expiresAt);
        escrow.expire(terms);
        refused(stranger, notOpen(terms.preauthId, IPreauthEscrow.Status.Expired));
        escrow.expire(terms);
    }

    function test_OtherTermsAreRejected() public {
        IPreauthEscrow.Terms memory terms = someHold();
        vm.warp(terms.expiresAt);
        for (uint256 field = 0; field < ALTERABLE_FIELDS; ++field) {
            IPreauthEscrow.Terms memory other = altered(terms, field);
            refused(stranger, termsMismatch(terms.preauthId));
            escrow.expire(other);
        }
    }
}
