// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// @title What a signature may name as the factory of a wallet. FOR TESTS ONLY.
contract HostileFactory {
    bytes public answer;

    function callOn(address target, bytes calldata data) external {
        (, answer) = target.call(data);
    }

    function burnAllGas() external pure {
        while (true) {}
    }

    function returnBomb() external view {
        assembly {
            return(0, mul(gas(), 2))
        }
    }

    function revertBomb() external view {
        assembly {
            revert(0, mul(gas(), 2))
        }
    }

    function answerOf(uint256 length) external pure {
        assembly {
            return(0, length)
        }
    }
}
