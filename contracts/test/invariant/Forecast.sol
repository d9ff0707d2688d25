// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";

import {IPreauthEscrow} from "../../src/interfaces/IPreauthEscrow.sol";
import {Ghosts} from "./Ghosts.sol";

/// @dev What the escrow must say to a call, told from the books and the rules of docs/contract.md: every fault there is.
/// A call with none of them succeeds; a call with some fails for one of them, whichever is looked at first.
abstract contract Forecast is Ghosts {
    enum Kind {
        Authorize,
        Settle,
        Cancel,
        Expire
    }

    struct Call {
        Kind kind;
        IPreauthEscrow.Terms terms;
        uint96 amount;
        uint8 consentKind;
        bool consentIsRight;
        bytes consent;
    }

    struct Faults {
        bytes4[12] own;
        uint256 count;
        /// Something that is not the escrow refuses, in words of its own.
        bool foreign;
        /// The token lies, so nobody can say.
        bool unknown;
    }

    // -------------------------------------------------- what officers and senders have decided

    mapping(address account => bool) internal mayOperate;
    mapping(address receiver => uint256) internal activeFrom;
    mapping(address sender => bool) internal demandsSignature;
    bool internal isPaused;

    function forecast(address caller, Call memory call) internal view returns (Faults memory faults) {
        if (call.kind == Kind.Authorize) {
            forecastLock(faults, caller, call);
        } else {
            forecastEnd(faults, caller, call);
        }
        faults.unknown = call.terms.token == address(lying) && (call.kind == Kind.Authorize || call.kind == Kind.Settle);
    }

    function forecastLock(Faults memory faults, address caller, Call memory call) private view {
        IPreauthEscrow.Terms memory terms = call.terms;
        if (!mayOperate[caller]) add(faults, IPreauthEscrow.NotOperator.selector);
        if (placeOf[terms.preauthId] != 0) add(faults, IPreauthEscrow.AlreadyUsed.selector);
        if (isPaused) add(faults, Pausable.EnforcedPause.selector);
        if (terms.hold == 0) add(faults, IPreauthEscrow.InvalidAmount.selector);
        if (terms.expiresAt <= block.timestamp || terms.expiresAt > block.timestamp + LONGEST) {
            add(faults, IPreauthEscrow.InvalidExpiry.selector);
        }
        bool isOdd = isNobody(terms.sender, terms) || isNobody(terms.receiver, terms);
        if (isOdd || terms.sender == terms.receiver) add(faults, IPreauthEscrow.InvalidParty.selector);
        if (isInexact(terms.token, terms.hold)) add(faults, IPreauthEscrow.InexactTransfer.selector);
        forecastConsent(faults, call);
        // A token that takes of the escrow where there is nothing to take fails by itself.
        faults.foreign = faults.foreign || refuses(terms.token, terms.sender, address(escrow))
            || tellsNoBalance(terms.token) || (terms.token == address(hostile) && isInexact(terms.token, terms.hold));
    }

    function isNobody(address party, IPreauthEscrow.Terms memory terms) private view returns (bool) {
        return party == address(0) || party == address(escrow) || party == terms.token;
    }

    function forecastConsent(Faults memory faults, Call memory call) private view {
        IPreauthEscrow.Terms memory terms = call.terms;
        if (call.consentKind == 0) {
            if (demandsSignature[terms.sender]) add(faults, IPreauthEscrow.ConsentRequired.selector);
            uint256 from = activeFrom[terms.receiver];
            if (from == 0 || block.timestamp < from) add(faults, IPreauthEscrow.ReceiverNotRegistered.selector);
        } else if (!call.consentIsRight) {
            // Kinds 3 and 4 are checked by the token and by Permit2.
            if (call.consentKind == 3 || call.consentKind == 4) faults.foreign = true;
            else add(faults, IPreauthEscrow.InvalidConsent.selector);
        }
        bool bringsItsOwn = terms.token == address(token) && call.consentKind >= 2;
        if (!bringsItsOwn && IERC20(terms.token).allowance(terms.sender, address(escrow)) < terms.hold) {
            faults.foreign = true;
        }
    }

    function forecastEnd(Faults memory faults, address caller, Call memory call) private view {
        IPreauthEscrow.Terms memory terms = call.terms;
        uint256 place = placeOf[terms.preauthId];
        if (place == 0 || ends[place - 1] != IPreauthEscrow.Status.Open) {
            add(faults, IPreauthEscrow.NotOpen.selector);
        } else if (keccak256(abi.encode(terms)) != keccak256(abi.encode(all[place - 1]))) {
            add(faults, IPreauthEscrow.TermsMismatch.selector);
        }
        bool isLate = block.timestamp >= terms.expiresAt;
        if (call.kind == Kind.Settle) {
            if (!mayOperate[caller]) add(faults, IPreauthEscrow.NotOperator.selector);
            if (isLate) add(faults, IPreauthEscrow.PreauthExpired.selector);
            if (call.amount == 0 || call.amount > terms.hold) add(faults, IPreauthEscrow.InvalidAmount.selector);
            faults.foreign = refuses(terms.token, address(escrow), terms.receiver);
        } else if (call.kind == Kind.Cancel) {
            if (!mayOperate[caller] && caller != terms.receiver) add(faults, IPreauthEscrow.NotOperator.selector);
        } else if (!isLate) {
            add(faults, IPreauthEscrow.NotExpired.selector);
        }
    }

    function forecastClaim(address sender, address asset) internal view returns (Faults memory faults) {
        if (claims[sender][asset] == 0) add(faults, IPreauthEscrow.NothingToClaim.selector);
        faults.foreign = refuses(asset, address(escrow), sender);
        faults.unknown = asset == address(lying);
    }

    function add(Faults memory faults, bytes4 selector) private pure {
        faults.own[faults.count++] = selector;
    }

    /// @return Whether the escrow did what the books foretold.
    function isForeseen(Faults memory faults, bool success, bytes memory reason) internal pure returns (bool) {
        if (success) return faults.count == 0 && (!faults.foreign || faults.unknown);
        if (faults.foreign || faults.unknown) return true;
        for (uint256 i = 0; i < faults.count; ++i) {
            if (faults.own[i] == bytes4(reason)) return true;
        }
        return false;
    }
}
