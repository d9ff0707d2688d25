// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title A token whose balances change by themselves: what is stored are shares. FOR TESTS ONLY.
contract RebasingToken is ERC20("Rebasing", "REB") {
    uint256 private constant HUNDRED = 100;

    uint256 private percent = HUNDRED;

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    /// @notice What a share is worth from now on, in hundredths of a unit.
    function rebase(uint256 newPercent) external {
        percent = newPercent;
    }

    function balanceOf(address account) public view override returns (uint256) {
        return super.balanceOf(account) * percent / HUNDRED;
    }

    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount * HUNDRED / percent);
    }
}
