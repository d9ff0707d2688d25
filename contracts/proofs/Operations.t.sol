// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IPreauthEscrow} from "../src/interfaces/IPreauthEscrow.sol";
import {Proof} from "./Proof.sol";

/// @dev What each operation does, whoever calls it, whenever, and with whatever.
contract OperationsProof is Proof {
    // --------------------------------------------------------------------- authorize

    function check_AnAuthorizationTakesTheHoldOnceFromWhomItMay(
        address caller,
        IPreauthEscrow.Terms memory terms,
        uint40 moment
    ) public {
        assumeAny(terms, moment);
        assumeKnownGate();
        // Nobody has the key of the zero address, which is the lead where there is no operator.
        vm.assume(caller != address(0));
        Books memory before = books(terms);
        uint256 allowance = token.allowance(terms.sender, address(escrow));
        bool mayCall = escrow.isOperator(caller);
        bool isPaused = escrow.paused();

        if (!callBy(caller, abi.encodeCall(IPreauthEscrow.authorize, (terms, "")))) return;

        assert(mayCall);
        assert(!isPaused);
        assert(before.word == 0);
        assert(isOpen(terms));
        assert(terms.hold > 0);
        assert(terms.expiresAt > moment);
        assert(terms.expiresAt <= uint256(moment) + LONGEST);
        assert(terms.sender != terms.receiver);
        assert(terms.sender != address(0) && terms.receiver != address(0));
        assert(terms.sender != address(escrow) && terms.receiver != address(escrow));
        assert(terms.sender != address(token) && terms.receiver != address(token));
        assert(escrow.receiverActiveFrom(terms.receiver) != 0);
        assert(escrow.receiverActiveFrom(terms.receiver) <= moment);
        assert(allowance >= terms.hold);

        Books memory afterwards = books(terms);
        assert(afterwards.ofEscrow == before.ofEscrow + terms.hold);
        assert(afterwards.ofSender == before.ofSender - terms.hold);
        assert(afterwards.ofReceiver == before.ofReceiver);
        assert(afterwards.claim == before.claim);
    }

    function check_WhoDemandsSignaturesIsNotHeldByAllowance(
        address caller,
        IPreauthEscrow.Terms memory terms,
        uint40 moment
    ) public {
        assumeAny(terms, moment);
        vm.assume(escrow.signedConsentRequired(terms.sender));
        vm.assume(escrow.marks() & (1 << (uint160(terms.sender) % 88)) != 0);
        assert(!callBy(caller, abi.encodeCall(IPreauthEscrow.authorize, (terms, ""))));
    }

    /// @dev The sender is an account without code: what contract wallets answer is theirs to say.
    function check_ASignatureHasToBeTheSenders(
        address caller,
        IPreauthEscrow.Terms memory terms,
        uint40 moment,
        bytes32 r,
        bytes32 s,
        uint8 v
    ) public {
        terms.sender = address(0x5e4de4);
        assumeAny(terms, moment);
        bytes memory consent = abi.encodePacked(uint8(1), r, s, v);
        if (!callBy(caller, abi.encodeCall(IPreauthEscrow.authorize, (terms, consent)))) return;
        assert(ecrecover(escrow.consentDigest(terms), v, r, s) == terms.sender);
    }

    function check_NoOtherKindIsConsent(
        address caller,
        IPreauthEscrow.Terms memory terms,
        uint40 moment,
        uint8 kind,
        bytes32 payload
    ) public {
        assumeAny(terms, moment);
        vm.assume(kind == 0 || kind > 3);
        bytes memory consent = abi.encodePacked(kind, payload, payload);
        assert(!callBy(caller, abi.encodeCall(IPreauthEscrow.authorize, (terms, consent))));
    }

    // ------------------------------------------------------------------------ settle

    function check_ASettlementPaysWithinTheHoldAndReturnsTheRest(
        address caller,
        IPreauthEscrow.Terms memory terms,
        uint96 amount,
        uint40 moment
    ) public {
        assumeAny(terms, moment);
        assumeDistinct(terms);
        bool wasOpen = isOpen(terms);
        bool mayCall = escrow.isOperator(caller);
        Books memory before = books(terms);

        if (!callBy(caller, abi.encodeCall(IPreauthEscrow.settle, (terms, amount)))) return;

        assert(mayCall);
        assert(wasOpen);
        assert(moment < terms.expiresAt);
        assert(amount > 0 && amount <= terms.hold);
        assert(hasStatus(terms, IPreauthEscrow.Status.Settled));
        assertPaid(terms, before, amount);
    }

    // ------------------------------------------------------------------------ cancel

    function check_ACancellationReturnsEverything(address caller, IPreauthEscrow.Terms memory terms, uint40 moment)
        public
    {
        assumeAny(terms, moment);
        assumeDistinct(terms);
        bool wasOpen = isOpen(terms);
        bool mayCall = escrow.isOperator(caller) || caller == terms.receiver;
        Books memory before = books(terms);

        if (!callBy(caller, abi.encodeCall(IPreauthEscrow.cancel, (terms)))) return;

        assert(mayCall);
        assert(wasOpen);
        assert(hasStatus(terms, IPreauthEscrow.Status.Cancelled));
        assertPaid(terms, before, 0);
    }

    // ------------------------------------------------------------------------ expire

    function check_AnExpiryReturnsEverythingAndNeverEarly(
        address caller,
        IPreauthEscrow.Terms memory terms,
        uint40 moment
    ) public {
        assumeAny(terms, moment);
        assumeDistinct(terms);
        bool wasOpen = isOpen(terms);
        Books memory before = books(terms);

        if (!callBy(caller, abi.encodeCall(IPreauthEscrow.expire, (terms)))) return;

        assert(wasOpen);
        assert(moment >= terms.expiresAt);
        assert(hasStatus(terms, IPreauthEscrow.Status.Expired));
        assertPaid(terms, before, 0);
    }

    /// @dev Pause, admin, operators, receiver and token can be as they like.
    function check_NobodyStopsAnExpiry(address caller, IPreauthEscrow.Terms memory terms, uint40 moment) public {
        assumeAny(terms, moment);
        assumeDistinct(terms);
        assumeOpen(terms);
        vm.assume(moment >= terms.expiresAt);
        (bool success, bytes memory answer) = answerBy(caller, abi.encodeCall(IPreauthEscrow.expire, (terms)));
        assert(success || isOutOfGas(answer));
    }

    function check_NobodyStopsAReceiverWhoCancels(IPreauthEscrow.Terms memory terms, uint40 moment) public {
        assumeAny(terms, moment);
        assumeDistinct(terms);
        assumeOpen(terms);
        (bool success, bytes memory answer) = answerBy(terms.receiver, abi.encodeCall(IPreauthEscrow.cancel, (terms)));
        assert(success || isOutOfGas(answer));
    }

    // ------------------------------------------------------------------------- claim

    function check_AClaimPaysItsSenderAllOfItOnce(address caller, IPreauthEscrow.Terms memory terms, uint40 moment)
        public
    {
        assumeAny(terms, moment);
        assumeDistinct(terms);
        Books memory before = books(terms);

        if (!callBy(caller, abi.encodeCall(IPreauthEscrow.claim, (terms.sender, terms.token)))) return;

        Books memory afterwards = books(terms);
        assert(before.claim > 0);
        assert(afterwards.claim == 0);
        assert(afterwards.ofSender == before.ofSender + before.claim);
        assert(afterwards.ofEscrow == before.ofEscrow - before.claim);
        assert(afterwards.ofReceiver == before.ofReceiver);
        assert(afterwards.word == before.word);
    }

    // ------------------------------------------------------------------------ helper

    /// @dev `amount` went to the receiver and the rest of the hold to the sender, or to his claim: all of it and no more.
    function assertPaid(IPreauthEscrow.Terms memory terms, Books memory before, uint96 amount) private view {
        Books memory afterwards = books(terms);
        uint256 rest = terms.hold - amount;
        bool isDeferred = rest != 0 && afterwards.ofSender == before.ofSender;
        assert(afterwards.ofReceiver == before.ofReceiver + amount);
        assert(afterwards.ofSender == before.ofSender + (isDeferred ? 0 : rest));
        assert(afterwards.claim == before.claim + (isDeferred ? rest : 0));
        assert(afterwards.ofEscrow == before.ofEscrow - amount - (isDeferred ? 0 : rest));
    }
}
