// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title A token whose permit also takes signatures of contract wallets, and does otherwise when told. FOR TESTS ONLY.
contract PermitToken is ERC20, ERC20Permit {
    enum Manner {
        Fair,
        /// Whoever signed, allow everything.
        AllowAll,
        Refuse,
        BurnAllGas,
        ReturnBomb,
        RevertBomb
    }

    bytes32 private constant PERMIT_TYPEHASH =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");

    Manner public manner;
    address private target;
    bytes private data;
    bool public hookRan;
    bool public hookSucceeded;

    constructor() ERC20("Permit", "PRMT") ERC20Permit("Permit") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function setManner(Manner newManner) external {
        manner = newManner;
    }

    /// @notice Have each permit call someone.
    function setHook(address newTarget, bytes calldata newData) external {
        (target, data) = (newTarget, newData);
    }

    function permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        public
        override
    {
        if (!misbehaves(owner, spender)) super.permit(owner, spender, value, deadline, v, r, s);
    }

    function permit(address owner, address spender, uint256 value, uint256 deadline, bytes calldata signature)
        external
    {
        if (misbehaves(owner, spender)) return;
        require(block.timestamp <= deadline, "too late");
        bytes32 structHash = keccak256(abi.encode(PERMIT_TYPEHASH, owner, spender, value, _useNonce(owner), deadline));
        require(SignatureChecker.isValidSignatureNow(owner, _hashTypedDataV4(structHash), signature), "not the owner's");
        _approve(owner, spender, value);
    }

    function misbehaves(address owner, address spender) private returns (bool) {
        if (target != address(0)) {
            hookRan = true;
            (hookSucceeded,) = target.call(data);
        }
        Manner current = manner;
        if (current == Manner.Refuse) revert("no permits");
        if (current == Manner.BurnAllGas) while (true) {}
        if (current == Manner.ReturnBomb) {
            assembly {
                return(0, mul(gas(), 2))
            }
        }
        if (current == Manner.RevertBomb) {
            assembly {
                revert(0, mul(gas(), 2))
            }
        }
        if (current == Manner.AllowAll) _approve(owner, spender, type(uint256).max);
        return current != Manner.Fair;
    }
}
