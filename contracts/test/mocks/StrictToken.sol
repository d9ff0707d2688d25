// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @dev Refuses calls that are a byte longer than they have to be.
contract StrictToken is ERC20("Strict", "STRICT") {
    modifier ofWords(uint256 count) {
        require(msg.data.length == 4 + 32 * count, "not these bytes");
        _;
    }

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function balanceOf(address account) public view override ofWords(1) returns (uint256) {
        return super.balanceOf(account);
    }

    function transfer(address to, uint256 amount) public override ofWords(2) returns (bool) {
        return super.transfer(to, amount);
    }
}
