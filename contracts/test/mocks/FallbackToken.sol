// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title A token whose fallback takes every call it does not know, as wrapped native coins do. FOR TESTS ONLY.
contract FallbackToken is ERC20("Swallowing", "SWLW") {
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function decimals() public pure override returns (uint8) {
        return 6;
    }

    fallback() external payable {}

    receive() external payable {}
}
