// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// @title Makes calls one after the other, and answers what each came to. Never deployed: for the length of one `eth_call`
/// the daemon lays this code over the accounts that are to act, and nothing of what they do stays.
contract Rehearsal {
    struct Call {
        address to;
        bytes input;
    }

    struct Outcome {
        bool success;
        bytes answer;
    }

    function rehearse(Call[] calldata calls) external returns (Outcome[] memory outcomes) {
        outcomes = new Outcome[](calls.length);
        for (uint256 i = 0; i < calls.length; ++i) {
            // What it is for; nothing of what it does stays.
            // slither-disable-next-line calls-loop,low-level-calls
            (outcomes[i].success, outcomes[i].answer) = calls[i].to.call(calls[i].input);
        }
    }
}
