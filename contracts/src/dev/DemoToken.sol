// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

import {ERC3009} from "./ERC3009.sol";

/// @title A token for development and tests. FOR DEVELOPMENT ONLY: whoever deployed it mints as much as he likes.
contract DemoToken is ERC20Permit, ERC3009, Ownable {
    // slither-disable-next-line naming-convention: a constant.
    uint8 private immutable DECIMALS;

    constructor(string memory name, string memory symbol, uint8 decimals_)
        ERC20(name, symbol)
        ERC20Permit(name)
        Ownable(msg.sender)
    {
        DECIMALS = decimals_;
    }

    function mint(address to, uint256 amount) external onlyOwner {
        _mint(to, amount);
    }

    function decimals() public view override returns (uint8) {
        return DECIMALS;
    }
}
