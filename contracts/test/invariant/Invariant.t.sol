// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {StdInvariant} from "forge-std/StdInvariant.sol";

import {Handler} from "./Handler.sol";

/// @dev One campaign holds all properties, so that each is checked by every call. docs/contract.md lists them.
contract InvariantTest is StdInvariant {
    Handler private handler;

    function setUp() public {
        handler = new Handler();
        bytes4[] memory actions = new bytes4[](11);
        actions[0] = handler.lock.selector;
        actions[1] = handler.lockWrongly.selector;
        actions[2] = handler.settle.selector;
        actions[3] = handler.cancel.selector;
        actions[4] = handler.expire.selector;
        actions[5] = handler.claim.selector;
        actions[6] = handler.batch.selector;
        actions[7] = handler.passTime.selector;
        actions[8] = handler.decide.selector;
        actions[9] = handler.changeMind.selector;
        actions[10] = handler.turnToken.selector;
        targetSelector(FuzzSelector({addr: address(handler), selectors: actions}));
        targetContract(address(handler));
    }

    function invariant_TheBooksAgree() public view {
        handler.assertTheBooks();
    }

    function afterInvariant() public {
        handler.conclude();
    }
}
