// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IPreauthEscrow} from "./interfaces/IPreauthEscrow.sol";

/// @title What an authorization has to pass before its consent is looked at
/// @notice The operators, and the senders who demand signatures.
/// @dev A first read of a slot costs 2,100 gas, so what every authorization asks shares one: an operator, marks of the
/// senders who demand signatures, and the pause flag, which OpenZeppelin's Pausable stores. It follows here because the
/// escrow names Pausable right after this contract.
abstract contract Gate is IPreauthEscrow {
    uint256 private constant MARKS = 88;

    mapping(address account => bool) public isOperator;
    mapping(address sender => bool) public signedConsentRequired;

    /// @dev One of the operators, or zero.
    address internal leadOperator;

    /// @dev Each sender who ever demanded signatures set one of these bits, the same for many senders. Where a sender's
    /// bit is not set, he did not, and his own slot need not be read. Where it is set, it says nothing.
    uint88 internal demandMarks;

    function requireSignedConsent(bool required) external {
        if (required) demandMarks |= _markOf(msg.sender);
        signedConsentRequired[msg.sender] = required;
        emit SignedConsentRequired(msg.sender, required);
    }

    function _setOperator(address operator, bool allowed) internal {
        isOperator[operator] = allowed;
        // slither-disable-start costly-loop: the loop is the constructor's, over the first operators.
        if (allowed && leadOperator == address(0)) leadOperator = operator;
        if (!allowed && leadOperator == operator) leadOperator = address(0);
        // slither-disable-end costly-loop
        emit OperatorSet(operator, allowed);
    }

    function _checkOperator() internal view {
        if (!isOperator[msg.sender]) revert NotOperator(msg.sender);
    }

    /// @param marks `demandMarks`, which the caller has read with the rest of its slot.
    function _checkNoDemand(address sender, uint88 marks) internal view {
        if (marks & _markOf(sender) != 0 && signedConsentRequired[sender]) revert ConsentRequired(sender);
    }

    function _markOf(address sender) private pure returns (uint88) {
        return uint88(1 << (uint160(sender) % MARKS));
    }
}
