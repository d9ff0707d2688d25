// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IPreauthEscrow} from "../src/interfaces/IPreauthEscrow.sol";
import {EscrowTest} from "./EscrowTest.sol";

/// @dev The lead and the marks at the gate spare reads of storage. They must never decide otherwise than what they stand
/// for, and they must be there, or they spare nothing.
contract ShortcutsTest is EscrowTest {
    uint256 private constant MARKS = 88;

    function test_ARevokedLeadMayNothingAtOnce() public {
        IPreauthEscrow.Terms memory fresh = someTerms();
        vm.prank(guardian);
        escrow.setOperator(operator, false);
        refused(operator, notOperator(operator));
        escrow.authorize(fresh, "");
    }

    function test_TheLeadStaysUntilItIsRevoked() public {
        uint256 slot = slotOfLead();
        allow(stranger, true);
        assertEq(leadIn(slot), operator);
        allow(stranger, false);
        assertEq(leadIn(slot), operator);
        allow(operator, false);
        assertEq(leadIn(slot), address(0));
        allow(stranger, true);
        assertEq(leadIn(slot), stranger);
    }

    /// @dev A sender for each mark.
    function test_EachMarkCounts() public {
        for (uint160 mark = 0; mark < MARKS; ++mark) {
            IPreauthEscrow.Terms memory terms = someTerms();
            terms.sender = address(uint160(MARKS) * 1_000_000_007 + mark);
            vm.prank(terms.sender);
            escrow.requireSignedConsent(true);
            refused(operator, abi.encodeWithSelector(IPreauthEscrow.ConsentRequired.selector, terms.sender));
            escrow.authorize(terms, "");
        }
    }

    /// @dev A mark costs every sender who shares it a read, so whoever demands nothing sets none.
    function test_WhoDemandsNothingIsNotMarked() public {
        vm.record();
        vm.prank(sender);
        escrow.requireSignedConsent(false);
        (, bytes32[] memory written) = vm.accesses(address(escrow));
        assertEq(written.length, 1);
    }

    /// @dev An authorization of somebody without a mark reads no demand of his.
    function test_WhoIsNotMarkedIsNotLookedUp() public {
        vm.record();
        someHold();
        (bytes32[] memory unmarked,) = vm.accesses(address(escrow));
        vm.prank(address(uint160(sender) + uint160(MARKS)));
        escrow.requireSignedConsent(true);
        vm.record();
        someHold();
        (bytes32[] memory marked,) = vm.accesses(address(escrow));
        assertEq(marked.length, unmarked.length + 1);
    }

    /// @dev An authorization of the lead reads no list of operators.
    function test_TheLeadIsNotLookedUp() public {
        vm.record();
        someHold();
        (bytes32[] memory byLead,) = vm.accesses(address(escrow));
        allow(stranger, true);
        IPreauthEscrow.Terms memory terms = someTerms();
        vm.record();
        vm.prank(stranger);
        escrow.authorize(terms, "");
        (bytes32[] memory byAnother,) = vm.accesses(address(escrow));
        assertEq(byAnother.length, byLead.length + 1);
    }

    function allow(address account, bool allowed) private {
        vm.prank(admin);
        escrow.setOperator(account, allowed);
    }

    function leadIn(uint256 slot) private view returns (address) {
        return address(uint160(uint256(vm.load(address(escrow), bytes32(slot)))));
    }

    function slotOfLead() private view returns (uint256 slot) {
        while (leadIn(slot) != operator) ++slot;
    }
}
