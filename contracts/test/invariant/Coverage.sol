// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";

import {IPreauthEscrow} from "../../src/interfaces/IPreauthEscrow.sol";
import {EscrowTest} from "../EscrowTest.sol";

/// @dev What a campaign has to come across. One that does not has proven less than it says.
abstract contract Coverage is EscrowTest {
    string[] private listed;
    mapping(bytes32 outcome => bool) private isOutcome;
    mapping(bytes32 outcome => uint256) private counts;

    /// @param endings Words with commas between them.
    function expectOutcomes(string memory subject, string memory endings) internal {
        string[] memory each = vm.split(endings, ",");
        for (uint256 i = 0; i < each.length; ++i) {
            string memory outcome = string.concat(subject, ": ", each[i]);
            listed.push(outcome);
            isOutcome[keccak256(bytes(outcome))] = true;
        }
    }

    function reach(string memory subject, string memory ending) internal {
        bytes32 outcome = keccak256(abi.encodePacked(subject, ": ", ending));
        if (!isOutcome[outcome]) fail(string.concat("an outcome nobody listed: ", subject, ": ", ending));
        ++counts[outcome];
    }

    function fail(string memory why) internal pure {
        assertTrue(false, why);
    }

    function assertEverythingWasReached() internal view {
        for (uint256 i = 0; i < listed.length; ++i) {
            assertGt(counts[keccak256(bytes(listed[i]))], 0, string.concat("never reached: ", listed[i]));
        }
    }

    function nameOf(bytes memory reason) internal pure returns (string memory) {
        bytes4 selector = bytes4(reason);
        if (selector == IPreauthEscrow.NotOperator.selector) return "NotOperator";
        if (selector == IPreauthEscrow.AlreadyUsed.selector) return "AlreadyUsed";
        if (selector == IPreauthEscrow.NotOpen.selector) return "NotOpen";
        if (selector == IPreauthEscrow.TermsMismatch.selector) return "TermsMismatch";
        if (selector == IPreauthEscrow.PreauthExpired.selector) return "PreauthExpired";
        if (selector == IPreauthEscrow.NotExpired.selector) return "NotExpired";
        if (selector == IPreauthEscrow.InvalidExpiry.selector) return "InvalidExpiry";
        if (selector == IPreauthEscrow.InvalidAmount.selector) return "InvalidAmount";
        if (selector == IPreauthEscrow.InvalidParty.selector) return "InvalidParty";
        if (selector == IPreauthEscrow.InvalidConsent.selector) return "InvalidConsent";
        if (selector == IPreauthEscrow.ConsentRequired.selector) return "ConsentRequired";
        if (selector == IPreauthEscrow.ReceiverNotRegistered.selector) return "ReceiverNotRegistered";
        if (selector == IPreauthEscrow.InexactTransfer.selector) return "InexactTransfer";
        if (selector == IPreauthEscrow.NothingToClaim.selector) return "NothingToClaim";
        if (selector == Pausable.EnforcedPause.selector) return "EnforcedPause";
        return "refused by others";
    }
}
