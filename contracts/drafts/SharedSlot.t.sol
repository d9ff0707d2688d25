// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {StdAssertions} from "forge-std/StdAssertions.sol";
import {Vm} from "forge-std/Vm.sol";

import {DemoToken} from "../src/dev/DemoToken.sol";
import {SharedSlot} from "./SharedSlot.sol";

contract SharedSlotTest is StdAssertions {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    address private constant SENDER = address(0xA11);
    address private constant RECEIVER = address(0xB22);
    SharedSlot private draft;
    DemoToken private token;

    function setUp() public {
        draft = new SharedSlot();
        token = new DemoToken("Demo Dollar", "DUSD", 6);
        token.mint(SENDER, 1000);
        vm.prank(SENDER);
        token.approve(address(draft), type(uint256).max);
    }

    function test_theSamePreauthInAnotherBatchLocksTwice() public {
        _lock(1, 2);
        _lock(1, 3);
        assertEq(token.balanceOf(address(draft)), 400);
    }

    function test_aWrongProofIsRefused() public {
        SharedSlot.Item[] memory items = _item(_lock(1, 2), 3);
        vm.expectRevert(SharedSlot.Refused.selector);
        draft.settleMany(items);
    }

    function test_aHoldIsClosedOnce() public {
        SharedSlot.Item[] memory items = _item(_lock(1, 2), 2);
        draft.settleMany(items);
        assertEq(token.balanceOf(RECEIVER), 60);
        vm.expectRevert(SharedSlot.Refused.selector);
        draft.settleMany(items);
    }

    function _lock(uint256 first, uint256 second) private returns (bytes32) {
        SharedSlot.Terms[] memory terms = new SharedSlot.Terms[](2);
        (terms[0], terms[1]) = (_terms(first), _terms(second));
        return draft.authorizeMany(terms);
    }

    function _item(bytes32 root, uint256 sibling) private view returns (SharedSlot.Item[] memory items) {
        items = new SharedSlot.Item[](1);
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = draft.leafOf(_terms(sibling));
        items[0] = SharedSlot.Item(_terms(1), root, 0, 60, proof);
    }

    function _terms(uint256 id) private view returns (SharedSlot.Terms memory) {
        return SharedSlot.Terms(SENDER, RECEIVER, address(token), 100, uint40(block.timestamp + 1 days), bytes32(id));
    }
}
