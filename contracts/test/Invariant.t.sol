// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {StdInvariant} from "forge-std/StdInvariant.sol";

import {PreauthEscrow} from "../src/PreauthEscrow.sol";
import {IPreauthEscrow} from "../src/interfaces/IPreauthEscrow.sol";
import {EscrowTest} from "./EscrowTest.sol";
import {MoodyToken} from "./mocks/MoodyToken.sol";

/// @dev Does with the escrow what its users do, in any order, and keeps its own books.
contract Handler is EscrowTest {
    MoodyToken private moody;
    address[3] public senders;
    address[2] public receivers;

    IPreauthEscrow.Terms[] private all;
    IPreauthEscrow.Status[] private expected;

    mapping(address account => uint256) public settledFrom;
    mapping(address account => uint256) public settledTo;
    mapping(address account => uint256) public openOf;
    uint256 public openTotal;

    constructor(PreauthEscrow escrow_, MoodyToken moody_) {
        escrow = escrow_;
        moody = moody_;
        senders = [actor("sender"), actor("sender two"), actor("sender three")];
        receivers = [actor("receiver"), actor("receiver two")];
    }

    function authorize(uint256 who, uint96 hold, uint256 secondsToLive) external {
        IPreauthEscrow.Terms memory terms = newTerms(who, hold, secondsToLive);
        if (moody.blocked(terms.sender)) return;
        vm.prank(operator);
        escrow.authorize(terms, "");
        recordLock(terms);
    }

    function authorizeAgain(uint256 which, uint96 hold) external {
        if (all.length == 0) return;
        IPreauthEscrow.Terms memory terms = newTerms(which, hold, 0);
        which = which % all.length;
        terms.preauthId = all[which].preauthId;
        refused(operator, alreadyUsed(terms.preauthId, expected[which]));
        escrow.authorize(terms, "");
    }

    function settle(uint256 which, uint96 amount) external {
        if (all.length == 0) return;
        which = which % all.length;
        IPreauthEscrow.Terms memory terms = all[which];
        amount = uint96(bound(amount, 1, terms.hold));
        bool possible = expected[which] == IPreauthEscrow.Status.Open && block.timestamp < terms.expiresAt
            && !moody.blocked(terms.receiver);
        vm.prank(operator);
        (bool success,) = address(escrow).call(settling(terms, amount));
        assertEq(success, possible);
        if (success) recordSettlement(which, amount);
    }

    function cancel(uint256 which, bool byReceiver) external {
        if (all.length == 0) return;
        which = which % all.length;
        vm.prank(byReceiver ? all[which].receiver : operator);
        (bool success,) = address(escrow).call(cancelling(all[which]));
        assertEq(success, expected[which] == IPreauthEscrow.Status.Open);
        if (success) recordRelease(which, IPreauthEscrow.Status.Cancelled);
    }

    function expire(uint256 which) external {
        if (all.length == 0) return;
        which = which % all.length;
        bool due = expected[which] == IPreauthEscrow.Status.Open && block.timestamp >= all[which].expiresAt;
        (bool success,) = address(escrow).call(expiring(all[which]));
        assertEq(success, due);
        if (success) recordRelease(which, IPreauthEscrow.Status.Expired);
    }

    function batch(uint256 one, uint256 two, uint96 amount, uint96 hold) external {
        if (all.length == 0) return;
        (one, two) = (one % all.length, two % all.length);
        amount = uint96(bound(amount, 1, all[one].hold));
        IPreauthEscrow.Terms memory fresh = newTerms(two, hold, 0);
        Outcome[] memory results =
            batchBy(operator, list(settling(all[one], amount), cancelling(all[two]), authorizing(fresh)));
        if (results[0].success) recordSettlement(one, amount);
        if (results[1].success) recordRelease(two, IPreauthEscrow.Status.Cancelled);
        if (results[2].success) recordLock(fresh);
    }

    function claim(uint256 who) external {
        address account = senders[who % senders.length];
        bool possible = escrow.claimable(account, address(moody)) != 0 && !moody.blocked(account);
        (bool success,) = address(escrow).call(abi.encodeCall(IPreauthEscrow.claim, (account, address(moody))));
        assertEq(success, possible);
    }

    function blockAccount(uint256 who, bool isBlocked) external {
        who = who % (senders.length + receivers.length);
        moody.block(who < senders.length ? senders[who] : receivers[who - senders.length], isBlocked);
    }

    function passTime(uint256 period) external {
        vm.warp(block.timestamp + bound(period, 1, 12 hours));
    }

    // --------------------------------------------------------------------- books

    function newTerms(uint256 who, uint96 hold, uint256 secondsToLive)
        private
        view
        returns (IPreauthEscrow.Terms memory)
    {
        return IPreauthEscrow.Terms({
            sender: senders[who % senders.length],
            receiver: receivers[who % receivers.length],
            token: address(moody),
            hold: uint96(bound(hold, 1, 1e15)),
            expiresAt: uint40(block.timestamp + bound(secondsToLive, 1, 1 days)),
            preauthId: keccak256(abi.encode(all.length))
        });
    }

    function recordLock(IPreauthEscrow.Terms memory terms) private {
        all.push(terms);
        expected.push(IPreauthEscrow.Status.Open);
        openOf[terms.sender] += terms.hold;
        openTotal += terms.hold;
    }

    function recordSettlement(uint256 which, uint96 amount) private {
        recordRelease(which, IPreauthEscrow.Status.Settled);
        settledFrom[all[which].sender] += amount;
        settledTo[all[which].receiver] += amount;
    }

    function recordRelease(uint256 which, IPreauthEscrow.Status status) private {
        assertEq(uint256(expected[which]), uint256(IPreauthEscrow.Status.Open));
        expected[which] = status;
        openOf[all[which].sender] -= all[which].hold;
        openTotal -= all[which].hold;
    }

    function assertBooks(uint256 funds) external view {
        uint256 claims;
        for (uint256 i = 0; i < senders.length; ++i) {
            address account = senders[i];
            uint256 claim_ = escrow.claimable(account, address(moody));
            claims += claim_;
            assertEq(moody.balanceOf(account) + openOf[account] + claim_ + settledFrom[account], funds, "sender");
        }
        for (uint256 i = 0; i < receivers.length; ++i) {
            assertEq(moody.balanceOf(receivers[i]), settledTo[receivers[i]], "receiver");
        }
        assertEq(moody.balanceOf(address(escrow)), openTotal + claims, "escrow");
        for (uint256 i = 0; i < all.length; ++i) {
            assertStatus(all[i], expected[i]);
        }
    }
}

contract InvariantTest is EscrowTest, StdInvariant {
    uint256 private constant PLENTY = 1e30;
    Handler private handler;

    function setUp() public override {
        super.setUp();
        MoodyToken moody = new MoodyToken("Moody", "MOOD", 6);
        handler = new Handler(escrow, moody);
        for (uint256 i = 0; i < 3; ++i) {
            moody.mint(handler.senders(i), PLENTY);
            vm.prank(handler.senders(i));
            moody.approve(address(escrow), type(uint256).max);
        }
        for (uint256 i = 0; i < 2; ++i) {
            address account = handler.receivers(i);
            vm.prank(admin);
            escrow.registerReceiver(account);
        }
        vm.warp(block.timestamp + DELAY);

        bytes4[] memory actions = new bytes4[](9);
        actions[0] = Handler.authorize.selector;
        actions[1] = Handler.authorizeAgain.selector;
        actions[2] = Handler.settle.selector;
        actions[3] = Handler.cancel.selector;
        actions[4] = Handler.expire.selector;
        actions[5] = Handler.batch.selector;
        actions[6] = Handler.claim.selector;
        actions[7] = Handler.blockAccount.selector;
        actions[8] = Handler.passTime.selector;
        targetSelector(FuzzSelector({addr: address(handler), selectors: actions}));
        targetContract(address(handler));
    }

    /// @dev The escrow holds what is open and what can be claimed, to the unit; what left a sender went to a receiver
    /// by a settlement; no closed preauth moves again.
    function invariant_EveryUnitIsAccountedFor() public view {
        handler.assertBooks(PLENTY);
    }
}
