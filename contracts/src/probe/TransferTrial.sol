// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title How a token moves, told by moving it. Never deployed: for the length of one `eth_call` the daemon lays this code
/// over two accounts, a payer and a holder, and nothing of what they do stays.
contract TransferTrial {
    /// @notice What happened, in the order in which it did.
    struct Story {
        bool approved;
        bool pulled;
        uint256 arrived;
        uint256 left;
        bool paid;
        uint256 passedOn;
    }

    /// @notice As the payer, who has `amount` and no more: allows it to `holder`, who pulls it and pays it on to `payee`.
    function tell(IERC20 token, TransferTrial holder, address payee, uint256 amount)
        external
        returns (Story memory story)
    {
        story.approved = _agrees(token, abi.encodeCall(IERC20.approve, (address(holder), amount)));
        story.pulled = holder.move(token, abi.encodeCall(IERC20.transferFrom, (address(this), address(holder), amount)));
        story.arrived = token.balanceOf(address(holder));
        story.left = token.balanceOf(address(this));
        story.paid = holder.move(token, abi.encodeCall(IERC20.transfer, (payee, amount)));
        story.passedOn = token.balanceOf(payee);
    }

    /// @notice As the holder: calls the token, and tells whether it agreed.
    function move(IERC20 token, bytes calldata call) external returns (bool) {
        return _agrees(token, call);
    }

    /// @dev A token agrees by not reverting, and by saying nothing or `true`.
    function _agrees(IERC20 token, bytes memory call) private returns (bool) {
        (bool done, bytes memory answer) = address(token).call(call);
        return done && (answer.length == 0 || (answer.length >= 32 && abi.decode(answer, (uint256)) == 1));
    }
}
