// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title A contract wallet that takes one word as the signature of anything. FOR TESTS ONLY.
contract Wallet is IERC1271 {
    enum Manner {
        Fair,
        WrongAnswer,
        Revert,
        BurnAllGas,
        ReturnBomb
    }

    bytes32 private immutable PASSWORD;
    Manner public manner;

    constructor(bytes32 password) {
        PASSWORD = password;
    }

    function setManner(Manner newManner) external {
        manner = newManner;
    }

    function approve(IERC20 token, address spender) external {
        token.approve(spender, type(uint256).max);
    }

    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        if (manner == Manner.WrongAnswer) return 0xffffffff;
        if (manner == Manner.Revert) revert("no");
        if (manner == Manner.BurnAllGas) while (true) {}
        if (manner == Manner.ReturnBomb) {
            assembly {
                return(0, gas())
            }
        }
        bool right = signature.length >= 64 && bytes32(signature) == PASSWORD && bytes32(signature[32:]) == hash;
        return right ? IERC1271.isValidSignature.selector : bytes4(0xffffffff);
    }
}

/// @title Makes wallets at addresses that are known before. FOR TESTS ONLY.
contract WalletFactory {
    function create(bytes32 password) public returns (Wallet) {
        return new Wallet{salt: 0}(password);
    }

    /// @notice Make a wallet and have it allow `spender` everything, as a wallet's first call may.
    function createAndApprove(bytes32 password, IERC20 token, address spender) external {
        create(password).approve(token, spender);
    }

    function addressOf(bytes32 password) external view returns (address) {
        bytes32 codeHash = keccak256(abi.encodePacked(type(Wallet).creationCode, password));
        return address(uint160(uint256(keccak256(abi.encodePacked(hex"ff", address(this), bytes32(0), codeHash)))));
    }
}
