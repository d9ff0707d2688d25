// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IPreauthEscrow} from "../../src/interfaces/IPreauthEscrow.sol";
import {Stage} from "./Stage.sol";
import {IBooks} from "./Witness.sol";

/// @dev The books, kept apart from the escrow's own: what was locked, where each unit went, how each hold ended.
abstract contract Ghosts is Stage, IBooks {
    /// @dev Of one token, since the beginning.
    struct Sums {
        uint256 locked;
        uint256 settled;
        uint256 refunded;
        uint256 open;
        uint256 given;
    }

    struct Debt {
        address sender;
        address asset;
    }

    IPreauthEscrow.Terms[] internal all;
    IPreauthEscrow.Status[] internal ends;
    /// @dev Counted from one, zero: never used.
    mapping(bytes32 preauthId => uint256) internal placeOf;
    /// @dev Places of the holds that are open, and where in this list each is.
    uint256[] internal openPlaces;
    mapping(uint256 place => uint256) private openIndex;

    mapping(address asset => Sums) internal sums;
    mapping(address asset => mapping(address account => uint256)) private purse;
    mapping(address sender => mapping(address asset => uint256)) internal claims;
    /// @dev Where a claim arose. Most of them are paid by now.
    Debt[] internal deferred;
    /// @dev Refunds of the token that lies: each was paid or credited, or both.
    mapping(address sender => uint256) private doubtful;
    bool private isAnyDoubtful;

    /// @dev Places of open holds which the operation that runs just now may close.
    uint256[] private inFlight;
    mapping(uint256 place => bool) private isInFlight;
    uint256 private glances;

    /// @dev The token that moved last, between whom, and for which hold.
    address private touched;
    address[2] private sides;
    uint256 private lastPlace;

    function openBooks() internal {
        for (uint256 i = 0; i < assets.length; ++i) {
            for (uint256 j = 0; j < accounts.length; ++j) {
                purse[assets[i]][accounts[j]] = IERC20(assets[i]).balanceOf(accounts[j]);
            }
        }
        (touched, sides) = (assets[0], [accounts[0], accounts[1]]);
    }

    // --------------------------------------------------------------------- entries

    function recordLock(IPreauthEscrow.Terms memory terms) internal {
        assertEq(placeOf[terms.preauthId], 0, "a preauth id was used twice");
        all.push(terms);
        ends.push(IPreauthEscrow.Status.Open);
        placeOf[terms.preauthId] = all.length;
        openIndex[all.length] = openPlaces.length;
        openPlaces.push(all.length);
        lastPlace = all.length;

        sums[terms.token].locked += terms.hold;
        sums[terms.token].open += terms.hold;
        move(terms.token, terms.sender, address(escrow), terms.hold);
    }

    function recordSettlement(IPreauthEscrow.Terms memory terms, uint96 amount) internal returns (bool isDeferred) {
        recordEnd(terms, IPreauthEscrow.Status.Settled);
        sums[terms.token].settled += amount;
        move(terms.token, address(escrow), terms.receiver, amount);
        return recordRefund(terms, terms.hold - amount);
    }

    function recordRelease(IPreauthEscrow.Terms memory terms, IPreauthEscrow.Status end)
        internal
        returns (bool isDeferred)
    {
        recordEnd(terms, end);
        return recordRefund(terms, terms.hold);
    }

    function recordClaim(address sender, address asset) internal {
        uint256 amount = claims[sender][asset];
        delete claims[sender][asset];
        sums[asset].refunded += amount;
        move(asset, address(escrow), sender, amount);
    }

    function recordGift(address asset, address giver, uint256 amount) internal {
        sums[asset].given += amount - feeOf(asset, amount);
        move(asset, giver, address(escrow), amount);
    }

    function recordEnd(IPreauthEscrow.Terms memory terms, IPreauthEscrow.Status end) private {
        uint256 place = placeOf[terms.preauthId];
        assertGt(place, 0, "a hold ended that was never locked");
        assertEq(keccak256(abi.encode(all[place - 1])), keccak256(abi.encode(terms)), "a hold ended under other terms");
        assertEq(uint256(ends[place - 1]), uint256(IPreauthEscrow.Status.Open), "a hold ended twice");
        ends[place - 1] = end;
        lastPlace = place;
        sums[terms.token].open -= terms.hold;

        uint256 last = openPlaces[openPlaces.length - 1];
        (openPlaces[openIndex[place]], openIndex[last]) = (last, openIndex[place]);
        openPlaces.pop();
    }

    function recordRefund(IPreauthEscrow.Terms memory terms, uint256 amount) private returns (bool isDeferred) {
        if (amount == 0) return false;
        if (terms.token == address(lying)) {
            doubtful[terms.sender] += amount;
            isAnyDoubtful = true;
            return false;
        }
        isDeferred = refuses(terms.token, address(escrow), terms.sender);
        if (isDeferred) {
            credit(terms.sender, terms.token, amount);
        } else {
            sums[terms.token].refunded += amount;
            move(terms.token, address(escrow), terms.sender, amount);
        }
    }

    function credit(address sender, address asset, uint256 amount) private {
        claims[sender][asset] += amount;
        deferred.push(Debt(sender, asset));
    }

    function move(address asset, address from, address to, uint256 amount) private {
        (touched, sides) = (asset, [from, to]);
        if (asset == address(lying)) return;
        purse[asset][from] -= amount;
        purse[asset][to] += amount - feeOf(asset, amount);
    }

    // ------------------------------------------------------------ while an operation runs

    function takeOff(IPreauthEscrow.Terms memory terms) internal {
        uint256 place = placeOf[terms.preauthId];
        if (place == 0 || ends[place - 1] != IPreauthEscrow.Status.Open || isInFlight[place]) return;
        isInFlight[place] = true;
        inFlight.push(place);
    }

    function land() internal {
        for (uint256 i = 0; i < inFlight.length; ++i) {
            delete isInFlight[inFlight[i]];
        }
        delete inFlight;
    }

    /// @dev Looks at the token that calls, and at another, each time another.
    function isBacked() external returns (bool) {
        return isBacked(address(calling)) && isBacked(assets[++glances % assets.length]);
    }

    function isBacked(address asset) private view returns (bool) {
        if (!isExact(asset)) return true;
        uint256 owed = sums[asset].open;
        for (uint256 i = 0; i < inFlight.length; ++i) {
            IPreauthEscrow.Terms storage terms = all[inFlight[i] - 1];
            if (terms.token == asset) owed -= terms.hold;
        }
        for (uint256 i = 0; i < senders.length; ++i) {
            owed += escrow.claimable(senders[i], asset);
        }
        return IERC20(asset).balanceOf(address(escrow)) >= owed;
    }

    // ---------------------------------------------------------------------- checks

    /// @dev Whether what the token says of balances can be held against the escrow.
    function isExact(address asset) internal view returns (bool) {
        return asset != address(lying) && !tellsNoBalance(asset);
    }

    function assertBooks(address asset) internal view {
        assertDebts(asset);
        for (uint256 i = 0; i < accounts.length; ++i) {
            assertPurse(asset, accounts[i]);
        }
    }

    /// @dev After each call: the hold and the token that moved last, those between whom it moved, and a bystander, each
    /// time another.
    function assertTouchedBooks(uint256 bystander) internal view {
        if (lastPlace != 0) assertEnds(lastPlace - 1, 1);
        assertEnds(bystander, 1);
        assertDebts(touched);
        assertPurse(touched, sides[0]);
        assertPurse(touched, sides[1]);
        assertPurse(touched, accounts[bystander % accounts.length]);
    }

    function assertDebts(address asset) private view {
        Sums memory sum = sums[asset];
        uint256 owed = sum.open;
        for (uint256 i = 0; i < senders.length; ++i) {
            uint256 claim = escrow.claimable(senders[i], asset);
            assertSame(claim, claims[senders[i]][asset], "a claim");
            owed += claim;
        }
        assertSame(sum.locked, sum.settled + sum.refunded + owed, "what was locked");
        if (!isExact(asset)) return;
        assertSame(IERC20(asset).balanceOf(address(escrow)), owed + sum.given, "what the escrow holds");
    }

    function assertPurse(address asset, address account) private view {
        if (!isExact(asset)) return;
        assertSame(IERC20(asset).balanceOf(account), purse[asset][account], "what an account has");
    }

    /// @dev The cheatcode is called only where something is wrong: it costs more than the comparison.
    function assertSame(uint256 left, uint256 right, string memory what) private pure {
        if (left != right) assertEq(left, right, what);
    }

    /// @dev So many of all holds, from one of them on.
    function assertEnds(uint256 first, uint256 count) internal view {
        for (uint256 i = first; i < first + count && all.length != 0; ++i) {
            uint256 place = i % all.length;
            assertSame(uint256(escrow.statusOf(all[place].preauthId)), uint256(ends[place]), "how a hold ended");
        }
    }

    /// @dev Of the token that lies only this is known: what it refused was credited, and nothing beyond it.
    function resolveDoubts() internal {
        if (!isAnyDoubtful) return;
        isAnyDoubtful = false;
        for (uint256 i = 0; i < senders.length; ++i) {
            uint256 doubt = doubtful[senders[i]];
            if (doubt == 0) continue;
            uint256 credited = escrow.claimable(senders[i], address(lying)) - claims[senders[i]][address(lying)];
            assertLe(credited, doubt, "more was credited than was due");
            if (credited != 0) credit(senders[i], address(lying), credited);
            sums[address(lying)].refunded += doubt - credited;
            delete doubtful[senders[i]];
        }
    }
}
