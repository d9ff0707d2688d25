// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title A token that takes any ERC-3009 authorization and moves what it was told to. FOR TESTS ONLY.
contract AuthorizingToken is ERC20("Authorizing", "AUTH") {
    uint256 private moved;
    address private target;
    bytes private data;
    bool public hookRan;
    bool public hookSucceeded;

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function setMoved(uint256 amount) external {
        moved = amount;
    }

    /// @notice Have each authorization call someone.
    function setHook(address newTarget, bytes calldata newData) external {
        (target, data) = (newTarget, newData);
    }

    function receiveWithAuthorization(
        address from,
        address to,
        uint256,
        uint256,
        uint256,
        bytes32,
        uint8,
        bytes32,
        bytes32
    ) external {
        if (target != address(0)) {
            hookRan = true;
            (hookSucceeded,) = target.call(data);
        }
        _transfer(from, to, moved);
    }

    /// @dev Takes every other call and does nothing, as wrapped Ether's fallback does without Ether.
    fallback() external {}
}
