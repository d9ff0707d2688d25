// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";

import {IPreauthEscrow} from "../src/interfaces/IPreauthEscrow.sol";
import {EscrowTest} from "./EscrowTest.sol";

/// @dev What a wallet accepts by ERC-1271 is the wallet's to say, and may be no bytes at all: each kind ends where its own
/// part ends.
contract EmptySignaturesTest is EscrowTest {
    function setUp() public override {
        super.setUp();
        vm.etch(sender, hex"fe");
        bytes memory question = abi.encodePacked(IERC1271.isValidSignature.selector);
        vm.mockCall(sender, question, abi.encode(IERC1271.isValidSignature.selector));
        vm.prank(sender);
        token.approve(PERMIT2, type(uint256).max);
    }

    function test_EachKindTakesASignatureOfNoBytes() public {
        locksWith(abi.encodePacked(uint8(1)));
        locksWith(abi.encodePacked(uint8(2), uint16(0)));
        locksWith(abi.encodePacked(uint8(3)));
        locksWith(abi.encodePacked(uint8(4), uint256(7)));
    }

    function test_AByteLessIsNoConsent() public {
        refusesWith(abi.encodePacked(uint8(2), uint8(0)));
        refusesWith(abi.encodePacked(uint8(4), new bytes(31)));
    }

    /// @dev The mark of a wallet that is not there yet (ERC-6492), and nothing that it would mark.
    function test_AnEmptyWrapIsNoSignature() public {
        bytes32 mark = 0x6492649264926492649264926492649264926492649264926492649264926492;
        IPreauthEscrow.Terms memory terms = someTerms();
        vm.prank(operator);
        (bool success,) = address(escrow).call(authorizing(terms, abi.encodePacked(uint8(1), mark)));
        assertFalse(success);
        assertStatus(terms, IPreauthEscrow.Status.None);
    }

    function locksWith(bytes memory consent) private {
        IPreauthEscrow.Terms memory terms = someTerms();
        vm.prank(operator);
        escrow.authorize(terms, consent);
        assertStatus(terms, IPreauthEscrow.Status.Open);
    }

    function refusesWith(bytes memory consent) private {
        IPreauthEscrow.Terms memory terms = someTerms();
        refused(operator, IPreauthEscrow.InvalidConsent.selector);
        escrow.authorize(terms, consent);
    }
}
