// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title A token that calls someone in the middle of each transfer and keeps the answer. FOR TESTS ONLY.
contract HookToken is ERC20("Hook", "HOOK") {
    address private target;
    bytes private data;

    uint256 public hooksRun;
    bool public hookSucceeded;
    bytes public hookAnswer;

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function setHook(address newTarget, bytes calldata newData) external {
        target = newTarget;
        data = newData;
    }

    /// @dev Called by itself, so that it can also be the operator or receiver of a preauthorization.
    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount);
        if (target != address(0)) {
            ++hooksRun;
            (hookSucceeded, hookAnswer) = target.call(data);
        }
    }
}
