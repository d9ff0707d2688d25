// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IPreauthEscrow} from "../src/interfaces/IPreauthEscrow.sol";
import {Proof} from "./Proof.sol";

/// @dev Calls of a batch, told apart from their neighbours.
contract BatchProof is Proof {
    uint256 private constant GAS_PER_CALL = 400_000;

    /// @dev A raw call is the method of the same name: both come to the same from the same.
    function check_ARawCancellationIsACancellation(address caller, IPreauthEscrow.Terms memory terms, uint40 moment)
        public
    {
        assumeAny(terms, moment);
        assumeDistinct(terms);
        bool wasOpen = isOpen(terms);
        bool mayCall = escrow.isOperator(caller) || caller == terms.receiver;
        Books memory before = books(terms);
        if (!callBy(caller, bytes.concat(IPreauthEscrow.performRaw.selector, raw(3, terms)))) return;
        assert(mayCall && wasOpen);
        assert(hasStatus(terms, IPreauthEscrow.Status.Cancelled));
        assert(token.balanceOf(terms.receiver) == before.ofReceiver);
    }

    /// @dev Whatever the first call is: the second expires its hold.
    function check_AHoldExpiresWhateverItsNeighbourDoes(
        address caller,
        uint8 operation,
        IPreauthEscrow.Terms memory neighbour,
        IPreauthEscrow.Terms memory terms,
        uint40 moment
    ) public {
        assumeAny(terms, moment);
        assumeDistinct(terms);
        assumeOpen(terms);
        vm.assume(moment >= terms.expiresAt);
        vm.assume(neighbour.preauthId != terms.preauthId);
        // The neighbour's tokens are not these: the pot of one token is the matter of the invariants.
        vm.assume(neighbour.token == address(0x70));
        (bool success, bytes memory answer) = answerBy(caller, batching(raw(operation, neighbour), raw(4, terms)));
        if (success) assertExpired(terms, answer);
    }

    /// @dev A call that fails leaves its hold as it was, and its neighbour does not notice.
    function check_AFailingCallChangesNothing(
        address caller,
        IPreauthEscrow.Terms memory failing,
        IPreauthEscrow.Terms memory terms,
        uint40 moment
    ) public {
        assumeAny(terms, moment);
        assumeDistinct(terms);
        assumeOpen(terms);
        vm.assume(moment >= terms.expiresAt);
        vm.assume(failing.token == terms.token && failing.expiresAt > moment);
        vm.assume(failing.preauthId != terms.preauthId);
        bytes32 word = escrow.preauths(failing.preauthId);
        (bool success, bytes memory answer) = answerBy(caller, batching(raw(4, failing), raw(4, terms)));
        assert(escrow.preauths(failing.preauthId) == word);
        if (success) assertExpired(terms, answer);
    }

    /// @dev The second call did its work, or had too little gas and is told of.
    function assertExpired(IPreauthEscrow.Terms memory terms, bytes memory answer) private view {
        if (hasStatus(terms, IPreauthEscrow.Status.Expired)) return;
        IPreauthEscrow.Failure[] memory failures = abi.decode(answer, (IPreauthEscrow.Failure[]));
        IPreauthEscrow.Failure memory last = failures[failures.length - 1];
        assert(last.index == 1 && isOutOfGas(last.reason));
    }

    function batching(bytes memory one, bytes memory two) private pure returns (bytes memory) {
        bytes memory calls = abi.encodePacked(uint16(one.length), one, uint16(two.length), two);
        return abi.encodeCall(IPreauthEscrow.batch, (calls, GAS_PER_CALL));
    }

    function raw(uint8 operation, IPreauthEscrow.Terms memory terms) private pure returns (bytes memory) {
        return abi.encodePacked(
            operation, terms.sender, terms.receiver, terms.token, terms.hold, terms.expiresAt, terms.preauthId
        );
    }
}
