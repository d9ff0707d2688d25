// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IPreauthEscrow} from "../src/interfaces/IPreauthEscrow.sol";
import {Proof} from "./Proof.sol";

/// @dev Who changes what stands at the gate, and that the shortcuts of its one slot stay true.
contract GateProof is Proof {
    function check_OnlyTheAdminRegistersAndOnlyWithTheDelay(address caller, address receiver, uint40 moment) public {
        vm.warp(moment);
        address admin = escrow.owner();
        uint40 before = escrow.receiverActiveFrom(receiver);
        if (!callBy(caller, abi.encodeCall(IPreauthEscrow.registerReceiver, (receiver)))) return;
        assert(caller == admin);
        assert(receiver != address(0));
        assert(escrow.receiverActiveFrom(receiver) == (before != 0 ? before : moment + DELAY));
    }

    function check_OnlyTheAdminAllowsOperatorsAndTheGuardianRevokes(address caller, address account, bool allowed)
        public
    {
        (address admin, address guardian) = (escrow.owner(), escrow.guardian());
        if (!callBy(caller, abi.encodeCall(IPreauthEscrow.setOperator, (account, allowed)))) return;
        assert(caller == admin || (caller == guardian && !allowed));
        assert(escrow.isOperator(account) == allowed);
    }

    function check_TheLeadIsAnOperator(address caller, address account, bool allowed) public {
        assumeKnownGate();
        callBy(caller, abi.encodeCall(IPreauthEscrow.setOperator, (account, allowed)));
        address lead = escrow.lead();
        assert(lead == address(0) || escrow.isOperator(lead));
    }

    function check_WhoDemandsIsMarked(address sender, bool required) public {
        bool success = callBy(sender, abi.encodeCall(IPreauthEscrow.requireSignedConsent, (required)));
        assert(success && escrow.signedConsentRequired(sender) == required);
        assert(!required || escrow.marks() & (1 << (uint160(sender) % 88)) != 0);
    }

    function check_AMarkStays(address sender, bool required) public {
        uint88 before = escrow.marks();
        callBy(sender, abi.encodeCall(IPreauthEscrow.requireSignedConsent, (required)));
        assert(escrow.marks() & before == before);
    }

    function check_NobodyDemandsForAnother(address sender, address other, bool required) public {
        vm.assume(sender != other);
        bool before = escrow.signedConsentRequired(other);
        callBy(sender, abi.encodeCall(IPreauthEscrow.requireSignedConsent, (required)));
        assert(escrow.signedConsentRequired(other) == before);
    }

    function check_AdminAndGuardianPauseAndOnlyTheAdminUnpauses(address caller) public {
        (address admin, address guardian) = (escrow.owner(), escrow.guardian());
        bool before = escrow.paused();
        (uint88 marks, address lead) = (escrow.marks(), escrow.lead());
        bytes memory call =
            before ? abi.encodeCall(IPreauthEscrow.unpause, ()) : abi.encodeCall(IPreauthEscrow.pause, ());
        bool success = callBy(caller, call);
        assert(success == (caller == admin || (caller == guardian && !before)));
        assert(escrow.paused() == (success ? !before : before));
        assert(escrow.marks() == marks && escrow.lead() == lead);
    }

    function check_OnlyTheAdminNamesTheGuardianAndRemovesReceivers(address caller, address account) public {
        address admin = escrow.owner();
        bool success = callBy(caller, abi.encodeCall(IPreauthEscrow.setGuardian, (account)));
        assert(success == (caller == admin));
        success = callBy(caller, abi.encodeCall(IPreauthEscrow.removeReceiver, (account)));
        assert(success == (caller == admin));
        assert(!success || escrow.receiverActiveFrom(account) == 0);
    }
}
