// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title What the token alone costs, to be measured: in, on and back, with nothing checked and nothing remembered
contract BareTransfers {
    IERC20 private immutable TOKEN;

    constructor(IERC20 token) {
        TOKEN = token;
    }

    function pull(address[] calldata senders, uint256 hold) public {
        for (uint256 i = 0; i < senders.length; ++i) {
            TOKEN.transferFrom(senders[i], address(this), hold);
        }
    }

    function pay(address[] calldata senders, address receiver, uint256 hold, uint256 amount) public {
        for (uint256 i = 0; i < senders.length; ++i) {
            TOKEN.transfer(receiver, amount);
            TOKEN.transfer(senders[i], hold - amount);
        }
    }

    /// @notice All of it at once, which no hold can do.
    function pullAndPay(address[] calldata senders, address receiver, uint256 hold, uint256 amount) external {
        pull(senders, hold);
        pay(senders, receiver, hold, amount);
    }
}
