// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {PreauthEscrow} from "../src/PreauthEscrow.sol";
import {IPreauthEscrow} from "../src/interfaces/IPreauthEscrow.sol";
import {Proof} from "./Proof.sol";

/// @dev What no call can do to a hold that it does not name, that is closed, or that is none of its business.
contract UntouchedProof is Proof {
    function check_AnOperationTouchesOneHold(
        uint8 which,
        address caller,
        IPreauthEscrow.Terms memory terms,
        uint96 amount,
        uint40 moment,
        bytes32 other
    ) public {
        assumeAny(terms, moment);
        vm.assume(other != terms.preauthId);
        bytes32 before = escrow.preauths(other);
        callBy(caller, operation(which, terms, amount));
        assert(escrow.preauths(other) == before);
    }

    function check_AnOperationTouchesOneClaim(
        uint8 which,
        address caller,
        IPreauthEscrow.Terms memory terms,
        uint96 amount,
        uint40 moment,
        address other
    ) public {
        assumeAny(terms, moment);
        vm.assume(other != terms.sender);
        uint256 before = escrow.claimable(other, address(token));
        callBy(caller, operation(which, terms, amount));
        assert(escrow.claimable(other, address(token)) == before);
    }

    function check_WhatIsClosedStaysClosed(
        uint8 which,
        address caller,
        IPreauthEscrow.Terms memory terms,
        uint96 amount,
        uint40 moment,
        uint8 status
    ) public {
        assumeAny(terms, moment);
        vm.assume(status >= uint8(IPreauthEscrow.Status.Settled) && status <= uint8(IPreauthEscrow.Status.Expired));
        bytes32 word = bytes32(uint256(status));
        vm.assume(escrow.preauths(terms.preauthId) == word);
        // Halmos takes a hash for any number; none is as small as a status.
        vm.assume(uint256(escrow.hashTerms(terms)) > type(uint8).max);
        bool success = callBy(caller, operation(which, terms, amount));
        assert(escrow.preauths(terms.preauthId) == word);
        assert(!success || which > 3);
    }

    function check_WhoKeepsTheGateTouchesNoTokens(
        uint8 which,
        address caller,
        address account,
        bool flag,
        IPreauthEscrow.Terms memory terms,
        uint40 moment
    ) public {
        assumeAny(terms, moment);
        Books memory before = books(terms);
        callBy(caller, administration(which, account, flag));
        Books memory afterwards = books(terms);
        assert(afterwards.word == before.word);
        assert(afterwards.claim == before.claim);
        assert(afterwards.ofEscrow == before.ofEscrow);
        assert(afterwards.ofSender == before.ofSender);
        assert(afterwards.ofReceiver == before.ofReceiver);
    }

    function operation(uint8 which, IPreauthEscrow.Terms memory terms, uint96 amount)
        private
        pure
        returns (bytes memory)
    {
        if (which == 0) return abi.encodeCall(IPreauthEscrow.authorize, (terms, ""));
        if (which == 1) return abi.encodeCall(IPreauthEscrow.settle, (terms, amount));
        if (which == 2) return abi.encodeCall(IPreauthEscrow.cancel, (terms));
        if (which == 3) return abi.encodeCall(IPreauthEscrow.expire, (terms));
        return abi.encodeCall(IPreauthEscrow.claim, (terms.sender, terms.token));
    }

    function administration(uint8 which, address account, bool flag) private view returns (bytes memory) {
        if (which == 0) return abi.encodeCall(IPreauthEscrow.registerReceiver, (account));
        if (which == 1) return abi.encodeCall(IPreauthEscrow.removeReceiver, (account));
        if (which == 2) return abi.encodeCall(IPreauthEscrow.setOperator, (account, flag));
        if (which == 3) return abi.encodeCall(IPreauthEscrow.setGuardian, (account));
        if (which == 4) return abi.encodeCall(IPreauthEscrow.pause, ());
        if (which == 5) return abi.encodeCall(IPreauthEscrow.unpause, ());
        if (which == 6) return abi.encodeCall(escrow.transferOwnership, (account));
        if (which == 7) return abi.encodeCall(escrow.acceptOwnership, ());
        if (which == 8) return abi.encodeCall(PreauthEscrow.renounceOwnership, ());
        return abi.encodeCall(IPreauthEscrow.requireSignedConsent, (flag));
    }
}
