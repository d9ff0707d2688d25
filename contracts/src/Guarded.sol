// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {IPreauthEscrow} from "./interfaces/IPreauthEscrow.sol";

/// @title What stands between the escrow and foreign code
/// @notice The lock that nothing is entered through, and calls that can neither be starved nor answered too much.
abstract contract Guarded is IPreauthEscrow {
    /// @dev Room for what runs between the gas check and the call it guards, a cold account (2,600) included.
    uint256 private constant CALL_OVERHEAD = 5000;

    uint256 public constant REFUND_GAS = 100_000;

    /// @dev One while an operation or a claim runs, and so whenever foreign code does.
    uint256 private transient entered;

    /// @dev Foreign code that is called by an operation can enter nothing that moves tokens.
    modifier exclusive() {
        if (entered != 0) revert Reentered();
        entered = 1;
        _;
        entered = 0;
    }

    /// @dev For `batch`: its calls take the lock themselves, and between them no foreign code runs. Entered from within
    /// an operation it would tell of failures (`CallFailed`) in a transaction that is not its caller's.
    modifier notEntered() {
        if (entered != 0) revert Reentered();
        _;
    }

    /// @dev A call gets at most 63/64 of the gas left, silently. Reverts unless the next call can be given `required`.
    function _checkGas(uint256 required) internal view {
        uint256 left = gasleft();
        if (left < CALL_OVERHEAD) revert InsufficientGas(required);
        unchecked {
            left -= CALL_OVERHEAD;
            if (left - left / 64 < required) revert InsufficientGas(required);
        }
    }

    /// @dev A transfer that neither the token can block nor the caller starve: it is given `REFUND_GAS`, no less and
    /// no more. In assembly because Solidity copies all return data, which a token may make as large as it likes.
    function _tryTransfer(address token, address to, uint256 amount) internal returns (bool success) {
        bytes4 selector = IERC20.transfer.selector;
        _checkGas(REFUND_GAS);
        // slither-disable-next-line assembly
        assembly ("memory-safe") {
            let data := mload(0x40)
            mstore(data, selector)
            mstore(add(data, 0x04), to)
            mstore(add(data, 0x24), amount)
            mstore(0x00, 0)
            success := call(REFUND_GAS, token, 0, data, 0x44, 0x00, 0x20)
            // As SafeERC20: the answer is true (a shorter one leaves zeros), or there is none and the account has code.
            switch returndatasize()
            case 0 { success := and(success, iszero(iszero(extcodesize(token)))) }
            default { success := and(success, eq(mload(0x00), 1)) }
        }
    }

    /// @dev In assembly for a named error where a decoder would revert without one, and for gas.
    function _balance(address token) internal view returns (uint256 amount) {
        bytes4 selector = IERC20.balanceOf.selector;
        bool success;
        // slither-disable-next-line assembly
        assembly ("memory-safe") {
            mstore(0x00, selector)
            mstore(0x04, address())
            success := staticcall(gas(), token, 0x00, 0x24, 0x00, 0x20)
            success := and(success, gt(returndatasize(), 0x1f))
            amount := mload(0x00)
        }
        if (!success) revert SafeERC20.SafeERC20FailedOperation(token);
    }
}
