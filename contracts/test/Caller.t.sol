// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";

import {IPreauthEscrow} from "../src/interfaces/IPreauthEscrow.sol";
import {EscrowTest} from "./EscrowTest.sol";

/// @dev Rights are the caller's, never those of whoever sent the transaction: he may have been lured into calling somebody.
contract CallerTest is EscrowTest {
    function test_NobodyHasTheRightsOfTheOperatorWhoCallsHim() public {
        IPreauthEscrow.Terms memory fresh = someTerms();
        IPreauthEscrow.Terms memory held = someHold();
        refusedWithin(operator, notOperator(stranger));
        escrow.authorize(fresh, "");
        refusedWithin(operator, notOperator(stranger));
        escrow.settle(held, AMOUNT);
        refusedWithin(operator, notOperator(stranger));
        escrow.cancel(held);
    }

    function test_NobodyHasTheRightsOfTheReceiverWhoCallsHim() public {
        IPreauthEscrow.Terms memory held = someHold();
        refusedWithin(receiver, notOperator(stranger));
        escrow.cancel(held);
    }

    function test_NobodyHasTheRightsOfWhoeverKeepsTheGateAndCallsHim() public {
        bytes memory notGuardian = abi.encodeWithSelector(IPreauthEscrow.NotGuardian.selector, stranger);
        refusedWithin(guardian, notGuardian);
        escrow.pause();
        refusedWithin(admin, notGuardian);
        escrow.setOperator(stranger, true);
        refusedWithin(admin, abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, stranger));
        escrow.registerReceiver(stranger);
    }

    function test_NobodyDemandsSignaturesForWhoCallsHim() public {
        vm.prank(stranger, sender);
        escrow.requireSignedConsent(true);
        assertTrue(escrow.signedConsentRequired(stranger));
        assertFalse(escrow.signedConsentRequired(sender));
        someHold();
    }

    /// @dev The next call is the stranger's, within a transaction of `origin`.
    function refusedWithin(address origin, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(stranger, origin);
    }
}
