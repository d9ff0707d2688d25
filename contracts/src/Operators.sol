// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IPreauthEscrow} from "./interfaces/IPreauthEscrow.sol";

/// @title The accounts that may authorize and settle
abstract contract Operators is IPreauthEscrow {
    mapping(address account => bool) public isOperator;

    /// @dev One of them, or zero. It shares its slot with what the next contract in line stores first, the pause, which
    /// every authorization reads anyway: so its right costs it no slot of its own.
    address internal leadOperator;

    function _setOperator(address operator, bool allowed) internal {
        isOperator[operator] = allowed;
        if (allowed && leadOperator == address(0)) leadOperator = operator;
        if (!allowed && leadOperator == operator) leadOperator = address(0);
        emit OperatorSet(operator, allowed);
    }

    function _checkOperator() internal view {
        if (!isOperator[msg.sender]) revert NotOperator(msg.sender);
    }
}
