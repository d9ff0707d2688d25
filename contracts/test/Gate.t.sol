// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";

import {IPreauthEscrow} from "../src/interfaces/IPreauthEscrow.sol";
import {EscrowTest} from "./EscrowTest.sol";

/// @dev Operators and senders who demand signatures: what is kept in one slot to save gas changes no answer.
contract GateTest is EscrowTest {
    address private second = actor("second operator");

    // ----------------------------------------------------------------------- operators

    function test_EachOperatorMayDoAll() public {
        allow(second, true);
        eachMay(operator);
        eachMay(second);
    }

    function test_ARevokedOperatorMayDoNothing() public {
        allow(second, true);
        allow(operator, false);
        eachMay(second);
        mayNothing(operator);
        allow(second, false);
        mayNothing(second);
    }

    function test_ALaterOperatorIsRevokedLikeTheFirst() public {
        allow(second, true);
        allow(second, false);
        mayNothing(second);
        eachMay(operator);
    }

    function test_WhoeverComesWhenNobodyWasLeft() public {
        allow(operator, false);
        allow(second, true);
        eachMay(second);
        allow(operator, true);
        allow(operator, true);
        eachMay(operator);
        allow(second, false);
        mayNothing(second);
        eachMay(operator);
    }

    /// @dev Whatever is allowed and revoked, in any order: what counts is what `isOperator` says.
    function testFuzz_TheGateKnowsWhoIsAnOperator(uint256 seed, uint8 steps) public {
        address[4] memory accounts = [operator, second, stranger, actor("third operator")];
        for (uint256 step = 0; step < steps % 12; ++step) {
            seed = uint256(keccak256(abi.encode(seed)));
            allow(accounts[seed % 4], seed & 0x100 == 0);
        }
        for (uint256 i = 0; i < accounts.length; ++i) {
            IPreauthEscrow.Terms memory terms = someTerms();
            vm.prank(accounts[i]);
            (bool success,) = address(escrow).call(authorizing(terms));
            assertEq(success, escrow.isOperator(accounts[i]));
        }
    }

    // -------------------------------------------------------------------- demands

    function test_ADemandOfAnotherWithTheSameMarkIsNobodysElse() public {
        address twin = address(uint160(sender) + 88);
        demand(twin, true);
        someHold();
        demand(sender, true);
        mayNotBeLockedUnsigned(sender);
        demand(twin, false);
        mayNotBeLockedUnsigned(sender);
        demand(sender, false);
        someHold();
        assertFalse(escrow.signedConsentRequired(twin));
    }

    /// @dev Whoever demands, and whoever takes it back: exactly those who demand now are not locked unsigned.
    function testFuzz_TheGateKnowsWhoDemands(bytes32 seed, uint16 demanding, uint16 takingBack) public {
        for (uint256 i = 0; i < 12; ++i) {
            if (demanding & (1 << i) != 0) demand(someone(seed, i), true);
        }
        for (uint256 i = 0; i < 12; ++i) {
            if (takingBack & (1 << i) != 0) demand(someone(seed, i), false);
        }
        for (uint256 i = 0; i < 12; ++i) {
            IPreauthEscrow.Terms memory terms = someTerms();
            terms.sender = someone(seed, i);
            vm.prank(operator);
            (, bytes memory answer) = address(escrow).call(authorizing(terms));
            bytes memory refusal = abi.encodeWithSelector(IPreauthEscrow.ConsentRequired.selector, terms.sender);
            assertEq(keccak256(answer) == keccak256(refusal), escrow.signedConsentRequired(terms.sender));
        }
    }

    function someone(bytes32 seed, uint256 number) private pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encode(seed, number)))));
    }

    // ------------------------------------------------------------------------ one slot

    /// @dev The slot that the constructor filled with the operator also holds the marks and the pause.
    function test_WhatIsAskedFirstIsOneSlot() public {
        uint256 slot = slotOfLead();
        uint256 before = uint256(vm.load(address(escrow), bytes32(slot)));
        demand(sender, true);
        uint256 marked = uint256(vm.load(address(escrow), bytes32(slot)));
        assertEq(marked, before | (1 << (160 + uint160(sender) % 88)));
        vm.prank(guardian);
        escrow.pause();
        assertEq(uint256(vm.load(address(escrow), bytes32(slot))), marked | (1 << 248));
        refused(operator, Pausable.EnforcedPause.selector);
        escrow.authorize(someTerms(), "");
    }

    // --------------------------------------------------------------------- helpers

    function slotOfLead() private view returns (uint256 slot) {
        while (uint256(vm.load(address(escrow), bytes32(slot))) != uint160(operator)) {
            ++slot;
            assertLt(slot, 20);
        }
    }

    function allow(address account, bool allowed) private {
        vm.prank(admin);
        escrow.setOperator(account, allowed);
        assertEq(escrow.isOperator(account), allowed);
    }

    function demand(address account, bool required) private {
        vm.prank(account);
        escrow.requireSignedConsent(required);
    }

    function mayNotBeLockedUnsigned(address account) private {
        IPreauthEscrow.Terms memory terms = someTerms();
        refused(operator, abi.encodeWithSelector(IPreauthEscrow.ConsentRequired.selector, account));
        escrow.authorize(terms, "");
    }

    function eachMay(address account) private {
        IPreauthEscrow.Terms memory one = someTerms();
        IPreauthEscrow.Terms memory two = someTerms();
        vm.startPrank(account);
        escrow.authorize(one, "");
        escrow.authorize(two, "");
        escrow.settle(one, AMOUNT);
        escrow.cancel(two);
        vm.stopPrank();
    }

    function mayNothing(address account) private {
        IPreauthEscrow.Terms memory terms = someTerms();
        IPreauthEscrow.Terms memory held = someTerms();
        vm.prank(admin);
        escrow.setOperator(address(this), true);
        escrow.authorize(held, "");
        vm.prank(admin);
        escrow.setOperator(address(this), false);
        refused(account, notOperator(account));
        escrow.authorize(terms, "");
        refused(account, notOperator(account));
        escrow.settle(held, AMOUNT);
        refused(account, notOperator(account));
        escrow.cancel(held);
    }
}
