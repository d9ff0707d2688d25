// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {StdAssertions} from "forge-std/StdAssertions.sol";
import {Vm} from "forge-std/Vm.sol";

import {DemoToken} from "../src/dev/DemoToken.sol";
import {IPreauthEscrow} from "../src/interfaces/IPreauthEscrow.sol";
import {Groups} from "./Groups.sol";
import {OnceOnlyEscrow} from "./OnceOnlyEscrow.sol";
import {SharedSlotEscrow} from "./SharedSlotEscrow.sol";

/// @dev What docs/contract.md says that the drafts keep and lose.
contract SharedSlotTest is StdAssertions {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    bytes32 private constant TERMS_TYPEHASH = keccak256(
        "Terms(address sender,address receiver,address token,uint96 hold,uint40 expiresAt,bytes32 preauthId)"
    );
    uint96 private constant HOLD = 100;
    uint96 private constant AMOUNT = 60;
    uint256 private constant FUNDS = 100_000;
    uint256 private constant GAS_PER_CALL = 400_000;

    address private operator = address(0xA11);
    address private receiver = address(0xB22);
    address private sender = address(0xC33);
    address private poor = address(0xD44);
    address private stranger = address(0xE55);

    DemoToken private token;
    SharedSlotEscrow private shared;
    OnceOnlyEscrow private onceOnly;

    function setUp() public {
        vm.warp(1_760_000_000);
        token = new DemoToken("Demo Dollar", "DUSD", 6);
        token.mint(sender, FUNDS);
        shared = new SharedSlotEscrow(operator, 5);
        onceOnly = new OnceOnlyEscrow(operator, 5, 20);
        SharedSlotEscrow[2] memory both = [shared, onceOnly];
        for (uint256 i = 0; i < both.length; ++i) {
            both[i].registerReceiver(receiver);
            vm.prank(sender);
            token.approve(address(both[i]), type(uint256).max);
        }
    }

    // ----------------------------------------------------------------------- kept

    function test_HoldsOfOneSlotEndEachInItsOwnWay() public {
        IPreauthEscrow.Terms[] memory terms = someTerms(3);
        lock(shared, terms);
        assertEq(token.balanceOf(address(shared)), 3 * HOLD);

        perform(operator, settling(terms, 1, 0, AMOUNT));
        perform(receiver, cancelling(terms, 1, 1));
        vm.warp(terms[2].expiresAt);
        perform(stranger, expiring(terms, 1, 2));

        assertEq(token.balanceOf(receiver), AMOUNT);
        assertEq(token.balanceOf(sender), FUNDS - AMOUNT);
        assertEq(shared.groups(1) & type(uint64).max, 1 | 2 << 2 | 3 << 4, "settled, cancelled, expired");
    }

    function test_AFailingItemChangesNothingAndHurtsNoNeighbour() public {
        IPreauthEscrow.Terms[] memory terms = someTerms(3);
        terms[1].sender = poor;
        lock(shared, terms);
        assertEq(token.balanceOf(address(shared)), 2 * HOLD);

        IPreauthEscrow.Terms[] memory locked = new IPreauthEscrow.Terms[](2);
        (locked[0], locked[1]) = (terms[0], terms[2]);
        bytes[] memory calls = new bytes[](3);
        calls[0] = settling(locked, 1, 0, AMOUNT);
        calls[1] = settling(terms, 1, 1, AMOUNT);
        calls[2] = settling(locked, 1, 1, AMOUNT);
        vm.prank(operator);
        shared.batch(list(calls), GAS_PER_CALL);
        assertEq(token.balanceOf(receiver), 2 * AMOUNT);
        assertEq(token.balanceOf(address(shared)), 0);
    }

    function test_AHoldIsClosedOnce() public {
        IPreauthEscrow.Terms[] memory terms = someTerms(4);
        lock(shared, terms);
        perform(operator, settling(terms, 1, 0, AMOUNT));
        refused(
            operator,
            settling(terms, 1, 0, AMOUNT),
            abi.encodeWithSelector(IPreauthEscrow.NotOpen.selector, terms[0].preauthId, IPreauthEscrow.Status.Settled)
        );
        // The same way to the root, and another bit.
        notThere(settle(terms[0], AMOUNT, 1, 4, siblingsOf(terms, 0)));
    }

    function testFuzz_OnlyItsOwnTermsOpenAPlace(uint256 count, uint256 which, uint256 field) public {
        count = 1 + count % 40;
        IPreauthEscrow.Terms[] memory terms = someTerms(count);
        lock(shared, terms);
        which = which % (count < 32 ? count : 32);
        IPreauthEscrow.Terms[] memory group = part(terms, 0, count < 32 ? count : 32);
        bytes memory siblings = siblingsOf(group, which);

        IPreauthEscrow.Terms memory other = abi.decode(abi.encode(group[which]), (IPreauthEscrow.Terms));
        field = field % 6;
        if (field == 0) other.sender = stranger;
        if (field == 1) other.receiver = stranger;
        if (field == 2) other.token = stranger;
        if (field == 3) other.hold += 1;
        if (field == 4) other.expiresAt += 1;
        if (field == 5) other.preauthId ^= bytes32(uint256(1));
        notThere(settle(other, AMOUNT, 1, which, siblings));

        // Another place, a way that ends too early, and one that goes on.
        notThere(settle(group[which], AMOUNT, 2, which, siblings));
        notThere(settle(group[which], AMOUNT, 1, which ^ 1, siblings));
        if (siblings.length != 0) {
            notThere(settle(group[which], AMOUNT, 1, which, cut(siblings, siblings.length - 32)));
        }
        notThere(settle(group[which], AMOUNT, 1, which, bytes.concat(siblings, bytes32(0))));

        perform(operator, settle(group[which], AMOUNT, 1, which, siblings));
        assertEq(token.balanceOf(receiver), AMOUNT);
    }

    function test_ANodeIsNoLeaf() public {
        IPreauthEscrow.Terms[] memory terms = someTerms(4);
        lock(shared, terms);
        bytes32 left = node(hashOf(terms[0]), hashOf(terms[1]));
        bytes32 right = node(hashOf(terms[2]), hashOf(terms[3]));
        assertEq(uint256(node(left, right)) >> 64, shared.groups(1) >> 64);
        // The upper nodes are a tree too; but a node that were a leaf of it would have to be the hash of some terms.
        for (uint256 i = 0; i < 4; ++i) {
            notThere(settle(terms[i], AMOUNT, 1, i >> 1, abi.encode(i < 2 ? right : left)));
        }
    }

    function test_NothingIsLockedOutsideOfAGroup() public {
        IPreauthEscrow.Terms[] memory terms = someTerms(1);
        refused(operator, authorizing(terms[0]), abi.encodeWithSelector(IPreauthEscrow.Reentered.selector));
        bytes[] memory calls = new bytes[](1);
        calls[0] = authorizing(terms[0]);
        vm.prank(operator);
        shared.batch(list(calls), GAS_PER_CALL);
        assertEq(token.balanceOf(address(shared)), 0);
    }

    function test_APayerReleasesWithWhatTheChainTells() public {
        IPreauthEscrow.Terms[] memory terms = someTerms(7);
        vm.recordLogs();
        lock(shared, terms);
        IPreauthEscrow.Terms[] memory seen = fromLogs(vm.getRecordedLogs());
        vm.warp(terms[0].expiresAt);
        perform(sender, expiring(seen, 1, 5));
        assertEq(token.balanceOf(address(shared)), 6 * HOLD);
    }

    // ----------------------------------------------------------------------- lost

    function test_ABatchSentTwiceIsRefused() public {
        IPreauthEscrow.Terms[] memory terms = someTerms(2);
        uint256 known = shared.head();
        lock(shared, terms);
        vm.expectRevert(abi.encodeWithSelector(Groups.HistoryMoved.selector, shared.head()));
        vm.prank(operator);
        shared.authorizeMany(known, list(authorizing(terms)), GAS_PER_CALL);
    }

    function test_TheSameIdInAnotherBatchLocksTwice() public {
        IPreauthEscrow.Terms[] memory terms = someTerms(2);
        lock(shared, terms);
        lock(shared, terms);
        assertEq(token.balanceOf(address(shared)), 4 * HOLD);
        perform(operator, settling(terms, 1, 0, AMOUNT));
        perform(operator, settling(terms, 2, 0, AMOUNT));
        assertEq(token.balanceOf(receiver), 2 * AMOUNT);
    }

    // -------------------------------------------------------------- kept, at a price

    function test_AnIdIsUsedOnceWhereItsFingerprintStays() public {
        IPreauthEscrow.Terms[] memory terms = someTerms(2);
        lock(onceOnly, terms);
        terms[1].expiresAt += 1;
        lock(onceOnly, terms);
        assertEq(token.balanceOf(address(onceOnly)), 2 * HOLD);
    }

    function test_AnIdThatFailedIsFree() public {
        IPreauthEscrow.Terms[] memory terms = someTerms(1);
        terms[0].sender = poor;
        lock(onceOnly, terms);
        terms[0].sender = sender;
        lock(onceOnly, terms);
        assertEq(token.balanceOf(address(onceOnly)), HOLD);
    }

    function test_AFullBucketGoesOnAndForgetsNothing() public {
        IPreauthEscrow.Terms[] memory terms = someTerms(20);
        for (uint256 i = 0; i < terms.length; ++i) {
            terms[i].preauthId = bytes32(i);
        }
        lock(onceOnly, terms);
        assertEq(token.balanceOf(address(onceOnly)), 19 * HOLD, "0 and 1 have the same fingerprint");
        lock(onceOnly, terms);
        assertEq(token.balanceOf(address(onceOnly)), 19 * HOLD);
    }

    // ---------------------------------------------------------------------- verbs

    function lock(SharedSlotEscrow escrow, IPreauthEscrow.Terms[] memory terms) private {
        uint256 known = escrow.head();
        vm.prank(operator);
        escrow.authorizeMany(known, list(authorizing(terms)), GAS_PER_CALL);
    }

    function perform(address caller, bytes memory call) private {
        vm.prank(caller);
        (bool success,) = address(shared).call(bytes.concat(SharedSlotEscrow.performRaw.selector, call));
        assertTrue(success, "performed");
    }

    function refused(address caller, bytes memory call, bytes memory reason) private {
        vm.prank(caller);
        (bool success, bytes memory answer) =
            address(shared).call(bytes.concat(SharedSlotEscrow.performRaw.selector, call));
        assertFalse(success, "refused");
        assertEq(answer, reason);
    }

    /// @dev The terms in the call name the id of the refusal.
    function notThere(bytes memory rawCall) private {
        bytes32 preauthId;
        assembly ("memory-safe") {
            preauthId := mload(add(rawCall, 0x6e))
        }
        refused(operator, rawCall, abi.encodeWithSelector(Groups.NotThere.selector, preauthId));
    }

    // ---------------------------------------------------------------------- calls

    function authorizing(IPreauthEscrow.Terms memory terms) private pure returns (bytes memory) {
        return raw(1, terms, "");
    }

    function authorizing(IPreauthEscrow.Terms[] memory terms) private pure returns (bytes[] memory calls) {
        calls = new bytes[](terms.length);
        for (uint256 i = 0; i < terms.length; ++i) {
            calls[i] = authorizing(terms[i]);
        }
    }

    function settling(IPreauthEscrow.Terms[] memory group, uint256 number, uint256 index, uint96 amount)
        private
        pure
        returns (bytes memory)
    {
        return settle(group[index], amount, number, index, siblingsOf(group, index));
    }

    function cancelling(IPreauthEscrow.Terms[] memory group, uint256 number, uint256 index)
        private
        pure
        returns (bytes memory)
    {
        return raw(3, group[index], place(number, index, siblingsOf(group, index)));
    }

    function expiring(IPreauthEscrow.Terms[] memory group, uint256 number, uint256 index)
        private
        pure
        returns (bytes memory)
    {
        return raw(4, group[index], place(number, index, siblingsOf(group, index)));
    }

    function settle(
        IPreauthEscrow.Terms memory terms,
        uint96 amount,
        uint256 number,
        uint256 index,
        bytes memory siblings
    ) private pure returns (bytes memory) {
        return raw(2, terms, bytes.concat(bytes12(amount), place(number, index, siblings)));
    }

    function place(uint256 number, uint256 index, bytes memory siblings) private pure returns (bytes memory) {
        return abi.encodePacked(uint32(number), uint8(index), siblings);
    }

    function raw(uint8 operation, IPreauthEscrow.Terms memory t, bytes memory rest)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodePacked(operation, t.sender, t.receiver, t.token, t.hold, t.expiresAt, t.preauthId, rest);
    }

    function list(bytes[] memory calls) private pure returns (bytes memory all) {
        for (uint256 i = 0; i < calls.length; ++i) {
            all = bytes.concat(all, bytes2(uint16(calls[i].length)), calls[i]);
        }
    }

    // -------------------------------------------------------------- terms and trees

    function someTerms(uint256 count) private view returns (IPreauthEscrow.Terms[] memory terms) {
        terms = new IPreauthEscrow.Terms[](count);
        for (uint256 i = 0; i < count; ++i) {
            uint40 expiresAt = uint40(vm.getBlockTimestamp() + 1 days);
            terms[i] = IPreauthEscrow.Terms(sender, receiver, address(token), HOLD, expiresAt, keccak256(abi.encode(i)));
        }
    }

    function siblingsOf(IPreauthEscrow.Terms[] memory group, uint256 index)
        private
        pure
        returns (bytes memory siblings)
    {
        uint256 width = 1;
        while (width < group.length) width *= 2;
        bytes32[] memory nodes = new bytes32[](width);
        for (uint256 i = 0; i < group.length; ++i) {
            nodes[i] = hashOf(group[i]);
        }
        for (; width > 1; index /= 2) {
            siblings = bytes.concat(siblings, nodes[index ^ 1]);
            width /= 2;
            for (uint256 i = 0; i < width; ++i) {
                nodes[i] = node(nodes[2 * i], nodes[2 * i + 1]);
            }
        }
    }

    function hashOf(IPreauthEscrow.Terms memory terms) private pure returns (bytes32) {
        return keccak256(abi.encode(TERMS_TYPEHASH, terms));
    }

    function node(bytes32 left, bytes32 right) private pure returns (bytes32) {
        return keccak256(abi.encode(left, right));
    }

    function part(IPreauthEscrow.Terms[] memory terms, uint256 first, uint256 count)
        private
        pure
        returns (IPreauthEscrow.Terms[] memory some)
    {
        some = new IPreauthEscrow.Terms[](count);
        for (uint256 i = 0; i < count; ++i) {
            some[i] = terms[first + i];
        }
    }

    function cut(bytes memory data, uint256 length) private pure returns (bytes memory shorter) {
        shorter = new bytes(length);
        for (uint256 i = 0; i < length; ++i) {
            shorter[i] = data[i];
        }
    }

    function fromLogs(Vm.Log[] memory logs) private pure returns (IPreauthEscrow.Terms[] memory terms) {
        uint256 count;
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] == IPreauthEscrow.Authorized.selector) ++count;
        }
        terms = new IPreauthEscrow.Terms[](count);
        count = 0;
        for (uint256 i = 0; i < logs.length; ++i) {
            bytes32[] memory topics = logs[i].topics;
            if (topics[0] != IPreauthEscrow.Authorized.selector) continue;
            (address inToken, uint96 hold, uint40 expiresAt) = abi.decode(logs[i].data, (address, uint96, uint40));
            (address from, address to) = (address(uint160(uint256(topics[2]))), address(uint160(uint256(topics[3]))));
            terms[count++] = IPreauthEscrow.Terms(from, to, inToken, hold, expiresAt, topics[1]);
        }
    }
}
