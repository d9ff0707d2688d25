// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IPreauthEscrow} from "../src/interfaces/IPreauthEscrow.sol";
import {EscrowTest} from "./EscrowTest.sol";
import {StrictToken} from "./mocks/StrictToken.sol";

/// @dev To the byte: what a token is asked, and what counts as its answer.
contract TokenCallsTest is EscrowTest {
    function test_ATokenIsAskedInTheBytesOfTheStandard() public {
        StrictToken strict = new StrictToken();
        strict.mint(sender, FUNDS);
        vm.prank(sender);
        strict.approve(address(escrow), HOLD);
        IPreauthEscrow.Terms memory terms = someHold(address(strict));
        vm.prank(operator);
        escrow.cancel(terms);
        assertEq(strict.balanceOf(sender), FUNDS);
    }

    /// @dev An id that ends like the word for true: nothing of it may be left where the answer is looked for.
    function test_ATransferAnsweredWithLessThanAWordIsNoTransfer() public {
        for (uint256 length = 1; length < 32; ++length) {
            uint256 state = vm.snapshotState();
            IPreauthEscrow.Terms memory terms = someTerms();
            terms.preauthId = bytes32(uint256(1));
            lock(terms);
            vm.mockCall(address(token), abi.encodePacked(IERC20.transfer.selector), new bytes(length));
            vm.prank(operator);
            escrow.cancel(terms);
            assertEq(escrow.claimable(sender, address(token)), HOLD);
            vm.clearMockedCalls();
            vm.revertToState(state);
        }
    }
}
