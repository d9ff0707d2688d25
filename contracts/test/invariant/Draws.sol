// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IPreauthEscrow} from "../../src/interfaces/IPreauthEscrow.sol";
import {Dice} from "./Dice.sol";
import {Forecast} from "./Forecast.sol";

/// @dev Draws calls: most of them right, some wrong in one of the ways in which a call can be wrong.
abstract contract Draws is Forecast {
    uint256 private constant LARGEST_HOLD = 1e15;
    /// @dev More often those in which more can happen: the plain one with its consents, the moody and the calling one.
    bytes16 private constant LIKELY_ASSETS = hex"00000001010103030302020404050606";
    uint256 private constant WRONG_WAYS = 5;

    // ------------------------------------------------------------------ authorizations

    function drawLock(Dice memory dice) internal returns (Call memory call) {
        call.terms = drawTerms(dice);
        drawConsent(dice, call, true);
    }

    function drawTerms(Dice memory dice) private view returns (IPreauthEscrow.Terms memory) {
        return IPreauthEscrow.Terms({
            sender: senders[dice.roll(senders.length)],
            receiver: receivers[dice.roll(receivers.length)],
            token: assets[uint8(LIKELY_ASSETS[dice.roll(LIKELY_ASSETS.length)])],
            hold: uint96(dice.between(1, dice.chance(10) ? 10 : LARGEST_HOLD)),
            expiresAt: uint40(block.timestamp + dice.between(1, dice.chance(10) ? LONGEST : 3 days)),
            preauthId: keccak256(abi.encode(all.length, dice.roll(type(uint256).max)))
        });
    }

    /// @dev Wrong in one way, and perhaps in others by what the world is like.
    function drawWrongLock(Dice memory dice) internal returns (Call memory call) {
        IPreauthEscrow.Terms memory terms = call.terms = drawTerms(dice);
        uint256 way = dice.roll(WRONG_WAYS);
        if (way == 0) terms.hold = 0;
        if (way == 1) terms.expiresAt = drawWrongExpiry(dice);
        if (way == 2 && dice.chance(50)) terms.sender = drawNobody(dice, terms);
        else if (way == 2) terms.receiver = dice.chance(25) ? terms.sender : drawNobody(dice, terms);
        if (way == 3) terms.receiver = stranger;
        drawConsent(dice, call, way < 4);
    }

    function drawWrongExpiry(Dice memory dice) private view returns (uint40) {
        return uint40(dice.chance(50) ? block.timestamp - dice.roll(2) : block.timestamp + LONGEST + 1);
    }

    function drawNobody(Dice memory dice, IPreauthEscrow.Terms memory terms) private view returns (address) {
        address[3] memory nobody = [address(0), address(escrow), terms.token];
        return nobody[dice.roll(3)];
    }

    /// @dev The id of a hold that was locked before, under its own terms or others.
    function drawUsedLock(Dice memory dice) internal returns (Call memory call) {
        if (all.length == 0) return drawLock(dice);
        IPreauthEscrow.Terms memory used = all[dice.roll(all.length)];
        if (dice.chance(50)) {
            call.terms = used;
        } else {
            call.terms = drawTerms(dice);
            call.terms.preauthId = used.preauthId;
        }
        drawConsent(dice, call, true);
    }

    function drawConsent(Dice memory dice, Call memory call, bool isRight) private {
        IPreauthEscrow.Terms memory terms = call.terms;
        call.consentIsRight = isRight;
        // A contract wallet signs for itself only, and most tokens take no signatures.
        uint256 kinds = terms.sender == senders[3] ? 2 : terms.token == address(token) ? 5 : 3;
        call.consentKind = uint8(dice.chance(25) ? 0 : dice.roll(kinds));
        if (call.consentKind == 0 && !isRight) call.consentKind = uint8(dice.chance(20) ? 9 : 1);
        if (call.consentKind == 0) return;
        if (call.consentKind == 9) {
            call.consent = hex"09";
            return;
        }
        // A signature of whoever the sender is not.
        string memory signer = isRight ? nameOfSender(terms.sender) : "stranger";
        if (bytes(signer).length == 0) {
            call.consent = byTerms(byPassword(escrow.consentDigest(terms)));
        } else if (call.consentKind == 1) {
            call.consent = signed(terms, signer);
        } else if (call.consentKind == 2) {
            call.consent = drawPermit(dice, terms, signer);
        } else if (call.consentKind == 3) {
            call.consent = byAuthorization(ecdsa(authorizationDigest(terms), signer));
        } else {
            uint256 nonce = uint256(terms.preauthId);
            call.consent = byPermit2(nonce, ecdsa(permit2Digest(terms, nonce), signer));
        }
    }

    function drawPermit(Dice memory dice, IPreauthEscrow.Terms memory terms, string memory signer)
        private
        returns (bytes memory)
    {
        bytes memory ofTerms = ecdsa(escrow.consentDigest(terms), signer);
        if (terms.token != address(token)) return byPermit(new bytes(65), ofTerms);
        // The permit is right in any case: it is the terms that are not signed.
        bytes memory permit = ecdsa(permitDigest(terms), nameOfSender(terms.sender));
        if (dice.chance(30)) usePermit(terms, permit);
        return byPermit(permit, ofTerms);
    }

    /// @dev Whoever sees a permit can use it first.
    function usePermit(IPreauthEscrow.Terms memory terms, bytes memory permit) private {
        (uint8 v, bytes32 r, bytes32 s) = (uint8(permit[64]), 0, 0);
        assembly ("memory-safe") {
            r := mload(add(permit, 0x20))
            s := mload(add(permit, 0x40))
        }
        vm.prank(stranger);
        try token.permit(terms.sender, address(escrow), terms.hold, terms.expiresAt, v, r, s) {} catch {}
    }

    /// @dev Empty for who has no key.
    function nameOfSender(address account) private view returns (string memory) {
        for (uint256 i = 0; i < senderNames.length; ++i) {
            if (senders[i] == account) return senderNames[i];
        }
        return account == senders[3] ? "" : "stranger";
    }

    // --------------------------------------------------------------------- ends of holds

    function drawSettlement(Dice memory dice) internal view returns (Call memory call) {
        call.kind = Kind.Settle;
        call.terms = drawHold(dice);
        uint256 way = dice.roll(20);
        call.amount = uint96(dice.between(1, uint256(call.terms.hold) + 1));
        if (way < 3) call.amount = call.terms.hold;
        if (way == 4) call.amount = 0;
        if (way > 17) call.amount = call.terms.hold + 1;
    }

    function drawCancellation(Dice memory dice) internal view returns (Call memory call) {
        (call.kind, call.terms) = (Kind.Cancel, drawHold(dice));
    }

    function drawExpiry(Dice memory dice) internal view returns (Call memory call) {
        (call.kind, call.terms) = (Kind.Expire, dice.chance(60) ? drawDueHold(dice) : drawHold(dice));
    }

    /// @dev Mostly one that is open; sometimes one that is closed, was never locked, or has other terms.
    function drawHold(Dice memory dice) internal view returns (IPreauthEscrow.Terms memory) {
        uint256 way = dice.roll(20);
        if (openPlaces.length != 0 && way > 4) return drawOpen(dice);
        if (openPlaces.length != 0 && way > 1) return altered(drawOpen(dice), dice.roll(ALTERABLE_FIELDS));
        return all.length == 0 || way == 0 ? drawTerms(dice) : all[dice.roll(all.length)];
    }

    function drawOpen(Dice memory dice) private view returns (IPreauthEscrow.Terms memory) {
        return all[openPlaces[dice.roll(openPlaces.length)] - 1];
    }

    /// @dev As above, but if a few draws find one that is due, this one.
    function drawDueHold(Dice memory dice) private view returns (IPreauthEscrow.Terms memory terms) {
        for (uint256 i = 0; i < 5 && openPlaces.length != 0; ++i) {
            terms = drawOpen(dice);
            if (terms.expiresAt <= block.timestamp) return terms;
        }
        return drawHold(dice);
    }

    // ------------------------------------------------------------------------ callers

    /// @dev Mostly someone who may, as things are.
    function drawCaller(Dice memory dice, Call memory call) internal view returns (address) {
        uint256 way = dice.roll(20);
        if (way == 0) return stranger;
        if (way == 1) return senders[dice.roll(senders.length)];
        if (call.kind == Kind.Cancel && way < 8) return call.terms.receiver;
        uint256 which = dice.roll(operators.length);
        return way == 2 || mayOperate[operators[which]] ? operators[which] : operators[1 - which];
    }

    // ------------------------------------------------------------------------- calldata

    function raw(Call memory call) internal pure returns (bytes memory) {
        if (call.kind == Kind.Authorize) return authorizing(call.terms, call.consent);
        if (call.kind == Kind.Settle) return settling(call.terms, call.amount);
        return call.kind == Kind.Cancel ? cancelling(call.terms) : expiring(call.terms);
    }

    function encoded(Call memory call) internal pure returns (bytes memory) {
        if (call.kind == Kind.Authorize) return abi.encodeCall(IPreauthEscrow.authorize, (call.terms, call.consent));
        if (call.kind == Kind.Settle) return abi.encodeCall(IPreauthEscrow.settle, (call.terms, call.amount));
        if (call.kind == Kind.Cancel) return abi.encodeCall(IPreauthEscrow.cancel, (call.terms));
        return abi.encodeCall(IPreauthEscrow.expire, (call.terms));
    }
}
