// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {ERC1967Utils} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Utils.sol";
import {Proxy} from "@openzeppelin/contracts/proxy/Proxy.sol";

/// @title A token that anyone can make another. FOR TESTS ONLY.
contract UpgradableToken is Proxy {
    constructor(address implementation) {
        upgradeTo(implementation);
    }

    receive() external payable {}

    function upgradeTo(address implementation) public {
        ERC1967Utils.upgradeToAndCall(implementation, "");
    }

    function _implementation() internal view override returns (address) {
        return ERC1967Utils.getImplementation();
    }
}
